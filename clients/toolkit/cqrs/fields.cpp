#include "clients/toolkit/cqrs/fields.h"

namespace mallbots::toolkit::fields_detail {

std::unexpected<Error> wrong(std::string_view path, std::string_view wanted) {
  return fail(ErrorCode::kUndecodable,
              "'" + (path.empty() ? "it" : std::string{path}) + "' is no " + std::string{wanted});
}

}  // namespace mallbots::toolkit::fields_detail
