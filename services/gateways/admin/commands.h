// Commands: one effect for one idempotency key. Claims: one effect for one thing, and who comes
// second is told who was first.
//
// Who calls: the server's workers, any thread; the same key, or the same thing, waits for the one
// that is at it. In memory, the last kKept of each: after a restart the contexts' own rules hold (a
// repetition changes nothing, another request under the key is a command of its own), and who was
// first is not known any more.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "services/gateways/http/message.h"

namespace mallbots::admin {

using gateways::Response;

inline constexpr std::size_t kKept = 10'000;

class Commands {
 public:
  /// The answer of the first time, or 422 if `fingerprint` is another. What may be tried again
  /// (429, 5xx) is not kept.
  [[nodiscard]] Response run(const std::string& key, const std::string& fingerprint,
                             const std::function<Response()>& body);

 private:
  struct Entry {
    std::mutex mutex;
    std::string fingerprint;
    bool is_done = false;
    Response response;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
  std::deque<std::string> order_;
};

class Claims {
 public:
  /// `what`: "release:ORDER". Not run if somebody did it: then 409, with `deed` and the name.
  [[nodiscard]] Response run(const std::string& what, const std::string& deed,
                             const std::string& who, const std::function<Response()>& body);

 private:
  struct Entry {
    std::mutex mutex;
    std::string done_by;  ///< empty: not done
  };
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
  std::deque<std::string> order_;
};

}  // namespace mallbots::admin
