// Intake: what is decided of a request by its headers, before its body is read and before any
// handler sees it: form, origin, rate, route.
//
// Who calls: connections, on the server's thread.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "services/gateways/http/internal/engine.h"

namespace mallbots::gateways {

namespace beast = boost::beast;
namespace http = boost::beast::http;

struct Peer {
  std::string address;
  bool is_loopback = false;
  bool is_secure = false;
};

struct Intake {
  Request request;
  const Route* route = nullptr;  ///< unless `answer`
  bool is_head = false;
  std::optional<Response> answer;  ///< already: the body does not matter
};

/// What the headers say of the body.
struct BodyAhead {
  bool is_chunked = false;
  std::optional<std::uint64_t> length;
};

[[nodiscard]] Intake take_in(Engine& engine, const Peer& peer,
                             const http::request_header<http::fields>& head, const BodyAhead& body);

}  // namespace mallbots::gateways
