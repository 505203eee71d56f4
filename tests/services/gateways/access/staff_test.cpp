#include "services/gateways/access/staff.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "clients/toolkit/testkit/manual_clock.h"
#include "services/gateways/access/secret.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::gateways {
namespace {

using toolkit::ManualClock;

constexpr const char* kPassword = "correct horse";
const StaffMember kDora{"dora", {Role::kDepotStaff}, {}};

class Staff : public ::testing::Test {
 protected:
  Result<std::optional<StaffBook::Session>> enter(const std::string& password = kPassword) {
    return book_.sign_in("dora", password);
  }
  std::string content() { return test::text_of(path_); }

  test::TempDir folder_;
  std::string path_ = folder_ / "staff.json";
  ManualClock clock_;
  StaffBook book_{path_, clock_};
};

TEST_F(Staff, SignsInWithTheRightPasswordOnly) {
  ASSERT_TRUE(book_.put(kDora, kPassword));
  EXPECT_FALSE(enter("wrong horse").value());
  EXPECT_FALSE(book_.sign_in("nobody", kPassword).value());
  const auto session = enter().value();
  ASSERT_TRUE(session);
  const auto who = book_.who(session->token).value();
  ASSERT_TRUE(who);
  EXPECT_EQ(who->name, "dora");
  EXPECT_TRUE(who->has(Role::kDepotStaff));
  EXPECT_FALSE(who->has(Role::kDepotAdmin));
}

TEST_F(Staff, WithoutPasswordOnlyLinksSignInAndOnlyOnce) {
  ASSERT_TRUE(book_.put(kDora, std::nullopt));
  EXPECT_FALSE(enter("").value());
  const std::string link = book_.make_link("dora").value();
  EXPECT_TRUE(book_.use_link(link).value());
  EXPECT_FALSE(book_.use_link(link).value());
  const std::string late = book_.make_link("dora").value();
  clock_.advance_ms(kLinkMs);
  EXPECT_FALSE(book_.use_link(late).value());
  EXPECT_EQ(book_.make_link("nobody").error().code, ErrorCode::kBadArgument);
}

TEST_F(Staff, LinkOfTenAtOnceSignsOneIn) {
  ASSERT_TRUE(book_.put(kDora, std::nullopt));
  const std::string link = book_.make_link("dora").value();
  std::atomic<int> entered = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 10; ++i) {
      threads.emplace_back([&] {
        StaffBook other(path_, clock_);
        if (other.use_link(link).value()) ++entered;
      });
    }
  }
  EXPECT_EQ(entered, 1);
}

TEST_F(Staff, SessionEndsBySignOutByTimeAndWithTheAccount) {
  ASSERT_TRUE(book_.put(kDora, std::nullopt));
  const auto enter_by_link = [&] {
    return book_.use_link(book_.make_link("dora").value()).value()->token;
  };
  const std::string first = enter_by_link();
  const std::string second = enter_by_link();
  ASSERT_TRUE(book_.sign_out(first));
  EXPECT_FALSE(book_.who(first).value());
  EXPECT_TRUE(book_.who(second).value());
  clock_.advance_ms(kSessionMs);
  EXPECT_FALSE(book_.who(second).value());

  const std::string third = enter_by_link();
  StaffBook other(path_, clock_);  // `mall staff remove`
  EXPECT_TRUE(other.remove("dora").value());
  EXPECT_FALSE(other.remove("dora").value());
  EXPECT_FALSE(book_.who(third).value());
}

TEST_F(Staff, NewPasswordEndsOldSessions) {
  ASSERT_TRUE(book_.put(kDora, kPassword));
  const std::string token = enter().value()->token;
  ASSERT_TRUE(book_.put(kDora, "another horse"));
  EXPECT_FALSE(book_.who(token).value());
  EXPECT_FALSE(enter().value());
}

TEST_F(Staff, OldestSessionEndsWhenThereAreTooMany) {
  ASSERT_TRUE(book_.put(kDora, std::nullopt));
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i <= kSessionsOfOne; ++i) {
    tokens.push_back(book_.use_link(book_.make_link("dora").value()).value()->token);
  }
  EXPECT_FALSE(book_.who(tokens.front()).value());
  EXPECT_TRUE(book_.who(tokens[1]).value());
  EXPECT_TRUE(book_.who(tokens.back()).value());
}

TEST_F(Staff, FileHoldsNoSecretAndIsItsUsersAlone) {
  ASSERT_TRUE(book_.put(kDora, kPassword));
  const std::string link = book_.make_link("dora").value();
  const std::string token = enter().value()->token;
  EXPECT_EQ(content().find(kPassword), std::string::npos);
  EXPECT_EQ(content().find(link), std::string::npos);
  EXPECT_EQ(content().find(token), std::string::npos);
  EXPECT_FALSE(book_.who(digest_of(token)).value());
  struct stat about{};
  ASSERT_EQ(::stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);

  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  StaffBook other(path_, clock_);
  EXPECT_EQ(other.list().error().code, ErrorCode::kWrongOwner);
}

