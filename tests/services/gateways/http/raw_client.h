// A peer that says exactly what it is told to, byte by byte, for tests of the gateways' server.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mallbots::gateways {

struct RawAnswer {
  int status = 0;  ///< 0: the connection ended instead
  std::string head;
  std::string body;
  [[nodiscard]] bool has(std::string_view text) const {
    return head.find(text) != std::string::npos;
  }
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    if (receive_buffer != 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) end();
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { end(); }

  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  void end() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void say(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void say_no_more() const { ::shutdown(fd_, SHUT_WR); }

  /// One answer; what came behind it is kept for the next.
  RawAnswer answer(bool to_head = false) {
    RawAnswer result;
    const auto end_of_head = wait_for("\r\n\r\n");
    if (end_of_head == std::string::npos) return result;
    result.head = buffer_.substr(0, end_of_head + 4);
    buffer_.erase(0, end_of_head + 4);
    result.status = std::stoi(result.head.substr(9, 3));
    const auto at = result.head.find("Content-Length: ");
    const std::size_t size = at == std::string::npos ? 0 : std::stoul(result.head.substr(at + 16));
    if (to_head) return result;
    while (buffer_.size() < size && more()) {
    }
    result.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return result;
  }
  RawAnswer ask(std::string_view request) {
    say(request);
    return answer();
  }
  /// Nothing more comes: the other side has ended the connection.
  bool is_ended() {
    while (more()) {
    }
    return true;
  }
  bool take(std::size_t size, std::string& bytes) {
    while (buffer_.size() < size) {
      if (!more()) return false;
    }
    bytes = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return true;
  }

  // --- WebSocket

  struct Frame {
    int opcode = -1;  ///< -1: the connection ended
    std::string text;
    [[nodiscard]] int close_code() const {
      if (opcode != 8 || text.size() < 2) return 0;
      return static_cast<std::uint8_t>(text[0]) << 8 | static_cast<std::uint8_t>(text[1]);
    }
  };
  RawAnswer upgrade(const std::string& path, const std::string& headers = {}) {
    return ask("GET " + path +
               " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
               headers + "\r\n");
  }
  /// Masked with zeros, which is allowed.
  void frame(int opcode, const std::string& text) const {
    std::string bytes(1, static_cast<char>(0x80 | opcode));
    if (text.size() < 126) {
      bytes += static_cast<char>(0x80 | text.size());
    } else {
      const bool is_short = text.size() <= 0xFFFF;
      bytes += static_cast<char>(0x80 | (is_short ? 126 : 127));
      for (int shift = is_short ? 8 : 56; shift >= 0; shift -= 8) {
        bytes += static_cast<char>(text.size() >> shift & 0xFF);
      }
    }
    say(bytes + std::string(4, '\0') + text);
  }
  Frame next_frame() {
    std::string head;
    if (!take(2, head)) return {};
    const int opcode = head[0] & 0x0F;
    std::size_t size = static_cast<std::uint8_t>(head[1]) & 0x7F;
    if (size >= 126) {
      std::string length;
      if (!take(size == 126 ? 2 : 8, length)) return {};
      size = 0;
      for (const char c : length) size = size << 8 | static_cast<std::uint8_t>(c);
    }
    std::string text;
    if (!take(size, text)) return {};
    return {opcode, std::move(text)};
  }

 private:
  bool more() {
    char bytes[4096];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  std::size_t wait_for(std::string_view text) {
    while (true) {
      const auto at = buffer_.find(text);
      if (at != std::string::npos || !more()) return at;
    }
  }

  int fd_ = -1;
  std::string buffer_;
};

}  // namespace mallbots::gateways
