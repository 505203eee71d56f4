#include "services/gateways/access/staff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "services/gateways/access/secret.h"

namespace mallbots::gateways {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, kRoles> kRoleNames = {"store-owner", "store-admin",
                                                             "depot-staff", "depot-admin"};

struct Token {
  std::string digest;
  std::string name;  ///< of whom
  std::int64_t until_ms = 0;
};

struct Account {
  StaffMember member;
  std::string password;  ///< hash; empty: none
};

bool is_name(std::string_view name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  };
  return !name.empty() && name.size() <= 60 && std::ranges::all_of(name, is_fine);
}

Result<void> check(const StaffMember& member, const std::optional<std::string>& password) {
  if (!is_name(member.name)) {
    return fail(ErrorCode::kBadArgument,
                fmt::format("the name '{}': 1 to 60 of a-z, 0-9, '.', '-', '_'", member.name));
  }
  if (member.roles.empty()) {
    return fail(ErrorCode::kBadArgument, fmt::format("{} has no role", member.name));
  }
  for (const std::string& store : member.stores) {
    if (store.empty() || store.size() > 100) {
      return fail(ErrorCode::kBadArgument, "the id of a store has 1 to 100 bytes");
    }
  }
  if (password &&
      (password->size() < kLeastPasswordBytes || password->size() > kMaxPasswordBytes)) {
    return fail(ErrorCode::kBadArgument, fmt::format("a password has {} to {} bytes",
                                                     kLeastPasswordBytes, kMaxPasswordBytes));
  }
  return {};
}

json json_of(const std::vector<Token>& tokens) {
  json all = json::array();
  for (const Token& token : tokens) {
    all.push_back({{"digest", token.digest}, {"name", token.name}, {"until_ms", token.until_ms}});
  }
  return all;
}

std::vector<Token> tokens_of(const json& all) {
  std::vector<Token> tokens;
  for (const json& one : all) {
    tokens.push_back({one.at("digest"), one.at("name"), one.at("until_ms")});
  }
  return tokens;
}

}  // namespace

struct StaffBook::Content {
  std::map<std::string, Account> accounts;
  std::vector<Token> sessions;  ///< oldest first
  std::vector<Token> links;

  [[nodiscard]] static Result<Content> parse(const std::string& text);
  [[nodiscard]] std::string text() const;

  void end_all_of(const std::string& name) {
    const auto is_its = [&](const Token& token) { return token.name == name; };
    std::erase_if(sessions, is_its);
    std::erase_if(links, is_its);
  }
  void drop_old(std::int64_t now_ms) {
    const auto is_old = [&](const Token& token) { return token.until_ms <= now_ms; };
    std::erase_if(sessions, is_old);
    std::erase_if(links, is_old);
  }
};

Result<StaffBook::Content> StaffBook::Content::parse(const std::string& text) {
  Content content;
  if (text.empty()) return content;
  try {
    const json book = json::parse(text);
    for (const json& one : book.at("staff")) {
      Account account{{one.at("name"), {}, one.at("stores")}, one.at("password")};
      for (const std::string role_name : one.at("roles")) {
        const auto role = parse_role(role_name);
        if (!role) return fail(ErrorCode::kCorrupt, fmt::format("no role '{}'", role_name));
        account.member.roles.push_back(*role);
      }
      content.accounts[account.member.name] = account;
    }
    content.sessions = tokens_of(book.at("sessions"));
    content.links = tokens_of(book.at("links"));
  } catch (const json::exception& problem) {
    return fail(ErrorCode::kCorrupt, fmt::format("the staff's file: {}", problem.what()));
  }
  return content;
}

std::string StaffBook::Content::text() const {
  json staff = json::array();
  for (const auto& [name, account] : accounts) {
    json roles = json::array();
    for (const Role role : account.member.roles) roles.push_back(name_of(role));
    staff.push_back({{"name", name},
                     {"roles", roles},
                     {"stores", account.member.stores},
                     {"password", account.password}});
  }
  const json book = {{"staff", staff}, {"sessions", json_of(sessions)}, {"links", json_of(links)}};
  return book.dump(1) + "\n";
}

