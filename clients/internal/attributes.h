// Attribute blocks of records: headers and trace context in, and out again. The form is in
// shm/layout/record.h ({u16 id, u16 size, bytes} ...); ids in broker/FORMAT.md.
//
// Pure functions; any thread. What is read may come from a mad producer: nothing outside the block
// is touched, a block that does not parse ends the walk.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "clients/message.h"
#include "clients/producer.h"
#include "shm/layout/record.h"

namespace mallbots::client {

/// One attribute at the front of `rest`, which is moved behind it; nothing at the end or at bytes
/// that are no attribute.
struct Attribute {
  shm::AttributeId id{};
  std::span<const std::byte> value{};
};
[[nodiscard]] std::optional<Attribute> take_attribute(std::span<const std::byte>& rest) noexcept;

/// How many bytes the record's headers and trace context take; nothing if they are more than a
/// record may carry (65,535) or a name is longer than 255.
[[nodiscard]] std::optional<std::size_t> attribute_bytes(const Record& record) noexcept;
/// Appends them to `out`; attribute_bytes() said that they fit.
void put_attributes(const Record& record, std::vector<std::byte>& out);

}  // namespace mallbots::client
