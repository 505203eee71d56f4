// mall device: the credentials of kiosks and robots.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "services/gateways/access/devices.h"
#include "services/mall/command.h"

namespace mallbots::mall {
namespace {

using gateways::Device;
using gateways::Devices;

struct Options {
  Place place;
  std::string kind;
  std::vector<std::string> ids;
};

Result<std::string> file_of(const Options& options) {
  const auto where = options.place.host_options("device");
  if (!where) return std::unexpected(where.error());
  return gateways::devices_file(where->data_dir);
}

Done add(const Options& options) {
  const auto kind = gateways::device_kind(options.kind);
  if (!kind) return std::unexpected(kind.error());
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  const auto secrets = Devices(*file).add(*kind, options.ids);
  if (!secrets) return std::unexpected(secrets.error());
  for (std::size_t at = 0; at < secrets->size(); ++at)
    std::cout << options.ids[at] << '.' << (*secrets)[at] << '\n';
  return {};
}

Done list(const Options& options) {
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  const auto devices = Devices(*file).list();
  if (!devices) return std::unexpected(devices.error());
  for (const Device& device : *devices)
    std::cout << fmt::format("{:<6} {}\n", name_of(device.kind), device.id);
  return {};
}

Done revoke(const Options& options) {
  const auto kind = gateways::device_kind(options.kind);
  if (!kind) return std::unexpected(kind.error());
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  Devices devices(*file);
  std::string unknown;
  for (const std::string& id : options.ids) {
    const auto was_there = devices.revoke(*kind, id);
    if (!was_there) return std::unexpected(was_there.error());
    if (!*was_there) unknown.append(unknown.empty() ? "" : ", ").append(id);
  }
  if (unknown.empty()) return {};
  return fail(ErrorCode::kBadArgument, fmt::format("no {} is named {}", options.kind, unknown));
}

}  // namespace

void add_device_command(CLI::App& mall, Done& done) {
  auto* device = mall.add_subcommand("device", "credentials of kiosks and robots");
  device->require_subcommand(1);
  device->footer(
      "Examples:\n"
      "  mall device add kiosk hall.1\n"
      "  mall device revoke bot b7");
  const auto options = std::make_shared<Options>();
  const auto add_one = [&](const char* name, const char* what, Done (*run)(const Options&)) {
    auto* command = device->add_subcommand(name, what);
    options->place.add_options(*command);
    command->callback([options, &done, run] { done = run(*options); });
    return command;
  };
  const auto add_ids = [&](CLI::App* command) {
    command->add_option("kind", options->kind, "kiosk or bot")->required();
    command->add_option("id", options->ids, "1 to 64 letters, digits, '-', '_', '.'; any number")
        ->required();
  };
  add_ids(add_one("add", "a new device: its credential is printed, once, as ID.SECRET", add));
  add_one("list", "all devices", list);
  add_ids(add_one("revoke", "its credential is good for nothing any more", revoke));
}

}  // namespace mallbots::mall
