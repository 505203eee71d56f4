#include "services/gateways/admin/commands.h"

#include <fmt/format.h>

#include "services/gateways/admin/calls.h"

namespace mallbots::admin {
namespace {

template <class Entry>
std::shared_ptr<Entry> entry_of(std::unordered_map<std::string, std::shared_ptr<Entry>>& entries,
                                std::deque<std::string>& order, const std::string& key) {
  auto& entry = entries[key];
  if (entry) return entry;
  entry = std::make_shared<Entry>();
  order.push_back(key);
  const auto mine = entry;
  if (order.size() > kKept) {
    entries.erase(order.front());
    order.pop_front();
  }
  return mine;
}

}  // namespace

Response Commands::run(const std::string& key, const std::string& fingerprint,
                       const std::function<Response()>& body) {
  const auto entry = [&] {
    const std::scoped_lock lock(mutex_);
    return entry_of(entries_, order_, key);
  }();
  const std::scoped_lock lock(entry->mutex);
  if (!entry->fingerprint.empty() && entry->fingerprint != fingerprint) {
    return gateways::problem({.status = 422,
                              .name = "key-reused",
                              .detail = "the Idempotency-Key came before with another request",
                              .remedy = "give each command a key of its own"});
  }
  entry->fingerprint = fingerprint;
  if (entry->is_done) return entry->response;
  Response response = body();
  const bool is_final = response.status < 500 && response.status != 429;
  if (is_final) {
    entry->response = response;
    entry->is_done = true;
  }
  return response;
}

Response Claims::run(const std::string& what, const std::string& deed, const std::string& who,
                     const std::function<Response()>& body) {
  const auto entry = [&] {
    const std::scoped_lock lock(mutex_);
    return entry_of(entries_, order_, what);
  }();
  const std::scoped_lock lock(entry->mutex);
  if (!entry->done_by.empty()) {
    return done_already(fmt::format("{}: it was done already, by {}", deed, entry->done_by));
  }
  Response response = body();
  if (response.status < 300) entry->done_by = who;
  return response;
}

}  // namespace mallbots::admin
