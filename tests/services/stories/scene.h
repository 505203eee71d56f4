// Scene: a running mall with two stores, and the people in it: customers at the kiosk and staff at
// the admin gateway (both by REST), robots at the depot (by gRPC, as the fleet gateway speaks to
// it). A story (README.md) is a test over a scene; each runs both ways.
//
//   the Tea House (s1) sells mug, 2.50, and cake, 1.99; the Book Barn (s2) sells book, 9.00
//
// Whoever says something here says it again, under the same key, while nobody answers. Failures of
// what a story only needs are failures of the test. Call from the test's thread; Customer and Robot
// objects each from one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/services/mall/manner.h"
#include "tests/support/process.h"

namespace mallbots::test {

class RunningMall;

/// What a gateway answered: what the page would show.
struct Told {
  int status = 0;          ///< of HTTP
  std::string problem;     ///< of a refusal: "stale-total", ...
  std::string state;       ///< of the order, cart, list or invoice
  std::string reason;      ///< of a rejection or cancellation
  std::int64_t total = 0;  ///< pence; of an invoice its amount
  std::int64_t paid = 0;   ///< pence, of an invoice, less what was refunded; 1 of a paid order
  std::vector<std::string> changes;  ///< of a review: "price mug", "vanished book"
  std::string body;
};

/// One card at the payment provider.
struct Account {
  std::int64_t held = 0;
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
  friend auto operator<=>(const Account&, const Account&) = default;
};

using Quantities = std::map<std::string, int>;

class Scene {
 public:
  /// `limit_s`: it may take. `apart`: a service that nobody starts again (RunningMall).
  explicit Scene(Manner manner, double limit_s = 110, const std::string& apart = {});
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  ~Scene();

  /// The mall, staff signed in, both stores.
  void open();

  [[nodiscard]] RunningMall& mall() noexcept;
  [[nodiscard]] std::string kiosk() const;
  [[nodiscard]] std::string admin() const;

  // --- Staff

  Told staff(const std::string& method, const std::string& path, const std::string& body = {});
  Told order(const std::string& id);
  Told invoice(const std::string& order);
  Told list_of(const std::string& order);
  Told change_price(const std::string& store, const std::string& product, std::int64_t pence);
  Told withdraw(const std::string& store);  ///< from the mall
  Told disable_customer_of(const std::string& order);
  Told count(const std::string& order, const Quantities& counted);
  Told take_cash(const std::string& order);
  Told release(const std::string& order);  ///< as soon as it can be
  Told cancel(const std::string& order, const std::string& reason);
  /// A few seconds' patience; fails the test.
  void wait_for(const std::string& order, const std::string& state);
  void wait_for_invoice(const std::string& order, const std::string& state);
  [[nodiscard]] std::string list_id_of(const std::string& order);
  [[nodiscard]] std::string cookie();

  // --- Behind the scene

  /// Anew, after the gateway was started again.
  void sign_in();
  /// Closes the mall, and opens it again after `meanwhile`.
  void reopen(const std::function<void()>& meanwhile);
  void close();
  /// All that groups have heard, they hear again. The mall is closed.
  void rewind();
  /// Until nobody has anything left to hear.
  void wait_until_quiet();
  /// Names of all that happened to the order, without their versions.
  [[nodiscard]] std::vector<std::string> history(const std::string& order);
  /// All that was told of the order, by whomever, each as "topic name".
  [[nodiscard]] std::vector<std::string> told_of(const std::string& order);
  /// By the provider's books, each order one; closes the mall.
  [[nodiscard]] std::vector<Account> accounts();
  /// Kinds of text messages carried, sorted; closes the mall.
  [[nodiscard]] std::vector<std::string> texts(const std::string& order);
  /// Names of files, of mall and broker, in which it stands; closes the mall. What the processes
  /// said on their standard error counts as "standard error".
  [[nodiscard]] std::vector<std::string> files_with(const std::string& text);
  /// Standard output of `mallbots WORDS` at the mall's broker.
  std::string mallbots(std::vector<std::string> words);

 private:
  struct Parts;
  void furnish();

  std::unique_ptr<Parts> parts_;
};

/// One story, in the manner of the parameter.
class StoryTest : public testing::TestWithParam<Manner>, public Scene {
 protected:
  StoryTest() : Scene(GetParam()) {}
  void SetUp() override { open(); }
  void TearDown() override { close(); }
};

class Customer {
 public:
  explicit Customer(Scene& scene, std::string phone = "+442079460000", std::string card = "tok_1");
  ~Customer();

  /// Into the cart, which the first of them starts; 0 takes it out.
  Told put(const std::string& product, int quantity);
  Told review();
  /// With the total that was seen last; the same key until it is taken or refused.
  Told submit();
  Told look();
  Told cancel();
  Told pay();
  /// Forgets the order: the next is a new one.
  void leave();
  /// Two mugs, a cake, 6.99: submitted.
  void orders_tea();
  /// The same, approved.
  void is_approved();
  [[nodiscard]] const std::string& order() const noexcept { return id_; }

 private:
  Told ask(const std::string& method, const std::string& path, const std::string& body = {},
           const std::string& key = {});

  struct Line;
  Scene* scene_;
  std::unique_ptr<Line> line_;
  std::string phone_;
  std::string card_;
  std::string id_;
  std::string token_;
  std::int64_t total_ = 0;
  int submits_ = 0;
};

struct Picked {
  std::string product;
  int picked = 0;
  int unavailable = 0;
};

/// Each report answers "", or the code of its refusal: "FAILED_PRECONDITION", ...
class Robot {
 public:
  Robot(Scene& scene, std::string id) : scene_(&scene), id_(std::move(id)) {}

  /// A new connection; a list in hand stays.
  void connect();
  /// Until the depot gives it a list.
  void wait_for_list();
  [[nodiscard]] bool has_list();
  std::string start();
  std::string arrive(const std::string& store);
  std::string pick(const std::string& store, const std::vector<Picked>& items);
  std::string return_home();
  std::string empty_cargo();
  /// The last report once more, over the connection of now or of then.
  std::string repeat(bool by_old_connection = false);
  void vanish();  ///< its stream ends
  /// All that is wanted, from start to the depot, but for what is missing; gives what it has.
  Quantities fetch(const std::vector<std::string>& missing = {});
  [[nodiscard]] const std::string& list() const noexcept { return list_; }
  /// "offline", "idle", "active"
  [[nodiscard]] std::string status();
  /// "s1 done", "s2 waiting", in visiting order
  [[nodiscard]] std::vector<std::string> stops();
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }

 private:
  struct Report {
    enum class What : std::uint8_t { kStarted, kArrived, kPicked, kHome, kEmptied };
    What what{};
    std::string store{};
    std::vector<Picked> items{};
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;
  };
  std::string tell(Report report);
  std::string send(const Report& report);

  Scene* scene_;
  std::string id_;
  std::string list_;
  std::uint64_t epoch_ = 0;
  std::uint64_t sequence_ = 0;
  Report last_;
};

}  // namespace mallbots::test

/// The test of one story, both ways.
#define STORY(Name, Promise)        \
  class Name : public StoryTest {}; \
  MALLBOTS_BOTH_WAYS(Name);         \
  TEST_P(Name, Promise)
