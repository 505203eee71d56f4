// Wiring: members of an application as the functions that processors want.
//
//   commands.handle<AuthorizeCustomer>(call(*customers, &Customers::authorize));
//
// The application outlives what is made of it.
#pragma once

#include "clients/toolkit/handler.h"

namespace mallbots {

template <class App, class Answer, class Body>
[[nodiscard]] auto call(App& app, Answer (App::*member)(toolkit::Context&, const Body&)) {
  return [&app, member](toolkit::Context& context, const Body& body) {
    return (app.*member)(context, body);
  };
}
template <class App, class Answer, class Body>
[[nodiscard]] auto call(const App& app,
                        Answer (App::*member)(toolkit::Context&, const Body&) const) {
  return [&app, member](toolkit::Context& context, const Body& body) {
    return (app.*member)(context, body);
  };
}

}  // namespace mallbots
