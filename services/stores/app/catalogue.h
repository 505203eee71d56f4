// Catalogue: what stores and products are now, to be looked up and listed: a view of their events,
// internal ones included (staff see who asks to take part).
//
// Who calls: a ViewRunner feeds view(); gateways read, any thread. wait_for() lets a call's answer
// be seen by whoever lists next: it waits until the view has come to the change, a few
// milliseconds, and gives up after kPatienceMs (false: the change is made all the same).
// Failures: kUnknown (no such store; no such product, or removed), kInvalid (page.h); errors of the
// database.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/clock.h"
#include "clients/toolkit/views/view.h"
#include "services/runtime/outcome.h"
#include "services/runtime/page.h"
#include "services/stores/domain/product.h"
#include "services/stores/domain/store.h"

namespace mallbots::stores {

/// "private", "requested", "participating"
[[nodiscard]] std::string_view name_of(Participation participation) noexcept;

struct ListedStore {
  std::string id;
  std::string name;
  std::string location;
  Participation participation = Participation::kPrivate;
};
struct ListedProduct {
  std::string id;
  std::string store_id;
  std::string name;
  std::string description;
  std::string sku;
  Money price;
};

class Catalogue {
 public:
  static constexpr std::int64_t kPatienceMs = 2'000;

  [[nodiscard]] static toolkit::View view();
  /// Topics that the view reads.
  [[nodiscard]] static std::vector<std::string> topics();

  /// The database that the view's runner was opened on; it lives longer.
  explicit Catalogue(toolkit::Database& database) noexcept : database_(&database) {}

  [[nodiscard]] Outcome<ListedStore> store(std::string_view id) const;
  [[nodiscard]] Outcome<ListedProduct> product(std::string_view id) const;
  /// By name, then id. `participation`: a name, or empty for all (kInvalid: neither).
  [[nodiscard]] Outcome<Page<ListedStore>> stores(std::string_view participation,
                                                  const PageRequest& page) const;
  /// Offered ones of a store, by name, then id.
  [[nodiscard]] Outcome<Page<ListedProduct>> products(std::string_view store_id,
                                                      const PageRequest& page) const;

  [[nodiscard]] bool wait_for_store(std::string_view id, std::uint64_t version) const;
  [[nodiscard]] bool wait_for_product(std::string_view id, std::uint64_t version) const;

 private:
  [[nodiscard]] bool wait(const std::string& sql, std::string_view id, std::uint64_t version) const;

  toolkit::Database* database_;
};

}  // namespace mallbots::stores
