// mall staff: accounts of the people who work here, and links that sign them in.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "services/gateways/access/staff.h"
#include "services/mall/command.h"

namespace mallbots::mall {
namespace {

using gateways::StaffBook;
using gateways::StaffMember;

struct Options {
  Place place;
  std::string file;
  std::string name;
  std::vector<std::string> roles;
  std::vector<std::string> stores;
  bool password = false;
  std::string address;
};

/// As the admin gateway finds it.
std::string file_of(const HostOptions& where) {
  const auto set = where.settings.find("access.staff");
  return set == where.settings.end() ? where.data_dir + "/staff.json" : set->second;
}

Result<std::string> file_of(const Options& options) {
  if (!options.file.empty()) return options.file;
  const auto where = options.place.host_options("staff");
  if (!where) return std::unexpected(where.error());
  return file_of(*where);
}

Done add(const Options& options) {
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  StaffMember member{options.name, {}, options.stores};
  for (const std::string& word : options.roles) {
    const auto role = gateways::parse_role(word);
    if (!role) return fail(ErrorCode::kBadArgument, fmt::format("there is no role '{}'", word));
    member.roles.push_back(*role);
  }
  std::optional<std::string> password;
  if (options.password) {
    std::string line;
    std::getline(std::cin, line);
    password = line;
  }
  return StaffBook(*file).put(member, password);
}

Done list(const Options& options) {
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  const auto members = StaffBook(*file).list();
  if (!members) return std::unexpected(members.error());
  for (const StaffMember& member : *members) {
    std::string roles;
    for (const auto role : member.roles)
      roles.append(roles.empty() ? "" : ",").append(name_of(role));
    std::string stores;
    for (const auto& store : member.stores) stores.append(" ").append(store);
    std::cout << fmt::format("{:<20} {}{}\n", member.name, roles, stores);
  }
  return {};
}

Done remove(const Options& options) {
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  const auto was_there = StaffBook(*file).remove(options.name);
  if (!was_there) return std::unexpected(was_there.error());
  if (*was_there) return {};
  return fail(ErrorCode::kBadArgument, fmt::format("nobody is named '{}'", options.name));
}

/// As the gateway that runs says, or ran.
Result<std::string> address_of(const Options& options) {
  if (!options.address.empty())
    return options.address + (options.address.ends_with('/') ? "" : "/");
  const auto where = options.place.host_options("staff");
  if (!where) return std::unexpected(where.error());
  std::ifstream file{where->socket_dir + "/admin.address"};
  std::string address;
  if (std::getline(file, address)) return address;
  return fail(ErrorCode::kBadArgument, "no admin gateway has run here: name its --address");
}

Done link(const Options& options) {
  const auto file = file_of(options);
  if (!file) return std::unexpected(file.error());
  const auto address = address_of(options);
  if (!address) return std::unexpected(address.error());
  const auto token = StaffBook(*file).make_link(options.name);
  if (!token) return std::unexpected(token.error());
  std::cout << fmt::format("{}#link={}\n", *address, *token);
  return {};
}

}  // namespace

Result<std::optional<std::string>> first_link(const HostOptions& where) {
  StaffBook book(file_of(where));
  const auto members = book.list();
  if (!members) return std::unexpected(members.error());
  if (!members->empty()) return std::nullopt;
  using enum gateways::Role;
  MALLBOTS_TRY(book.put({"admin", {kStoreAdmin, kDepotAdmin}, {}}, std::nullopt));
  auto token = book.make_link("admin");
  if (!token) return std::unexpected(std::move(token).error());
  return std::optional{std::move(*token)};
}

void add_staff_command(CLI::App& mall, Done& done) {
  auto* staff = mall.add_subcommand("staff", "Who works here: accounts, roles, links to sign in");
  staff->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  const auto add_one = [&](const char* name, const char* what, Done (*run)(const Options&)) {
    auto* command = staff->add_subcommand(name, what);
    options->place.add_options(*command);
    command->add_option("--file", options->file, "The accounts' file; default: DATA/staff.json");
    command->callback([options, &done, run] { done = run(*options); });
    return command;
  };
  auto* adding = add_one("add", "A new account, or another one in place of it", add);
  adding->add_option("name", options->name, "1 to 60 of a-z, 0-9, '.', '-', '_'")->required();
  adding
      ->add_option("--role", options->roles,
                   "store-owner, store-admin, depot-staff, depot-admin; several times")
      ->required();
  adding->add_option("--store", options->stores, "A store that a store owner owns; several times");
  adding->add_flag("--password", options->password,
                   "Reads the password from standard input; without it only links sign in");
  add_one("list", "All accounts", list);
  add_one("remove", "No account any more; its sessions end", remove)
      ->add_option("name", options->name)
      ->required();
  auto* linking = add_one("link", "A link that signs in once, within 15 minutes", link);
  linking->add_option("name", options->name)->required();
  linking->add_option("--address", options->address,
                      "Of the admin gateway; default: of the one that runs");
}

}  // namespace mallbots::mall
