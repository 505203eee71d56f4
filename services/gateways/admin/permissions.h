// Permissions: who may do what, in one table; README.md shows the same, held by a test.
//
// Who calls: any thread. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "services/gateways/access/staff.h"
#include "services/gateways/admin/board.h"

namespace mallbots::gateways {

enum class Permission : std::uint8_t {
  kSession,
  kPlanSee,
  kStoresSee,
  kStoresCreate,
  kStoresEdit,
  kParticipationDecide,
  kProductsSee,
  kProductsEdit,
  kOrdersSee,
  kOrdersCancel,
  kDepotSee,
  kDepotCount,
  kBotsSee,
  kPickupSee,
  kPickupSettle,
  kCustomersSee,
  kCustomersEdit,
  kOperationsSee,
  kOperationsChange,
};

/// Of the stores that something is about.
enum class Scope : std::uint8_t { kNone, kOwn, kAll };

struct PermissionRow {
  Permission permission;
  std::string_view name;
  std::array<Scope, kRoles> scopes;  ///< in the order of Role
};
[[nodiscard]] std::span<const PermissionRow> permission_table() noexcept;
[[nodiscard]] std::string_view name_of(Permission permission) noexcept;
/// The widest of all roles.
[[nodiscard]] Scope scope_of(const StaffMember& member, Permission permission) noexcept;

struct SocketTopic {
  std::string_view name;  ///< "order:ID" stands for all of them
  BoardTopic topic;
  Permission permission;
  bool has_store_filter;
};
[[nodiscard]] std::span<const SocketTopic> socket_topics() noexcept;

}  // namespace mallbots::gateways
