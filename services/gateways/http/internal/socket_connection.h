// A WebSocket's connection, from the upgrade on.
//
// Who calls: connection.cpp. Includes Boost.Beast.
#pragma once

#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/ssl.hpp>
#include <memory>

#include "services/gateways/http/internal/intake.h"

namespace mallbots::gateways {

using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

struct Upgrade {
  std::unique_ptr<SocketHandler> handler;
  std::unique_ptr<Lobby::Place> place;
  http::request<http::empty_body> head;
};

void begin_socket(Engine& engine, PlainStream stream, Upgrade upgrade);
void begin_socket(Engine& engine, TlsStream stream, Upgrade upgrade);

}  // namespace mallbots::gateways