TEST_F(Staff, FileThatIsNoBookIsRefusedAndKept) {
  for (const std::string bad :
       {"{", "[]", R"({"staff":[{"name":7}],"sessions":[],"links":[]})", "\xff\xfe",
        R"({"staff":[{"name":"a","roles":["king"],"stores":[],"password":""}],)"
        R"("sessions":[],"links":[]})"}) {
    std::ofstream(path_) << bad;
    ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
    StaffBook book(path_, clock_);
    EXPECT_EQ(book.list().error().code, ErrorCode::kCorrupt) << bad;
    EXPECT_EQ(book.put(kDora, kPassword).error().code, ErrorCode::kCorrupt) << bad;
    EXPECT_EQ(content(), bad);
  }
}

TEST_F(Staff, NamesPasswordsAndRolesAreChecked) {
  for (const std::string name : {"", "Dora", "a b", "a/b", "\xc3\xa9", "<b>"}) {
    EXPECT_EQ(book_.put({name, {Role::kDepotStaff}, {}}, kPassword).error().code,
              ErrorCode::kBadArgument)
        << name;
  }
  EXPECT_EQ(book_.put({"dora", {}, {}}, kPassword).error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(book_.put(kDora, "short").error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(book_.put(kDora, std::string(201, 'x')).error().code, ErrorCode::kBadArgument);
  for (std::size_t i = 0; i < kRoles; ++i) {
    EXPECT_EQ(parse_role(name_of(static_cast<Role>(i))), static_cast<Role>(i));
  }
  EXPECT_FALSE(parse_role("king"));
}

TEST_F(Staff, StoreIsGivenOnce) {
  ASSERT_TRUE(book_.put({"olga", {Role::kStoreOwner}, {"s1"}}, std::nullopt));
  ASSERT_TRUE(book_.give_store("olga", "s2"));
  ASSERT_TRUE(book_.give_store("olga", "s2"));
  EXPECT_EQ(book_.list().value()[0].stores, (std::vector<std::string>{"s1", "s2"}));
  EXPECT_FALSE(book_.give_store("nobody", "s2"));
}

TEST_F(Staff, WhatTwoProcessesChangeAtOnceIsAllThere) {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        StaffBook other(path_, clock_);
        for (int i = 0; i < 10; ++i) {
          const std::string name = "s" + std::to_string(t) + "-" + std::to_string(i);
          ASSERT_TRUE(other.put({name, {Role::kDepotStaff}, {}}, std::nullopt));
        }
      });
    }
  }
  EXPECT_EQ(book_.list().value().size(), 40U);
}

TEST(SignInLimit, HoldsANameAndAnAddressForAWhile) {
  ManualClock clock;
  SignInLimit limit(clock);
  for (std::size_t i = 0; i < SignInLimit::kWrongOfName; ++i) {
    EXPECT_EQ(limit.begin("dora", "10.0.0.1"), 0);
  }
  EXPECT_EQ(limit.begin("dora", "10.0.0.2"), SignInLimit::kWindowMs);
  EXPECT_EQ(limit.begin("max", "10.0.0.1"), 0);
  clock.advance_ms(SignInLimit::kWindowMs);
  EXPECT_EQ(limit.begin("dora", "10.0.0.1"), 0);
  for (std::size_t i = 1; i < SignInLimit::kWrongOfPeer; ++i) {
    EXPECT_EQ(limit.begin("guess" + std::to_string(i), "10.0.0.1"), 0);
  }
  EXPECT_GT(limit.begin("max", "10.0.0.1"), 0);
  EXPECT_GT(limit.begin("", "10.0.0.1"), 0);
  EXPECT_EQ(limit.begin("max", "10.0.0.2"), 0);
}

TEST(SignInLimit, GuessesAtOnceAreNoMoreThanOneAfterTheOther) {
  ManualClock clock;
  SignInLimit limit(clock);
  // All of them are under way: nobody knows yet that they are wrong.
  for (std::size_t i = 0; i < SignInLimit::kWrongOfName; ++i) {
    EXPECT_EQ(limit.begin("dora", "10.0.0.1"), 0);
  }
  EXPECT_GT(limit.begin("dora", "10.0.0.1"), 0);
  limit.was_right("dora", "10.0.0.1");
  EXPECT_EQ(limit.begin("dora", "10.0.0.1"), 0);
  EXPECT_GT(limit.begin("dora", "10.0.0.1"), 0);
}

TEST(PrivateFile, ChangeIsLaterThanTheOneBeforeThoughTheClockWasSetBack) {
  const test::TempDir folder;
  const std::string path = folder / "small.json";
  const PrivateFile file(path);
  const auto put = [&](const std::string& text) {
    return file.change([&](const std::string&) { return text; }).has_value();
  };
  ASSERT_TRUE(put("one"));
  const timespec ahead[2] = {{0, UTIME_OMIT}, {4'000'000'000, 999'999'999}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), ahead, 0), 0);
  for (const long nanoseconds : {0, 1, 2}) {
    ASSERT_TRUE(put("more" + std::to_string(nanoseconds)));
    struct stat about{};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mtim.tv_sec, 4'000'000'001);
    EXPECT_EQ(about.st_mtim.tv_nsec, nanoseconds);
  }
}

TEST(Secret, PasswordsAreToldApartAndSalted) {
  const std::string hash = hash_of_password("one two three");
  EXPECT_NE(hash, hash_of_password("one two three"));
  EXPECT_TRUE(is_password("one two three", hash));
  EXPECT_FALSE(is_password("one two four", hash));
  for (const std::string_view bad : {"", "scrypt:15:8:1:", "plain"}) {
    EXPECT_FALSE(is_password("", bad));
  }
}

}  // namespace
}  // namespace mallbots::gateways
