#include "services/gateways/admin/permissions.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace mallbots::gateways {
namespace {

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream source(std::string(ADMIN_FOLDER "/") + file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(source, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream rest(line);
  for (std::string cell; std::getline(rest, cell, '|');) {
    const auto first = cell.find_first_not_of(' ');
    const auto last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

/// The rows of the table whose header line begins so, without its rule.
std::vector<std::vector<std::string>> table_of(const std::string& header) {
  std::vector<std::vector<std::string>> rows;
  bool is_inside = false;
  for (const std::string& line : lines_of("README.md")) {
    if (is_inside && !line.starts_with("|")) break;
    if (is_inside && !line.starts_with("|---")) rows.push_back(cells_of(line));
    if (line.starts_with(header)) is_inside = true;
  }
  return rows;
}

constexpr std::string_view kWords[] = {"-", "own", "yes"};

TEST(Permissions, TableIsTheDocumentsTable) {
  const auto rows = table_of("| permission |");
  ASSERT_EQ(rows.size(), permission_table().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PermissionRow& row = permission_table()[i];
    EXPECT_EQ(static_cast<std::size_t>(row.permission), i);
    ASSERT_GE(rows[i].size(), 2 + kRoles);
    EXPECT_EQ(rows[i][1], "`" + std::string(row.name) + "`");
    for (std::size_t role = 0; role < kRoles; ++role) {
      EXPECT_EQ(rows[i][2 + role], kWords[static_cast<std::size_t>(row.scopes[role])])
          << row.name << " " << name_of(static_cast<Role>(role));
    }
  }
}

TEST(Permissions, SocketTopicsAreTheDocumentsTopics) {
  const auto rows = table_of("| socket topic |");
  ASSERT_EQ(rows.size(), socket_topics().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SocketTopic& topic = socket_topics()[i];
    EXPECT_EQ(rows[i][1], "`" + std::string(topic.name) + "`");
    EXPECT_EQ(rows[i][2], "`" + std::string(name_of(topic.permission)) + "`");
    EXPECT_EQ(rows[i][4].starts_with("`store`"), topic.has_store_filter);
  }
}

TEST(Permissions, SeveralRolesGiveTheWidest) {
  const StaffMember both{"a", {Role::kStoreOwner, Role::kStoreAdmin}, {}};
  EXPECT_EQ(scope_of(both, Permission::kStoresEdit), Scope::kAll);
  EXPECT_EQ(scope_of({"b", {Role::kStoreOwner}, {}}, Permission::kStoresEdit), Scope::kOwn);
  EXPECT_EQ(scope_of({"c", {}, {}}, Permission::kSession), Scope::kNone);
}

}  // namespace
}  // namespace mallbots::gateways
