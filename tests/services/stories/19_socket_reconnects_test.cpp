// Story 19: the staff's live view loses its connection and comes back. What happened meanwhile
// comes without a gap; after the gateway itself has gone, everything comes anew.
#include <nlohmann/json.hpp>

#include "services/simulators/http_client.h"
#include "tests/services/gateways/http/raw_client.h"
#include "tests/services/mall/mall_fixture.h"
#include "tests/services/stories/scene.h"

namespace mallbots::test {
namespace {

using nlohmann::json;

/// The page's part: rows of the topic `orders`, and the number of the last change.
class Viewer {
 public:
  explicit Viewer(Scene& scene) : scene_(&scene), cookie_(scene.cookie()) {}

  void connect() {
    const auto address = simulators::HttpAddress::parse(scene_->admin());
    ASSERT_TRUE(address) << scene_->admin();
    client_.emplace(address->port);
    ASSERT_EQ(client_->upgrade("/admin/v1/socket", "Cookie: " + cookie_ + "\r\n").status, 101);
    json subscribe = {{"op", "subscribe"}, {"topic", "orders"}};
    if (!run_.empty()) {
      subscribe["run"] = run_;
      subscribe["last"] = last_;
    }
    client_->frame(1, subscribe.dump());
  }
  void break_off() { client_.reset(); }
  /// Takes messages until the order is in this state.
  void watch_until(const std::string& order, const std::string& state) {
    while (states_[order] != state) {
      const auto frame = client_->next_frame();
      ASSERT_EQ(frame.opcode, 1) << "while it is " << states_[order];
      take(json::parse(frame.text));
    }
  }
  [[nodiscard]] int snapshots() const { return snapshots_; }
  [[nodiscard]] int gaps() const { return gaps_; }

 private:
  void take(const json& message) {
    const std::string op = message.value("op", "");
    if (op != "snapshot" && op != "delta") return;
    if (op == "snapshot") {
      ++snapshots_;
      if (message.value("from", -1) == 0) states_.clear();
    } else if (message.value("from", std::int64_t{-1}) != last_) {
      ++gaps_;
    }
    run_ = message.value("run", "");
    last_ = message.value("to", std::int64_t{0});
    for (const json& row : message["rows"]) states_[row.value("id", "")] = row.value("status", "");
  }

  Scene* scene_;
  std::string cookie_;
  std::optional<gateways::RawClient> client_;
  std::string run_;
  std::int64_t last_ = 0;
  std::map<std::string, std::string> states_;
  int snapshots_ = 0;
  int gaps_ = 0;
};

STORY(SocketReconnects, WithoutAGap) {
  Viewer viewer(*this);
  viewer.connect();
  Customer ada(*this);
  ada.orders_tea();
  viewer.watch_until(ada.order(), "approved");
  const int snapshots = viewer.snapshots();
  viewer.break_off();
  Robot robbie(*this, "b1");
  robbie.connect();
  count(ada.order(), robbie.fetch());
  wait_for(ada.order(), "ready");
  viewer.connect();
  viewer.watch_until(ada.order(), "ready");
  EXPECT_EQ(viewer.snapshots(), snapshots) << "what was missed comes as a delta";
  EXPECT_EQ(viewer.gaps(), 0);

  const std::string before = admin();
  ASSERT_TRUE(mall().kill("admin"));
  viewer.break_off();
  ASSERT_TRUE(eventually([&] { return admin() != before && !admin().empty(); }, 30));
  sign_in();
  wait_for(ada.order(), "ready");
  viewer.connect();
  ada.pay();
  release(ada.order());
  viewer.watch_until(ada.order(), "completed");
  EXPECT_GT(viewer.snapshots(), snapshots) << "another run";
  EXPECT_EQ(viewer.gaps(), 0);
}

}  // namespace
}  // namespace mallbots::test