std::string_view name_of(Role role) noexcept { return kRoleNames[static_cast<std::size_t>(role)]; }

std::optional<Role> parse_role(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kRoles; ++i) {
    if (kRoleNames[i] == text) return static_cast<Role>(i);
  }
  return std::nullopt;
}

bool StaffMember::has(Role role) const noexcept { return std::ranges::count(roles, role) > 0; }

bool StaffMember::owns(std::string_view store_id) const noexcept {
  return std::ranges::find(stores, store_id) != stores.end();
}

StaffBook::StaffBook(const std::string& path, const toolkit::Clock& clock)
    : file_(path), clock_(&clock) {}
StaffBook::~StaffBook() = default;

Result<std::shared_ptr<const StaffBook::Content>> StaffBook::current() {
  const std::scoped_lock lock(mutex_);
  // Asked before reading: a change in between is then read once more, never missed.
  const std::uint64_t version = file_.version();
  if (content_ && version == version_) return content_;
  const auto text = file_.read();
  if (!text) return std::unexpected(text.error());
  auto content = Content::parse(*text);
  if (!content) return std::unexpected(std::move(content).error());
  content_ = std::make_shared<const Content>(std::move(*content));
  version_ = version;
  return content_;
}

template <class Change>
Result<void> StaffBook::change(const Change& change) {
  return file_.change([&](const std::string& text) -> Result<std::string> {
    auto content = Content::parse(text);
    if (!content) return std::unexpected(std::move(content).error());
    content->drop_old(clock_->wall_ms());
    if (Result<void> done = change(*content); !done) return std::unexpected(done.error());
    return content->text();
  });
}

Result<void> StaffBook::put(const StaffMember& member, const std::optional<std::string>& password) {
  MALLBOTS_TRY(check(member, password));
  const std::string hash = password ? hash_of_password(*password) : std::string();
  return change([&](Content& content) -> Result<void> {
    if (content.accounts.size() >= kMaxStaff && !content.accounts.contains(member.name)) {
      return fail(ErrorCode::kLimitReached, fmt::format("{} accounts", kMaxStaff));
    }
    content.end_all_of(member.name);
    content.accounts[member.name] = {member, hash};
    return {};
  });
}

Result<bool> StaffBook::remove(const std::string& name) {
  bool was_there = false;
  MALLBOTS_TRY(change([&](Content& content) -> Result<void> {
    was_there = content.accounts.erase(name) > 0;
    content.end_all_of(name);
    return {};
  }));
  return was_there;
}

Result<std::vector<StaffMember>> StaffBook::list() {
  const auto content = current();
  if (!content) return std::unexpected(content.error());
  std::vector<StaffMember> members;
  for (const auto& [name, account] : (*content)->accounts) members.push_back(account.member);
  return members;
}

Result<std::string> StaffBook::make_link(const std::string& name, std::int64_t valid_ms) {
  std::string token = random_token();
  MALLBOTS_TRY(change([&](Content& content) -> Result<void> {
    if (!content.accounts.contains(name)) {
      return fail(ErrorCode::kBadArgument, fmt::format("nobody is named '{}'", name));
    }
    content.links.push_back({digest_of(token), name, clock_->wall_ms() + valid_ms});
    return {};
  }));
  return token;
}

Result<void> StaffBook::give_store(const std::string& name, const std::string& store_id) {
  return change([&](Content& content) -> Result<void> {
    const auto found = content.accounts.find(name);
    if (found == content.accounts.end()) {
      return fail(ErrorCode::kBadArgument, fmt::format("nobody is named '{}'", name));
    }
    StaffMember& member = found->second.member;
    if (!member.owns(store_id)) member.stores.push_back(store_id);
    return {};
  });
}

StaffBook::Session StaffBook::open_session(Content& content, const std::string& name) const {
  const auto is_its = [&](const Token& token) { return token.name == name; };
  while (static_cast<std::size_t>(std::ranges::count_if(content.sessions, is_its)) >=
         kSessionsOfOne) {
    content.sessions.erase(std::ranges::find_if(content.sessions, is_its));
  }
  const std::string token = random_token();
  content.sessions.push_back({digest_of(token), name, clock_->wall_ms() + kSessionMs});
  return {token, content.accounts.at(name).member};
}

