// Notes: the history of one life of one worker (tests/history/history.h), written so that a SIGKILL
// takes no line that was written, and sabotage of it, which the checks must find.
//
// One thread. A file that cannot be written ends the program.
#pragma once

#include <string>

#include "clients/message.h"
#include "shm/base/clock.h"
#include "shm/region/fd.h"

namespace mallbots::test {

class Notes {
 public:
  Notes(const std::string& path, std::string who);

  /// "TIME WHO words" of something that happened at `time_ns`; kept until write().
  void add(BootNanos time_ns, const std::string& words);
  /// A delivery, which sabotage may falsify: the 50th is left out (drop), comes twice (double), or
  /// changes places with the one behind it (swap).
  void add_delivery(BootNanos time_ns, const std::string& words);
  /// All that was added, with one write(2).
  void write();
  /// One line, at once, of this moment.
  void write(const std::string& words) {
    add(boot_now_ns(), words);
    write();
  }

  [[nodiscard]] const std::string& who() const noexcept { return who_; }

 private:
  std::string who_;
  std::string sabotage_;
  shm::UniqueFd file_;
  std::string lines_;
  std::string held_back_;
  int deliveries_ = 0;
};

/// The record's name, which is its first word, and its key, "-" if it has none.
[[nodiscard]] std::string value_of(const client::Message& message);
[[nodiscard]] std::string key_of(const client::Message& message);
/// Its partition and offset.
[[nodiscard]] std::string place_of(const client::Message& message);

}  // namespace mallbots::test
