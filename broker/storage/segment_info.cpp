#include "broker/storage/segment_info.h"

#include <charconv>
#include <string_view>

namespace mallbots::broker {

namespace {

constexpr std::size_t kDigits = 10;

std::string file_name(shm::SegmentNumber number, const char* suffix) {
  std::string digits = std::to_string(number);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return digits + suffix;
}

}  // namespace

std::string segment_file_name(shm::SegmentNumber number) {
  return file_name(number, kSegmentSuffix);
}

std::string side_file_name(shm::SegmentNumber number) { return file_name(number, kSideSuffix); }

shm::SegmentNumber segment_number_of(const std::string& name, const char* suffix) {
  if (!name.ends_with(suffix)) return shm::kNoSegment;
  const std::string_view digits =
      std::string_view(name).substr(0, name.size() - std::string_view(suffix).size());
  shm::SegmentNumber number = shm::kNoSegment;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc{} && end == digits.data() + digits.size();
  return whole && digits.size() >= kDigits ? number : shm::kNoSegment;
}

}  // namespace mallbots::broker
