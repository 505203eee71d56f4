// Registry: which services there are, by name, in the order in which they start. Made from
// services.txt: a service becomes part of the mall by its line there.
//
// Who calls: the commands of `mall`. Constant.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "services/runtime/host.h"

namespace mallbots::mall {

struct Entry {
  std::string_view name;
  Result<std::unique_ptr<Service>> (*make)(Host& host);
};

[[nodiscard]] std::span<const Entry> registry();

}  // namespace mallbots::mall
