// A hundred pages at the real server, one of which takes nothing: what the README promises of
// "Bounded".
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "services/gateways/admin/api.h"
#include "services/gateways/http/server.h"
#include "shm/base/clock.h"
#include "tests/services/gateways/admin/fake_contexts.h"
#include "tests/services/gateways/http/raw_client.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace mallbots::admin {
namespace {

using gateways::RawClient;
using nlohmann::json;

constexpr std::size_t kViewers = 100;
constexpr int kRows = 32;
constexpr std::size_t kRowBytes = 4'000;
/// Nobody is cut off for standing still, however long a loaded machine takes.
constexpr std::int64_t kNeverMs = 24LL * 3'600'000;
/// So often every page says that it is there; the product's bound is 30 s.
constexpr BootNanos kAliveNs = 2 * kSecond;
/// A hang, not a measure.
constexpr double kPatienceS = 120;
constexpr int kMostRounds = 1'000;

/// Takes what comes, and remembers the last round that it has heard of.
class Page {
 public:
  explicit Page(std::uint16_t port, const std::string& cookie, int receive_buffer = 0)
      : client_(port, receive_buffer) {
    EXPECT_EQ(client_.upgrade("/admin/v1/socket", "Cookie: " + cookie + "\r\n").status, 101);
    client_.frame(1, R"({"op":"subscribe","topic":"ops"})");
  }
  void say_alive() { client_.frame(1, R"({"op":"heartbeat"})"); }
  /// What has come is taken. False: the connection has ended.
  bool take() {
    static thread_local std::vector<char> bytes(256 * 1024);
    const auto got = ::recv(client_.descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    tail_.append(bytes.data(), static_cast<std::size_t>(got));
    constexpr std::string_view kMark = R"("round":)";
    for (auto at = tail_.find(kMark); at != std::string::npos && at + 20 < tail_.size();
         at = tail_.find(kMark, at + 1)) {
      round_ = std::max(round_, std::atoi(tail_.c_str() + at + kMark.size()));
    }
    if (tail_.size() > 40) tail_.erase(0, tail_.size() - 40);
    return true;
  }
  [[nodiscard]] int round() const noexcept { return round_; }

 private:
  RawClient client_;
  std::string tail_;
  int round_ = -1;
};

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * 4096;
}

double processor_s() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto s = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return s(used.ru_utime) + s(used.ru_stime);
}

class Viewers : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(staff_.put({"dora", {gateways::Role::kDepotAdmin}, {}}, std::nullopt));
    cookie_ = std::string(kCookie) + "=" +
              staff_.use_link(staff_.make_link("dora").value()).value()->token;
  }
  /// `stuck_ms`: so long a page may take nothing.
  void open(std::int64_t stuck_ms = kNeverMs) {
    gateways::Router router;
    api_.add_to(router);
    auto server = gateways::Server::start({.name = "admin", .socket = {.stuck_ms = stuck_ms}},
                                          std::move(router));
    ASSERT_TRUE(server);
    server_ = std::move(*server);
    pump_ = std::jthread([this](const std::stop_token& stop) { api_.run(stop); });
  }
  /// So many pages, the last of which takes nothing from here on.
  void open_pages(std::size_t count) {
    put_round(0);
    for (std::size_t i = 1; i < count; ++i) {
      pages_.push_back(std::make_unique<Page>(server_->port(), cookie_));
    }
    stuck_ = std::make_unique<Page>(server_->port(), cookie_, 4096);
    take_until(0);
    ASSERT_TRUE(test::eventually([&] { return api_.viewers() == count; }, kPatienceS));
  }
  void TearDown() override {
    pump_ = {};
    if (server_) server_->stop();
  }
  void put_round(int round) {
    for (int i = 0; i < kRows; ++i) {
      const std::string id = "topic:" + std::to_string(i);
      board_.put_ops(id,
                     json{{"id", id}, {"round", round}, {"z", std::string(kRowBytes, 'z')}}.dump());
    }
  }
  /// Until every page has heard of that round; how long that took, in ms.
  double take_until(int round) {
    const auto from_ns = boot_now_ns();
    EXPECT_TRUE(test::eventually(
        [&] {
          say_alive();
          for (const auto& page : pages_) EXPECT_TRUE(page->take()) << "a page was cut off";
          return std::ranges::all_of(pages_, [&](const auto& p) { return p->round() >= round; });
        },
        kPatienceS));
    return static_cast<double>(boot_now_ns() - from_ns) / 1e6;
  }
  /// The stuck one, too: it takes nothing, but is there.
  void say_alive() {
    const BootNanos now_ns = boot_now_ns();
    if (now_ns - said_ns_ < kAliveNs) return;
    said_ns_ = now_ns;
    for (const auto& page : pages_) page->say_alive();
    stuck_->say_alive();
  }

  test::TempDir folder_;
  test::FakeContexts contexts_;
  gateways::StaffBook staff_{folder_ / "staff.json"};
  gateways::Board board_{"run1"};
  Api api_{{.channels = [this](const std::string&) { return contexts_.channel(); },
            .staff = &staff_,
            .board = &board_,
            .freshness = [] { return gateways::Freshness{}; },
            .plan = "{}",
            .log = [](const auto&) {},
            .clock = &toolkit::system_clock()}};
  std::string cookie_;
  std::unique_ptr<gateways::Server> server_;
  std::jthread pump_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::unique_ptr<Page> stuck_;
  BootNanos said_ns_ = 0;
};

