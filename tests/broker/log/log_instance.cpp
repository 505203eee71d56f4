#include "tests/broker/log/log_instance.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "broker/keeper/link_message.h"

namespace mallbots::test {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

}  // namespace

shm::SessionPage* FakeSessions::Page::page() const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(memory.get());
  return reinterpret_cast<shm::SessionPage*>((at + shm::kPageBytes - 1) & ~(shm::kPageBytes - 1));
}

SessionIndex FakeSessions::open() {
  const SessionIndex session = next_++;
  pages_[session].page()->header.session = session;
  return session;
}

shm::SessionPage* FakeSessions::page(SessionIndex session) {
  const auto found = pages_.find(session);
  return found == pages_.end() ? nullptr : found->second.page();
}

std::optional<std::uint32_t> FakeSessions::open_cell(SessionIndex session) {
  return pages_.at(session).cells++;
}

void FakeSessions::for_each(
    const std::function<void(SessionIndex, shm::SessionPage&, std::uint32_t)>& visit) {
  for (auto& [session, page] : pages_) visit(session, *page.page(), page.cells);
}

void FakeSessions::expel(SessionIndex session, const std::string& reason) {
  expelled[session] = reason;
}

shm::SlotMemory SlotsOfTopic::map_slot(std::uint64_t slot_id) {
  auto fd = topic_.slot_fd(partition_, slot_id, true);
  if (!fd) return {};
  auto mapping = shm::Mapping::of(fd->get(), shm::kPageBytes + topic_.settings().slot_bytes,
                                  shm::Access::kReadWrite);
  if (!mapping) return {};
  auto* header = mapping->as<shm::SlotHeader>();
  std::byte* data = mapping->data() + shm::kPageBytes;
  mapped_[header] = std::move(*mapping);
  return {header, data};
}

void SlotsOfTopic::drop_slot(shm::SlotMemory memory) { mapped_.erase(memory.header); }

broker::KeeperLink HoldingKeeper::connect() {
  hang_up();
  broker::FdStore left;
  for (const auto& [kind, id] : held_.names()) {
    shm::UniqueFd fd = held_.take(kind, id);
    left.put(kind, id, shm::UniqueFd{fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)});
    held_.put(kind, id, std::move(fd));
  }
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return {};
  thread_ = std::thread{[this, socket = ends[1]] { serve(socket); }};
  return {shm::UniqueFd{ends[0]}, std::move(left)};
}

/// The broker's end must be closed before.
void HoldingKeeper::hang_up() {
  if (thread_.joinable()) thread_.join();
}

void HoldingKeeper::serve(int socket) {
  const shm::UniqueFd own{socket};
  for (;;) {
    broker::LinkMessage message;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
    iovec piece{&message, sizeof message};
    msghdr envelope{};
    envelope.msg_iov = &piece;
    envelope.msg_iovlen = 1;
    envelope.msg_control = control.data();
    envelope.msg_controllen = control.size();
    if (recvmsg(socket, &envelope, MSG_CMSG_CLOEXEC) != sizeof message) return;
    const auto kind = static_cast<broker::FdKind>(message.kind);
    if (const cmsghdr* const rights = CMSG_FIRSTHDR(&envelope); rights != nullptr) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
      held_.put(kind, message.id, shm::UniqueFd{fd});
    } else if (message.type == static_cast<std::uint32_t>(broker::LinkType::kRemove)) {
      held_.remove(kind, message.id);
    }
    message.type = static_cast<std::uint32_t>(broker::LinkType::kAck);
    if (send(socket, &message, sizeof message, MSG_NOSIGNAL) != sizeof message) return;
  }
}

void LogInstance::start(bool memory_kept) {
  broker::DiskOptions options;
  options.flush = broker::FlushChoice::kFdatasync;
  auto opened = broker::open_disk(options);
  ASSERT_TRUE(opened) << opened.error().sentence();
  disk_ = std::move(*opened);
  auto data = broker::open_data_directory(*disk_, data_dir_);
  ASSERT_TRUE(data) << data.error().sentence();
  data_ = std::move(*data);
  if (records_) {
    recorder_ = std::make_unique<FaultyDisk>(*disk_);
    recorder_->record(data_dir_);
  }
  auto spares = broker::SparePool::open(disk(), {.folder = data_->spares_folder()});
  ASSERT_TRUE(spares) << spares.error().sentence();
  spares_ = std::move(*spares);
  if (!memory_kept) {
    sessions_ = std::make_unique<FakeSessions>();
    registry_ = std::make_unique<shm::Registry>();
    keeper_ = {};
    holder_.hang_up();
    holder_.forget_all();
  }
  keeper_ = holder_.connect();
  topics_ = std::make_unique<broker::Topics>(
      broker::Topics::Parts{disk(), *data_, *spares_, keeper_, *sessions_, *registry_},
      broker::TopicsOptions{.memory_max_bytes = 1ULL << 30});
  topics_->on_trouble([this](const std::string& line) { troubles.push_back(line); });
  const auto started =
      topics_->start(memory_kept, [this](const std::string& line) { findings.push_back(line); });
  ASSERT_TRUE(started) << started.error().sentence();
  const auto dropped = keeper_.drop_rest();
  ASSERT_TRUE(dropped) << dropped.error().sentence();
  dropped_ = *dropped;
}

