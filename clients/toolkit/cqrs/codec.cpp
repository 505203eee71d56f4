#include "clients/toolkit/cqrs/codec.h"

namespace mallbots::toolkit::codec_detail {

std::unexpected<Error> undecodable(const Message& message, std::string_view wanted,
                                   std::string_view reason) {
  return fail(ErrorCode::kUndecodable, "message " + message.id() + " on '" +
                                           std::string{message.topic()} + "' is '" +
                                           std::string{message.name()} + "', read as '" +
                                           std::string{wanted} + "': " + std::string{reason});
}

}  // namespace mallbots::toolkit::codec_detail
