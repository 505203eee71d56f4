#include "tests/services/simulators/fake_kiosk.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <vector>

namespace mallbots::test {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using nlohmann::json;
using Tcp = asio::ip::tcp;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

/// What product ids say: CODE-PENNIES.
std::int64_t price_of(const std::string& product) {
  return std::stoll(product.substr(product.rfind('-') + 1));
}

json money(std::int64_t minor) { return {{"minor", minor}, {"currency", "GBP"}}; }

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Response answer(int status, const json& body) {
  Response response{static_cast<http::status>(status), 11};
  response.body() = body.dump();
  response.keep_alive(true);
  response.prepare_payload();
  return response;
}

Response problem(int status, const std::string& type) {
  return answer(status, {{"type", "urn:mallbots:problem:" + type}, {"status", status}});
}

}  // namespace

struct FakeKiosk::Server {
  explicit Server(const FakeKioskOptions& wanted) : options(wanted) {
    acceptor.open(Tcp::v4());
    acceptor.bind({asio::ip::make_address("127.0.0.1"), 0});
    acceptor.listen();
    accepting = std::jthread([this] { accept(); });
  }
  ~Server() {
    stopping = true;
    Tcp::socket bell(io);  // wakes accept()
    beast::error_code ignored;
    bell.connect(acceptor.local_endpoint(), ignored);
    accepting.join();
    for (Tcp::socket& socket : sockets) socket.shutdown(Tcp::socket::shutdown_both, ignored);
  }

  void accept() {
    for (;;) {
      Tcp::socket socket(io);
      beast::error_code error;
      acceptor.accept(socket, error);
      if (error || stopping) return;
      Tcp::socket& kept = sockets.emplace_back(std::move(socket));
      threads.emplace_back([this, &kept] { serve(kept); });
    }
  }

  void serve(Tcp::socket& socket) {
    beast::flat_buffer buffer;
    for (beast::error_code error;;) {
      Request request;
      http::read(socket, buffer, request, error);
      if (error) return;
      const std::lock_guard lock(mutex);
      ++asked;
      const bool refuses = options.refuse_every != 0 && asked % options.refuse_every == 0;
      const Response response = refuses ? problem(503, "unavailable") : handle(request);
      if (options.lose_every != 0 && asked % options.lose_every == 0) {
        socket.shutdown(Tcp::socket::shutdown_both, error);
        return;
      }
      http::write(socket, response, error);
      if (error) return;
    }
  }

  Response handle(const Request& request) {
    const auto parts = parts_of(std::string(request.target()));  // kiosk v1 carts ID ...
    if (parts.size() == 3) return start(std::string(request["Idempotency-Key"]));
    const auto at = by_id.find(parts[3]);
    if (at == by_id.end() || request["Cart-Token"] != at->second->token)
      return problem(403, "wrong-token");
    FakeCart& cart = *at->second;
    const json body = json::parse(request.body(), nullptr, false);
    if (parts[2] == "orders") return of_order(parts, cart);
    if (request.method() == http::verb::delete_) {
      cart.state = "canceled";
      return answer(200, show(parts[3], cart));
    }
    if (parts[4] == "items") {
      cart.items[parts[5]] = body.value("quantity", 0);
      return answer(200, show(parts[3], cart));
    }
    if (parts[4] == "review") {
      return answer(
          200, {{"changed", false}, {"changes", json::array()}, {"cart", show(parts[3], cart)}});
    }
    return submit(std::string(request["Idempotency-Key"]), body, cart);
  }

  Response start(const std::string& key) {
    FakeCart& cart = carts[key];
    if (cart.token.empty()) {
      cart.token = "secret-" + std::to_string(carts.size());
      by_id["O" + std::to_string(carts.size())] = &cart;
    }
    const auto id = std::ranges::find(by_id, &cart, [](const auto& entry) { return entry.second; });
    return answer(201, {{"cart", show(id->first, cart)}, {"token", cart.token}});
  }

  Response submit(const std::string& key, const json& body, FakeCart& cart) {
    if (keys.contains(key)) return answer(200, {{"status", cart.status}});
    if (body.value("card_token", "").starts_with("tok_declined")) return problem(403, "declined");
    if (body["confirmed_total"]["minor"] != total_of(cart)) return problem(409, "stale-total");
    keys.insert(key);
    ++cart.submits;
    cart.state = "submitted";
    cart.status = "pending";
    cart.phone = body.value("phone", "");
    cart.total_minor = total_of(cart);
    return answer(201, {{"status", cart.status}});
  }

  Response of_order(const std::vector<std::string>& parts, FakeCart& cart) {
    if (parts.size() == 5 && parts[4] == "cancel") {
      cart.status = "cancelled";
    } else if (cart.status != "cancelled" && ++cart.looks > 2) {
      cart.status = "completed";
    }
    return answer(200, {{"status", cart.status}, {"total", money(cart.total_minor)}});
  }

  static std::int64_t total_of(const FakeCart& cart) {
    std::int64_t total = 0;
    for (const auto& [product, quantity] : cart.items) total += price_of(product) * quantity;
    return total;
  }
  static json show(const std::string& id, const FakeCart& cart) {
    return {{"id", id}, {"state", cart.state}, {"total", money(total_of(cart))}};
  }

  FakeKioskOptions options;
  asio::io_context io;
  Tcp::acceptor acceptor{io};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::map<std::string, FakeCart> carts;  // by key
  std::map<std::string, FakeCart*> by_id;
  std::set<std::string> keys;  // of submits
  int asked = 0;
  std::list<Tcp::socket> sockets;
  std::list<std::jthread> threads;
  std::jthread accepting;
};

FakeKiosk::FakeKiosk(const FakeKioskOptions& options)
    : server_(std::make_unique<Server>(options)) {}
FakeKiosk::~FakeKiosk() = default;
std::uint16_t FakeKiosk::port() const { return server_->acceptor.local_endpoint().port(); }
const std::map<std::string, FakeCart>& FakeKiosk::carts() const { return server_->carts; }

}  // namespace mallbots::test
