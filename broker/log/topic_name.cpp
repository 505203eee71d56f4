#include "broker/log/topic_name.h"

#include <cstdint>

#include "shm/layout/control.h"

namespace mallbots::broker {
namespace {

constexpr std::size_t kShownBytes = 60;

/// The name as an error shows it: what is not printable ASCII as \xHH, and no more than a line of
/// it.
std::string shown(const std::string& name) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text = "'";
  for (const char letter : name.substr(0, kShownBytes)) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte >= 0x20 && byte < 0x7F) {
      text += letter;
    } else {
      text += "\\x";
      text += kHex[byte >> 4];
      text += kHex[byte & 0xF];
    }
  }
  return text + (name.size() > kShownBytes ? "...'" : "'");
}

}  // namespace

Result<void> check_topic_name(const std::string& name) {
  const auto refuse = [&](const char* why) {
    return fail(ErrorCode::kBadTopicName, shown(name) + " " + why);
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > shm::kMaxNameBytes) return refuse("is longer than 200 bytes");
  if (name.front() == '.') return refuse("begins with '.'");
  if (is_internal_name(name)) return refuse("begins with '_': such topics are the broker's own");
  for (std::size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    if (lead < 0x20 || lead == 0x7F) return refuse("has a control character");
    if (lead == '/') return refuse("has a '/'");
    // Well-formed UTF-8: RFC 3629, section 4.
    const std::size_t more = lead < 0x80              ? 0
                             : (lead >> 5) == 0b110   ? 1
                             : (lead >> 4) == 0b1110  ? 2
                             : (lead >> 3) == 0b11110 ? 3
                                                      : 4;
    if (more == 4 || i + more >= name.size()) return refuse("is not UTF-8");
    std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(name[i + k]);
      if ((next >> 6) != 0b10) return refuse("is not UTF-8");
      point = (point << 6) | (next & 0x3FU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
      return refuse("is not UTF-8");
    i += more + 1;
  }
  return {};
}

}  // namespace mallbots::broker