TEST_F(Viewers, StuckOneOfAHundredHoldsUpNobodyAndCostsItsQueue) {
  open();
  open_pages(kViewers);
  const double used_s = processor_s();
  const auto from_ns = boot_now_ns();
  std::vector<double> waits_ms;
  int round = 0;
  const auto next_round = [&] {
    put_round(++round);
    waits_ms.push_back(take_until(round));
  };
  // What the kernel takes for it fills first, then its queue.
  while (server_->figures().sockets_full == 0 && round < kMostRounds) next_round();
  ASSERT_GT(server_->figures().sockets_full, 0U);
  const std::size_t before = resident_bytes();
  // From then on it costs nothing more, however much there is to tell.
  for (int i = 0; i < 25; ++i) next_round();
  const double seconds = static_cast<double>(boot_now_ns() - from_ns) / 1e9;
  const std::size_t after = resident_bytes();
  EXPECT_LT(after, before + 16'000'000);
  EXPECT_EQ(api_.viewers(), kViewers);
  std::ranges::sort(waits_ms);
  std::cout << "viewers " << kViewers << ", rounds " << waits_ms.size() << " of "
            << kRows * kRowBytes / 1000 << " kB in " << seconds << " s; a round at all others: p50 "
            << waits_ms[waits_ms.size() / 2] << " ms, longest " << waits_ms.back()
            << " ms; resident when its queue was full " << before / 1'000'000 << " MB, at the end "
            << after / 1'000'000 << " MB; processor " << (processor_s() - used_s) << " s\n";
}

TEST_F(Viewers, PageThatTakesNothingIsCutOffAndTheOthersStay) {
  open(500);
  open_pages(3);
  for (int round = 1; api_.viewers() == 3 && round < kMostRounds; ++round) {
    put_round(round);
    take_until(round);
  }
  EXPECT_EQ(api_.viewers(), 2U);
  EXPECT_TRUE(test::eventually([&] { return server_->figures().sockets_now == 2; }, kPatienceS));
}

TEST_F(Viewers, PageWhoseUpgradeFailsIsForgotten) {
  open();
  RawClient client(server_->port());
  // Accepted by us, then refused by the protocol: there is no Sec-WebSocket-Key.
  EXPECT_NE(client
                .ask("GET /admin/v1/socket HTTP/1.1\r\nHost: localhost\r\nCookie: " + cookie_ +
                     "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n")
                .status,
            101);
  EXPECT_TRUE(test::eventually(
      [&] { return api_.viewers() == 0 && server_->figures().connections_now == 0; }));
}

}  // namespace
}  // namespace mallbots::admin
