#include "clients/toolkit/cqrs/message_type.h"

namespace mallbots::toolkit {

std::string MessageType::wire_name() const {
  return std::string{name}.append("_v").append(std::to_string(version));
}

std::string_view kind_name(MessageKind kind) noexcept {
  switch (kind) {
    case MessageKind::kEvent:
      return "event";
    case MessageKind::kInternalEvent:
      return "internal-event";
    case MessageKind::kCommand:
      return "command";
    case MessageKind::kReply:
      return "reply";
  }
  return "";
}

std::string TopicNames::topic_of(const MessageType& type) const {
  const std::string name{type.name};
  switch (type.kind) {
    case MessageKind::kEvent:
      return event_topic ? event_topic(type) : "events." + name;
    case MessageKind::kInternalEvent:
      return "internal-events." + service + "." + name;
    case MessageKind::kCommand:
      return "commands." + name;
    case MessageKind::kReply:
      return "replies." + service;
  }
  return {};
}

}  // namespace mallbots::toolkit
