#include "services/gateways/admin/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "services/gateways/access/secret.h"
#include "services/gateways/admin/commands.h"
#include "services/gateways/admin/contexts.h"
#include "services/gateways/http/json_body.h"

namespace mallbots::admin {
namespace {

using gateways::Body;
using gateways::problem;
using gateways::Scope;
using gateways::StaffMember;
using gateways::Viewer;

constexpr std::int64_t kPumpMs = 100;
constexpr std::size_t kLeastKey = 16;
constexpr std::size_t kMostKey = 128;

Response not_signed_in() {
  return problem({.status = 401,
                  .name = "not-signed-in",
                  .detail = "there is no session, or it has ended",
                  .remedy = "sign in"});
}

/// Programs send no Origin; a browser's must be ours.
bool is_of_own_origin(const Request& request) {
  const auto origin = request.header("origin");
  if (!origin) return true;
  if (!request.public_origin.empty()) return *origin == request.public_origin;
  const auto host = request.header("host");
  if (!host) return false;
  return *origin == fmt::format("{}://{}", request.is_secure ? "https" : "http", *host);
}

Response wrong_origin() {
  return problem({.status = 403,
                  .name = "wrong-origin",
                  .detail = "the request comes from a page of another origin",
                  .remedy = "use the gateway's own page"});
}

std::string cookie_of(const std::string& token, const Request& request, std::int64_t age_s) {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{}", kCookie, token,
                     age_s, request.is_secure ? "; Secure" : "");
}

bool is_key(std::string_view key) {
  const auto is_visible = [](char c) { return c > ' ' && c < 0x7F; };
  return key.size() >= kLeastKey && key.size() <= kMostKey && std::ranges::all_of(key, is_visible);
}

}  // namespace

class Api::Impl {
 public:
  explicit Impl(ApiParts parts)
      : parts_(std::move(parts)), contexts_(parts_.channels), limit_(*parts_.clock) {
    add_session_calls();
    add_shop_calls(calls_, contexts_, *parts_.staff);
    add_customer_calls(calls_, contexts_);
    add_order_calls(calls_, contexts_, *parts_.board, claims_);
    add_pickup_calls(calls_, contexts_, claims_);
    std::ranges::move(parts_.further, std::back_inserter(calls_));
  }

  [[nodiscard]] const Calls& calls() const noexcept { return calls_; }
  [[nodiscard]] gateways::AcceptedSocket accept(const Request& request);
  [[nodiscard]] Response answer(const Call& call, const Request& request);
  void run(const std::stop_token& stop);
  [[nodiscard]] std::size_t viewers() {
    const std::scoped_lock lock(mutex_);
    return viewers_.size();
  }

 private:
  /// One socket of a page.
  class Socket final : public gateways::SocketHandler {
   public:
    Socket(Impl& api, std::shared_ptr<Viewer> viewer) : api_(&api), viewer_(std::move(viewer)) {}
    /// Also of one that never opened: its upgrade may fail after we accepted it.
    ~Socket() override { api_->forget(viewer_); }
    void on_open(std::shared_ptr<gateways::SocketPeer> peer) override { viewer_->open(peer); }
    void on_text(const std::string& text) override { viewer_->take(text); }
    void on_room() override { viewer_->pump(); }
    void on_close() override { viewer_->close(); }

   private:
    Impl* api_;
    std::shared_ptr<Viewer> viewer_;
  };
  struct Watching {
    std::shared_ptr<Viewer> viewer;
    std::string token;
  };

  void add_session_calls();
  [[nodiscard]] Response sign_in(const Request& request);
  [[nodiscard]] Response enter(Result<std::optional<gateways::StaffBook::Session>> session,
                               const std::string& name, const Request& request);
  [[nodiscard]] Response run_call(const Call& call, Asker& asker, const Request& request);
  /// A store owner's address of another's store.
  [[nodiscard]] static bool is_others(const Asker& asker, const Request& request);
  void forget(const std::shared_ptr<Viewer>& viewer) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(viewers_, [&](const Watching& one) { return one.viewer == viewer; });
  }
  void beat(const std::vector<Watching>& viewers);

  ApiParts parts_;
  Contexts contexts_;
  Commands commands_;
  Claims claims_;
  gateways::SignInLimit limit_;
  Calls calls_;
  std::mutex mutex_;
  std::vector<Watching> viewers_;
};

