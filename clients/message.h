// Message: one record as a consumer sees it, and the headers that ride on records.
//
// A Message is a view: key, payload and headers point into shared memory (or into the consumer's
// read buffer for records that come from disk) and are valid until the next call of poll(), seek(),
// latest() or close of the Consumer that gave it, or until max.poll.interval, whichever comes
// first. copy() gives one that lives by itself. Any thread may read a Message while it is valid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/base/ids.h"

namespace mallbots::client {

/// Name and value of one header. A name has at most 255 bytes.
struct Header {
  std::string_view name;
  std::string_view value;
};

/// Walks the headers in an attribute block, front to back.
class HeaderRange {
 public:
  class Iterator {
   public:
    using value_type = Header;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(std::span<const std::byte> rest) : rest_(rest) { advance(); }
    Header operator*() const noexcept { return current_; }
    Iterator& operator++() {
      advance();
      return *this;
    }
    void operator++(int) { advance(); }
    bool operator==(std::default_sentinel_t) const noexcept { return at_end_; }

   private:
    void advance() noexcept;
    std::span<const std::byte> rest_{};
    Header current_{};
    bool at_end_ = false;
  };

  explicit HeaderRange(std::span<const std::byte> attributes) noexcept : attributes_(attributes) {}
  [[nodiscard]] Iterator begin() const { return Iterator{attributes_}; }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  std::span<const std::byte> attributes_;
};

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

class OwnedMessage;

struct Message {
  std::string_view topic;
  PartitionIndex partition = 0;
  Offset offset = 0;
  UnixMillis timestamp_ms = 0;       ///< never steps back within a partition
  std::span<const std::byte> key{};  ///< empty: no key
  std::span<const std::byte> payload{};
  std::span<const std::byte> attributes{};  ///< raw, shm/layout/record.h
  std::uint64_t producer_id = 0;
  std::uint64_t sequence = 0;
  bool is_tombstone = false;  ///< the key is deleted
  bool ends_batch = true;     ///< the last record of an atomic batch
  bool is_internal = false;   ///< an event that its context keeps to itself
  bool from_disk = false;     ///< read from a file, not from memory
  /// Which topic of that name: one that was deleted and made anew has another. 0: not said.
  std::uint64_t topic_id = 0;

  [[nodiscard]] std::string_view key_text() const noexcept { return as_text(key); }
  [[nodiscard]] std::string_view text() const noexcept { return as_text(payload); }
  [[nodiscard]] HeaderRange headers() const noexcept { return HeaderRange{attributes}; }
  /// The first header of that name.
  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
  /// W3C traceparent, empty if the record carries none.
  [[nodiscard]] std::string_view trace_context() const noexcept;
  [[nodiscard]] OwnedMessage copy() const;
};

/// A Message with its own bytes.
class OwnedMessage {
 public:
  OwnedMessage() = default;
  explicit OwnedMessage(const Message& message) { assign(message); }
  OwnedMessage(const OwnedMessage& other) : OwnedMessage(other.view_) {}
  OwnedMessage& operator=(const OwnedMessage& other) {
    if (this != &other) assign(other.view_);
    return *this;
  }
  OwnedMessage(OwnedMessage&& other) noexcept = default;
  OwnedMessage& operator=(OwnedMessage&& other) noexcept = default;

  /// Copies `message` in; allocates only if it is larger than any before.
  void assign(const Message& message);
  /// Valid as long as this object and until it is assigned again.
  [[nodiscard]] const Message& view() const noexcept { return view_; }
  [[nodiscard]] const Message* operator->() const noexcept { return &view_; }

 private:
  std::vector<char> bytes_;
  Message view_;
};

}  // namespace mallbots::client
