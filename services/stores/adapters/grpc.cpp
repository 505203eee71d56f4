#include "services/stores/adapters/grpc.h"

#include "services/runtime/grpc_calls.h"
#include "services/runtime/money_proto.h"
#include "services/stores/api.grpc.pb.h"

namespace mallbots::stores {
namespace {

using google::protobuf::Empty;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using toolkit::Cause;

void show(const ListedStore& store, storespb::Store& message) {
  message.set_id(store.id);
  message.set_name(store.name);
  message.set_location(store.location);
  message.set_participation(std::string(name_of(store.participation)));
}

void show(const ListedProduct& product, storespb::Product& message) {
  message.set_id(product.id);
  message.set_store_id(product.store_id);
  message.set_name(product.name);
  message.set_description(product.description);
  message.set_sku(product.sku);
  *message.mutable_price() = to_proto(product.price);
}

class Adapter final : public storespb::StoresService::CallbackService {
 public:
  Adapter(Stores& stores, const Catalogue& catalogue, WorkerPool& pool, const toolkit::Log& log)
      : stores_(&stores), catalogue_(&catalogue), calls_(pool, log) {}

  ServerUnaryReactor* CreateStore(CallbackServerContext* context,
                                  const storespb::CreateStoreRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->create(request->id(), request->name(), request->location(), cause);
    });
  }
  ServerUnaryReactor* RebrandStore(CallbackServerContext* context,
                                   const storespb::RebrandStoreRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->rebrand(request->id(), request->name(), cause);
    });
  }
  ServerUnaryReactor* RequestParticipation(CallbackServerContext* context,
                                           const storespb::StoreRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->request_participation(request->id(), cause);
    });
  }
  ServerUnaryReactor* ApproveParticipation(CallbackServerContext* context,
                                           const storespb::StoreRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->approve_participation(request->id(), cause);
    });
  }
  ServerUnaryReactor* DenyParticipation(CallbackServerContext* context,
                                        const storespb::DenyParticipationRequest* request,
                                        Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->deny_participation(request->id(), request->reason(), cause);
    });
  }
  ServerUnaryReactor* EndParticipation(CallbackServerContext* context,
                                       const storespb::StoreRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->end_participation(request->id(), cause);
    });
  }
  ServerUnaryReactor* GetStore(CallbackServerContext* context,
                               const storespb::StoreRequest* request,
                               storespb::Store* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(store, catalogue_->store(request->id()));
      show(*store, *response);
      return {};
    });
  }
  ServerUnaryReactor* ListStores(CallbackServerContext* context,
                                 const storespb::ListStoresRequest* request,
                                 storespb::ListStoresResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(page, catalogue_->stores(request->participation(),
                                                {request->cursor(), request->limit()}));
      for (const ListedStore& store : page->items) show(store, *response->add_stores());
      response->set_next(page->next);
      return {};
    });
  }

  ServerUnaryReactor* AddProduct(CallbackServerContext* context,
                                 const storespb::AddProductRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(price, from_proto(request->price()));
      return stores_->add_product(request->id(), request->store_id(),
                                  {request->name(), request->description(), request->sku(), *price},
                                  cause);
    });
  }
  ServerUnaryReactor* RebrandProduct(CallbackServerContext* context,
                                     const storespb::RebrandProductRequest* request,
                                     Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->rebrand_product(request->id(), request->name(), request->description(),
                                      cause);
    });
  }
  ServerUnaryReactor* ChangePrice(CallbackServerContext* context,
                                  const storespb::ChangePriceRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) -> Outcome<void> {
      MALLBOTS_OUTCOME(price, from_proto(request->price()));
      return stores_->change_price(request->id(), *price, cause);
    });
  }
  ServerUnaryReactor* RemoveProduct(CallbackServerContext* context,
                                    const storespb::ProductRequest* request, Empty*) override {
    return calls_.run(context, [=, this](const Cause& cause) {
      return stores_->remove_product(request->id(), cause);
    });
  }
  ServerUnaryReactor* GetProduct(CallbackServerContext* context,
                                 const storespb::ProductRequest* request,
                                 storespb::Product* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(product, catalogue_->product(request->id()));
      show(*product, *response);
      return {};
    });
  }
  ServerUnaryReactor* ListProducts(CallbackServerContext* context,
                                   const storespb::ListProductsRequest* request,
                                   storespb::ListProductsResponse* response) override {
    return calls_.run(context, [=, this](const Cause&) -> Outcome<void> {
      MALLBOTS_OUTCOME(
          page, catalogue_->products(request->store_id(), {request->cursor(), request->limit()}));
      for (const ListedProduct& product : page->items) show(product, *response->add_products());
      response->set_next(page->next);
      return {};
    });
  }

 private:
  Stores* stores_;
  const Catalogue* catalogue_;
  Calls calls_;
};

}  // namespace

std::shared_ptr<grpc::Service> make_grpc(Stores& stores, const Catalogue& catalogue,
                                         WorkerPool& pool, const toolkit::Log& log) {
  return std::make_shared<Adapter>(stores, catalogue, pool, log);
}

}  // namespace mallbots::stores
