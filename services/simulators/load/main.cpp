// kiosk_load: many kiosks in a hurry. README.md says what the figures mean.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "clients/connection.h"
#include "services/simulators/load/kiosk_load.h"

namespace {

using namespace mallbots;

int fail(const Error& error) {
  std::cerr << "kiosk_load: " << error.sentence() << '\n';
  return 1;
}

int run(load::LoadOptions& options, const std::string& url) {
  auto kiosk = simulators::HttpAddress::parse(url);
  if (!kiosk) return fail(kiosk.error());
  options.kiosk = *std::move(kiosk);
  if (options.runtime_dir.empty())
    options.runtime_dir = client::default_runtime_dir(options.instance);
  if (const auto stands = load::open_store(options.runtime_dir + "/mall/stores.sock"); !stands)
    return fail(stands.error());
  const auto done = load::run_load(options);
  if (!done) return fail(done.error());
  const auto orders = static_cast<double>(done->approved_us.size());
  std::cout << fmt::format(
      R"({{"kiosks":{},"orders":{},"seconds":{:.1f},"orders_per_s":{:.1f},)"
      R"("submit_p50_us":{},"submit_p99_us":{},"approved_p50_us":{},"approved_p99_us":{},)"
      R"("failures":{},"repetitions":{}}})"
      "\n",
      options.kiosks, done->approved_us.size(), done->seconds, orders / done->seconds,
      load::percentile(done->submit_us, 50), load::percentile(done->submit_us, 99),
      load::percentile(done->approved_us, 50), load::percentile(done->approved_us, 99),
      done->failures, done->repetitions);
  if (done->failures == 0) return 0;
  return fail({ErrorCode::kRefused, done->first_failure});
}

}  // namespace

int main(int argc, char** argv) {
  load::LoadOptions options;
  std::string kiosk;
  CLI::App app{"Kiosks that order over and over", "kiosk_load"};
  app.add_option("--kiosk", kiosk, "http://HOST:PORT of the kiosk gateway")->required();
  app.add_option("--instance", options.instance, "the broker's instance");
  app.add_option("--runtime-dir", options.runtime_dir, "where the broker's socket is");
  app.add_option("--kiosks", options.kiosks, "so many at once")->check(CLI::Range(1, 500));
  app.add_option("--seconds", options.seconds, "measured")->check(CLI::Range(0.1, 3'600.0));
  CLI11_PARSE(app, argc, argv);
  return run(options, kiosk);
}
