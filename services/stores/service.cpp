#include "services/stores/service.h"

#include "clients/toolkit/aggregates/store_streams.h"
#include "services/runtime/hosted_view.h"
#include "services/stores/adapters/grpc.h"
#include "services/stores/app/stores.h"

namespace mallbots::stores {
namespace {

struct StoresService final : Service {
  StoresService(Host& host, toolkit::Database& database, std::unique_ptr<toolkit::ViewRunner> view_,
                std::unique_ptr<toolkit::StoreStreams> store_streams_,
                std::unique_ptr<toolkit::StoreStreams> product_streams_)
      : view(std::move(view_)),
        store_streams(std::move(store_streams_)),
        product_streams(std::move(product_streams_)),
        catalogue(database),
        stores({*store_streams, *product_streams}, catalogue),
        calls(make_grpc(stores, catalogue, host.calls(), host.log())) {}

  std::unique_ptr<toolkit::ViewRunner> view;
  std::unique_ptr<toolkit::StoreStreams> store_streams;
  std::unique_ptr<toolkit::StoreStreams> product_streams;
  Catalogue catalogue;
  Stores stores;
  std::shared_ptr<grpc::Service> calls;
};

}  // namespace

Result<std::unique_ptr<Service>> make_stores(Host& host) {
  const auto store = host.open_store("stores");
  if (!store) return std::unexpected(store.error());
  const std::vector<std::string> topics = Catalogue::topics();
  auto view = keep_view(host, Catalogue::view(), *store, topics, {.internal_events = true});
  if (!view) return std::unexpected(std::move(view).error());
  auto store_streams = toolkit::StoreStreams::open(host.connection(), topics[0]);
  if (!store_streams) return std::unexpected(std::move(store_streams).error());
  auto product_streams = toolkit::StoreStreams::open(host.connection(), topics[1]);
  if (!product_streams) return std::unexpected(std::move(product_streams).error());
  auto service =
      std::make_unique<StoresService>(host, store->database, std::move(*view),
                                      std::move(*store_streams), std::move(*product_streams));
  host.serve("stores", *service->calls);
  return service;
}

}  // namespace mallbots::stores
