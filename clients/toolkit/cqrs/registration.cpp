#include "clients/toolkit/cqrs/registration.h"

namespace mallbots::toolkit {

Result<void> add(Router& router, Registration registration, HandlerOptions options) {
  options.name = std::move(registration.info.name);
  options.group = std::move(registration.info.group);
  options.topics = std::move(registration.info.topics);
  return router.add(std::move(options), std::move(registration.handler));
}

Result<void> add(Router& router, std::vector<Registration> registrations,
                 const HandlerOptions& options) {
  for (Registration& one : registrations) MALLBOTS_TRY(add(router, std::move(one), options));
  return {};
}

}  // namespace mallbots::toolkit
