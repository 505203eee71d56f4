// The control protocol under libFuzzer: packets of one client, through its socket, into a broker's
// real commands over a real data directory. What may come of it: an answer, or the end of that
// session. Anything else is a finding: a crash, a CHECK, a leak, another client that is not served.
//
// Input: packets one after the other, each {u8 kind, u8 size, bytes}. kind 0 to 64: a whole packet
// of that message type with the bytes as its body; above: the bytes raw, header included.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include "broker/control/commands.h"
#include "broker/control/control_plane.h"
#include "broker/control/listener.h"
#include "shm/base/check.h"
#include "tests/support/temp_dir.h"

namespace mallbots::broker {
namespace {

/// A broker without keeper, loop and clock, driven by hand.
class Rig {
 public:
  Rig() {
    start_event_log(Level::kCritical, "fuzz");
    config_.data_dir = folder_ / "data";
    disk_ = must(open_disk(
        {.engine = EngineChoice::kThread, .flush = FlushChoice::kFdatasync, .direct = false}));
    data_ = must(open_data_directory(*disk_, config_.data_dir));
    spares_ = must(SparePool::open(*disk_, {.folder = data_.spares_folder(), .files = 0}));
    registry_fd_ = must(shm::create_memory("registry", sizeof(shm::Registry)));
    registry_ =
        must(shm::Mapping::of(registry_fd_.get(), sizeof(shm::Registry), shm::Access::kReadWrite));
    auto& registry = *registry_.as<shm::Registry>();
    registry.next_slot_id.store(1);
    sessions_ = std::make_unique<Sessions>(
        Sessions::Parts{.registry = registry, .keeper = keeper_, .poller = poller_},
        Sessions::Limits{});
    topics_ = std::make_unique<Topics>(Topics::Parts{.disk = *disk_,
                                                     .data = data_,
                                                     .spares = *spares_,
                                                     .keeper = keeper_,
                                                     .sessions = *sessions_,
                                                     .registry = registry},
                                       TopicsOptions{.memory_max_bytes = 256 * kMiB});
    CHECK(topics_->start(false, [](const std::string&) {}));
    streams_ = std::make_unique<EventStreams>(EventStreams::Parts{
        .disk = *disk_, .data = data_, .topics = *topics_, .memory_max_bytes = 256 * kMiB});
    rings_ = must(Rings::make({.keeper = keeper_,
                               .registry = registry,
                               .sessions = *sessions_,
                               .topics = *topics_,
                               .broker_eventfd = -1},
                              {}));
    rings_->on_partition([this](Topic& topic, PartitionIndex partition) {
      return streams_->admission_of(topic, partition);
    });
    groups_ = std::make_unique<GroupDriver>(GroupDriver::Parts{.disk = *disk_,
                                                               .data = data_,
                                                               .keeper = keeper_,
                                                               .sessions = *sessions_,
                                                               .topics = *topics_},
                                            CoordinatorOptions{.incarnation = 1});
    CHECK(groups_->start(false, boot_now_ns()));
    schedule_ = std::make_unique<Schedule>(
        Schedule::Parts{.disk = *disk_, .topics = *topics_, .say = [](const std::string&) {}},
        ScheduleOptions{});
    CHECK(schedule_->start());
    queues_ = std::make_unique<QueueDriver>(
        QueueDriver::Parts{
            .disk = *disk_,
            .sessions = *sessions_,
            .topics = *topics_,
            .topic_made = [this](const Topic& topic) { groups_->topic_known(topic); }},
        QueuesOptions{.incarnation = 1});
    CHECK(queues_->start(false, boot_now_ns()));
    commands_ = std::make_unique<Commands>(Commands::Parts{.config = config_,
                                                           .facts = {},
                                                           .disk = *disk_,
                                                           .sessions = *sessions_,
                                                           .topics = *topics_,
                                                           .groups = *groups_,
                                                           .rings = *rings_,
                                                           .streams = *streams_,
                                                           .schedule = *schedule_,
                                                           .queues = *queues_});
    path_ = folder_ / "control.sock";
    listener_ = must(open_listener(path_, keeper_));
    control_ = std::make_unique<ControlPlane>(
        ControlPlane::Parts{.sessions = *sessions_,
                            .poller = poller_,
                            .listener = listener_.get(),
                            .wake = STDERR_FILENO,
                            .call =
                                [this](Session& who, shm::MessageType type, std::uint32_t id,
                                       std::span<const std::byte> body) {
                                  return commands_->call(who, type, id, body);
                                }},
        ControlPlane::Identity{.incarnation = 1, .log_epoch = 1});
    CHECK(control_->start());
    keep_two_topics();
  }

