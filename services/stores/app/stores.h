// Stores: the application of the context: who sells what in the mall, where, at which price.
//
// Stores and products are stored as their events; the append is the publication. A call decides on
// the state that it read, and again if somebody else was faster. When it returns, the catalogue
// shows the change (catalogue.h). A repeated request (its cause's causation id) changes nothing.
//
// Who calls: the gateways, any thread. What a completed call promises is what its streams do
// (EventStreams). Failures: the domain's refusals (store.h, product.h), kInvalid (an id that is
// blank, padded, not of one line of UTF-8, or longer than kMaxIdBytes); errors of the streams.
#pragma once

#include <string>
#include <string_view>

#include "clients/toolkit/aggregates/aggregate.h"
#include "services/runtime/outcome.h"
#include "services/stores/app/catalogue.h"
#include "services/stores/app/stored.h"

namespace mallbots::stores {

inline constexpr std::size_t kMaxIdBytes = 100;

class Stores {
 public:
  struct Streams {
    toolkit::EventStreams& stores;
    toolkit::EventStreams& products;
  };
  /// All live longer.
  Stores(const Streams& streams, const Catalogue& catalogue)
      : stores_(streams.stores), products_(streams.products), catalogue_(&catalogue) {}

  [[nodiscard]] Outcome<void> create(const std::string& id, std::string_view name,
                                     std::string_view location, const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> rebrand(const std::string& id, std::string_view name,
                                      const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> request_participation(const std::string& id,
                                                    const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> approve_participation(const std::string& id,
                                                    const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> deny_participation(const std::string& id, std::string_view reason,
                                                 const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> end_participation(const std::string& id,
                                                const toolkit::Cause& cause = {});

  /// kUnknown: there is no such store.
  [[nodiscard]] Outcome<void> add_product(const std::string& id, const std::string& store_id,
                                          const ProductDetails& details,
                                          const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> rebrand_product(const std::string& id, std::string_view name,
                                              std::string_view description,
                                              const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> change_price(const std::string& id, const Money& price,
                                           const toolkit::Cause& cause = {});
  [[nodiscard]] Outcome<void> remove_product(const std::string& id,
                                             const toolkit::Cause& cause = {});

 private:
  template <class Decide>
  [[nodiscard]] Outcome<void> change_store(const std::string& id, const toolkit::Cause& cause,
                                           const Decide& decide);
  template <class Decide>
  [[nodiscard]] Outcome<void> change_product(const std::string& id, const toolkit::Cause& cause,
                                             const Decide& decide);

  toolkit::Repository<StoredStore> stores_;
  toolkit::Repository<StoredProduct> products_;
  const Catalogue* catalogue_;
};

}  // namespace mallbots::stores
