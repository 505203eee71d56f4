// Provider: the payment company, behind a port. Every call carries a key; the same key again gets
// the same answer and moves no money twice, so that whoever lost an answer asks again.
//
// Who calls: the application, any thread, outside of its transactions; a call may take seconds.
// Errors: Timeout, Io (try again with the same key); Refused (the card was declined, or the amount
// is not there to be taken or given back: final).
#pragma once

#include <string>
#include <string_view>

#include "services/runtime/money.h"
#include "shm/base/result.h"

namespace mallbots::payments {

struct Authorization {
  std::string reference;    ///< the provider's name for it
  std::string fingerprint;  ///< the same for the same card; tells nothing of it
};

class Provider {
 public:
  virtual ~Provider() = default;
  /// Holds the amount. The token goes no further than this call.
  [[nodiscard]] virtual Result<Authorization> authorize(std::string_view key,
                                                        std::string_view card_token,
                                                        const Money& amount) = 0;
  /// Takes so much of what is held and frees the rest.
  [[nodiscard]] virtual Result<void> capture(std::string_view key, std::string_view reference,
                                             const Money& amount) = 0;
  /// Frees what authorize() holds, or would hold, under that key: whoever lost its answer knows no
  /// reference, and one that comes later is refused. After a capture there is nothing to free.
  [[nodiscard]] virtual Result<void> void_hold(std::string_view key,
                                               std::string_view authorize_key) = 0;
  [[nodiscard]] virtual Result<void> refund(std::string_view key, std::string_view reference,
                                            const Money& amount) = 0;
  /// Of a card, without any payment: to see whether it is the same as before.
  [[nodiscard]] virtual Result<std::string> fingerprint(std::string_view card_token) = 0;
};

}  // namespace mallbots::payments