Result<std::optional<StaffBook::Session>> StaffBook::sign_in(const std::string& name,
                                                             const std::string& password) {
  const auto content = current();
  if (!content) return std::unexpected(content.error());
  const auto found = (*content)->accounts.find(name);
  const std::string hash =
      found == (*content)->accounts.end() ? std::string() : found->second.password;
  if (!is_password(password, hash)) return std::optional<Session>();
  std::optional<Session> session;
  MALLBOTS_TRY(change([&](Content& now) -> Result<void> {
    // Removed, or given another password, while this one was looked at?
    const auto still = now.accounts.find(name);
    if (still != now.accounts.end() && still->second.password == hash) {
      session = open_session(now, name);
    }
    return {};
  }));
  return session;
}

Result<std::optional<StaffBook::Session>> StaffBook::use_link(const std::string& token) {
  const std::string digest = digest_of(token);
  std::optional<Session> session;
  MALLBOTS_TRY(change([&](Content& content) -> Result<void> {
    const auto link = std::ranges::find_if(
        content.links, [&](const Token& one) { return equal_secrets(one.digest, digest); });
    if (link == content.links.end()) return {};
    const std::string name = link->name;
    content.links.erase(link);
    if (content.accounts.contains(name)) session = open_session(content, name);
    return {};
  }));
  return session;
}

Result<std::optional<StaffMember>> StaffBook::who(std::string_view session_token) {
  const auto content = current();
  if (!content) return std::unexpected(content.error());
  const std::string digest = digest_of(session_token);
  const std::int64_t now_ms = clock_->wall_ms();
  for (const Token& session : (*content)->sessions) {
    if (!equal_secrets(session.digest, digest) || session.until_ms <= now_ms) continue;
    const auto found = (*content)->accounts.find(session.name);
    if (found == (*content)->accounts.end()) break;
    return std::optional(found->second.member);
  }
  return std::optional<StaffMember>();
}

Result<void> StaffBook::sign_out(std::string_view session_token) {
  const std::string digest = digest_of(session_token);
  return change([&](Content& content) -> Result<void> {
    std::erase_if(content.sessions, [&](const Token& one) { return one.digest == digest; });
    return {};
  });
}

std::int64_t SignInLimit::begin(const std::string& name, const std::string& peer) {
  const std::scoped_lock lock(mutex_);
  const std::int64_t wait_ms =
      std::max(wait_of("name:" + name, kWrongOfName), wait_of("peer:" + peer, kWrongOfPeer));
  if (wait_ms > 0) return wait_ms;
  forget(clock_->wall_ms());
  if (!name.empty()) note("name:" + name);
  note("peer:" + peer);
  return 0;
}

void SignInLimit::was_right(const std::string& name, const std::string& peer) {
  const std::scoped_lock lock(mutex_);
  take_back("name:" + name);
  take_back("peer:" + peer);
}

std::int64_t SignInLimit::wait_of(const std::string& key, std::size_t most) {
  const auto found = wrong_.find(key);
  if (found == wrong_.end() || found->second.size() < most) return 0;
  const std::int64_t free_again_ms = found->second[found->second.size() - most] + kWindowMs;
  return std::max<std::int64_t>(0, free_again_ms - clock_->wall_ms());
}

void SignInLimit::note(const std::string& key) {
  // Full of other keys: who guesses names at this rate is held by the limit of its address.
  if (wrong_.size() >= kMaxKeys && !wrong_.contains(key)) return;
  wrong_[key].push_back(clock_->wall_ms());
}

void SignInLimit::take_back(const std::string& key) {
  const auto found = wrong_.find(key);
  if (found == wrong_.end()) return;
  found->second.pop_back();
  if (found->second.empty()) wrong_.erase(found);
}

void SignInLimit::forget(std::int64_t now_ms) {
  for (auto& [key, times] : wrong_) {
    while (!times.empty() && times.front() + kWindowMs <= now_ms) times.pop_front();
  }
  std::erase_if(wrong_, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace mallbots::gateways
