// Devices: the credentials of robots and kiosks, in a private file that `mall device` writes and
// gateways read, again whenever it has changed.
//
// A secret is 256 random bits, shown once; the file has its SHA-256. A slow hash is for passwords
// that somebody thought of: nobody guesses 256 random bits, however fast the hash.
//
// Who calls: gateways and `mall device`; any thread, any process. A completed change survives a
// power cut; a gateway sees it with its next check. Errors: those of PrivateFile; Corrupt (the file
// does not read); BadArgument (an id that is none); Conflict (the device is there already).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/private_file.h"
#include "shm/base/clock.h"
#include "shm/base/result.h"

namespace mallbots::gateways {

enum class DeviceKind : std::uint8_t { kBot, kKiosk };
[[nodiscard]] std::string_view name_of(DeviceKind kind) noexcept;
/// BadArgument: neither "bot" nor "kiosk".
[[nodiscard]] Result<DeviceKind> device_kind(std::string_view name);

struct Device {
  DeviceKind kind = DeviceKind::kBot;
  std::string id;  ///< 1 to 64 letters, digits, '-', '_', '.'
  UnixMillis added_ms = 0;
};

/// Where the mall keeps them.
[[nodiscard]] std::string devices_file(const std::string& data_dir);

class Devices {
 public:
  explicit Devices(std::string path) : file_(std::move(path)) {}

  /// Its secret, 64 hexadecimal digits.
  [[nodiscard]] Result<std::string> add(DeviceKind kind, const std::string& id);
  /// All of them or none; the secrets in their order.
  [[nodiscard]] Result<std::vector<std::string>> add(DeviceKind kind,
                                                     std::span<const std::string> ids);
  /// False: there was none. Its connections end when they say Hello the next time.
  [[nodiscard]] Result<bool> revoke(DeviceKind kind, const std::string& id);
  /// By kind and id.
  [[nodiscard]] Result<std::vector<Device>> list();

  /// Takes the same time for an unknown device and for a wrong secret.
  [[nodiscard]] Result<bool> check(DeviceKind kind, std::string_view id, std::string_view secret);
  /// For those who show in another way who they are.
  [[nodiscard]] Result<bool> knows(DeviceKind kind, std::string_view id);

 private:
  using Key = std::pair<DeviceKind, std::string>;
  struct Entry {
    std::string digest;
    UnixMillis added_ms = 0;
  };
  using Entries = std::map<Key, Entry>;

  [[nodiscard]] static Result<Entries> parsed(const std::string& content);
  [[nodiscard]] static std::string written(const Entries& entries);
  [[nodiscard]] Result<void> look();  ///< with the lock

  PrivateFile file_;
  std::mutex mutex_;
  bool was_read_ = false;
  std::uint64_t version_ = 0;
  Entries entries_;
};

}  // namespace mallbots::gateways