// --- Sessions

void Api::Impl::add_session_calls() {
  using enum Method;
  using enum Permission;
  const auto add = [&](Call call) { calls_.push_back(std::move(call)); };
  add({kGet, "/health", {}, [](const Asker&, const Request&) {
         return gateways::json_response(200, R"({"status":"up"})");
       }});
  add({kGet, "/version", {}, [](const Asker&, const Request&) {
         return gateways::json_response(200, R"({"version":"1"})");
       }});
  add({kGet, "/openapi.json", {}, [](const Asker&, const Request&) {
         return gateways::json_response(200, std::string(open_api()));
       }});
  add({kPost,
       "/session",
       {},
       [this](const Asker&, const Request& request) { return sign_in(request); },
       Body::kJson});
  add({kGet, "/session", kSession, [](const Asker& asker, const Request&) {
         return gateways::json_response(200, gateways::me_json(asker.member));
       }});
  add({kDelete, "/session", kSession, [this](const Asker&, const Request& request) {
         if (!parts_.staff->sign_out(request.cookie(kCookie).value_or(""))) {
           return gateways::unavailable("the session could not be ended");
         }
         return gateways::empty_response(204).with("Set-Cookie", cookie_of("", request, 0));
       }});
  add({kGet, "/plan", kPlanSee,
       [this](const Asker&, const Request&) { return gateways::json_response(200, parts_.plan); }});
}

Response Api::Impl::sign_in(const Request& request) {
  gateways::JsonBody body(request);
  const auto link = body.optional_text("link", 200);
  const std::string name = body.optional_text("name", 100).value_or("");
  const std::string password =
      body.optional_text("password", gateways::kMaxPasswordBytes).value_or("");
  if (auto bad = body.problem()) return *bad;
  const bool is_half = name.empty() != password.empty();
  if (is_half || link.has_value() == !name.empty()) {
    return invalid("either link, or name and password");
  }
  // Tokens of links cannot be guessed; only their senders are held back.
  const std::int64_t wait_ms = limit_.begin(name, request.peer);
  if (wait_ms > 0) {
    return problem({.status = 429,
                    .name = "too-many",
                    .detail = "too many wrong attempts to sign in",
                    .remedy = "wait as long as Retry-After says"})
        .with("Retry-After", std::to_string(wait_ms / 1000 + 1));
  }
  return enter(link ? parts_.staff->use_link(*link) : parts_.staff->sign_in(name, password), name,
               request);
}

Response Api::Impl::enter(Result<std::optional<gateways::StaffBook::Session>> session,
                          const std::string& name, const Request& request) {
  if (!session || *session) limit_.was_right(name, request.peer);
  if (!session) {
    parts_.log({toolkit::Severity::kError,
                "accounts cannot be read: nobody signs in",
                {{"problem", session.error().sentence()}}});
    return gateways::unavailable("accounts cannot be read");
  }
  if (!*session) {
    return problem({.status = 401,
                    .name = "wrong-sign-in",
                    .detail = "name, password or link are wrong, or the link was used",
                    .remedy = "try again, or ask for a link: mall staff link NAME"});
  }
  return gateways::json_response(200, gateways::me_json((*session)->member))
      .with("Set-Cookie", cookie_of((*session)->token, request, gateways::kSessionMs / 1000));
}

// --- Every call

bool Api::Impl::is_others(const Asker& asker, const Request& request) {
  const std::string_view store = request.parameter("store");
  return asker.scope == Scope::kOwn && !store.empty() && !asker.member.owns(store);
}