void LogInstance::stop() {
  // What is in flight reads the slots; it belongs to the process that is about to "die".
  while (disk().in_flight() > 0) disk().reap();
  topics_.reset();
  while (disk().in_flight() > 0) disk().reap();
  spares_.reset();
  data_.reset();
  recorder_.reset();
  disk_.reset();
  keeper_ = {};
}

void LogInstance::turn() {
  static_cast<void>(topics_->duty(boot_now_ns()));
  disk().reap();
}

void LogInstance::settle() {
  for (;;) {
    turn();
    bool quiet = disk().in_flight() == 0;
    for (broker::Topic* topic : topics_->all())
      for (PartitionIndex i = 0; i < topic->partitions(); ++i)
        quiet = quiet && !topic->partition(i).dirty();
    if (quiet) return;
  }
}

void LogInstance::crash_and_start() {
  stop();
  start();
}

void LogInstance::restart_broker() {
  stop();
  start(true);
}

void LogInstance::drain_and_start() {
  BootNanos next = INT64_MAX;
  while (!topics_->drain(boot_now_ns(), next)) disk().reap();
  ASSERT_TRUE(topics_->write_clean_mark());
  stop();
  start();
}

std::string LogInstance::cut(std::mt19937_64& dice, const std::string& into) {
  std::filesystem::create_directories(into);
  std::filesystem::permissions(into, std::filesystem::perms::owner_all);
  recorder().cut(recorder().now(), dice, into);
  return into;
}

broker::Topic& LogInstance::make(const std::string& name, std::vector<shm::Setting> settings,
                                 std::uint32_t partitions) {
  const auto parsed = broker::new_settings(partitions, settings);
  if (!parsed) throw std::runtime_error(parsed.error().sentence());
  const auto made = topics_->create(name, *parsed);
  if (!made) throw std::runtime_error(made.error().sentence());
  return **made;
}

broker::Topic& LogInstance::topic(const std::string& name) {
  broker::Topic* const found = topics_->find(name);
  if (found == nullptr) throw std::runtime_error("no topic " + name);
  return *found;
}

std::unique_ptr<LogInstance::Client> LogInstance::attach(broker::Topic& topic,
                                                         PartitionIndex partition,
                                                         broker::ProducerNames::Holder holder) {
  auto client = std::make_unique<Client>();
  client->session = sessions_->open();
  client->board = std::move(*shm::Mapping::of(
      topic.board_fd()->get(), shm::board_bytes(topic.partitions()), shm::Access::kRead));
  client->knock = std::move(*shm::Mapping::of(
      topic.knock_fd()->get(), shm::knock_bytes(topic.partitions()), shm::Access::kReadWrite));
  client->slots = std::make_unique<SlotsOfTopic>(topic, partition);
  shm::SessionPage* const page = sessions_->page(client->session);
  client->parts.topic = client->board.as<shm::BoardHeader>();
  client->parts.board =
      reinterpret_cast<shm::PartitionBoard*>(client->board.data() + sizeof(shm::BoardHeader)) +
      partition;
  client->parts.knock_header = client->knock.as<shm::KnockHeader>();
  client->parts.knock =
      reinterpret_cast<shm::KnockLine*>(client->knock.data() + sizeof(shm::KnockHeader)) +
      partition;
  client->parts.session = page;
  client->parts.slots = client->slots.get();
  const auto producer = topics_->open_producer(client->session, topic, partition, holder);
  if (!producer) return nullptr;
  client->seat.last_sequence = producer->last_sequence;
  client->seat.author.producer_epoch = producer->producer_epoch;
  client->seat.cell = &page->cells[producer->cell].producer;
  client->seat.author.producer_id = producer->producer_id;
  client->reader = &page->cells[*topics_->open_reader(client->session)].reader;
  return client;
}

std::string payload_of(std::uint64_t i, std::size_t bytes) {
  std::string text = "r" + std::to_string(i);
  if (text.size() < bytes) text.resize(bytes, '.');
  return text;
}

void append_all(LogInstance& instance, shm::Appender& appender, std::uint64_t first,
                std::uint64_t last, std::size_t bytes) {
  for (std::uint64_t i = first; i < last; ++i) {
    const std::string text = payload_of(i, bytes);
    for (;;) {
      const auto outcome = appender.append({.payload = bytes_of(text)}, {});
      if (outcome.status == shm::AppendStatus::kAppended) {
        ASSERT_EQ(outcome.offset, i);
        break;
      }
      ASSERT_EQ(outcome.status, shm::AppendStatus::kTimeout);
      instance.turn();
    }
  }
}

}  // namespace mallbots::test
