// What a command gives back to its client. Control thread.
#pragma once

#include <fcntl.h>

#include <vector>

#include "shm/layout/control.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

struct Reply {
  std::vector<std::byte> packet;
  std::vector<shm::UniqueFd> fds;
  bool later = false;  ///< nothing is sent now; somebody answers the request by its id
};

template <class Body>
[[nodiscard]] Reply reply_with(std::uint32_t request_id, const Body& body,
                               std::vector<shm::UniqueFd>&& fds = {}) {
  return {.packet = shm::encode_packet(shm::MessageType::kReply, request_id, body),
          .fds = std::move(fds)};
}

/// The packet that carries an error: its body is one string, cut to what a packet holds.
[[nodiscard]] inline std::vector<std::byte> error_packet(std::uint32_t request_id,
                                                         const Error& error) {
  struct Detail {
    std::string text;
    void fields(shm::Encoder& encoder) { encoder(text); }
  };
  constexpr std::size_t kLongestDetail = 4096;
  auto packet = shm::encode_packet(shm::MessageType::kReply, request_id,
                                   Detail{error.detail.substr(0, kLongestDetail)});
  shm::MessageHeader header{};
  std::memcpy(&header, packet.data(), sizeof header);
  header.error = static_cast<std::uint16_t>(error.code);
  std::memcpy(packet.data(), &header, sizeof header);
  return packet;
}

[[nodiscard]] inline shm::UniqueFd copy_of(int fd) {
  return shm::UniqueFd{fcntl(fd, F_DUPFD_CLOEXEC, 0)};
}

}  // namespace mallbots::broker
