#include "clients/internal/topic_memory.h"

#include <sys/stat.h>

namespace mallbots::client {
namespace {

bool same_memory(int first, int second) {
  struct stat a{};
  struct stat b{};
  return fstat(first, &a) == 0 && fstat(second, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

/// What the broker passed is what its answer and its own header say.
Result<void> check_board(const shm::BoardHeader& header, const shm::OpenTopicReply& reply,
                         const std::string& name) {
  if (header.page.layout_version != shm::kLayoutVersion)
    return fail(ErrorCode::kWrongVersion, "the board of topic " + name + " has another layout");
  const bool sound = header.page.magic == shm::kBoardMagic && header.topic_id == reply.topic_id &&
                     header.partitions == reply.partitions && header.slots == reply.slots &&
                     header.slot_bytes == reply.slot_bytes && header.slots >= 1 &&
                     header.slots <= shm::kMaxSlots && header.slot_bytes % shm::kPageBytes == 0 &&
                     header.slot_bytes / shm::kUnitBytes <= shm::kMaxTailUnits &&
                     header.record_max_bytes <= header.slot_bytes;
  if (!sound) return fail(ErrorCode::kCorrupt, "the board of topic " + name);
  return {};
}

}  // namespace

Result<std::unique_ptr<TopicMemory>> TopicMemory::open(Link& link, const std::string& name,
                                                       shm::Intent intent, Deadline deadline) {
  if (name.empty() || name.size() > shm::kMaxNameBytes)
    return fail(ErrorCode::kBadTopicName, "a name of " + std::to_string(name.size()) + " bytes");
  std::unique_ptr<TopicMemory> topic{new TopicMemory(link, name, intent)};
  for (;;) {
    MALLBOTS_TRY(link.ensure(deadline));
    auto parts = topic->fetch(deadline);
    if (parts) {
      topic->parts_ = std::move(*parts);
      topic->attachment_ = topic->parts_.attachment;
      return topic;
    }
    if (parts.error().code != ErrorCode::kConnectionLost || deadline.has_passed())
      return std::unexpected(std::move(parts).error());
  }
}

Result<TopicMemory::Parts> TopicMemory::fetch(Deadline deadline) const {
  Parts parts;
  parts.attachment = link_->current();
  std::vector<shm::UniqueFd> fds;
  auto reply = link_->ask_on<shm::OpenTopicReply>(parts.attachment.number,
                                                  shm::OpenTopic{name_, intent_}, deadline, &fds);
  if (!reply) {
    if (reply.error().detail.empty()) reply.error().detail = name_;
    return std::unexpected(std::move(reply).error());
  }
  if (fds.size() != (reply->has_knock ? 2U : 1U) || reply->partitions == 0 ||
      reply->partitions > shm::kMaxPartitions)
    return fail(ErrorCode::kBadMessage, "the broker's answer to OpenTopic has another form");
  const std::size_t board_bytes = shm::board_bytes(reply->partitions);
  MALLBOTS_TRY(shm::check_memory(fds[0].get(), board_bytes));
  auto board = shm::Mapping::of(fds[0].get(), board_bytes, shm::Access::kRead);
  if (!board) return std::unexpected(std::move(board).error());
  MALLBOTS_TRY(board->populate(0, board_bytes));
  MALLBOTS_TRY(check_board(*board->as<shm::BoardHeader>(), *reply, name_));
  parts.board = std::move(*board);
  parts.board_fd = std::move(fds[0]);
  if (reply->has_knock) {
    const std::size_t knock_bytes = shm::knock_bytes(reply->partitions);
    MALLBOTS_TRY(shm::check_memory(fds[1].get(), knock_bytes));
    auto knock = shm::Mapping::of(fds[1].get(), knock_bytes, shm::Access::kReadWrite);
    if (!knock) return std::unexpected(std::move(knock).error());
    MALLBOTS_TRY(knock->populate(0, knock_bytes));
    if (knock->as<shm::KnockHeader>()->page.magic != shm::kKnockMagic)
      return fail(ErrorCode::kCorrupt, "the knock page of topic " + name_);
    parts.knock = std::move(*knock);
  } else if (const auto& header = *parts.board.as<shm::BoardHeader>();
             intent_ == shm::Intent::kProduce &&
             (header.flags & static_cast<std::uint32_t>(shm::TopicFlag::kSequenced)) == 0) {
    return fail(ErrorCode::kBadMessage, "a producer was given no knock page of topic " + name_);
  }
  return parts;
}

Result<TopicMemory::Reopened> TopicMemory::reopen(Deadline deadline) {
  MALLBOTS_TRY(link_->ensure(deadline));
  auto fresh = fetch(deadline);
  if (!fresh) {
    // A topic that was there is gone, not unknown.
    if (fresh.error().code == ErrorCode::kUnknownTopic) fresh.error().code = ErrorCode::kTopicGone;
    return std::unexpected(std::move(fresh).error());
  }
  if (fresh->board.as<shm::BoardHeader>()->topic_id != topic_id())
    return fail(ErrorCode::kTopicGone, name_ + " was deleted and created anew");
  if (fresh->attachment.session == attachment_.session &&
      same_memory(fresh->board_fd.get(), parts_.board_fd.get())) {
    attachment_ = fresh->attachment;
    return Reopened::kSame;
  }
  old_ = std::move(parts_);
  parts_ = std::move(*fresh);
  attachment_ = parts_.attachment;
  return Reopened::kOther;
}

const shm::PartitionBoard& TopicMemory::board(PartitionIndex partition) const noexcept {
  return reinterpret_cast<const shm::PartitionBoard*>(parts_.board.data() +
                                                      sizeof(shm::BoardHeader))[partition];
}

shm::KnockHeader* TopicMemory::knock_header() const noexcept {
  return parts_.knock ? parts_.knock.as<shm::KnockHeader>() : nullptr;
}

shm::KnockLine* TopicMemory::knock(PartitionIndex partition) const noexcept {
  if (!parts_.knock) return nullptr;
  return reinterpret_cast<shm::KnockLine*>(parts_.knock.data() + sizeof(shm::KnockHeader)) +
         partition;
}

shm::PartitionParts TopicMemory::parts(PartitionIndex partition,
                                       shm::SlotSource& slots) const noexcept {
  return {.topic = &header(),
          .board = &board(partition),
          .knock_header = knock_header(),
          .knock = knock(partition),
          .session = &session().memory(),
          .slots = &slots,
          .broker_eventfd = session().eventfd.get(),
          .strategy = link_->strategy()};
}

std::atomic<std::uint32_t>& TopicMemory::durable_word(PartitionIndex partition) const noexcept {
  return parts_.knock ? knock(partition)->durable : session().header().doorbell;
}
std::atomic<std::uint32_t>& TopicMemory::room_word(PartitionIndex partition) const noexcept {
  return parts_.knock ? knock(partition)->room : session().header().doorbell;
}

void TopicMemory::ask_for_flush(PartitionIndex partition) const noexcept {
  if (!parts_.knock) return;
  // The broker flushes at once for whoever may sleep on `durable`; so that comes before the wake.
  static_cast<void>(shm::prepare_wait(knock(partition)->durable));
  shm::PartitionParts parts;
  parts.knock_header = knock_header();
  parts.broker_eventfd = session().eventfd.get();
  shm::ring_broker(parts, true);
}

Result<Offset> TopicMemory::end_of_epoch(PartitionIndex partition, LogEpoch epoch,
                                         Deadline deadline) const {
  const auto end = link_->ask_on<shm::EndOfEpochReply>(
      attachment(), shm::EndOfEpoch{topic_id(), partition, epoch}, deadline);
  if (!end) return std::unexpected(end.error());
  return end->offset;
}

std::string TopicMemory::place(PartitionIndex partition) const {
  return name_ + "/" + std::to_string(partition);
}

Result<void> TopicMemory::check_served(PartitionIndex partition) const {
  if (board(partition).readonly.load() != static_cast<std::uint64_t>(ErrorCode::kCorrupt))
    return {};
  return fail(ErrorCode::kCorrupt,
              place(partition) +
                  " is in quarantine: its memory was overwritten. The broker's log says where; the "
                  "topic may be deleted, or mallbotsd stopped and started, which keeps what is "
                  "durable");
}

Result<void> TopicMemory::check_partition(PartitionIndex partition) const {
  if (partition < partitions()) return {};
  return fail(ErrorCode::kBadPartition, "partition " + std::to_string(partition) + " of topic " +
                                            name_ + ", which has " + std::to_string(partitions()));
}

}  // namespace mallbots::client
