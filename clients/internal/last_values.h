// LastValues: the last record of one partition, and the last record of each key of it, for readers
// who want what holds now and not what happened.
//
// Reads new records only, with a cell of its own. The values are copies. From the consumer's
// thread. Keyed use keeps one record per key in memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "clients/internal/readings.h"

namespace mallbots::client {

class LastValues {
 public:
  LastValues(Link& link, const ConsumerOptions& options) : readings_(link, options) {}
  LastValues(const LastValues&) = delete;
  LastValues& operator=(const LastValues&) = delete;
  ~LastValues() { close(); }

  /// Errors: as poll; setbacks are none here: what is lost cannot be the last value.
  [[nodiscard]] Result<std::optional<Message>> last(const TopicPartition& where,
                                                    std::span<const std::byte> key);

 private:
  struct ByKey {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept {
      return std::hash<std::string_view>{}(key);
    }
  };
  [[nodiscard]] Result<void> open(const TopicPartition& where);
  [[nodiscard]] Result<void> try_open(const TopicPartition& where, Deadline deadline);
  void close();
  /// All that was read, too: it is of another topic, or of another memory.
  void forget();
  /// To the end, or to the record before it if only the last one counts.
  [[nodiscard]] Result<void> catch_up();
  void keep(const Message& message);

  Readings readings_;
  Reading* reading_ = nullptr;
  bool keyed_ = false;
  std::optional<OwnedMessage> last_;
  std::unordered_map<std::string, OwnedMessage, ByKey, std::equal_to<>> by_key_;
  std::vector<Message> batch_;
};

}  // namespace mallbots::client
