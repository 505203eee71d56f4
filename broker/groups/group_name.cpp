#include "broker/groups/group_name.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "shm/layout/control.h"

namespace mallbots::broker {
namespace {

/// Bytes of the character at the front; 0 if there is none that is whole, shortest and printable.
std::size_t character_bytes(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const std::uint8_t second = byte(1);
  const bool bad_second = (first == 0xE0 && second < 0xA0) ||  // longer than needed
                          (first == 0xED && second > 0x9F) ||  // half of a surrogate pair
                          (first == 0xF0 && second < 0x90) ||  // longer than needed
                          (first == 0xF4 && second > 0x8F) ||  // above U+10FFFF
                          (first == 0xC2 && second < 0xA0);    // C1 control characters
  return bad_second ? 0 : size;
}

}  // namespace

bool is_plain_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t size = character_bytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

Result<void> check_group_name(std::string_view name) {
  if (name.empty()) return fail(ErrorCode::kBadGroupName, "it is empty");
  if (name.size() > shm::kMaxNameBytes) {
    return fail(ErrorCode::kBadGroupName, "it has " + std::to_string(name.size()) + " bytes");
  }
  // Not echoed: it would spoil terminal and log.
  if (!is_plain_utf8(name)) {
    return fail(ErrorCode::kBadGroupName, "it is not UTF-8 or holds control characters");
  }
  const std::string quoted = "\"" + std::string{name} + "\"";
  if (name.front() == '.') return fail(ErrorCode::kBadGroupName, quoted + " begins with '.'");
  if (name.contains('/')) return fail(ErrorCode::kBadGroupName, quoted + " holds '/'");
  return {};
}

}  // namespace mallbots::broker
