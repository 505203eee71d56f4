// An account that is what happened to it: account [RUNTIME_DIR]
// Lines on stdin: COMMAND-ID open ACCOUNT OWNER | COMMAND-ID pay-in ACCOUNT CENTS |
//                 COMMAND-ID take ACCOUNT CENTS. Each is answered by the account as it is then.
#include <iostream>
#include <sstream>

#include "clients/toolkit/aggregates/aggregate.h"
#include "clients/toolkit/aggregates/store_streams.h"
using namespace mallbots;
using namespace mallbots::toolkit;

struct Opened {
  static constexpr auto kMessage = event("Opened", 1);
  std::string owner;
  static constexpr auto fields() { return std::tuple{field("owner", &Opened::owner)}; }
};
struct Moved {
  static constexpr auto kMessage = event("Moved", 1);
  std::int64_t cents = 0;
  static constexpr auto fields() { return std::tuple{field("cents", &Moved::cents)}; }
};

struct Account {
  static constexpr std::string_view kAggregate = "account";
  using Events = EventTypes<Opened, Moved>;
  void apply(const Opened& event) { owner = event.owner; }
  void apply(const Moved& event) { cents += event.cents; }

  std::string owner;
  std::int64_t cents = 0;
};

Result<void> open(Aggregate<Account>& account, const std::string& owner) {
  if (!account->owner.empty()) return fail(ErrorCode::kRefused, "it is open already");
  account.record(Opened{owner});
  return {};
}

Result<void> move(Aggregate<Account>& account, std::int64_t cents) {
  if (account->owner.empty()) return fail(ErrorCode::kRefused, "there is no such account");
  if (account->cents + cents < 0) return fail(ErrorCode::kRefused, "there is not so much in it");
  account.record(Moved{cents});
  return {};
}

int main(int count, char** arguments) {
  auto connection = client::Connection::open({.runtime_dir = count > 1 ? arguments[1] : ""});
  if (!connection) return std::cerr << connection.error().sentence() << '\n', 3;
  auto streams = StoreStreams::open(**connection, "accounts");
  if (!streams) return std::cerr << streams.error().sentence() << '\n', 1;
  Repository<Account> accounts{**streams};

  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words{line};
    std::string command, verb, id, value;
    words >> command >> verb >> id >> value;
    const auto decide = [&](Aggregate<Account>& account) -> Result<void> {
      if (verb == "open") return open(account, value);
      const std::int64_t cents = std::atoll(value.c_str());
      return move(account, verb == "take" ? -cents : cents);
    };
    const auto version = accounts.change(id, {.causation_id = command}, decide);
    if (!version) {
      std::cout << command << ": " << version.error().detail << '\n';
      continue;
    }
    const auto account = accounts.load(id);
    if (!account) return std::cerr << account.error().sentence() << '\n', 1;
    std::cout << command << ": " << id << " of " << (*account)->owner << " has "
              << (*account)->cents << " cents, version " << *version << '\n';
  }
}
