// PacketSocket: one end of a SOCK_SEQPACKET connection that never blocks. What the peer does not
// take waits in a bounded queue; when that is full the peer is given up. Control thread.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "shm/layout/control.h"
#include "shm/region/fd.h"

namespace mallbots::broker {

/// One packet as it came, not decoded.
struct Packet {
  std::span<const std::byte> bytes;  ///< valid until the next receive()
  std::vector<shm::UniqueFd> fds;
};

enum class Receipt : std::uint8_t {
  kPacket,
  kNothing,  ///< come again when readable
  kClosed,   ///< the peer hung up
  kBad,      ///< oversized, or more descriptors than allowed: close it
};

class PacketSocket {
 public:
  static constexpr std::size_t kQueuedPackets = 256;
  static constexpr std::size_t kQueuedBytes = 1 << 20;

  explicit PacketSocket(shm::UniqueFd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] Receipt receive(Packet& packet);
  /// False: the connection is broken, or its queue full. Close it.
  [[nodiscard]] bool send(std::vector<std::byte> bytes, std::vector<shm::UniqueFd> fds);
  /// Sends what waits; false: broken.
  [[nodiscard]] bool flush();
  /// Something waits for the peer to read.
  [[nodiscard]] bool waiting() const noexcept { return !queue_.empty(); }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  struct Waiting {
    std::vector<std::byte> bytes;
    std::vector<shm::UniqueFd> fds;
  };
  enum class Sent : std::uint8_t { kYes, kLater, kBroken };
  [[nodiscard]] Sent try_send(const Waiting& packet);

  shm::UniqueFd fd_;
  std::deque<Waiting> queue_;
  std::size_t queued_bytes_ = 0;
};

}  // namespace mallbots::broker
