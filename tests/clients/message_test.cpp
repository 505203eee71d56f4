#include "clients/message.h"

#include <gtest/gtest.h>

#include "clients/internal/attributes.h"

namespace mallbots::test {
namespace {

using client::as_bytes;
using client::Header;
using client::Message;
using client::OwnedMessage;
using client::Record;

std::vector<std::byte> attributes_of(const Record& record) {
  std::vector<std::byte> bytes;
  client::put_attributes(record, bytes);
  return bytes;
}

TEST(MessageHeaders, ComeBackInTheirOrder) {
  const Header headers[] = {{"a", "1"}, {"", "no name"}, {"a", "2"}, {"empty", ""}};
  const auto bytes = attributes_of({.headers = headers, .trace_context = "00-trace"});
  const Message message{.attributes = bytes};
  std::vector<std::pair<std::string, std::string>> seen;
  for (const Header header : message.headers()) seen.emplace_back(header.name, header.value);
  EXPECT_EQ(seen, (std::vector<std::pair<std::string, std::string>>{
                      {"a", "1"}, {"", "no name"}, {"a", "2"}, {"empty", ""}}));
  EXPECT_EQ(message.header("a"), "1");
  EXPECT_EQ(message.header("b"), std::nullopt);
  EXPECT_EQ(message.trace_context(), "00-trace");
}

TEST(MessageHeaders, BrokenBlocksEndTheWalkWithoutHarm) {
  const Header headers[] = {{"name", "value"}, {"other", "thing"}};
  const auto whole = attributes_of({.headers = headers});
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::vector<std::byte> cut{whole.begin(), whole.begin() + static_cast<long>(size)};
    std::size_t count = 0;
    for (const Header header : Message{.attributes = cut}.headers()) count += header.name.size();
    EXPECT_LE(count, 9U);
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto mad = whole;
    mad[at] = std::byte{0xFF};
    for (const Header header : Message{.attributes = mad}.headers())
      EXPECT_LE(header.name.size() + header.value.size(), mad.size());
  }
}

TEST(OwnedMessageTest, LivesOnWhenTheMemoryIsReused) {
  std::string topic = "topic", key = "key", payload = "payload";
  const Header headers[] = {{"h", "v"}};
  auto attributes = attributes_of({.headers = headers});
  const Message view{.topic = topic,
                     .partition = 3,
                     .offset = 42,
                     .key = as_bytes(key),
                     .payload = as_bytes(payload),
                     .attributes = attributes};
  OwnedMessage copy = view.copy();
  OwnedMessage second;
  second = copy;
  topic = key = payload = "xxxxxxx";
  attributes.assign(attributes.size(), std::byte{0xFF});
  const OwnedMessage moved = std::move(copy);
  for (const OwnedMessage* own : {&moved, static_cast<const OwnedMessage*>(&second)}) {
    EXPECT_EQ(own->view().topic, "topic");
    EXPECT_EQ(own->view().key_text(), "key");
    EXPECT_EQ(own->view().text(), "payload");
    EXPECT_EQ(own->view().header("h"), "v");
    EXPECT_EQ(own->view().offset, 42U);
  }
}

}  // namespace
}  // namespace mallbots::test
