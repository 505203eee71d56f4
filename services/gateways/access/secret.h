// Secrets: random tokens, what is stored of them, and of passwords.
//
// Who calls: whoever checks credentials; any thread. A token has 256 random bits, so a plain
// SHA-256 of it may be stored; passwords are stored as scrypt (RFC 7914; N 2^15, r 8, p 1: 32 MiB
// and some 0.1 s, one at a time in a process).
#pragma once

#include <string>
#include <string_view>

#include "shm/base/result.h"

namespace mallbots::gateways {

/// 64 hexadecimal digits. CHECK: the system has no randomness.
[[nodiscard]] std::string random_token();
/// SHA-256, 64 hexadecimal digits.
[[nodiscard]] std::string digest_of(std::string_view token);
/// Takes the same time wherever they differ.
[[nodiscard]] bool equal_secrets(std::string_view left, std::string_view right) noexcept;

/// "scrypt:15:8:1:SALT:HASH"
[[nodiscard]] std::string hash_of_password(std::string_view password);
/// False also for a `hash` that is none; takes as long then.
[[nodiscard]] bool is_password(std::string_view password, std::string_view hash);

}  // namespace mallbots::gateways
