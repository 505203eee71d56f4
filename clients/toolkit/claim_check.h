// Claim check: a payload that is too large for the log is kept elsewhere, and the message carries
// its name (header msg.claim). ClaimingPublisher puts such payloads there; the middleware claims()
// fetches them before the handler, which sees no difference.
//
// Order: the payload is kept before the message is published, so no message names what is not
// there; a death in between leaves a payload that nobody names. Payloads are not removed here: the
// store's owner removes what is older than the topic keeps.
//
// Who calls: any thread. Errors: those of the store; a payload that cannot be fetched is a failure
// of its message, which comes again.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "clients/toolkit/bus.h"
#include "clients/toolkit/handler.h"
#include "shm/base/result.h"

namespace mallbots::toolkit {

class ClaimStore {
 public:
  virtual ~ClaimStore() = default;
  /// Keeps it, so that it survives a power cut, and names it.
  [[nodiscard]] virtual Result<std::string> put(std::string_view payload) = 0;
  [[nodiscard]] virtual Result<std::string> get(const std::string& name) = 0;
};

/// A file per payload, named after its content: the same payload is kept once. Errors: Io,
/// BadArgument (a name that none of its files can have), Corrupt (other bytes than were put).
class DirectoryClaims final : public ClaimStore {
 public:
  /// The directory must exist.
  explicit DirectoryClaims(std::string directory) : directory_(std::move(directory)) {}
  [[nodiscard]] Result<std::string> put(std::string_view payload) override;
  [[nodiscard]] Result<std::string> get(const std::string& name) override;

 private:
  std::string directory_;
};

/// Publishes over `bus`; payloads of more than `limit_bytes` by way of the store. Both outlive it.
class ClaimingPublisher final : public Publisher {
 public:
  ClaimingPublisher(Publisher& bus, ClaimStore& store, std::size_t limit_bytes) noexcept
      : bus_(&bus), store_(&store), limit_bytes_(limit_bytes) {}
  [[nodiscard]] Result<void> publish(const std::string& topic,
                                     std::span<const client::Record> records,
                                     const PublishOptions& options = {}) override;

 private:
  Publisher* bus_;
  ClaimStore* store_;
  std::size_t limit_bytes_;
};

/// Innermost: only what is really handled is fetched.
[[nodiscard]] Middleware claims(ClaimStore& store);

}  // namespace mallbots::toolkit
