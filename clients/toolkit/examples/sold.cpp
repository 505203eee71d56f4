// What was sold, as a view over the log: sold [RUNTIME_DIR]
// Reads what is in topic `events.Sold` into sold.db, prints the totals, ends. A line
// "again" on stdin builds the view anew beside the one that is read.
#include <iostream>
#include <sstream>

#include "clients/toolkit/views/view_runner.h"
using namespace mallbots;
using namespace mallbots::toolkit;

struct Sold {
  static constexpr auto kMessage = event("Sold", 1);
  std::string item;
  std::int64_t pence = 0;
  static constexpr auto fields() {
    return std::tuple{field("item", &Sold::item), field("pence", &Sold::pence)};
  }
};

const View kTotals =
    View{"totals", 1, "create table {totals} (item text primary key, n integer, pence integer)",
         TopicNames{.service = "shop"}}
        .on<Sold>([](ViewWork& work, const Sold& sale) -> Handled {
          const auto done = work.run(
              "insert into {totals} values (?, 1, ?) on conflict (item)"
              " do update set n = n + 1, pence = pence + excluded.pence",
              {sale.item, sale.pence});
          return done ? Handled{} : std::unexpected(HandlerFailure{done.error()});
        });

Result<void> run(const client::ConnectionOptions& where) {
  const auto database = Database::open({.path = "sold.db"});
  if (!database) return std::unexpected(database.error());
  const auto inbox = Inbox::open(**database);
  if (!inbox) return std::unexpected(inbox.error());
  const auto outbox = Outbox::open(**database);
  if (!outbox) return std::unexpected(outbox.error());
  ViewRunner totals{{kTotals}, {**database, **inbox, **outbox}, [&] {
                      return LogReader::open(where, {"events.Sold"});
                    }};
  MALLBOTS_TRY(totals.open());
  if (std::string word; std::cin >> word && word == "again")
    if (const auto begun = totals.rebuild(); !begun) return std::unexpected(begun.error());

  for (std::size_t applied = 1; applied > 0;) {  // until nothing is left to apply
    const auto done = totals.run_once();
    if (!done) return std::unexpected(done.error());
    applied = *done;
  }
  const auto rows = (*database)->read("select item, n, pence from totals order by item");
  if (!rows) return std::unexpected(rows.error());
  for (const Row& row : *rows)
    std::cout << row.text(0) << ' ' << row.integer(1) << ' ' << row.integer(2) << '\n';
  const auto builds = totals.builds();
  if (!builds) return std::unexpected(builds.error());
  for (const ViewBuild& build : *builds)
    std::cout << "build " << build.number << (build.state == BuildState::kLive ? " live" : "")
              << ", " << build.applied << " applied, " << build.lag << " to come\n";
  return {};
}

int main(int count, char** arguments) {
  if (const auto done = run({.runtime_dir = count > 1 ? arguments[1] : ""}); !done)
    return std::cerr << done.error().sentence() << '\n', 1;
}
