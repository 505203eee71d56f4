// BatchRoom: where a worker lays out a batch for its handler, the same memory each time.
//
// Who calls: the worker that owns it. No errors of its own.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "clients/message.h"
#include "clients/toolkit/handler.h"

namespace mallbots::toolkit {

class BatchRoom {
 public:
  BatchRoom(std::size_t size, const Context::Surroundings& around);
  BatchRoom(const BatchRoom&) = delete;
  BatchRoom& operator=(const BatchRoom&) = delete;

  /// Item `i` is this message; the record must live until the next one is laid there.
  void lay(std::size_t i, const client::Message& record, std::uint32_t attempt) {
    // Made where it stays: a copy would wait for each field's store.
    std::construct_at(&messages_[i], record, attempt);
  }
  /// Calls the handler with the first `count` items, then the chain with each one's outcome: it
  /// publishes, logs, counts. `chain` may be empty if nothing but publications is to be done. An
  /// exception is the outcome of all.
  void run(std::size_t count, const BatchHandler& handler, const Handler& chain, bool is_plain);

  /// What came of item `i`.
  [[nodiscard]] const Handled& outcome(std::size_t i) const { return items_[i].outcome; }
  /// It must come again because one of its key before it failed.
  [[nodiscard]] bool must_wait(std::size_t i) const;
  [[nodiscard]] bool has_failures() const noexcept { return !failed_.empty(); }

 private:
  std::vector<Message> messages_;
  std::deque<Context> contexts_;
  std::vector<BatchItem> items_;
  std::vector<std::size_t> failed_;
};

}  // namespace mallbots::toolkit
