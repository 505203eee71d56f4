#include "clients/toolkit/internal/chain.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <ranges>
#include <typeinfo>
#include <vector>

namespace mallbots::toolkit {
namespace {

std::string type_of(const std::exception& exception) {
  const char* const raw = typeid(exception).name();
  const std::unique_ptr<char, decltype(&std::free)> readable{
      abi::__cxa_demangle(raw, nullptr, nullptr, nullptr), &std::free};
  return readable ? readable.get() : raw;
}

/// The publications that wait for the handler's success are made between these two.
bool is_inside(const Middleware& middleware) { return middleware.layer == Layer::kHandler; }

/// For a middleware, which is told of failures and passed by no exception.
Handler caught(Handler handler) {
  return [handler = std::move(handler)](Context& context, const Message& message) {
    return call(handler, context, message);
  };
}

}  // namespace

Result<void> check_order(std::span<const Middleware> middlewares) {
  const Middleware* outer = nullptr;
  for (const Middleware& inner : middlewares) {
    if (inner.layer == Layer::kAnywhere) continue;
    const bool is_wrong = outer != nullptr && (inner.layer < outer->layer ||
                                               (inner.layer == outer->layer && !is_inside(inner)));
    if (is_wrong && inner.layer == outer->layer)
      return fail(ErrorCode::kBadArgument,
                  "middleware '" + inner.name + "' has the place of '" + outer->name + "'");
    if (is_wrong)
      return fail(
          ErrorCode::kBadArgument,
          "middleware '" + inner.name + "' must stand before (outside) '" + outer->name + "'");
    outer = &inner;
  }
  return {};
}

std::vector<Middleware> merge_layers(std::span<const Middleware> of_router,
                                     std::span<const Middleware> of_handler) {
  struct Placed {
    Layer layer;
    const Middleware* middleware;
  };
  std::vector<Placed> all;
  for (const auto& some : {of_router, of_handler}) {
    Layer layer = Layer::kAnywhere;
    for (const Middleware& one : some) {
      layer = std::max(layer, one.layer);
      all.push_back({layer, &one});
    }
  }
  std::ranges::stable_sort(all, {}, &Placed::layer);
  std::vector<Middleware> merged;
  for (const Placed& placed : all) merged.push_back(*placed.middleware);
  return merged;
}

Handled call(const Handler& handler, Context& context, const Message& message) {
  try {
    return handler(context, message);
  } catch (const std::exception& exception) {
    return try_again(type_of(exception), exception.what());
  } catch (...) {
    return try_again("unknown exception", "something was thrown that is no std::exception");
  }
}

Handled publish_outputs(Context& context, Publisher& bus, const PublishedTo& published_to) {
  std::vector<Output> outputs = context.take_outputs();
  while (!outputs.empty()) {
    const std::string topic = outputs.front().topic;
    const auto others = std::stable_partition(
        outputs.begin(), outputs.end(), [&](const Output& one) { return one.topic == topic; });
    std::vector<Draft> drafts;
    for (auto one = outputs.begin(); one != others; ++one) drafts.push_back(std::move(one->draft));
    MALLBOTS_TRY(publish(bus, topic, drafts, context.cause()));
    published_to(topic);
    outputs.erase(outputs.begin(), others);
  }
  return {};
}

Handler build_chain(Handler handler, std::span<const Middleware> middlewares, const HandlerInfo& of,
                    Publisher& bus, PublishedTo published_to) {
  const auto first_inside = std::ranges::find_if(middlewares, is_inside);
  const auto wrap = [&of](Handler inner, auto&& some) {
    for (const Middleware& middleware : some | std::views::reverse)
      inner = middleware.wrap(caught(std::move(inner)), of);
    return inner;
  };
  Handler chain = wrap(std::move(handler), std::ranges::subrange{first_inside, middlewares.end()});
  chain = [inner = std::move(chain), &bus, published_to = std::move(published_to)](
              Context& context, const Message& message) -> Handled {
    Handled handled = call(inner, context, message);
    if (!handled || !context.has_outputs()) return handled;
    return publish_outputs(context, bus, published_to);
  };
  return wrap(std::move(chain), std::ranges::subrange{middlewares.begin(), first_inside});
}

}  // namespace mallbots::toolkit
