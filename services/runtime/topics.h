// Topics: what the shop's topics are made of. A context says which topics it writes and hears; the
// first one that asks makes them, so all must ask for the same: the settings follow from the name.
//
// Who calls: Host, any thread. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/admin.h"

namespace mallbots {

struct Topic {
  Topic(std::string name_, std::vector<client::TopicSetting> settings_ = {})  // NOLINT: a name is
      : name(std::move(name_)), settings(std::move(settings_)) {}             // a topic
  Topic(const char* name_) : name(name_) {}                                   // NOLINT: the same

  std::string name;
  std::vector<client::TopicSetting> settings;  ///< none: settings_of(name)
};

/// Streams of aggregates (type=events) for carts, orders, stores and products; the broker's
/// defaults for all others: one partition on disk, nothing deleted.
[[nodiscard]] std::vector<client::TopicSetting> settings_of(std::string_view topic);

}  // namespace mallbots
