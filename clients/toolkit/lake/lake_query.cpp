#include "clients/toolkit/lake/lake_query.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "clients/toolkit/message.h"

namespace mallbots::toolkit {
namespace {

bool is_among(const std::vector<std::string>& wanted, std::string_view value) {
  return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
}

}  // namespace

bool LakeFilter::has_files_of(const LakeFile& file) const {
  if (partition && *partition != file.partition) return false;
  if (file.next <= first) return false;
  if (file.day < day_of(from_ms) || file.day > day_of(to_ms)) return false;
  return topics.empty() || std::ranges::any_of(topics, [&](const std::string& pattern) {
           return fits_pattern(pattern, file.topic);
         });
}

bool LakeFilter::fits(const client::Message& message) const {
  return message.timestamp_ms >= from_ms && message.timestamp_ms < to_ms &&
         message.offset >= first && is_among(keys, message.key_text()) &&
         is_among(types, Message{message}.name());
}

Result<LakeCursor> LakeCursor::open(const std::string& folder, LakeFilter filter) {
  auto files = LakeFolder{folder}.files();
  if (!files) return std::unexpected(std::move(files).error());
  LakeCursor cursor{std::move(filter)};
  std::erase_if(*files, [&](const LakeFile& file) { return !cursor.filter_.has_files_of(file); });
  const auto place = [](const LakeFile& file) {
    return std::tie(file.topic, file.log, file.partition);
  };
  for (auto begin = files->begin(); begin != files->end();) {
    const auto end = std::find_if(
        begin, files->end(), [&](const LakeFile& file) { return place(file) != place(*begin); });
    cursor.lanes_.push_back({.stream = LakeStream{{begin, end}}});
    begin = end;
  }
  for (std::size_t i = 0; i < cursor.lanes_.size(); ++i) {
    MALLBOTS_TRY(cursor.advance(cursor.lanes_[i]));
    if (cursor.lanes_[i].head != nullptr) cursor.heap_.push_back(i);
  }
  std::ranges::make_heap(cursor.heap_, [&](std::size_t left, std::size_t right) {
    return cursor.is_later(left, right);
  });
  return cursor;
}

Result<void> LakeCursor::advance(Lane& lane) const {
  do {
    const auto next = lane.stream.next();
    if (!next) return std::unexpected(next.error());
    lane.head = *next;
  } while (lane.head != nullptr && !filter_.fits(*lane.head));
  return {};
}

bool LakeCursor::is_later(std::size_t left, std::size_t right) const {
  const client::Message& one = *lanes_[left].head;
  const client::Message& other = *lanes_[right].head;
  return std::tie(one.timestamp_ms, left) > std::tie(other.timestamp_ms, right);
}

Result<const client::Message*> LakeCursor::next() {
  const auto later = [&](std::size_t left, std::size_t right) { return is_later(left, right); };
  if (given_) {
    Lane& lane = lanes_[*given_];
    MALLBOTS_TRY(advance(lane));  // a lane that failed is asked again, not left out
    if (lane.head != nullptr) {
      heap_.push_back(*given_);
      std::ranges::push_heap(heap_, later);
    }
    given_.reset();
  }
  if (heap_.empty()) return nullptr;
  std::ranges::pop_heap(heap_, later);
  given_ = heap_.back();
  heap_.pop_back();
  return lanes_[*given_].head;
}

}  // namespace mallbots::toolkit
