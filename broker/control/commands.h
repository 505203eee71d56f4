// Commands: the closed set of what a client may ask, one function per message: decode, check the
// right to it, call, encode. topic_commands.cpp, group_commands.cpp, queue_commands.cpp and
// admin_commands.cpp hold the bodies, commands.cpp the table.
//
// Rights. Administrators are root and the broker's own user. Everything a topic's allow-list gives
// is asked for again with each message, so that an altered list holds for sessions that are open.
//
//   may produce, consume   OpenTopic, GetSlot, OpenProducer, OpenRing, TakeLease / OpenReader,
//                          FindSegment, FindTime, ListStreams, JoinGroup, JoinQueue. To produce
//                          gives no slot of a topic with ingest=sequenced.
//   may produce, too       CancelDelayed and its row in ListDelayed, by the record's topic;
//                          OpenDelayed, and be an administrator: the delay log is written directly
//   either of them         DescribeTopic, its row in ListTopics, EndOfEpoch
//   administrators         CreateTopic, DeleteTopic, AlterTopic, SeekGroup, DeleteGroup, Status,
//                          ListClients, ListGroups, DescribeGroup
//   everybody              the rest
// Control thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/config.h"
#include "broker/control/allow_list.h"
#include "broker/control/group_driver.h"
#include "broker/control/queue_driver.h"
#include "broker/control/reply.h"
#include "broker/control/rings.h"
#include "broker/control/sessions.h"
#include "broker/log/topics.h"
#include "broker/schedule/schedule.h"
#include "broker/streams/event_streams.h"

namespace mallbots::broker {

/// What does not change while a broker lives.
struct InstanceFacts {
  pid_t keeper_pid = 0;
  std::uint32_t incarnation = 0;
  BootNanos started_ns = 0;
};

class Commands {
 public:
  struct Parts {
    const Config& config;
    InstanceFacts facts;
    Disk& disk;
    Sessions& sessions;
    Topics& topics;
    GroupDriver& groups;
    Rings& rings;
    EventStreams& streams;
    Schedule& schedule;
    QueueDriver& queues;
  };
  explicit Commands(const Parts& parts) : parts_(parts) {}

  /// nullopt: the message cannot be understood, or is none that a client sends.
  [[nodiscard]] std::optional<Result<Reply>> call(Session& who, shm::MessageType type,
                                                  std::uint32_t request_id,
                                                  std::span<const std::byte> body);
  /// From now on nothing that would change a topic or a group is begun.
  void drain() { draining_ = true; }
  /// Answers who waits for the disk, if it is there.
  void duty();

 private:
  struct Request {
    Session& who;
    std::uint32_t id;
  };
  template <class Message>
  using Handler = Result<Reply> (Commands::*)(const Request&, const Message&);
  template <class Message>
  [[nodiscard]] std::optional<Result<Reply>> decoded(const Request& request,
                                                     std::span<const std::byte> body,
                                                     Handler<Message> handler);
  [[nodiscard]] std::optional<Result<Reply>> call_admin(const Request& request,
                                                        shm::MessageType type,
                                                        std::span<const std::byte> body);

