#include "clients/toolkit/claim_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <vector>

#include "shm/base/hash.h"

namespace mallbots::toolkit {
namespace {

constexpr std::size_t kNameDigits = 32;

std::string name_of(std::string_view payload) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::uint64_t halves[] = {xxh3(payload.data(), payload.size(), 1),
                                  xxh3(payload.data(), payload.size(), 2)};
  std::string name;
  for (const std::uint64_t half : halves)
    for (int shift = 60; shift >= 0; shift -= 4) name.push_back(kHex[half >> shift & 0xf]);
  return name;
}

bool can_be_name(const std::string& name) {
  return name.size() == kNameDigits &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::unexpected<Error> io_failure(const std::string& what) {
  return fail(ErrorCode::kIo, what + ": " + std::strerror(errno));
}

Result<void> write_whole(const std::string& path, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return io_failure("payload '" + path + "'");
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0) break;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  const bool is_kept = bytes.empty() && ::fsync(file) == 0;
  if (::close(file) != 0 || !is_kept) return io_failure("payload '" + path + "'");
  return {};
}

/// The name survives a power cut when the directory is flushed.
Result<void> flush_directory(const std::string& directory) {
  const int folder = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return io_failure("directory '" + directory + "'");
  const bool is_flushed = ::fsync(folder) == 0;
  ::close(folder);
  if (!is_flushed) return io_failure("directory '" + directory + "'");
  return {};
}

}  // namespace

Result<std::string> DirectoryClaims::put(std::string_view payload) {
  const std::string name = name_of(payload);
  const std::string path = directory_ + "/" + name;
  // Others may put the same: each writes a file of its own and gives it the common name.
  const std::string own = path + "." + new_message_id();
  if (const auto written = write_whole(own, payload); !written) {
    ::unlink(own.c_str());
    return std::unexpected(written.error());
  }
  if (::rename(own.c_str(), path.c_str()) != 0) return io_failure("payload '" + path + "'");
  MALLBOTS_TRY(flush_directory(directory_));
  return name;
}

Result<std::string> DirectoryClaims::get(const std::string& name) {
  if (!can_be_name(name)) return fail(ErrorCode::kBadArgument, "claim '" + name + "'");
  std::ifstream file{directory_ + "/" + name, std::ios::binary};
  if (!file) return io_failure("payload '" + directory_ + "/" + name + "'");
  std::string payload{std::istreambuf_iterator<char>{file}, {}};
  if (name_of(payload) != name)
    return fail(ErrorCode::kCorrupt, "payload '" + directory_ + "/" + name + "'");
  return payload;
}

Result<void> ClaimingPublisher::publish(const std::string& topic,
                                        std::span<const client::Record> records,
                                        const PublishOptions& options) {
  std::vector<client::Record> light{records.begin(), records.end()};
  std::deque<std::string> names;
  std::deque<std::vector<client::Header>> headers;
  for (client::Record& record : light) {
    if (record.payload.size() <= limit_bytes_) continue;
    auto name = store_->put(client::as_text(record.payload));
    if (!name) return std::unexpected(std::move(name).error());
    auto& with_claim = headers.emplace_back(record.headers.begin(), record.headers.end());
    with_claim.push_back({kMessageClaim, names.emplace_back(std::move(*name))});
    record.headers = with_claim;
    record.payload = {};
  }
  return bus_->publish(topic, light, options);
}

Middleware claims(ClaimStore& store) {
  const auto wrap = [&store](Handler next, const HandlerInfo& /*of*/) {
    return [&store, next = std::move(next)](Context& context, const Message& message) -> Handled {
      const auto name = message.header(kMessageClaim);
      if (!name) return next(context, message);
      const auto payload = store.get(std::string{*name});
      if (!payload) return std::unexpected(payload.error());
      return next(context, message.with_payload(client::as_bytes(*payload)));
    };
  };
  return {.name = "claims", .layer = Layer::kHandler, .wrap = wrap};
}

}  // namespace mallbots::toolkit
