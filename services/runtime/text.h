// Text from people: what a domain accepts as a name, a reason, a phone number.
//
// Who calls: domains, any thread. Refusal kInvalid names the field and the limit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "services/runtime/refusal.h"

namespace mallbots {

inline constexpr std::size_t kMaxNameBytes = 200;
/// Of a cancellation or denial: the same for who gives it, who checks it and who only hears of it.
inline constexpr std::size_t kMaxReasonBytes = 500;
inline constexpr std::size_t kMaxTextBytes = 2'000;

/// UTF-8 without control characters.
[[nodiscard]] bool is_readable(std::string_view text);

/// Without the spaces around it. kInvalid: blank, not UTF-8, control characters, or longer than
/// `max_bytes`.
[[nodiscard]] Decision<std::string> checked_text(std::string_view field, std::string_view text,
                                                 std::size_t max_bytes = kMaxNameBytes);

/// Of a sentence that may repeat what somebody gave: at most kMaxSaidBytes, whole letters, and
/// "..." for the rest. More does not fit into the status of a call.
inline constexpr std::size_t kMaxSaidBytes = 300;
[[nodiscard]] std::string clipped(std::string_view sentence);

/// As "+441234567890": a plus, then 7 to 15 digits (ITU-T E.164); spaces, dashes and brackets
/// between them are dropped, a leading 00 stands for the plus. kInvalid otherwise.
[[nodiscard]] Decision<std::string> checked_phone(std::string_view text);

/// "+44*******90": enough to tell two apart on a staff page, too little to call.
[[nodiscard]] std::string masked_phone(std::string_view phone);

}  // namespace mallbots
