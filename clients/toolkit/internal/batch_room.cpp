#include "clients/toolkit/internal/batch_room.h"

#include <algorithm>

#include "clients/toolkit/internal/chain.h"

namespace mallbots::toolkit {
namespace {

const client::Message kNothing{};

}  // namespace

BatchRoom::BatchRoom(std::size_t size, const Context::Surroundings& around)
    : messages_(size, Message{kNothing}) {
  items_.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    contexts_.emplace_back(around, messages_[i]);
    items_.push_back({messages_[i], contexts_.back(), {}});
  }
}

void BatchRoom::run(std::size_t count, const BatchHandler& handler, const Handler& chain,
                    bool is_plain) {
  if (!failed_.empty())
    for (BatchItem& item : items_) item.outcome = {};
  failed_.clear();
  const std::span<BatchItem> items = std::span{items_}.first(count);
  const Handled all = call(
      [&](Context& /*context*/, const Message& /*message*/) -> Handled {
        handler(items);
        return {};
      },
      items.front().context, items.front().message);
  for (std::size_t i = 0; i < count; ++i) {
    BatchItem& item = items[i];
    if (failed_.empty() || !must_wait(i)) {
      if (!all) item.outcome = all;
      if (!is_plain || item.context.has_outputs()) {
        Handled told = std::move(item.outcome);
        item.context.put(told);
        item.outcome = call(chain, item.context, item.message);
      }
      if (!item.outcome) failed_.push_back(i);
    }
    item.context.renew();  // for the next one, while it is at hand
  }
}

bool BatchRoom::must_wait(std::size_t i) const {
  const Message& message = messages_[i];
  return !message.key().empty() && std::ranges::any_of(failed_, [&](std::size_t before) {
    return before < i && messages_[before].key() == message.key() &&
           messages_[before].topic() == message.topic();
  });
}

}  // namespace mallbots::toolkit
