// LakeReader: topics from their first record on, although retention has taken it: what the lake
// holds comes from there, and then the log goes on at the offset where the lake ends.
//
//   ViewRunner runner{{invoices}, store,
//                     [&] { return LakeReader::open("/srv/lake", where, {"orders.events"}); }};
//
// Who calls: one thread. Order holds within a partition. While any partition is behind the end of
// the lake, only the lake is read. What neither has is passed over, as LogReader does it. Events
// that their context keeps to itself are not in the lake, and not given.
//
// Errors: those of LogReader, and Io and Corrupt of the lake's files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/toolkit/lake/lake_folder.h"
#include "clients/toolkit/views/topic_reader.h"

namespace mallbots::toolkit {

class LakeReader final : public TopicReader {
 public:
  /// Opens a connection of its own. The topics must exist.
  [[nodiscard]] static Result<std::unique_ptr<TopicReader>> open(
      const std::string& folder, const client::ConnectionOptions& where,
      const std::vector<std::string>& topics);

  /// `logs`: id of each topic of `live`, as the lake names it.
  LakeReader(const std::string& folder, std::map<std::string, std::uint64_t> logs,
             std::unique_ptr<TopicReader> live)
      : folder_(folder), logs_(std::move(logs)), live_(std::move(live)) {}

  [[nodiscard]] Result<std::vector<client::TopicPartition>> partitions() override {
    return live_->partitions();
  }
  [[nodiscard]] Result<void> seek(const client::TopicPartition& partition, Offset next) override;
  [[nodiscard]] Result<std::span<const client::Message>> read(Deadline deadline,
                                                              std::size_t max_records) override;
  [[nodiscard]] Result<Offset> end(const client::TopicPartition& partition) override {
    return live_->end(partition);
  }

 private:
  using Place = std::pair<std::string, PartitionIndex>;
  struct Old {  ///< a partition whose next record is in the lake
    LakeStream stream;
    Offset next = 0;
  };
  /// What the lake has of it from `next` on; nothing if it ends there.
  [[nodiscard]] Result<std::optional<LakeStream>> find(const Place& place, Offset next) const;

  LakeFolder folder_;
  std::map<std::string, std::uint64_t> logs_;
  std::unique_ptr<TopicReader> live_;
  std::map<Place, Old> old_;
  std::vector<client::OwnedMessage> kept_;
  std::vector<client::Message> given_;
};

}  // namespace mallbots::toolkit
