// What notifications needs of others: whom to call, and somebody who carries text messages.
//
// Who calls: Notifications, from the router's threads, outside of transactions. Numbers are in the
// clear in here and nowhere behind it.
#pragma once

#include <string>
#include <string_view>

#include "clients/toolkit/message.h"
#include "services/runtime/outcome.h"

namespace mallbots::notifications {

class Numbers {
 public:
  virtual ~Numbers() = default;
  /// kUnknown: there is no such customer. Errors: whoever knows is not there now.
  [[nodiscard]] virtual Outcome<std::string> number_of(const std::string& customer_id,
                                                       const toolkit::Cause& cause) = 0;
};

struct Sms {
  std::string key;  ///< the same again is the same message, and is not sent again
  std::string number;
  std::string text;
};

class SmsCarrier {
 public:
  virtual ~SmsCarrier() = default;
  /// Errors: it may have been sent, or not; asked again under the same key it says so.
  [[nodiscard]] virtual Result<void> send(const Sms& sms) = 0;
};

}  // namespace mallbots::notifications
