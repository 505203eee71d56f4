#include "broker/control/dead_letter_record.h"

#include <cstring>
#include <string_view>

#include "shm/base/dead_letter.h"
#include "shm/layout/record.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kMostBytes = 65'535;

void put_u16(std::vector<std::byte>& out, std::size_t value) {
  out.push_back(static_cast<std::byte>(value & 0xFF));
  out.push_back(static_cast<std::byte>(value >> 8));
}

void put_header(std::vector<std::byte>& out, std::string_view name, std::string_view value) {
  put_u16(out, static_cast<std::size_t>(shm::AttributeId::kHeader));
  put_u16(out, 1 + name.size() + value.size());
  out.push_back(static_cast<std::byte>(name.size()));
  for (const std::string_view text : {name, value}) {
    const auto* raw = reinterpret_cast<const std::byte*>(text.data());
    out.insert(out.end(), raw, raw + text.size());
  }
}

bool is_earlier_death(std::uint16_t id, std::span<const std::byte> value) {
  if (id != static_cast<std::uint16_t>(shm::AttributeId::kHeader) || value.empty()) return false;
  const auto name_bytes = std::to_integer<std::size_t>(value[0]);
  const std::string_view prefix = kDeadLetterPrefix;
  return name_bytes >= prefix.size() && value.size() > prefix.size() &&
         std::memcmp(value.data() + 1, prefix.data(), prefix.size()) == 0;
}

/// The message's own attributes, without those of an earlier death.
std::vector<std::byte> own_attributes(std::span<const std::byte> attributes) {
  std::vector<std::byte> out;
  while (attributes.size() >= 4) {
    std::uint16_t id = 0;
    std::uint16_t size = 0;
    std::memcpy(&id, attributes.data(), sizeof id);
    std::memcpy(&size, attributes.data() + 2, sizeof size);
    if (size > attributes.size() - 4) break;
    const auto whole = attributes.first(std::size_t{4} + size);
    if (!is_earlier_death(id, whole.subspan(4))) out.insert(out.end(), whole.begin(), whole.end());
    attributes = attributes.subspan(whole.size());
  }
  return out;
}

}  // namespace

std::vector<std::byte> letter_attributes(std::span<const std::byte> attributes,
                                         const std::string& topic, const LetterOrder& order) {
  const std::vector<std::byte> own = own_attributes(attributes);
  const bool rejected = order.reason == DeathReason::kRejected;
  const FailureNote& note = order.note;
  for (std::size_t most = kFailureTextBytes;; most /= 4) {
    std::vector<std::byte> out = own;
    put_header(out, kDeadTopic, topic);
    put_header(out, kDeadPartition, std::to_string(order.queue.partition));
    put_header(out, kDeadOffset, std::to_string(order.offset));
    put_header(out, kDeadGroup, order.queue.group);
    put_header(out, kDeadReason, rejected ? "rejected" : "attempts");
    put_header(out, kDeadAttempts, std::to_string(order.attempts));
    put_header(out, kDeadType, note.last.type.substr(0, most));
    put_header(out, kDeadText, note.last.text.substr(0, most));
    put_header(out, kDeadHandler, note.last.handler.substr(0, most));
    put_header(out, kDeadFirstType, note.first.type.substr(0, most));
    put_header(out, kDeadFirstText, note.first.text.substr(0, most));
    put_header(out, kDeadFirstTime, std::to_string(note.first.time_ms));
    put_header(out, kDeadLastTime, std::to_string(note.last.time_ms));
    if (out.size() <= kMostBytes) return out;
    // A message that leaves no room for its story keeps what is its own.
    if (most == 0) return own;
  }
}

}  // namespace mallbots::broker
