#include "broker/log/topic_name.h"

#include <gtest/gtest.h>

namespace mallbots::broker {
namespace {

TEST(TopicName, OrdinaryAndForeignNamesAreAccepted) {
  for (const char* name : {"retail", "orders.v1", "a", "Läden", "注文", "a b"})
    EXPECT_TRUE(check_topic_name(name)) << name;
  EXPECT_TRUE(check_topic_name(std::string(200, 'x')));
}

TEST(TopicName, NamesThatCouldEscapeOrConfuseAreRefusedWithTheReason) {
  const std::pair<std::string, std::string> cases[] = {{"", "empty"},
                                                       {".hidden", "'.'"},
                                                       {"a/b", "'/'"},
                                                       {"a\nb", "control"},
                                                       {"a\x7F", "control"},
                                                       {std::string(201, 'x'), "200"},
                                                       {"\xFF", "UTF-8"},
                                                       {"\xC3", "UTF-8"},
                                                       {"\xC0\x80", "UTF-8"},
                                                       {"\xED\xA0\x80", "UTF-8"},
                                                       {"\xF4\x90\x80\x80", "UTF-8"}};
  for (const auto& [name, why] : cases) {
    const auto checked = check_topic_name(name);
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().code, ErrorCode::kBadTopicName);
    EXPECT_NE(checked.error().detail.find(why), std::string::npos) << checked.error().detail;
    EXPECT_TRUE(checked.error().detail.starts_with("'")) << checked.error().detail;
  }
}

TEST(TopicName, RefusalShowsTheNameInPrintableForm) {
  EXPECT_EQ(check_topic_name("a\nb\xFF").error().detail, "'a\\x0ab\\xff' has a control character");
  EXPECT_EQ(check_topic_name(std::string(201, 'x')).error().detail,
            "'" + std::string(60, 'x') + "...' is longer than 200 bytes");
}

}  // namespace
}  // namespace mallbots::broker