  /// What is being written lies in memory that goes before the disk does.
  ~Rig() {
    for (; disk_->in_flight() > 0; disk_->reap()) disk_->kick();
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  void run(std::span<const std::byte> input) {
    const shm::UniqueFd client = connect();
    send(client,
         shm::encode_packet(shm::Hello::kType, 1,
                            shm::Hello{.layout_version = shm::kLayoutVersion, .name = "fuzz"}));
    pump(client);
    while (input.size() >= 2) {
      const auto kind = std::to_integer<unsigned>(input[0]);
      const auto size =
          std::min<std::size_t>(std::to_integer<std::size_t>(input[1]), input.size() - 2);
      send(client, packet(kind, input.subspan(2, size)));
      input = input.subspan(2 + size);
      pump(client);
    }
    settle();
  }

 private:
  template <class T>
  static T must(Result<T> result) {
    CHECK(result.has_value());
    return std::move(*result);
  }

  static std::vector<std::byte> packet(unsigned kind, std::span<const std::byte> bytes) {
    if (kind > 64) return {bytes.begin(), bytes.end()};
    auto whole = shm::encode_packet(static_cast<shm::MessageType>(kind), 2, shm::Empty{});
    whole.insert(whole.end(), bytes.begin(), bytes.end());
    const auto size = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(whole.data() + offsetof(shm::MessageHeader, body_bytes), &size, sizeof size);
    return whole;
  }

  shm::UniqueFd connect() {
    shm::UniqueFd fd{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    CHECK(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }

  static void send(const shm::UniqueFd& client, std::vector<std::byte> packet) {
    ::send(client.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
  }

  /// Lets the broker work; reads what it says (descriptors are dropped by the kernel).
  void pump(const shm::UniqueFd& client) {
    for (int i = 0; i < 4; ++i) {
      const auto events = poller_.wait(0);
      if (events.empty()) break;
      for (const Event& event : events)
        if (event.source != Source::kProcess) control_->handle(event, boot_now_ns());
    }
    std::byte reply[shm::kMaxMessageBytes];
    while (recv(client.get(), reply, sizeof reply, 0) > 0) continue;
  }

  /// One turn of the duties, then everything that the client made goes.
  void settle() {
    disk_->reap();
    static_cast<void>(topics_->duty(boot_now_ns()));
    static_cast<void>(groups_->duty(boot_now_ns(), true));
    static_cast<void>(queues_->duty());
    commands_->duty();
    disk_->kick();
    std::vector<SessionIndex> all;
    for (const auto& [index, session] : sessions_->all()) all.push_back(index);
    for (const SessionIndex index : all) {
      rings_->session_ended(index, false);
      topics_->session_died(index);
      groups_->session_ended(index);
      queues_->session_ended(index);
      sessions_->end(index);
    }
    static_cast<void>(sessions_->take_expelled());
    for (const std::string& name : groups_->names()) static_cast<void>(groups_->remove(name));
    for (const std::string& name : queues_->names()) static_cast<void>(queues_->remove(name));
    keep_two_topics();
  }

  void keep_two_topics() {
    for (Topic* topic : topics_->users()) {
      if (topic->name() == "d" || topic->name() == "m") continue;
      const TopicId id = topic->id();
      rings_->topic_gone(*topic);
      streams_->topic_gone(*topic);
      CHECK(topics_->remove(std::string{topic->name()}));
      groups_->topic_deleted(id);
      queues_->topic_deleted(id);
    }
    make("d", "disk");
    make("m", "memory");
  }

  void make(const std::string& name, const std::string& storage) {
    if (topics_->find(name) != nullptr) return;
    const std::vector<shm::Setting> settings{{.key = "class", .value = "small"},
                                             {.key = "storage", .value = storage}};
    const Topic& topic = *must(topics_->create(name, must(new_settings(0, settings))));
    groups_->topic_known(topic);
    queues_->topic_known(topic);
  }

  test::TempDir folder_{"/dev/shm"};  // flushes cost nothing there, and none is tested here
  Config config_;
  std::string path_;
  KeeperLink keeper_;
  Poller poller_ = must(Poller::make());
  std::unique_ptr<Disk> disk_;
  DataDirectory data_;
  std::unique_ptr<SparePool> spares_;
  shm::UniqueFd registry_fd_;
  shm::Mapping registry_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<Topics> topics_;
  std::unique_ptr<EventStreams> streams_;
  std::unique_ptr<Rings> rings_;  ///< its thread ends before streams and topics go
  std::unique_ptr<GroupDriver> groups_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<QueueDriver> queues_;
  std::unique_ptr<Commands> commands_;
  shm::UniqueFd listener_;
  std::unique_ptr<ControlPlane> control_;
};

}  // namespace
}  // namespace mallbots::broker

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static mallbots::broker::Rig rig;
  rig.run(std::as_bytes(std::span{data, size}));
  return 0;
}
