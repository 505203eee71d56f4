#include "broker/groups/group_name.h"

#include <gtest/gtest.h>

#include <string>

namespace mallbots::broker {
namespace {

TEST(GroupName, PlainWordsInAnyLanguagePass) {
  for (const std::string& name :
       {std::string{"orders"}, std::string{"a"}, std::string{"orders.eu-1_x"}, std::string{"a b"},
        std::string{"größe"}, std::string{"注文"}, std::string{"\U0001F916"},
        std::string(200, 'x')}) {
    EXPECT_TRUE(check_group_name(name)) << name;
  }
}

TEST(GroupName, EachRefusalSaysWhy) {
  struct Row {
    std::string name;
    const char* reason;
  };
  const Row rows[] = {
      {"", "empty"},
      {std::string(201, 'x'), "201 bytes"},
      {".hidden", "begins with '.'"},
      {"a/b", "holds '/'"},
      {std::string{"a\0b", 3}, "control"},
      {"a\nb", "control"},
      {"a\x7f", "control"},
      {"\xC2\x85", "control"},        // next line, C1
      {"\x80", "UTF-8"},              // continuation without a first byte
      {"\xC3", "UTF-8"},              // cut off
      {"\xE2\x82", "UTF-8"},          //
      {"\xC0\xAF", "UTF-8"},          // longer than needed
      {"\xE0\x80\xAF", "UTF-8"},      //
      {"\xF0\x80\x80\xAF", "UTF-8"},  //
      {"\xED\xA0\x80", "UTF-8"},      // half of a surrogate pair
      {"\xF4\x90\x80\x80", "UTF-8"},  // above U+10FFFF
      {"\xF5\x80\x80\x80", "UTF-8"},  //
      {"\xE2\x28\xA1", "UTF-8"},      // second byte is none
  };
  for (const Row& row : rows) {
    const auto checked = check_group_name(row.name);
    ASSERT_FALSE(checked) << row.name;
    EXPECT_EQ(checked.error().code, ErrorCode::kBadGroupName);
    EXPECT_NE(checked.error().detail.find(row.reason), std::string::npos)
        << checked.error().detail << " should speak of " << row.reason;
  }
}

}  // namespace
}  // namespace mallbots::broker
