// mall order, mall audit: what the log tells of one thing.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "services/mall/command.h"
#include "services/mall/story.h"

namespace mallbots::mall {
namespace {

struct Options {
  Place place;
  std::string id;
};

using Pick = std::vector<Fact> (*)(std::span<const Fact>, std::string_view);
using Show = std::string (*)(std::span<const Fact>);

Done tell(const Options& options, Pick pick, Show show) {
  const auto at = options.place.host_options("mall-history");
  if (!at) return std::unexpected(at.error());
  const auto history = read_history({.instance = at->instance,
                                     .runtime_dir = at->runtime_dir,
                                     .name = at->name,
                                     .waiting = client::Waiting::kBlock});
  if (!history) return std::unexpected(history.error());
  const std::vector<Fact> facts = pick(*history, options.id);
  if (facts.empty())
    return fail(ErrorCode::kBadArgument, "the log tells nothing of '" + options.id + "'");
  std::cout << show(facts);
  return {};
}

}  // namespace

void add_order_command(CLI::App& mall, Done& done) {
  auto options = std::make_shared<Options>();
  CLI::App* command = mall.add_subcommand("order", "tell an order's story from the log");
  command->add_option("ID", options->id, "the order's id, which was its cart's")->required();
  options->place.add_options(*command);
  command->footer(
      "One line each: time (UTC), seconds since the first, topic, what, who asked, with what. A\n"
      "cause stands before what it caused.\nExample: mall order "
      "0192f0c4-7d3e-7c44-9d5e-0242ac120002");
  command->callback([options, &done] { done = tell(*options, story_of, shown_story); });
}

void add_audit_command(CLI::App& mall, Done& done) {
  auto options = std::make_shared<Options>();
  CLI::App* command = mall.add_subcommand("audit", "who changed one thing, by which request");
  command->add_option("ENTITY", options->id, "id of a cart, order, store, product, customer, ...")
      ->required();
  options->place.add_options(*command);
  command->footer(
      "One line each: time (UTC), who, request, what, with what; from the log alone. \"-\": no\n"
      "event that led to it says who.\nExample: mall audit s1");
  command->callback([options, &done] { done = tell(*options, audit_of, shown_audit); });
}

}  // namespace mallbots::mall
