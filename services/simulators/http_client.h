// HttpClient: one kept-alive HTTP/1.1 connection of a simulated person to a gateway on this machine
// (plain text: simulators and gateways meet on the loopback address).
//
// Who calls: one thread per client. ask() rides out whatever a person would: connections that
// break, answers that do not come within 15 s, 429 and 503 (it waits as Retry-After says), gateways
// that are started anew; the same question is asked again, so it must be one that may be repeated
// (an idempotency key, or an absolute change). Errors: Timeout (no other answer for patience_ms;
// says what was in the way last).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "shm/base/result.h"

namespace mallbots::simulators {

struct HttpAddress {
  std::string host;
  std::uint16_t port = 0;

  /// "http://HOST:PORT". BadArgument: something else.
  [[nodiscard]] static Result<HttpAddress> parse(const std::string& url);
};

struct Question {
  std::string method;
  std::string path;
  std::string body{};  ///< JSON; empty: none
  std::map<std::string, std::string> headers{};
};

struct Answer {
  int status = 0;
  std::string body;
  std::string cookie;     ///< NAME=VALUE of Set-Cookie
  int retry_after_s = 0;  ///< 0: not said

  [[nodiscard]] bool is_good() const noexcept { return status >= 200 && status < 300; }
};

class HttpClient {
 public:
  explicit HttpClient(HttpAddress address, std::int64_t patience_ms = 120'000);
  ~HttpClient();

  [[nodiscard]] Result<Answer> ask(const Question& question);

  [[nodiscard]] std::uint64_t questions() const noexcept { return questions_; }
  /// How often one had to be asked again.
  [[nodiscard]] std::uint64_t repetitions() const noexcept { return repetitions_; }

 private:
  struct Connection;
  [[nodiscard]] Result<Answer> ask_once(const Question& question);

  HttpAddress address_;
  std::int64_t patience_ms_;
  std::unique_ptr<Connection> connection_;
  std::uint64_t questions_ = 0;
  std::uint64_t repetitions_ = 0;
};

}  // namespace mallbots::simulators
