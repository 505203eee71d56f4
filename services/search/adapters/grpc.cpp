#include "services/search/adapters/grpc.h"

#include "services/runtime/grpc_calls.h"
#include "services/search/api.grpc.pb.h"

namespace mallbots::search {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

class Adapter final : public searchpb::SearchService::CallbackService {
 public:
  Adapter(const Search& search, WorkerPool& pool, const toolkit::Log& log)
      : search_(&search), calls_(pool, log) {}

  ServerUnaryReactor* SearchOrders(CallbackServerContext* context,
                                   const searchpb::SearchOrdersRequest* request,
                                   searchpb::SearchOrdersResponse* response) override {
    return answer(context, response, [=, this] { return search_->orders(*request); });
  }
  ServerUnaryReactor* GetOrder(CallbackServerContext* context,
                               const searchpb::OrderRequest* request,
                               searchpb::Order* response) override {
    return answer(context, response, [=, this] { return search_->order(request->id()); });
  }
  ServerUnaryReactor* CountOrders(CallbackServerContext* context,
                                  const searchpb::CountOrdersRequest*,
                                  searchpb::CountOrdersResponse* response) override {
    return answer(context, response, [=, this] { return search_->count_orders(); });
  }
  ServerUnaryReactor* SearchLists(CallbackServerContext* context,
                                  const searchpb::SearchListsRequest* request,
                                  searchpb::SearchListsResponse* response) override {
    return answer(context, response, [=, this] { return search_->lists(*request); });
  }
  ServerUnaryReactor* SearchBots(CallbackServerContext* context,
                                 const searchpb::SearchBotsRequest* request,
                                 searchpb::SearchBotsResponse* response) override {
    return answer(context, response, [=, this] { return search_->bots(*request); });
  }

 private:
  template <class Response, class Find>
  ServerUnaryReactor* answer(CallbackServerContext* context, Response* response,
                             const Find& find) const {
    return calls_.run(context, [response, find](const toolkit::Cause&) -> Outcome<void> {
      auto found = find();
      if (!found) return std::unexpected(std::move(found).error());
      *response = *std::move(found);
      return {};
    });
  }

  const Search* search_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(const Search& search, WorkerPool& pool,
                                         const toolkit::Log& log) {
  return std::make_shared<Adapter>(search, pool, log);
}

}  // namespace mallbots::search
