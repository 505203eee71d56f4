#include "services/gateways/admin/permissions.h"

#include <algorithm>

namespace mallbots::gateways {
namespace {

constexpr Scope kNo = Scope::kNone;
constexpr Scope kOwn = Scope::kOwn;
constexpr Scope kYes = Scope::kAll;

// store-owner, store-admin, depot-staff, depot-admin
constexpr PermissionRow kTable[] = {
    {Permission::kSession, "session", {kYes, kYes, kYes, kYes}},
    {Permission::kPlanSee, "plan.see", {kYes, kYes, kYes, kYes}},
    {Permission::kStoresSee, "stores.see", {kOwn, kYes, kYes, kYes}},
    {Permission::kStoresCreate, "stores.create", {kYes, kYes, kNo, kNo}},
    {Permission::kStoresEdit, "stores.edit", {kOwn, kYes, kNo, kNo}},
    {Permission::kParticipationDecide, "participation.decide", {kNo, kYes, kNo, kNo}},
    {Permission::kProductsSee, "products.see", {kOwn, kYes, kNo, kNo}},
    {Permission::kProductsEdit, "products.edit", {kOwn, kYes, kNo, kNo}},
    {Permission::kOrdersSee, "orders.see", {kNo, kNo, kYes, kYes}},
    {Permission::kOrdersCancel, "orders.cancel", {kNo, kNo, kNo, kYes}},
    {Permission::kDepotSee, "depot.see", {kNo, kNo, kYes, kYes}},
    {Permission::kDepotCount, "depot.count", {kNo, kNo, kYes, kYes}},
    {Permission::kBotsSee, "bots.see", {kNo, kNo, kYes, kYes}},
    {Permission::kPickupSee, "pickup.see", {kNo, kNo, kYes, kYes}},
    {Permission::kPickupSettle, "pickup.settle", {kNo, kNo, kYes, kYes}},
    {Permission::kCustomersSee, "customers.see", {kNo, kNo, kNo, kYes}},
    {Permission::kCustomersEdit, "customers.edit", {kNo, kNo, kNo, kYes}},
    {Permission::kOperationsSee, "operations.see", {kNo, kNo, kNo, kYes}},
    {Permission::kOperationsChange, "operations.change", {kNo, kNo, kNo, kYes}},
};

constexpr SocketTopic kTopics[] = {
    {"orders", BoardTopic::kOrders, Permission::kOrdersSee, true},
    {"order:ID", BoardTopic::kOrders, Permission::kOrdersSee, false},
    {"lists", BoardTopic::kLists, Permission::kDepotSee, false},
    {"bots", BoardTopic::kBots, Permission::kBotsSee, false},
    {"invoices", BoardTopic::kInvoices, Permission::kPickupSee, false},
    {"stores", BoardTopic::kStores, Permission::kStoresSee, false},
    {"ops", BoardTopic::kOps, Permission::kOperationsSee, false},
};

}  // namespace

std::span<const PermissionRow> permission_table() noexcept { return kTable; }
std::span<const SocketTopic> socket_topics() noexcept { return kTopics; }

std::string_view name_of(Permission permission) noexcept {
  return kTable[static_cast<std::size_t>(permission)].name;
}

Scope scope_of(const StaffMember& member, Permission permission) noexcept {
  Scope widest = Scope::kNone;
  for (const Role role : member.roles) {
    const auto& scopes = kTable[static_cast<std::size_t>(permission)].scopes;
    widest = std::max(widest, scopes[static_cast<std::size_t>(role)]);
  }
  return widest;
}

}  // namespace mallbots::gateways
