// The catalogue of everything that may fail in normal life: one row per error, one source for the
// code, `mallbots errors`, docs/ERRORS.md and the exit codes.
//
// An Error is a value: its code says which row, its detail names the input and the reason in one
// sentence. The remedy comes from the catalogue, so that it reads the same everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mallbots {

/// Exit codes of every MallBots program (a contract: scripts depend on them).
enum class ExitCode : std::uint8_t {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNoBroker = 3,
  kNotPermitted = 4,
  kConflict = 5,
  kCorruption = 6,
};

// name, exit code, what happened, what to do
#define MALLBOTS_ERRORS(X)                                                                         \
  X(NoBroker, kNoBroker, "no broker answers for this instance",                                    \
    "start it with `mallbotsd`, or name the instance with --instance or --runtime-dir")            \
  X(ConnectionLost, kNoBroker, "the broker went away and did not come back in time",               \
    "look at the broker's log; the keeper restarts it by itself unless it died 5 times in 60 s")   \
  X(NotPermitted, kNotPermitted, "this user may not do that",                                      \
    "ask the operator to add the user to the topic's produce.allow or consume.allow")              \
  X(UnknownTopic, kFailed, "there is no topic of that name",                                       \
    "`mallbots topic list` shows the names; create it with `mallbots topic create`")               \
  X(TopicExists, kFailed, "a topic of that name exists already",                                   \
    "use it, choose another name, or delete it with `mallbots topic delete NAME --execute`")       \
  X(TopicGone, kFailed, "the topic was deleted while in use", "stop using it, or create it anew")  \
  X(BadTopicName, kUsage, "the name cannot be a topic name",                                       \
    "use 1 to 200 bytes of UTF-8 without control characters, '/' or a leading '.' or '_'")         \
  X(BadPartition, kUsage, "the partition is out of range",                                         \
    "`mallbots topic describe NAME` shows how many partitions it has, counted from 0")             \
  X(UnknownSetting, kUsage, "there is no setting of that name",                                    \
    "docs/CLI.md lists the topic settings")                                                        \
  X(BadSetting, kUsage, "the setting has an impossible value",                                     \
    "docs/CLI.md lists each setting's unit and range")                                             \
  X(FixedSetting, kUsage, "that setting cannot change after the topic is created",                 \
    "create a new topic and copy the records with `mallbots consume | mallbots produce`")          \
  X(BadArgument, kUsage, "an argument is not usable", "see --help for the form it takes")          \
  X(BadConfig, kUsage, "the configuration is not usable",                                          \
    "correct the line named; `mallbotsd --check-config` checks without starting")                  \
  X(TooLarge, kFailed, "the record or batch is larger than the topic takes",                       \
    "send less at once, or create the topic with larger slot.bytes (record.max is half a slot)")   \
  X(Timeout, kFailed, "the deadline passed before it could be done",                               \
    "try again; nothing was appended. If it lasts, look at `mallbots status` for a stalled disk")  \
  X(Conflict, kConflict, "the expected offset or version is not the actual one",                   \
    "read on from the actual one and decide again")                                                \
  X(OutOfSequence, kFailed, "the producer's sequence number leaves a gap",                         \
    "send the missing records first, or open a new producer")                                      \
  X(LeaseLost, kFailed, "another producer took the partition over",                                \
    "the records not acknowledged are not in the log; open the producer anew to take it back")     \
  X(LeaseHeld, kFailed, "the partition has an exclusive producer",                                 \
    "wait for it to end, or take the partition over on purpose")                                   \
  X(Revoked, kFailed, "the broker ended this session", "the broker's log says why; connect again") \
  X(ViewExpired, kFailed, "a zero-copy view was held longer than max.poll.interval",               \
    "copy what must live longer, or poll more often")                                              \
  X(Evicted, kFailed, "records were overwritten before they were read (memory topic)",             \
    "the reader goes on at the oldest record kept; read faster or give the topic more slots")      \
  X(Truncated, kFailed, "the position lies behind records that a power cut took back",             \
    "the reader was set back to the last record that survived")                                    \
  X(Damaged, kCorruption, "a range of offsets is damaged",                                         \
    "the reader goes on behind it; `mallbots verify` names the file and the range")                \
  X(BadPosition, kFailed, "the position is not in the log",                                        \
    "read from start, end or an offset that `mallbots topic describe` shows as kept")              \
  X(UnknownGroup, kFailed, "there is no consumer group of that name", "see `mallbots group list`") \
  X(BadGroupName, kUsage, "the name cannot be a group name",                                       \
    "use 1 to 200 bytes of UTF-8 without control characters, '/' or a leading '.'")                \
  X(GroupBusy, kFailed, "the group has members",                                                   \
    "stop them first; `mallbots group describe` shows their processes")                            \
  X(Fenced, kFailed, "the consumer is no longer the owner of the partition",                       \
    "another member of the group has it; poll again for the new assignment")                       \
  X(DiskFull, kFailed, "the data directory has no room left",                                      \
    "free space or lower retention.bytes; consumers and deletion go on meanwhile")                 \
  X(MemoryFull, kFailed, "the instance's memory.max does not allow it",                            \
    "delete topics, use fewer or smaller slots, or raise memory.max")                              \
  X(DiskBudget, kFailed, "the instance's disk.max does not allow it",                              \
    "lower the topic's retention.bytes or raise disk.max")                                         \
  X(Io, kFailed, "the system refused a file operation",                                            \
    "look at the system's log; what was acknowledged durable is safe")                             \
  X(Corrupt, kCorruption, "bytes on disk or in shared memory do not check out",                    \
    "keep the file; `mallbots verify --deep` shows what is damaged and what is not")               \
  X(NoMarker, kFailed, "the data directory has no MallBots marker but is not empty",               \
    "is the right disk mounted? Point --data-dir at the right directory or an empty one")          \
  X(WrongOwner, kNotPermitted, "a directory belongs to another user or is open to others",         \
    "chown it to the broker's user and chmod it 0700")                                             \
  X(InUse, kFailed, "another broker has the data directory",                                       \
    "stop it first; the message names its process")                                                \
  X(WrongVersion, kFailed, "the other side speaks another layout or format version",               \
    "use client and broker of the same release")                                                   \
  X(BadMessage, kFailed, "a control message could not be understood",                              \
    "use client and broker of the same release")                                                   \
  X(LimitReached, kFailed, "a limit of the instance is reached",                                   \
    "close sessions or delete topics; the message names the limit")                                \
  X(Draining, kFailed, "the broker is shutting down", "wait for the next broker and try again")    \
  X(Unsupported, kFailed, "this kernel or file system does not allow it",                          \
    "`mallbots doctor` shows what this host allows and how to change it")                          \
  X(Busy, kFailed, "another thread of this process is inside the same call",                       \
    "do not append from a signal handler; give each thread its own Producer")                      \
  X(NotDurable, kFailed, "the records are in the log, but were not flushed by the deadline",       \
    "wait for them again; readers see them, but a power cut may still take them back")             \
  X(UnknownDelayed, kFailed, "there is no delayed record of that id",                              \
    "it was delivered or cancelled, or never was; `mallbots schedule list` shows what is pending") \
  X(DelayTooLong, kUsage, "the record is to be delayed longer than the instance allows",           \
    "choose an earlier time, or raise delay.max of the broker")                                    \
  X(Closed, kFailed, "the subscription was closed", "subscribe again to receive more")             \
  X(WrongMode, kFailed,                                                                            \
    "a group is either a queue or shares partitions, and this one is the other",                   \
    "use another group name, or delete the group with `mallbots group delete`")                    \
  X(NotHeld, kFailed, "the message is not held by this consumer",                                  \
    "its lock expired or its session ended: it comes again, to this or another consumer")          \
  X(AlreadySettled, kFailed, "the message was settled before", "settle each message once")         \
  X(UnknownLetter, kFailed, "there is no such dead letter",                                        \
    "`mallbots dlq list TOPIC -g GROUP` shows those that are left")                                \
  X(NameTaken, kFailed, "another producer took the name over",                                     \
    "what was not acknowledged may be sent again by the new holder; open the producer anew to "    \
    "take the name back")                                                                          \
  X(InDoubt, kFailed, "the broker's memory was lost while it was appending the record",            \
    "read the end of the log to see whether the record is there before it is sent again")          \
  X(UnknownStream, kFailed, "there is no stream of that id",                                       \
    "`mallbots events streams TOPIC` shows the ids; an append creates a stream")                   \
  X(BadStreamId, kUsage, "that cannot be the id of a stream",                                      \
    "use 1 to 200 bytes of UTF-8 without control characters or a leading '$'")                     \
  X(StoreFailed, kFailed, "the service's database refused a statement",                            \
    "nothing of the transaction was kept; the message names the statement and the reason")         \
  X(Undecodable, kFailed, "the payload is not what the message's name and version say",            \
    "give the type a step from that version, or let the message go to the dead letters")           \
  X(Incompatible, kConflict, "the set of messages breaks what was released",                       \
    "keep the released form and add a new version beside it")                                      \
  X(Refused, kFailed, "a rule of the service refuses it", "the message says which")

enum class ErrorCode : std::uint16_t {
  kNone = 0,
#define MALLBOTS_ERROR_ENUM(name, exit, what, remedy) k##name,
  MALLBOTS_ERRORS(MALLBOTS_ERROR_ENUM)
#undef MALLBOTS_ERROR_ENUM
};

/// One row of the catalogue.
struct ErrorEntry {
  ErrorCode code;
  std::string_view name;  ///< as in `mallbots errors NAME`
  ExitCode exit_code;
  std::string_view what;
  std::string_view remedy;
};

/// All rows, in the order of ErrorCode, without kNone.
[[nodiscard]] std::span<const ErrorEntry> error_catalogue() noexcept;

/// The row of `code`; a code outside the catalogue (it came over the wire) gives the row of
/// BadMessage.
[[nodiscard]] const ErrorEntry& error_entry(ErrorCode code) noexcept;

/// A failure as a value.
struct Error {
  ErrorCode code = ErrorCode::kNone;
  std::string detail;  ///< names the input and the reason; may be empty

  /// `what: detail; remedy`, one line for people.
  [[nodiscard]] std::string sentence() const;
};

}  // namespace mallbots
