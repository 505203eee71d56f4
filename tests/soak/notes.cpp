#include "tests/soak/notes.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "shm/base/check.h"

namespace mallbots::test {
namespace {

constexpr int kFalsified = 50;

}  // namespace

Notes::Notes(const std::string& path, std::string who)
    : who_(std::move(who)),
      file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  CHECK(file_);
  if (const char* const order = std::getenv("MALLBOTS_SOAK_SABOTAGE")) sabotage_ = order;
}

void Notes::add(BootNanos time_ns, const std::string& words) {
  lines_ += std::to_string(time_ns) + ' ' + who_ + ' ' + words + '\n';
}

void Notes::add_delivery(BootNanos time_ns, const std::string& words) {
  ++deliveries_;
  if (deliveries_ == kFalsified && sabotage_ == "drop") return;
  if (deliveries_ == kFalsified && sabotage_ == "double") add(time_ns, words);
  if (deliveries_ == kFalsified && sabotage_ == "swap") {
    held_back_ = words;
    return;
  }
  add(time_ns, words);
  if (!held_back_.empty()) add(time_ns, std::exchange(held_back_, {}));
}

void Notes::write() {
  if (lines_.empty()) return;
  CHECK(::write(file_.get(), lines_.data(), lines_.size()) == static_cast<ssize_t>(lines_.size()));
  lines_.clear();
}

std::string value_of(const client::Message& message) {
  return std::string{message.text().substr(0, message.text().find(' '))};
}

std::string key_of(const client::Message& message) {
  return message.key.empty() ? "-" : std::string{message.key_text()};
}

std::string place_of(const client::Message& message) {
  return std::to_string(message.partition) + ' ' + std::to_string(message.offset);
}

}  // namespace mallbots::test
