#include "clients/cli/record_format.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>
#include <string>

namespace mallbots::client::cli {
namespace {

using Header = std::pair<std::string_view, std::string_view>;

std::string rendered(std::string_view pattern, const RecordText& record) {
  const auto parsed = RecordPattern::parse(pattern);
  EXPECT_TRUE(parsed) << pattern;
  std::string out;
  if (parsed) parsed->render(record, out);
  return out;
}

TEST(RecordPattern, EveryLetter) {
  const Header headers[] = {{"a", "1"}, {"b", "x=y"}};
  const RecordText record{"orders", 3, 42, 1'769'850'300'250, "key", "pay,load", headers};
  EXPECT_EQ(rendered("%t|%p|%o|%k|%K|%s|%S|%T|%h|%%", record),
            "orders|3|42|key|3|pay,load|8|1769850300250|a=1,b=x=y|%");
}

TEST(RecordPattern, EscapesAreBytes) {
  EXPECT_EQ(rendered(R"(a\tb\n\\\x41\r\0)", {}), std::string("a\tb\n\\A\r\0", 8));
}

TEST(RecordPattern, NoKeyIsEmptyAndItsSizeMinusOne) {
  EXPECT_EQ(rendered("[%k][%K][%h]", {}), "[][-1][]");
}

TEST(RecordPattern, KeyAndPayloadGiveTheLineBack) {
  rc::check([](const std::string& key, const std::string& payload) {
    RecordText record;
    record.key = key;
    record.payload = payload;
    RC_ASSERT(rendered("%k,%s\\n", record) == key + "," + payload + "\n");
  });
}

TEST(RecordPattern, UnknownLettersAndEscapesAreNamed) {
  for (const char* pattern : {"%", "%x", "abc%", "\\q", "\\x4", "\\xzz", "\\"}) {
    const auto parsed = RecordPattern::parse(pattern);
    ASSERT_FALSE(parsed) << pattern;
    EXPECT_EQ(parsed.error().code, ErrorCode::kBadArgument);
  }
}

TEST(RecordJson, NamesAreThoseOfKcat) {
  const Header headers[] = {{"h", "v"}};
  std::string out;
  render_json({"t", 1, 2, 3, "k", "p", headers}, out);
  EXPECT_EQ(out, R"({"topic":"t","partition":1,"offset":2,"ts":3,"key":"k","payload":"p",)"
                 R"("headers":["h","v"]})"
                 "\n");
}

TEST(RecordJson, AnyBytesGiveValidJson) {
  std::string out;
  render_json({"t", 0, 0, 0, "", "\xff\xfe", {}}, out);
  const auto line = nlohmann::json::parse(out);
  EXPECT_TRUE(line["key"].is_null());
  EXPECT_EQ(line["payload_base64"], "//4=");
  EXPECT_FALSE(line.contains("payload"));
  rc::check([](const std::string& key, const std::string& payload) {
    std::string text;
    render_json({"t", 0, 0, 0, key, payload, {}}, text);
    RC_ASSERT(nlohmann::json::accept(text));
    RC_ASSERT(text.find('\n') == text.size() - 1);
  });
}

TEST(Utf8, RefusesWhatRfc3629Refuses) {
  EXPECT_TRUE(is_utf8("gr\xc3\xbc\xc3\x9f"));
  EXPECT_TRUE(is_utf8("\xf4\x8f\xbf\xbf"));
  for (const std::string_view bytes :
       {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xc3", "a\xe2\x82",
        "\xf0\x80\x80\x80", "\xf5\x80\x80\x80"})
    EXPECT_FALSE(is_utf8(bytes));
}

TEST(Base64, VectorsOfRfc4648) {
  const std::pair<const char*, const char*> kRows[] = {
      {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
      {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kRows) EXPECT_EQ(base64(bytes), text);
}

}  // namespace
}  // namespace mallbots::client::cli
