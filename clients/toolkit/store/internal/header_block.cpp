#include "clients/toolkit/store/internal/header_block.h"

#include <cstdint>
#include <cstring>

namespace mallbots::toolkit {
namespace {

constexpr std::size_t kMaxBytes = 65'535;
constexpr std::size_t kMaxName = 255;

void put(std::string& block, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  block.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
}

bool take(std::string_view& block, std::string_view& text) {
  std::uint32_t size = 0;
  if (block.size() < sizeof size) return false;
  std::memcpy(&size, block.data(), sizeof size);
  block.remove_prefix(sizeof size);
  if (block.size() < size) return false;
  text = block.substr(0, size);
  block.remove_prefix(size);
  return true;
}

}  // namespace

Result<std::string> pack_headers(std::span<const client::Header> headers) {
  std::string block;
  for (const client::Header& header : headers) {
    if (header.name.size() > kMaxName || block.size() + header.value.size() > kMaxBytes)
      return fail(ErrorCode::kTooLarge,
                  "headers of the message, at '" + std::string{header.name.substr(0, 64)} + "'");
    put(block, header.name);
    put(block, header.value);
  }
  return block;
}

Result<std::vector<client::Header>> unpack_headers(std::string_view block) {
  std::vector<client::Header> headers;
  while (!block.empty()) {
    client::Header header;
    if (!take(block, header.name) || !take(block, header.value))
      return fail(ErrorCode::kCorrupt, "headers of an outbox row");
    headers.push_back(header);
  }
  return headers;
}

}  // namespace mallbots::toolkit
