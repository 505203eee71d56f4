// ControlClient: the control protocol spoken by hand, well or badly: what a hostile, an old or a
// broken client could send. Blocking, with a limit of 10 s. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/base/result.h"
#include "shm/layout/control.h"
#include "shm/layout/layout.h"
#include "shm/region/fd.h"

namespace mallbots::test {

struct Answer {
  shm::MessageHeader header{};
  std::vector<std::byte> body;
  std::vector<shm::UniqueFd> fds;

  [[nodiscard]] ErrorCode error() const { return static_cast<ErrorCode>(header.error); }
  /// The body of an error reply.
  [[nodiscard]] std::string detail() const;
  template <class Body>
  [[nodiscard]] std::optional<Body> as() const {
    return shm::decode<Body>(body);
  }
};

class ControlClient {
 public:
  /// Not connected if nobody listens; see connected().
  explicit ControlClient(const std::string& socket_path);

  [[nodiscard]] bool connected() const { return static_cast<bool>(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }

  /// False: the other side has closed.
  bool send(std::span<const std::byte> packet, std::span<const int> fds = {});
  /// The next packet; nothing: closed, or 10 s passed.
  [[nodiscard]] std::optional<Answer> receive();
  /// True if the other side closes within 10 s, whatever it sends before.
  [[nodiscard]] bool closed();

  /// Sends and waits for the reply of that request; what is pushed meanwhile is dropped.
  template <class Message>
  [[nodiscard]] std::optional<Answer> call(const Message& message, std::span<const int> fds = {}) {
    const std::uint32_t id = next_id_++;
    if (!send(shm::encode_packet(Message::kType, id, message), fds)) return std::nullopt;
    for (;;) {
      auto answer = receive();
      if (!answer || answer->header.request_id == id) return answer;
    }
  }

  struct Welcome {
    shm::HelloReply reply;
    shm::UniqueFd page;
    shm::UniqueFd wake;
  };
  /// A good Hello.
  [[nodiscard]] Result<Welcome> hello(const std::string& name = "test",
                                      std::uint32_t session = shm::kNoSession,
                                      std::uint64_t token = 0);
  [[nodiscard]] Result<shm::CreateTopicReply> create_topic(
      const std::string& name, std::uint32_t partitions,
      const std::vector<std::pair<std::string, std::string>>& settings = {});

 private:
  shm::UniqueFd fd_;
  std::uint32_t next_id_ = 1;
};

}  // namespace mallbots::test
