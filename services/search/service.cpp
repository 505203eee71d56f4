#include "services/search/service.h"

#include "services/runtime/hosted_view.h"
#include "services/search/adapters/grpc.h"
#include "services/search/app/feed.h"
#include "services/search/app/search.h"

namespace mallbots::search {
namespace {

struct SearchService final : Service {
  SearchService(Host& host, toolkit::Database& database, std::unique_ptr<toolkit::ViewRunner> view_)
      : view(std::move(view_)),
        search(database),
        calls(make_grpc(search, host.calls(), host.log())) {}

  std::unique_ptr<toolkit::ViewRunner> view;
  Search search;
  std::shared_ptr<grpc::Service> calls;
};

}  // namespace

Result<std::unique_ptr<Service>> make_search(Host& host) {
  const auto store = host.open_store("search");
  if (!store) return std::unexpected(store.error());
  auto kept = keep_view(host, view(), *store, topics());
  if (!kept) return std::unexpected(std::move(kept).error());
  auto service = std::make_unique<SearchService>(host, store->database, std::move(*kept));
  host.serve("search", *service->calls);
  return service;
}

}  // namespace mallbots::search
