// Calls: the REST calls of the gateway as a table: address, permission, handler. openapi.json and
// README.md say the same; tests hold them together.
//
// Who calls: api.cpp makes the table, the server's workers call handlers, several at a time.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "services/gateways/access/staff.h"
#include "services/gateways/admin/permissions.h"
#include "services/gateways/http/message.h"
#include "services/gateways/http/router.h"
#include "services/runtime/outcome.h"

namespace grpc {
class Channel;
}

namespace mallbots::admin {

using gateways::Method;
using gateways::Permission;
using gateways::Request;
using gateways::Response;
using Channels = std::function<std::shared_ptr<grpc::Channel>(const std::string& name)>;

/// Who asks, and in which request.
struct Asker {
  gateways::StaffMember member;
  gateways::Scope scope = gateways::Scope::kNone;  ///< of the call's permission
  std::string request_id;  ///< of a command: of its key and what it asks, the same for the same
  std::string key{};       ///< of a command: whose it is, and its Idempotency-Key
};

struct Call {
  Method method = Method::kGet;
  std::string path;                      ///< behind /admin/v1
  std::optional<Permission> permission;  ///< nothing: anybody may
  std::function<Response(const Asker&, const Request&)> handle;
  gateways::Body body = gateways::Body::kNone;
  bool is_command = false;  ///< needs an Idempotency-Key
};
using Calls = std::vector<Call>;

struct Contexts;
class Claims;

void add_shop_calls(Calls& calls, Contexts& contexts, gateways::StaffBook& staff);
void add_customer_calls(Calls& calls, Contexts& contexts);
void add_order_calls(Calls& calls, Contexts& contexts, const gateways::Board& board,
                     Claims& claims);
void add_pickup_calls(Calls& calls, Contexts& contexts, Claims& claims);

// --- What handlers answer

[[nodiscard]] Response answer_of(const nlohmann::json& body, int status = 200);
/// As README.md says: a refusal is 400, 403, 404 or 409, anything else 503.
[[nodiscard]] Response refusal_of(const Failure& failure);
[[nodiscard]] Response invalid(std::string detail);
[[nodiscard]] Response unknown(std::string detail);
[[nodiscard]] Response done_already(std::string detail);

// --- What they are asked

struct PageWanted {
  std::string cursor;
  std::int32_t limit = 50;
};
/// Only `fields`, `cursor` and `limit` may be in the query; `limit` is 1 to 200.
[[nodiscard]] Outcome<PageWanted> page_of(const Request& request,
                                          std::initializer_list<std::string_view> fields = {});
/// 0 if it is not there. kInvalid: no whole number from 0 on.
[[nodiscard]] Outcome<std::int64_t> number_of(const Request& request, std::string_view name);
[[nodiscard]] std::string text_of(const Request& request, std::string_view name);
/// {key: items, "next": next or null}
[[nodiscard]] Response listed(std::string_view key, nlohmann::json items, const std::string& next);

}  // namespace mallbots::admin