Response Api::Impl::answer(const Call& call, const Request& request) {
  if (call.method != Method::kGet && !is_of_own_origin(request)) return wrong_origin();
  Asker asker;
  asker.request_id = toolkit::new_message_id();
  if (!call.permission) return call.handle(asker, request);
  const auto member = parts_.staff->who(request.cookie(kCookie).value_or(""));
  if (!member) return gateways::unavailable("accounts cannot be read");
  if (!*member) return not_signed_in();
  asker.member = **member;
  asker.scope = gateways::scope_of(asker.member, *call.permission);
  if (asker.scope == Scope::kNone) {
    return problem({.status = 403,
                    .name = "forbidden",
                    .detail = fmt::format("this account lacks {}", name_of(*call.permission)),
                    .remedy = "sign in as somebody who may, or ask for the role"});
  }
  if (is_others(asker, request)) return unknown("there is no such store");
  return call.is_command ? run_call(call, asker, request) : call.handle(asker, request);
}

Response Api::Impl::run_call(const Call& call, Asker& asker, const Request& request) {
  const std::string_view key = request.header("idempotency-key").value_or("");
  if (!is_key(key)) {
    return invalid(
        fmt::format("Idempotency-Key: {} to {} visible ASCII characters", kLeastKey, kMostKey));
  }
  asker.key = fmt::format("{}:{}", asker.member.name, key);
  // Its digest: bodies of 10,000 commands would be gigabytes.
  const std::string fingerprint = gateways::digest_of(
      fmt::format("{} {} {}", gateways::name_of(call.method), request.path, request.body));
  // With it, a context that knows the key of a command does not take another one for it.
  asker.request_id = fmt::format("{}:{}", asker.key, fingerprint);
  return commands_.run(asker.key, fingerprint, [&] { return call.handle(asker, request); });
}

// --- The socket

gateways::AcceptedSocket Api::Impl::accept(const Request& request) {
  if (!is_of_own_origin(request)) return wrong_origin();
  const std::string token(request.cookie(kCookie).value_or(""));
  const auto member = parts_.staff->who(token);
  if (!member) return gateways::unavailable("accounts cannot be read");
  if (!*member) return not_signed_in();
  auto viewer = std::make_shared<Viewer>(*parts_.board, **member, *parts_.clock);
  const std::scoped_lock lock(mutex_);
  viewers_.push_back({viewer, token});
  return std::make_unique<Socket>(*this, std::move(viewer));
}

void Api::Impl::beat(const std::vector<Watching>& viewers) {
  const gateways::Freshness freshness = parts_.freshness();
  for (const Watching& one : viewers) {
    const auto member = parts_.staff->who(one.token);
    // Who cannot be read stays: an unreadable file signs nobody out.
    if (member) one.viewer->beat(*member, freshness);
  }
}

void Api::Impl::run(const std::stop_token& stop) {
  toolkit::Clock& clock = toolkit::system_clock();
  std::uint64_t told = 0;
  BootNanos next_beat_ns = 0;
  while (clock.pause_until(clock.now_ns() + kPumpMs * kMillisecond, stop)) {
    const std::uint64_t version = parts_.board->version();
    const bool is_beat = clock.now_ns() >= next_beat_ns;
    if (version == told && !is_beat) continue;
    const auto viewers = [&] {
      const std::scoped_lock lock(mutex_);
      return viewers_;
    }();
    for (const Watching& one : viewers) one.viewer->pump();
    told = version;
    if (!is_beat) continue;
    beat(viewers);
    next_beat_ns = clock.now_ns() + gateways::kHeartbeatMs * kMillisecond;
  }
}

Api::Api(ApiParts parts) : impl_(std::make_unique<Impl>(std::move(parts))) {}
Api::~Api() = default;

const Calls& Api::calls() const noexcept { return impl_->calls(); }
void Api::run(const std::stop_token& stop) { impl_->run(stop); }
std::size_t Api::viewers() const { return impl_->viewers(); }

void Api::add_to(gateways::Router& router) {
  for (const Call& call : impl_->calls()) {
    router.add({.method = call.method,
                .pattern = std::string(kPrefix) + call.path,
                .handler = [impl = impl_.get(),
                            &call](const Request& request) { return impl->answer(call, request); },
                .body = call.body,
                .body_bytes = 256 * 1024});
  }
  router.web_socket(std::string(kPrefix) + "/socket",
                    [impl = impl_.get()](const Request& request) { return impl->accept(request); });
}

}  // namespace mallbots::admin
