// Cursor: one partition as a consumer reads it, wherever the next record is: in memory, in a file,
// or nowhere any more.
//
//            seek: in memory            slot retired under us
//   seeking ─────────────────▶ hot ────────────────────────────▶ seeking
//      │ ▲
//      ▼ │ end of the file (the next offset may be in memory by now)
//     cold
//
// From its consumer's thread. What read() gives is valid until the next read(), seek() or close.
// Never waits but for the broker's answer where a file or a slot must be fetched.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clients/consumer.h"
#include "clients/internal/cold_reader.h"
#include "clients/internal/slot_cache.h"
#include "clients/internal/topic_memory.h"
#include "shm/concurrent/read.h"

namespace mallbots::client {

struct CursorOptions {
  bool durable_only = false;
  bool verify_memory = false;
  bool internal_events = false;
  std::size_t disk_buffer_bytes = 256 * 1024;
};

class Cursor {
 public:
  /// `cell`: of the session's page, this cursor's alone.
  Cursor(const TopicMemory& topic, PartitionIndex partition, std::uint32_t cell,
         const CursorOptions& options);
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  ~Cursor() = default;

  /// Why read() gave nothing more.
  enum class State : std::uint8_t {
    kMore,     ///< the batch is full, views would end, or what a look showed is read: read again
    kIdle,     ///< nothing behind the position yet: wait
    kBlocked,  ///< the broker is needed and not there, or between two states: try again soon
    kSetback,  ///< setback() says what was lost; read again to go on
    kFailed,   ///< error()
  };
  /// Appends up to `room` messages to `out`. Ends the views of the call before.
  [[nodiscard]] State read(std::vector<Message>& out, std::size_t room, Deadline deadline);
  /// What read() would find, looking at the word itself: asked between prepare_wait and the sleep.
  [[nodiscard]] bool has_more() noexcept;
  /// Watches memory for `polls` looks; true: read() may find more, or has something else to do.
  [[nodiscard]] bool spin(std::uint32_t polls) noexcept;
  /// The usual case of read(): takes what is known to lie in memory, or else what one look shows.
  /// False: nothing was taken, read() must look.
  [[nodiscard]] bool read_found(std::vector<Message>& out, std::size_t room);
  /// Before a read() that would look at once whether there is more: a busy appender's line is not
  /// taken from it for each record. A microsecond at most, for a reader that has nothing else to
  /// do.
  void let_appender_be() const noexcept;
  /// The eventcount to sleep on; null: only the doorbell tells.
  [[nodiscard]] std::atomic<std::uint32_t>* eventcount() const noexcept;
  /// Once: the broker took away what the last views pointed to.
  [[nodiscard]] bool views_expired() noexcept;

  /// The next record to give is `offset` (or the one after it).
  void go_to(Offset offset) noexcept;
  /// Behind the last record, as this reader sees it. Errors: as read.
  [[nodiscard]] Result<Offset> find_end(Deadline deadline);
  /// False with BadPosition: `offset` is not kept any more, or behind the end.
  [[nodiscard]] Result<void> check_offset(Offset offset, Deadline deadline);
  /// Gives pins and memory back; go_to(next_offset()) is implied by the next read.
  void release() noexcept;

  [[nodiscard]] Offset next_offset() const noexcept { return next_; }
  [[nodiscard]] const Setback& setback() const noexcept { return setback_; }
  void set_setback(ErrorCode code, Offset first, Offset end);
  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] const TopicMemory& topic() const noexcept { return *topic_; }
  [[nodiscard]] PartitionIndex partition() const noexcept { return partition_; }
  [[nodiscard]] std::uint32_t cell() const noexcept { return cell_; }
  /// Stores a group's position. False: the broker has taken the cell, and it may not count.
  [[nodiscard]] bool commit(std::uint32_t group_generation, Offset next) const noexcept;
  [[nodiscard]] bool is_cell_taken() const noexcept;
  [[nodiscard]] LogEpoch log_epoch() const noexcept { return board().log_epoch; }

 private:
  enum class Mode : std::uint8_t { kSeeking, kHot, kCold };
  [[nodiscard]] const shm::PartitionBoard& board() const noexcept {
    return topic_->board(partition_);
  }
  [[nodiscard]] State read_on(std::vector<Message>& out, std::size_t room, Deadline deadline);
  [[nodiscard]] State place(Deadline deadline);
  [[nodiscard]] State go_cold(Deadline deadline);
  [[nodiscard]] State read_hot(std::vector<Message>& out, std::size_t room);
  void take_at_hand(std::vector<Message>& out, std::size_t most);
  void take_back(std::vector<Message>& out, std::size_t before) noexcept;
  [[nodiscard]] State read_cold(std::vector<Message>& out, std::size_t room);
  [[nodiscard]] State after_status(shm::ReadStatus status);
  /// False: the record is not for the caller, or does not check out (then setback_ is set).
  [[nodiscard]] bool take(const shm::RecordView& view, bool from_disk, std::vector<Message>& out);
  [[nodiscard]] State failed(ErrorCode code, std::string detail);
  [[nodiscard]] State blocked() noexcept;

  const TopicMemory* topic_;
  std::uint64_t topic_id_;
  PartitionIndex partition_;
  std::uint32_t cell_;
  CursorOptions options_;
  SlotCache slots_;
  shm::PartitionReader reader_;
  std::optional<ColdReader> cold_;
  Mode mode_ = Mode::kSeeking;
  Offset next_ = 0;
  bool gave_views_ = false;         ///< of memory, in the last read
  std::uint32_t meagre_looks_ = 0;  ///< at memory, since there was nothing
  BootNanos stuck_since_ = 0;
  Setback setback_;
  Error error_;
};

}  // namespace mallbots::client