  [[nodiscard]] Result<Reply> goodbye(const Request& request, const shm::Goodbye& message);
  // topic_commands.cpp
  [[nodiscard]] Result<Reply> open_topic(const Request& request, const shm::OpenTopic& message);
  [[nodiscard]] Result<Reply> get_slot(const Request& request, const shm::GetSlot& message);
  [[nodiscard]] Result<Reply> open_producer(const Request& request,
                                            const shm::OpenProducer& message);
  [[nodiscard]] Result<Reply> open_ring(const Request& request, const shm::OpenRing& message);
  [[nodiscard]] Result<Reply> close_ring(const Request& request, const shm::CloseRing& message);
  [[nodiscard]] Result<Reply> name_producer(const Request& request,
                                            const shm::NameProducer& message);
  [[nodiscard]] Result<Reply> take_lease(const Request& request, const shm::TakeLease& message);
  [[nodiscard]] Result<Reply> open_reader(const Request& request, const shm::OpenReader& message);
  [[nodiscard]] Result<Reply> close_cell(const Request& request, const shm::CloseCell& message);
  [[nodiscard]] Result<Reply> find_segment(const Request& request, const shm::FindSegment& message);
  [[nodiscard]] Result<Reply> end_of_epoch(const Request& request, const shm::EndOfEpoch& message);
  [[nodiscard]] Result<Reply> find_time(const Request& request, const shm::FindTime& message);
  [[nodiscard]] Result<Reply> list_streams(const Request& request, const shm::ListStreams& message);
  // group_commands.cpp
  [[nodiscard]] Result<Reply> join_group(const Request& request, const shm::JoinGroup& message);
  [[nodiscard]] Result<Reply> leave_group(const Request& request, const shm::LeaveGroup& message);
  [[nodiscard]] Result<Reply> assignment_done(const Request& request,
                                              const shm::AssignmentDone& message);
  [[nodiscard]] Result<Reply> commit_durable(const Request& request,
                                             const shm::CommitDurable& message);
  [[nodiscard]] Result<Reply> list_groups(const Request& request, const shm::ListGroups& message);
  [[nodiscard]] Result<Reply> describe_group(const Request& request,
                                             const shm::DescribeGroup& message);
  [[nodiscard]] Result<Reply> seek_group(const Request& request, const shm::SeekGroup& message);
  [[nodiscard]] Result<Reply> delete_group(const Request& request, const shm::DeleteGroup& message);
  [[nodiscard]] Reply when_groups_are_durable(const Request& request, Reply reply, bool is_queue);
  // queue_commands.cpp
  [[nodiscard]] Result<Reply> join_queue(const Request& request, const shm::JoinQueue& message);
  [[nodiscard]] Result<Reply> leave_queue(const Request& request, const shm::LeaveQueue& message);
  [[nodiscard]] Result<Reply> settle(const Request& request, const shm::Settle& message);
  void list_queues(const shm::ListGroups& message, std::vector<shm::GroupSummary>& out);
  [[nodiscard]] Result<Reply> describe_queue(const Request& request,
                                             const shm::DescribeGroup& message);
  // admin_commands.cpp
  [[nodiscard]] Result<Reply> create_topic(const Request& request, const shm::CreateTopic& message);
  [[nodiscard]] Result<Reply> delete_topic(const Request& request, const shm::DeleteTopic& message);
  [[nodiscard]] Result<Reply> alter_topic(const Request& request, const shm::AlterTopic& message);
  [[nodiscard]] Result<Reply> list_topics(const Request& request, const shm::ListTopics& message);
  [[nodiscard]] Result<Reply> describe_topic(const Request& request,
                                             const shm::DescribeTopic& message);
  [[nodiscard]] Result<Reply> status(const Request& request, const shm::Status& message);
  [[nodiscard]] Result<Reply> list_clients(const Request& request, const shm::ListClients& message);

  // schedule_commands.cpp
  [[nodiscard]] Result<Reply> open_delayed(const Request& request, const shm::OpenDelayed& message);
  [[nodiscard]] Result<Reply> list_delayed(const Request& request, const shm::ListDelayed& message);
  [[nodiscard]] Result<Reply> cancel_delayed(const Request& request,
                                             const shm::CancelDelayed& message);

  [[nodiscard]] bool may(const Session& who, const Topic& topic, shm::Intent intent);
  /// The topic, if it is there and the client may use it so.
  [[nodiscard]] Result<Topic*> allowed(const Session& who, const std::string& name,
                                       shm::Intent intent);
  [[nodiscard]] Result<Topic*> allowed(const Session& who, std::uint64_t topic_id,
                                       PartitionIndex partition, shm::Intent intent);
  /// The same, and the partition is served: Corrupt, and why, if it is in quarantine.
  [[nodiscard]] Result<Topic*> served(const Session& who, std::uint64_t topic_id,
                                      PartitionIndex partition, shm::Intent intent);
  [[nodiscard]] Result<void> administrator(const Session& who, const char* what) const;
  [[nodiscard]] Result<void> not_draining() const;

  /// The answer is sent once the disk has what it says.
  [[nodiscard]] Reply answer_when(const Request& request, Reply reply,
                                  std::function<bool()> is_durable);
  struct Waiting {
    SessionIndex session = 0;
    std::uint64_t token = 0;
    std::vector<std::byte> packet;
    std::function<bool()> is_durable;
  };

  Parts parts_;
  std::vector<Waiting> waiting_;
  std::map<std::string, AllowList> allow_lists_;  ///< by the setting's text
  bool draining_ = false;
};

}  // namespace mallbots::broker
