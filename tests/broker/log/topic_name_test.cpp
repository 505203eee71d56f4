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
  }
}

}  // namespace
}  // namespace mallbots::broker
