#include "services/gateways/kiosk/secrets.h"

#include <gtest/gtest.h>

#include "services/gateways/kiosk/idempotency_key.h"
#include "tests/support/temp_dir.h"

namespace mallbots::kiosk {
namespace {

TEST(Secrets, TokensAreOfOneCartAndHoldOverANewStart) {
  const test::TempDir folder;
  const auto secrets = Secrets::open(folder / "key");
  ASSERT_TRUE(secrets) << secrets.error().sentence();
  const std::string token = secrets->token_of("c1");
  EXPECT_TRUE(secrets->is_token_of("c1", token));
  EXPECT_FALSE(secrets->is_token_of("c2", token));
  EXPECT_FALSE(secrets->is_token_of("c1", ""));
  EXPECT_FALSE(secrets->is_token_of("c1", token.substr(1)));
  const auto again = Secrets::open(folder / "key");
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->is_token_of("c1", token));
  const auto other = Secrets::open(folder / "other");
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->is_token_of("c1", token));
}

TEST(Secrets, DerivedIdsTellPartsAndPurposesApart) {
  const test::TempDir folder;
  const auto secrets = Secrets::open(folder / "key");
  ASSERT_TRUE(secrets);
  EXPECT_EQ(secrets->derive("x", {"a", "b"}), secrets->derive("x", {"a", "b"}));
  EXPECT_NE(secrets->derive("x", {"a", "bc"}), secrets->derive("x", {"ab", "c"}));
  EXPECT_NE(secrets->derive("x", {"a"}), secrets->derive("y", {"a"}));
  EXPECT_EQ(short_id(secrets->derive("x", {"a"})).size(), 16U);
}

TEST(IdempotencyKey, IsSixteenToOneHundredTwentyEightVisibleCharacters) {
  const auto is_usable = [](const std::string& key) {
    gateways::Request request;
    request.headers = {{"idempotency-key", key}};
    return idempotency_key(request).has_value();
  };
  EXPECT_TRUE(is_usable(std::string(16, 'a')));
  EXPECT_TRUE(is_usable(std::string(128, '~')));
  EXPECT_FALSE(is_usable(std::string(15, 'a')));
  EXPECT_FALSE(is_usable(std::string(129, 'a')));
  EXPECT_FALSE(is_usable("0123456789 012345"));
  EXPECT_FALSE(
      is_usable("0123456789\xC3\xA4"
                "012345"));
  EXPECT_FALSE(idempotency_key({})->has_value());
}

}  // namespace
}  // namespace mallbots::kiosk
