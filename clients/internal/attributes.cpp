#include "clients/internal/attributes.h"

#include <cstdint>
#include <cstring>

namespace mallbots::client {
namespace {

constexpr std::size_t kFrontBytes = 4;
constexpr std::size_t kMostBytes = 0xFFFF;
constexpr std::size_t kLongestName = 255;

void put_front(shm::AttributeId id, std::size_t size_bytes, std::vector<std::byte>& out) {
  const std::uint16_t front[2] = {static_cast<std::uint16_t>(id),
                                  static_cast<std::uint16_t>(size_bytes)};
  const auto* bytes = reinterpret_cast<const std::byte*>(front);
  out.insert(out.end(), bytes, bytes + sizeof front);
}

void put_text(std::string_view text, std::vector<std::byte>& out) {
  const auto bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::optional<Attribute> take_attribute(std::span<const std::byte>& rest) noexcept {
  if (rest.size() < kFrontBytes) return std::nullopt;
  std::uint16_t front[2];
  std::memcpy(front, rest.data(), sizeof front);
  if (front[1] > rest.size() - kFrontBytes) return std::nullopt;
  const Attribute attribute{static_cast<shm::AttributeId>(front[0]),
                            rest.subspan(kFrontBytes, front[1])};
  rest = rest.subspan(kFrontBytes + front[1]);
  return attribute;
}

std::optional<std::size_t> attribute_bytes(const Record& record) noexcept {
  std::size_t bytes = record.trace_context.empty() ? 0 : kFrontBytes + record.trace_context.size();
  for (const Header& header : record.headers) {
    if (header.name.size() > kLongestName || header.value.size() > kMostBytes) return std::nullopt;
    bytes += kFrontBytes + 1 + header.name.size() + header.value.size();
  }
  if (bytes > kMostBytes || record.trace_context.size() > kMostBytes) return std::nullopt;
  return bytes;
}

void put_attributes(const Record& record, std::vector<std::byte>& out) {
  for (const Header& header : record.headers) {
    put_front(shm::AttributeId::kHeader, 1 + header.name.size() + header.value.size(), out);
    out.push_back(static_cast<std::byte>(header.name.size()));
    put_text(header.name, out);
    put_text(header.value, out);
  }
  if (!record.trace_context.empty()) {
    put_front(shm::AttributeId::kTraceContext, record.trace_context.size(), out);
    put_text(record.trace_context, out);
  }
}

}  // namespace mallbots::client
