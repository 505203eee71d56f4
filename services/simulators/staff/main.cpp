// staff: works at the depot and at the pickup desk until it is ended. README.md says how.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "services/simulators/staff/staff.h"
#include "shm/base/clock.h"

namespace {

using namespace mallbots;

constexpr BootNanos kToldNs = 5 * kSecond;

int fail(const Error& error) {
  std::cerr << "staff: " << error.sentence() << '\n';
  return 1;
}

void show(staff::Duty duty, const staff::StaffProgress& done) {
  const std::string text =
      duty == staff::Duty::kDepot
          ? fmt::format("depot: {} lists counted ({} corrected); {} commands refused\n",
                        done.counted, done.corrected, done.refused)
          : fmt::format(
                "desk: {} orders paid, {} released, {} cancelled, {} customers disabled; "
                "{} commands refused\n",
                done.paid, done.released, done.cancelled, done.disabled, done.refused);
  std::cout << text << std::flush;
}

/// One person, for ever or until something is wrong.
int work(const simulators::DeskPlace& place, const staff::StaffOptions& options, staff::Duty duty,
         std::int64_t pause_ms) {
  const auto desk = simulators::Desk::stand_at(place);
  if (!desk) return fail(desk.error());
  staff::Staff staff(**desk, options, duty);
  for (BootNanos told_ns = 0;;) {
    const auto worked = staff.round();
    if (!worked && worked.error().code != ErrorCode::kTimeout) return fail(worked.error());
    if (boot_now_ns() - told_ns > kToldNs) {
      told_ns = boot_now_ns();
      show(duty, staff.progress());
    }
    // sleep: people look round again after a while
    std::this_thread::sleep_for(std::chrono::milliseconds{pause_ms});
  }
}

}  // namespace

int main(int argc, char** argv) {
  staff::StaffOptions options;
  simulators::DeskPlace place;
  std::int64_t pause_ms = 100;
  CLI::App app{"Works at the depot and at the pickup desk", "staff"};
  app.add_option("--admin", place.admin, "http://HOST:PORT of the admin gateway")->required();
  app.add_option("--staff", place.name, "a depot-admin")->required();
  app.add_option("--password-file", place.password_file, "whose first line is the password")
      ->required();
  app.add_option("--seed", options.seed, "of all that is done now and then");
  app.add_option("--early", options.early_per_mille, "per mille paid before ready");
  app.add_option("--cash", options.cash_per_mille, "per mille paid in cash");
  app.add_option("--correct", options.correct_per_mille, "per mille of counts corrected");
  app.add_option("--cancel", options.cancel_per_mille, "per mille of orders cancelled");
  app.add_option("--disable", options.disable_per_mille, "per mille of customers disabled");
  app.add_option("--pause-ms", pause_ms, "between two rounds")->check(CLI::Range(1, 60'000));
  CLI11_PARSE(app, argc, argv);
  // Who fails ends all.
  std::thread{[&] { std::_Exit(work(place, options, staff::Duty::kDepot, pause_ms)); }}.detach();
  std::_Exit(work(place, options, staff::Duty::kDesk, pause_ms));
}
