// Submissions: the gateway's note of every submit that it began: which body came with which key,
// and what became of it. It is there so that a key with another body is known, a refused one stays
// refused, and nothing stays held on a card that no order will take.
//
//   begin ──▶ open ──▶ done      the cart is checked out
//               └────▶ refused   and in the same transaction: ReleasePayment
//
// No phone number, name or card is in it: of the body there is a keyed hash.
//
// Who calls: the gateway's handlers, its timer; any thread. A completed call survives a power cut
// (done() may be lost: it is found out again). Errors: those of Database.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/runtime/unit.h"

namespace mallbots::kiosk {

struct Submission {
  enum class State : std::uint8_t { kOpen, kDone, kRefused };

  std::string key;  ///< of cart and Idempotency-Key
  std::string cart_id;
  std::string body;  ///< keyed hash
  std::string payment_id;
  std::string customer_id;
  State state = State::kOpen;
  std::string refusal{};  ///< the answer's body, once refused
  int refusal_status = 0;
};

class Submissions {
 public:
  /// Makes the table if it is not there.
  [[nodiscard]] static Result<std::unique_ptr<Submissions>> open(Units units);

  [[nodiscard]] Outcome<std::optional<Submission>> find(const std::string& key) const;
  /// Before the card is asked. Gives what is known of the key: `wanted` itself if nothing was.
  [[nodiscard]] Outcome<Submission> begin(const Submission& wanted, std::int64_t now_ms);
  [[nodiscard]] Outcome<void> done(const std::string& key);
  /// What is held is given back.
  [[nodiscard]] Outcome<void> refuse(const Submission& refused);
  /// Open ones that nobody has touched since; at most 100, oldest first.
  [[nodiscard]] Outcome<std::vector<Submission>> left_open_since(std::int64_t then_ms) const;
  /// Those that ended before, of whom nobody will ask any more.
  [[nodiscard]] Outcome<void> forget_ended_before(std::int64_t then_ms);

 private:
  explicit Submissions(Units units) noexcept : units_(units) {}
  Units units_;
};

}  // namespace mallbots::kiosk
