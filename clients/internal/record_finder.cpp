#include "clients/internal/record_finder.h"

namespace mallbots::client {
namespace {

/// Records of a stream stand apart: a small window is read fast, and a larger one mostly in vain.
constexpr std::size_t kWindowBytes = 32 * 1024;

ConsumerOptions finder_options() {
  ConsumerOptions options;
  options.read = ReadLevel::kCommitted;
  options.internal_events = true;
  options.disk_buffer_bytes = kWindowBytes;
  return options;
}

}  // namespace

RecordFinder::RecordFinder(Link& link, std::string topic)
    : name_(std::move(topic)), readings_(link, finder_options()) {}

/// The topic as it is now, whatever became of the broker.
Result<void> RecordFinder::attach(Deadline deadline) {
  for (;;) {
    auto topic = readings_.topic(name_, deadline);
    if (!topic) return std::unexpected(std::move(topic).error());
    readings_.link().tend_now_and_then();
    if (!(*topic)->is_stale()) return {};
    MALLBOTS_TRY(readings_.link().ensure(deadline));
    std::vector<Error> gone;
    if (readings_.reattach(deadline, gone) == Readings::Attached::kAway && deadline.has_passed())
      return fail(ErrorCode::kConnectionLost, name_);
    if (!gone.empty()) return std::unexpected(std::move(gone.front()));
  }
}

Result<Cursor*> RecordFinder::cursor_of(PartitionIndex partition, Deadline deadline) {
  return readings_.link().ride_out(deadline, [&]() -> Result<Cursor*> {
    MALLBOTS_TRY(attach(deadline));
    auto topic = readings_.topic(name_, deadline);
    if (!topic) return std::unexpected(std::move(topic).error());
    Reading* reading = readings_.find({name_, partition});
    if (reading == nullptr) reading = &readings_.add(**topic, partition, 0);
    if (!reading->cursor) {
      std::vector<Setback> setbacks;
      reading->kept = {(*topic)->board(partition).log_epoch, 0};
      MALLBOTS_TRY(readings_.complete(deadline, setbacks));
    }
    return reading->cursor.get();
  });
}

Result<const Message*> RecordFinder::at(PartitionIndex partition, Offset offset,
                                        Deadline deadline) {
  for (;;) {
    auto cursor = cursor_of(partition, deadline);
    if (!cursor) return std::unexpected(std::move(cursor).error());
    if ((*cursor)->next_offset() != offset) (*cursor)->go_to(offset);
    out_.clear();
    const Cursor::State state = (*cursor)->read(out_, 1, deadline);
    if (!out_.empty() && out_.front().offset == offset) return &out_.front();
    const std::string place =
        name_ + "/" + std::to_string(partition) + ": offset " + std::to_string(offset);
    if (!out_.empty() || (*cursor)->next_offset() > offset)
      return fail(
          state == Cursor::State::kSetback ? (*cursor)->setback().code : ErrorCode::kCorrupt,
          place + " holds no event");
    switch (state) {
      case Cursor::State::kMore:
        break;
      case Cursor::State::kSetback:
        if ((*cursor)->setback().code != ErrorCode::kViewExpired)
          return fail((*cursor)->setback().code, place);
        break;
      case Cursor::State::kIdle:
        // Who committed it may have died, or stood still, before it said so: the word knows.
        if ((*cursor)->has_more()) break;
        return fail(ErrorCode::kTruncated, place);
      case Cursor::State::kFailed:
        return std::unexpected((*cursor)->error());
      case Cursor::State::kBlocked:
        if (deadline.has_passed()) return fail(ErrorCode::kTimeout, place);
        readings_.link().tend();
        shm::wait((*cursor)->topic().session().header().doorbell,
                  shm::prepare_wait((*cursor)->topic().session().header().doorbell),
                  Deadline::after_ms(1));
        break;
    }
  }
}

}  // namespace mallbots::client
