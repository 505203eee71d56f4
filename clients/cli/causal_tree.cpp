#include "clients/cli/causal_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace mallbots::client::cli {
namespace {

constexpr std::size_t kBarColumns = 30;
constexpr std::size_t kDeepest = 40;  ///< deeper ones are drawn there

std::string what(const TracedMessage& message) {
  return printable(message.topic) + (message.name.empty() ? "" : " " + printable(message.name));
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, display_width(text)), ' ');
}

/// Mermaid ends a statement at these, whatever stands around them.
std::string mermaid_text(const std::string& text) {
  std::string safe;
  for (const char c : printable(text)) {
    if (c == ';' || c == '#')
      safe += fmt::format("#{};", static_cast<int>(c));
    else
      safe += c;
  }
  return safe.empty() ? " " : safe;
}

}  // namespace

CausalTree::CausalTree(std::vector<TracedMessage> messages) : messages_(std::move(messages)) {
  std::ranges::sort(messages_, {}, [](const TracedMessage& one) {
    return std::tuple{one.time_ms, std::string_view{one.topic}, one.partition, one.offset};
  });
  const std::size_t count = messages_.size();
  children_.resize(count);
  is_placed_.resize(count);
  is_again_.resize(count);
  std::map<std::string_view, std::size_t> first;
  for (std::size_t i = 0; i < count; ++i) is_again_[i] = !first.emplace(messages_[i].id, i).second;
  std::vector<std::size_t> roots;
  for (std::size_t i = 0; i < count; ++i) {
    const auto cause = first.find(messages_[i].causation_id);
    if (cause == first.end() || cause->second == i)
      roots.push_back(i);
    else
      children_[cause->second].push_back(i);
  }
  for (const std::size_t root : roots) place(root, {}, "", true);
  for (std::size_t i = 0; i < count; ++i)  // of circles, which no root leads to
    if (!is_placed_[i]) place(i, {}, "", true);
}

void CausalTree::place(std::size_t message, std::optional<std::size_t> parent,
                       const std::string& indent, bool is_last) {
  struct Waiting {
    std::size_t message;
    std::optional<std::size_t> parent;
    std::string indent;
    bool is_last;
  };
  // Not recursive: the depth is whatever somebody wrote into the log.
  std::vector<Waiting> waiting{{message, parent, indent, is_last}};
  while (!waiting.empty()) {
    const Waiting next = std::move(waiting.back());
    waiting.pop_back();
    if (is_placed_[next.message]) continue;
    is_placed_[next.message] = true;
    const bool is_root = !next.parent;
    const std::size_t here = nodes_.size();
    nodes_.push_back({.message = next.message,
                      .parent = next.parent,
                      .depth = is_root ? 0 : nodes_[*next.parent].depth + 1,
                      .is_again = is_again_[next.message],
                      .branch = is_root ? "" : next.indent + (next.is_last ? "└─ " : "├─ ")});
    std::string below;
    if (!is_root) below = next.indent;
    if (!is_root && nodes_[here].depth < kDeepest) below += next.is_last ? "   " : "│  ";
    const std::vector<std::size_t>& children = children_[next.message];
    for (std::size_t i = children.size(); i-- > 0;)
      waiting.push_back({children[i], here, below, i + 1 == children.size()});
  }
}

std::string CausalTree::text(std::size_t width) const {
  if (messages_.empty()) return {};
  const UnixMillis start_ms = messages_.front().time_ms;
  const UnixMillis span_ms = std::max<UnixMillis>(messages_.back().time_ms - start_ms, 1);
  const auto column = [&](UnixMillis time_ms) {
    return static_cast<std::size_t>((time_ms - start_ms) * (kBarColumns - 1) / span_ms);
  };
  std::vector<std::string> names;
  std::size_t longest = 0;
  for (const Node& node : nodes_) {
    const TracedMessage& message = messages_[node.message];
    std::string name = node.branch + what(message);
    if (!message.key.empty()) name += "  " + printable(message.key);
    if (node.is_again) name += "  again";
    if (!node.parent && !message.causation_id.empty())
      name += "  (by " + printable(message.causation_id) + ")";
    longest = std::max(longest, display_width(name));
    names.push_back(std::move(name));
  }
  constexpr std::size_t kTimeColumns = 12;
  const bool has_bars = width == 0 || longest + kTimeColumns + kBarColumns + 4 <= width;
  std::string all;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const UnixMillis at_ms = messages_[node.message].time_ms;
    all += fmt::format("{:>{}}  ", fmt::format("+{} ms", at_ms - start_ms), kTimeColumns - 2);
    if (!has_bars) {
      all += names[i] + "\n";
      continue;
    }
    const std::size_t end = column(at_ms);
    const std::size_t begin =
        node.parent ? std::min(column(messages_[nodes_[*node.parent].message].time_ms), end) : end;
    all += padded(names[i], longest + 2) + std::string(begin, ' ') + repeated("─", end - begin) +
           "■\n";
  }
  return all;
}

std::string CausalTree::mermaid() const {
  std::vector<std::string> topics;
  for (const Node& node : nodes_)
    if (const std::string& topic = messages_[node.message].topic;
        std::ranges::find(topics, topic) == topics.end())
      topics.push_back(topic);
  const auto participant = [&](const std::string& topic) {
    return fmt::format("t{}", std::ranges::find(topics, topic) - topics.begin());
  };
  std::string all = "sequenceDiagram\n  actor outside\n";
  for (const std::string& topic : topics)
    all += fmt::format("  participant {} as {}\n", participant(topic), mermaid_text(topic));
  for (const Node& node : nodes_) {
    const TracedMessage& message = messages_[node.message];
    const std::string from =
        node.parent ? participant(messages_[nodes_[*node.parent].message].topic) : "outside";
    all += fmt::format("  {}->>{}: {} +{} ms{}\n", from, participant(message.topic),
                       mermaid_text(message.name.empty() ? message.id : message.name),
                       message.time_ms - messages_.front().time_ms, node.is_again ? " again" : "");
  }
  return all;
}

Json CausalTree::json() const {
  Json rows = Json::array();
  for (const Node& node : nodes_) {
    const TracedMessage& message = messages_[node.message];
    rows.push_back(Json{{"topic", printable(message.topic)},
                        {"partition", message.partition},
                        {"offset", message.offset},
                        {"time_ms", message.time_ms},
                        {"since_ms", message.time_ms - messages_.front().time_ms},
                        {"id", printable(message.id)},
                        {"name", printable(message.name)},
                        {"key", printable(message.key)},
                        {"actor", printable(message.actor)},
                        {"correlation_id", printable(message.correlation_id)},
                        {"causation_id", printable(message.causation_id)},
                        {"trace_id", printable(message.trace_id)},
                        {"depth", node.depth},
                        {"parent", node.parent ? Json(*node.parent) : Json(nullptr)},
                        {"again", node.is_again}});
  }
  return rows;
}

}  // namespace mallbots::client::cli
