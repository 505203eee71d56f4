#include "clients/internal/attributes.h"

#include <gtest/gtest.h>

namespace mallbots::test {
namespace {

using client::Header;
using client::Record;

TEST(Attributes, TakeWhatTheySay) {
  const std::string value(300, 'v');
  const Header headers[] = {{"n", value}, {"second", ""}};
  const Record record{.headers = headers, .trace_context = "00-abc"};
  std::vector<std::byte> bytes;
  client::put_attributes(record, bytes);
  EXPECT_EQ(client::attribute_bytes(record), bytes.size());
  std::span<const std::byte> rest{bytes};
  EXPECT_EQ(client::take_attribute(rest)->id, shm::AttributeId::kHeader);
  EXPECT_EQ(client::take_attribute(rest)->id, shm::AttributeId::kHeader);
  const auto trace = client::take_attribute(rest);
  EXPECT_EQ(trace->id, shm::AttributeId::kTraceContext);
  EXPECT_EQ(client::as_text(trace->value), "00-abc");
  EXPECT_TRUE(rest.empty());
  EXPECT_FALSE(client::take_attribute(rest).has_value());
}

TEST(Attributes, RefuseWhatNoRecordCanCarry) {
  const std::string long_name(256, 'n');
  const std::string long_value(65'536, 'v');
  const std::string half(33'000, 'v');
  const Header name[] = {{long_name, ""}};
  const Header value[] = {{"n", long_value}};
  const Header both[] = {{"a", half}, {"b", half}};
  EXPECT_FALSE(client::attribute_bytes({.headers = name}).has_value());
  EXPECT_FALSE(client::attribute_bytes({.headers = value}).has_value());
  EXPECT_FALSE(client::attribute_bytes({.headers = both}).has_value());
  EXPECT_EQ(client::attribute_bytes({}), 0U);
}

}  // namespace
}  // namespace mallbots::test
