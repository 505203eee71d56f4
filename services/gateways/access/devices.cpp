#include "services/gateways/access/devices.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "services/gateways/access/secret.h"

namespace mallbots::gateways {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxIdBytes = 64;

Result<void> check_id(std::string_view id) {
  const auto is_fine = [](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) || c == '-' || c == '_' || c == '.';
  };
  if (!id.empty() && id.size() <= kMaxIdBytes && std::ranges::all_of(id, is_fine)) return {};
  return fail(ErrorCode::kBadArgument,
              "'" + std::string(id.substr(0, kMaxIdBytes)) +
                  "' is no device id: 1 to 64 letters, digits, '-', '_', '.'");
}

}  // namespace

std::string_view name_of(DeviceKind kind) noexcept {
  return kind == DeviceKind::kBot ? "bot" : "kiosk";
}

Result<DeviceKind> device_kind(std::string_view name) {
  if (name == "bot") return DeviceKind::kBot;
  if (name == "kiosk") return DeviceKind::kKiosk;
  return fail(ErrorCode::kBadArgument, "'" + std::string(name) + "' is neither bot nor kiosk");
}

std::string devices_file(const std::string& data_dir) { return data_dir + "/devices.json"; }

Result<Devices::Entries> Devices::parsed(const std::string& content) {
  Entries entries;
  if (content.empty()) return entries;
  try {
    const json whole = json::parse(content);
    for (const json& one : whole.at("devices")) {
      const auto kind = device_kind(one.at("kind").get<std::string>());
      if (!kind) return fail(ErrorCode::kCorrupt, "devices: " + kind.error().detail);
      entries[{*kind, one.at("id")}] = {one.at("sha256"), one.at("added_ms")};
    }
  } catch (const json::exception& wrong) {
    return fail(ErrorCode::kCorrupt, std::string("devices: ") + wrong.what());
  }
  return entries;
}

std::string Devices::written(const Entries& entries) {
  json all = json::array();
  for (const auto& [key, entry] : entries) {
    all.push_back({{"kind", name_of(key.first)},
                   {"id", key.second},
                   {"sha256", entry.digest},
                   {"added_ms", entry.added_ms}});
  }
  return json{{"devices", std::move(all)}}.dump(1) + "\n";
}

Result<std::string> Devices::add(DeviceKind kind, const std::string& id) {
  auto secrets = add(kind, std::span{&id, 1});
  if (!secrets) return std::unexpected(std::move(secrets).error());
  return std::move(secrets->front());
}

Result<std::vector<std::string>> Devices::add(DeviceKind kind, std::span<const std::string> ids) {
  std::vector<std::string> secrets;
  for (const std::string& id : ids) MALLBOTS_TRY(check_id(id));
  for (std::size_t i = 0; i < ids.size(); ++i) secrets.push_back(random_token());
  MALLBOTS_TRY(file_.change([&](const std::string& content) -> Result<std::string> {
    auto entries = parsed(content);
    if (!entries) return std::unexpected(std::move(entries).error());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool is_new =
          entries->emplace(Key{kind, ids[i]}, Entry{digest_of(secrets[i]), wall_now_ms()}).second;
      if (is_new) continue;
      return fail(ErrorCode::kConflict, std::string(name_of(kind)) + " '" + ids[i] +
                                            "' has a credential; revoke it first");
    }
    return written(*entries);
  }));
  return secrets;
}

Result<bool> Devices::revoke(DeviceKind kind, const std::string& id) {
  bool was_there = false;
  MALLBOTS_TRY(file_.change([&](const std::string& content) -> Result<std::string> {
    auto entries = parsed(content);
    if (!entries) return std::unexpected(std::move(entries).error());
    was_there = entries->erase({kind, id}) != 0;
    return written(*entries);
  }));
  return was_there;
}

Result<std::vector<Device>> Devices::list() {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(look());
  std::vector<Device> devices;
  for (const auto& [key, entry] : entries_) {
    devices.push_back({key.first, key.second, entry.added_ms});
  }
  return devices;
}

Result<void> Devices::look() {
  const std::uint64_t version = file_.version();
  if (was_read_ && version == version_) return {};
  auto content = file_.read();
  if (!content) return std::unexpected(std::move(content).error());
  auto entries = parsed(*content);
  if (!entries) return std::unexpected(std::move(entries).error());
  entries_ = std::move(*entries);
  version_ = version;  // as it was before: one that changed meanwhile is read again
  was_read_ = true;
  return {};
}

Result<bool> Devices::check(DeviceKind kind, std::string_view id, std::string_view secret) {
  const std::string digest = digest_of(secret);
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(look());
  const auto found = entries_.find({kind, std::string(id)});
  const bool is_known = found != entries_.end();
  // Of an unknown device the digest is compared with itself, as long as with another's.
  const bool is_equal = equal_secrets(digest, is_known ? found->second.digest : digest);
  return is_known && is_equal;
}

Result<bool> Devices::knows(DeviceKind kind, std::string_view id) {
  const std::lock_guard lock(mutex_);
  MALLBOTS_TRY(look());
  return entries_.contains({kind, std::string(id)});
}

}  // namespace mallbots::gateways
