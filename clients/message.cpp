#include "clients/message.h"

#include <cstring>

#include "clients/internal/attributes.h"

namespace mallbots::client {

void HeaderRange::Iterator::advance() noexcept {
  while (const auto attribute = take_attribute(rest_)) {
    if (attribute->id != shm::AttributeId::kHeader || attribute->value.empty()) continue;
    const std::string_view text = as_text(attribute->value.subspan(1));
    const auto name_size = std::to_integer<std::size_t>(attribute->value[0]);
    if (name_size > text.size()) continue;
    current_ = {text.substr(0, name_size), text.substr(name_size)};
    return;
  }
  at_end_ = true;
}

std::optional<std::string_view> Message::header(std::string_view name) const {
  for (const Header header : headers())
    if (header.name == name) return header.value;
  return std::nullopt;
}

std::string_view Message::trace_context() const noexcept {
  auto rest = attributes;
  while (const auto attribute = take_attribute(rest))
    if (attribute->id == shm::AttributeId::kTraceContext) return as_text(attribute->value);
  return {};
}

Result<OwnedMessage> as_message(const Record& record, const Message& where) {
  if (!attribute_bytes(record))
    return fail(ErrorCode::kTooLarge, "the headers of a record for '" + std::string{where.topic} +
                                          "' are more than 65,535 bytes, or a name more than 255");
  std::vector<std::byte> attributes;
  put_attributes(record, attributes);
  Message message = where;
  message.key = record.key;
  message.payload = record.payload;
  message.attributes = attributes;
  message.is_tombstone = record.is_tombstone;
  return OwnedMessage{message};
}

OwnedMessage Message::copy() const { return OwnedMessage{*this}; }

void OwnedMessage::assign(const Message& message) {
  bytes_.resize(message.topic.size() + message.key.size() + message.payload.size() +
                message.attributes.size());
  view_ = message;
  char* at = bytes_.data();
  const auto put = [&](const void* from, std::size_t size_bytes) {
    if (size_bytes != 0) std::memcpy(at, from, size_bytes);
    const char* copied = at;
    at += size_bytes;
    return copied;
  };
  view_.topic = {put(message.topic.data(), message.topic.size()), message.topic.size()};
  view_.key = as_bytes({put(message.key.data(), message.key.size()), message.key.size()});
  view_.payload =
      as_bytes({put(message.payload.data(), message.payload.size()), message.payload.size()});
  view_.attributes = as_bytes(
      {put(message.attributes.data(), message.attributes.size()), message.attributes.size()});
}

}  // namespace mallbots::client
