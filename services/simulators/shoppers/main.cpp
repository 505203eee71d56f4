// shoppers: replays retail invoices at the kiosk's REST API. README.md says by which rules.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "services/simulators/shoppers/shop.h"
#include "services/simulators/shoppers/shopping_day.h"
#include "shm/base/clock.h"

namespace {

using namespace mallbots;

struct Options {
  std::string orders = "-";
  std::string result = "-";
  std::string kiosk;
  std::string plan;
  std::size_t limit = ~std::size_t{0};
  shoppers::ShopOptions shop;
  shoppers::DayOptions day;
};

int fail(const Error& error) {
  std::cerr << "shoppers: " << error.sentence() << '\n';
  return 1;
}

Result<void> set_up(const shoppers::Retail& retail, const Options& options) {
  if (options.shop.desk.admin.empty()) return {};
  std::ifstream plan(options.plan);
  const BootNanos begin = boot_now_ns();
  MALLBOTS_TRY(shoppers::set_up_shop(retail, plan, options.shop));
  std::cout << fmt::format("the shop stands: {} stores, {:.1f} s\n", options.shop.stores,
                           static_cast<double>(boot_now_ns() - begin) / 1e9)
            << std::flush;
  return {};
}

void show(const shoppers::DayProgress& so_far) {
  std::cout << fmt::format(
                   "{} of {} invoices submitted, {} refused at the kiosk; {} completed, {} "
                   "cancelled, {} rejected; asked {} times, {} of them again\n",
                   so_far.submitted, so_far.orders, so_far.refused, so_far.completed,
                   so_far.cancelled, so_far.rejected, so_far.questions, so_far.repetitions)
            << std::flush;
}

int run(Options& options) {
  std::ifstream file;
  if (options.orders != "-") file.open(options.orders);
  std::istream& source = options.orders == "-" ? std::cin : file;
  if (!source) {
    return fail({ErrorCode::kBadArgument, fmt::format("cannot read '{}'", options.orders)});
  }
  const auto retail = shoppers::read_retail(source, options.orders, options.limit);
  if (!retail) return fail(retail.error());
  if (const auto stands = set_up(*retail, options); !stands) return fail(stands.error());
  if (options.kiosk.empty()) return 0;
  auto kiosk = simulators::HttpAddress::parse(options.kiosk);
  if (!kiosk) return fail(kiosk.error());
  options.day.shopper.kiosk = *std::move(kiosk);
  std::ofstream out(options.result);
  const auto line = [&out](const std::string& text) { out << text << '\n' << std::flush; };
  const auto ended = shoppers::shopping_day(*retail, options.day, line, show);
  line(shoppers::closing_line(*retail));
  if (!out) return fail({ErrorCode::kIo, fmt::format("cannot write '{}'", options.result)});
  return ended ? 0 : fail(ended.error());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Replays retail invoices at the kiosk's REST API", "shoppers"};
  app.add_option("--orders", options.orders, "CSV of invoices; -: standard input");
  app.add_option("--limit", options.limit, "only the first N invoices");
  auto* result = app.add_option("--result", options.result, "one line of JSON per invoice");
  auto* kiosk = app.add_option("--kiosk", options.kiosk,
                               "http://HOST:PORT of the kiosk gateway; without it nobody shops");
  app.add_option("--credential", options.day.shopper.credential, "ID.SECRET of the kiosk");
  auto* run_name = app.add_option("--run", options.day.shopper.run,
                                  "name of this run: the same name, the same orders");
  kiosk->needs(result)->needs(run_name);
  app.add_option("--seed", options.day.shopper.seed, "of declined and slow cards");
  app.add_option("--kiosks", options.day.kiosks, "so many shop at once")->check(CLI::Range(1, 500));
  app.add_option("--rate", options.day.orders_per_s, "orders begun a second; 0: no limit");
  app.add_option("--stores", options.shop.stores, "that the products are spread over")
      ->check(CLI::Range(1, 100));
  app.add_option("--admin", options.shop.desk.admin,
                 "sets the shop up first, at the admin gateway's http://HOST:PORT");
  app.add_option("--staff", options.shop.desk.name, "a store-admin");
  app.add_option("--password-file", options.shop.desk.password_file,
                 "whose first line is the password");
  app.add_option("--plan", options.plan, "the floor plan that the stores are spread over");
  CLI11_PARSE(app, argc, argv);
  return run(options);
}
