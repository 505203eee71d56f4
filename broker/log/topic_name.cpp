#include "broker/log/topic_name.h"

#include <cstdint>

#include "shm/layout/control.h"

namespace mallbots::broker {

Result<void> check_topic_name(const std::string& name) {
  const auto refuse = [&](const char* why) { return fail(ErrorCode::kBadTopicName, why); };
  if (name.empty()) return refuse("it is empty");
  if (name.size() > shm::kMaxNameBytes) return refuse("it is longer than 200 bytes");
  if (name.front() == '.') return fail(ErrorCode::kBadTopicName, "'" + name + "' begins with '.'");
  for (std::size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    if (lead < 0x20 || lead == 0x7F) return refuse("it has a control character");
    if (lead == '/') return fail(ErrorCode::kBadTopicName, "'" + name + "' has a '/'");
    // Well-formed UTF-8: RFC 3629, section 4.
    const std::size_t more = lead < 0x80              ? 0
                             : (lead >> 5) == 0b110   ? 1
                             : (lead >> 4) == 0b1110  ? 2
                             : (lead >> 3) == 0b11110 ? 3
                                                      : 4;
    if (more == 4 || i + more >= name.size()) return refuse("it is not UTF-8");
    std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(name[i + k]);
      if ((next >> 6) != 0b10) return refuse("it is not UTF-8");
      point = (point << 6) | (next & 0x3FU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
      return refuse("it is not UTF-8");
    i += more + 1;
  }
  return {};
}

}  // namespace mallbots::broker
