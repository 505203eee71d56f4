// What the kiosk promises when many ask at a time: once, never a stale total, back-pressure that
// costs no cart.
#include <poll.h>

#include <atomic>
#include <latch>
#include <thread>

#include "services/customers/api.grpc.pb.h"
#include "services/gateways/kiosk/answers.h"
#include "tests/services/gateways/kiosk/kiosk_fixture.h"

namespace mallbots::kiosk {
namespace {

class PromisesTest : public KioskTest {
 protected:
  /// All at the same time.
  template <class Ask>
  std::vector<Told> together(int count, const Ask& ask) {
    std::vector<Told> told(static_cast<std::size_t>(count));
    std::latch ready(count);
    std::vector<std::jthread> threads;
    for (int at = 0; at < count; ++at) {
      threads.emplace_back([&, at] {
        ready.arrive_and_wait();
        told[static_cast<std::size_t>(at)] = ask(at);
      });
    }
    threads.clear();
    return told;
  }
};

TEST_F(PromisesTest, SubmitsUnderOneKeyAtATimeAreOneOrderAndOneHold) {
  open();
  fill();
  // One may ask just before another is through, and come to look at the cart just after.
  constexpr int kCarts = 20;
  for (int at = 0; at < kCarts; ++at) {
    const CartAt cart = start();
    ASSERT_EQ(put(cart, "p1", 1).status, 200);
    for (const Told& told : together(16, [&](int) { return submit(cart, kKey, 250); })) {
      EXPECT_EQ(told.status, 201) << told.body;
      EXPECT_EQ(told.body["id"], cart.id);
    }
    EXPECT_TRUE(test::eventually([&] { return order(cart).body["status"] == "approved"; }));
  }
  EXPECT_EQ(at_the_bank_minor(), 250 * kCarts);
}

TEST_F(PromisesTest, SubmitsUnderManyKeysAtATimeAreOneOrderAndTheOthersHoldNothing) {
  open();
  fill();
  int orders = 0;
  for (const Told& told : together(8, [&](int at) {
         return submit(cart_, "key-000000000000000" + std::to_string(at), 699);
       })) {
    orders += told.status == 201 ? 1 : 0;
    EXPECT_TRUE(told.status == 201 || told.problem() == "wrong-state") << told.status << told.body;
  }
  EXPECT_EQ(orders, 1);
  EXPECT_TRUE(test::eventually([&] { return order(cart_).body["status"] == "approved"; }));
  EXPECT_TRUE(test::eventually([&] { return at_the_bank_minor() == 699; })) << at_the_bank_minor();
}

TEST_F(PromisesTest, KeyOfOneCartIsNoKeyOfAnother) {
  open();
  fill();
  const CartAt other = start();
  ASSERT_EQ(put(other, "p1", 1).status, 200);
  EXPECT_EQ(submit(cart_, kKey, 699).status, 201);
  const Told told = submit(other, kKey, 250);
  EXPECT_EQ(told.status, 201) << told.body;
  EXPECT_EQ(told.body["id"], other.id);
}

TEST_F(PromisesTest, WhoeverWritesReadsWhatWasWritten) {
  open();
  fill();
  const std::string path = path_of(cart_);
  for (int quantity = 1; quantity <= 40; ++quantity) {
    const int total = 250 * quantity + 199;
    EXPECT_EQ(put(cart_, "p1", quantity).body["total"]["minor"], total);
    EXPECT_EQ(ask("GET", path, nullptr, with(cart_)).body["total"]["minor"], total);
  }
  EXPECT_EQ(ask("DELETE", path + "/items/p1", nullptr, with(cart_)).body["total"]["minor"], 199);
  EXPECT_EQ(ask("GET", path + "/items", nullptr, with(cart_)).body["items"].size(), 1U);
  ASSERT_EQ(submit(cart_, kKey, 199).status, 201);
  const Told seen = order(cart_);  // whether it is made yet or not
  EXPECT_EQ(seen.status, 200);
  EXPECT_EQ(seen.body["total"]["minor"], 199);
  const std::string cancel = "/kiosk/v1/orders/" + cart_.id + "/cancel";
  Told canceled;
  ASSERT_TRUE(test::eventually([&] {
    canceled = ask("POST", cancel, {{"card_token", "tok_visa"}}, with(cart_));
    return canceled.status == 200;
  }));
  EXPECT_EQ(canceled.body["status"], "cancelled");
  EXPECT_EQ(order(cart_).body["status"], "cancelled");
}

/// Stands still while somebody asks it, until it is let go; then it fails.
class StuckCustomers final : public customerspb::CustomersService::Service {
 public:
  explicit StuckCustomers(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~StuckCustomers() override { let_go(); }
  grpc::Status FindOrRegister(grpc::ServerContext*, const customerspb::FindOrRegisterRequest*,
                              customerspb::CustomerRequest*) override {
    is_asked = true;
    is_free_.wait(false);
    return {grpc::StatusCode::INTERNAL, "stuck"};
  }
  void let_go() {
    is_free_ = true;
    is_free_.notify_all();
  }

  std::atomic<bool> is_asked = false;

 private:
  std::atomic<bool> is_free_ = false;
  std::unique_ptr<grpc::Server> server_;
};

/// So many of them have something to read.
int answered(const std::vector<std::unique_ptr<RawClient>>& line) {
  std::vector<pollfd> all;
  for (const auto& client : line) all.push_back({client->descriptor(), POLLIN, 0});
  return ::poll(all.data(), all.size(), 0);
}

TEST_F(PromisesTest, FullGatewaySaysWhenToComeAgainAndKeepsTheCart) {
  // One worker, and a context that stands still: the line behind it fills up.
  open({stores::make_stores, orders::make_orders},
       {{"kiosk.workers", "1"}, {"kiosk.timeout_ms", "60000"}});
  fill();
  StuckCustomers customers(daemon_.runtime_dir() + "/mall/customers.sock");
  Told waiting;
  std::jthread first([&] { waiting = submit(cart_, kKey, 699); });
  ASSERT_TRUE(test::eventually([&] { return customers.is_asked.load(); }));
  constexpr int kWait = 256;
  constexpr int kInLine = kWait + 44;
  std::vector<std::unique_ptr<RawClient>> line;
  const std::string look =
      "GET " + path_of(cart_) + " HTTP/1.1\r\nHost: localhost\r\n" + with(cart_) + "\r\n";
  for (int at = 0; at < kInLine; ++at) {
    line.push_back(std::make_unique<RawClient>(mall_->kiosk().port()));
    line.back()->say(look);
  }
  EXPECT_TRUE(test::eventually([&] { return answered(line) == kInLine - kWait; }));
  customers.let_go();
  int refused = 0;
  for (const auto& client : line) {
    const RawAnswer answer = client->answer();
    EXPECT_TRUE(answer.status == 200 || answer.status == 503) << answer.status;
    if (answer.status != 503) continue;
    ++refused;
    EXPECT_TRUE(answer.has("Retry-After: 1"));
    EXPECT_THAT(answer.body, HasSubstr("urn:mallbots:problem:unavailable"));
  }
  EXPECT_EQ(refused, kInLine - kWait);
  first.join();
  EXPECT_EQ(waiting.status, 503);
  const Told kept = ask("GET", path_of(cart_), nullptr, with(cart_));
  EXPECT_EQ(kept.body["state"], "open");
  EXPECT_EQ(kept.body["total"]["minor"], 699);
}

TEST(Refused, ContextThatIsFullOrAwayIsToBeAskedAgain) {
  for (const ErrorCode code :
       {ErrorCode::kTimeout, ErrorCode::kLimitReached, ErrorCode::kIo, ErrorCode::kDiskFull}) {
    const Response answer = refused(Error{code, "secret inner words"});
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.body.find("inner words"), std::string::npos);
    EXPECT_TRUE(std::ranges::count(answer.headers,
                                   std::pair<std::string, std::string>{"Retry-After", "1"}) == 1);
  }
}

}  // namespace
}  // namespace mallbots::kiosk
