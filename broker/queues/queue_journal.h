// The queue journal: what changes in queues, as entries in the payloads of the records of the
// internal topic `_queues`. FORMAT.md, "Queue journal". The same calls write entries (QueueWriter)
// and carry them out when they are read back (whoever else implements QueueChanges).
//
// Pure; the broker's control thread. Bytes read are data: an entry that does not decode ends the
// payload with an error, and nothing of it is carried out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "broker/queues/queue_state.h"
#include "shm/base/result.h"

namespace mallbots::broker {

/// Number of a queue in the journal: never used for another one.
using QueueNumber = std::uint32_t;

/// Which queue a number is.
struct QueueIdentity {
  std::string group;
  TopicId topic{};
  PartitionIndex partition = 0;
  friend auto operator<=>(const QueueIdentity&, const QueueIdentity&) = default;
};

class QueueChanges {
 public:
  virtual ~QueueChanges() = default;
  // One change of one record.
  virtual void granted(QueueNumber queue, Offset offset, std::uint32_t attempt,
                       const Holder& holder) = 0;
  virtual void done(QueueNumber queue, Offset offset) = 0;
  virtual void put_back(QueueNumber queue, Offset offset, const DueTime& due, bool counts,
                        const DeliveryFailure* failure) = 0;
  virtual void died(QueueNumber queue, Offset offset, DeathReason reason,
                    const DeliveryFailure* failure) = 0;
  virtual void buried(QueueNumber queue, Offset offset, Offset letter) = 0;
  virtual void low_moved(QueueNumber queue, Position low) = 0;
  // The whole of one queue, which holds from end() on: what stood there before is forgotten.
  virtual void begin(QueueNumber queue, const QueueIdentity& identity, Position low) = 0;
  virtual void done_bits(QueueNumber queue, Offset first, const std::vector<bool>& bits) = 0;
  virtual void item(QueueNumber queue, const ItemView& item) = 0;
  virtual void end(QueueNumber queue) = 0;
  // Groups.
  virtual void limits(const std::string& group, std::uint32_t max_deliveries) = 0;
  virtual void forgotten(const std::string& group) = 0;
  virtual void topic_forgotten(TopicId topic) = 0;
};

/// Writes a queue as begin() to end().
void write_snapshot(QueueChanges& out, QueueNumber queue, const QueueIdentity& identity,
                    LogEpoch epoch, const QueueState& state);

class QueueWriter final : public QueueChanges {
 public:
  /// A payload grows no further than this and one entry.
  static constexpr std::size_t kPayloadBytes = 24 * 1024;

  void granted(QueueNumber queue, Offset offset, std::uint32_t attempt,
               const Holder& holder) override;
  void done(QueueNumber queue, Offset offset) override;
  void put_back(QueueNumber queue, Offset offset, const DueTime& due, bool counts,
                const DeliveryFailure* failure) override;
  void died(QueueNumber queue, Offset offset, DeathReason reason,
            const DeliveryFailure* failure) override;
  void buried(QueueNumber queue, Offset offset, Offset letter) override;
  void low_moved(QueueNumber queue, Position low) override;
  void begin(QueueNumber queue, const QueueIdentity& identity, Position low) override;
  void done_bits(QueueNumber queue, Offset first, const std::vector<bool>& bits) override;
  void item(QueueNumber queue, const ItemView& item) override;
  void end(QueueNumber queue) override;
  void limits(const std::string& group, std::uint32_t max_deliveries) override;
  void forgotten(const std::string& group) override;
  void topic_forgotten(TopicId topic) override;

  [[nodiscard]] bool empty() const noexcept { return payloads_.empty(); }
  [[nodiscard]] std::size_t bytes() const noexcept;
  /// What was written since, oldest first.
  [[nodiscard]] std::vector<std::vector<std::byte>> take();

 private:
  enum class Entry : std::uint8_t;
  friend Result<void> read_queue_changes(std::span<const std::byte> payload, QueueChanges& into);
  struct Out;
  [[nodiscard]] Out entry(Entry type);

  std::vector<std::vector<std::byte>> payloads_;
};

/// Carries out the entries of one payload. Corrupt: it does not decode; what stood before the bad
/// entry was carried out.
[[nodiscard]] Result<void> read_queue_changes(std::span<const std::byte> payload,
                                              QueueChanges& into);

}  // namespace mallbots::broker
