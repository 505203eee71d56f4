// Money on the wire (money.proto) and back. kInvalid: no currency, or beyond what Money may be.
#pragma once

#include "services/runtime/money.h"
#include "services/runtime/money.pb.h"

namespace mallbots {

[[nodiscard]] inline runtimepb::Money to_proto(const Money& money) {
  runtimepb::Money message;
  message.set_minor(money.minor);
  message.set_currency(money.currency.letters.data(), money.currency.letters.size());
  return message;
}

[[nodiscard]] inline Decision<Money> from_proto(const runtimepb::Money& message) {
  const auto currency = parse_currency(message.currency());
  if (!currency) return std::unexpected(currency.error());
  const Money money{message.minor(), *currency};
  if (message.minor() < -Money::kMaxMinor || message.minor() > Money::kMaxMinor) {
    return refuse(RefusalKind::kInvalid, "an amount is too large");
  }
  return money;
}

}  // namespace mallbots
