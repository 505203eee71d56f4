#include "clients/toolkit/cqrs/processors.h"

#include <algorithm>
#include <optional>

#include "clients/toolkit/store/database.h"

namespace mallbots::toolkit {

// --- EventGroup

void EventGroup::add(const std::string& topic, bool (*accepts)(std::string_view), Handler handler) {
  listen_to(topic);
  entries_.push_back({accepts, std::move(handler)});
}

EventGroup& EventGroup::listen_to(const std::string& topic) {
  if (std::ranges::find(topics_, topic) == topics_.end()) topics_.push_back(topic);
  return *this;
}

Registration EventGroup::registration() const {
  return {.info = {.name = group_, .group = group_, .topics = topics_},
          .handler = [entries = entries_, unknown = unknown_](Context& context,
                                                              const Message& message) -> Handled {
            bool is_known = false;
            for (const Entry& entry : entries) {
              if (!entry.accepts(message.name())) continue;
              is_known = true;
              if (auto handled = entry.handler(context, message); !handled) return handled;
            }
            if (is_known || unknown == UnknownEvents::kPass) return {};
            const std::string text = "no handler takes '" + std::string{message.name()} + "'";
            return unknown == UnknownEvents::kBury ? give_up("UnknownEvent", text)
                                                   : try_again("UnknownEvent", text);
          }};
}

// --- CommandProcessor

namespace {

bool is_refusal(const HandlerFailure& failure) {
  return failure.again == Again::kNever || failure.type == error_entry(ErrorCode::kRefused).name;
}

Draft success(Draft draft) {
  draft.headers.emplace_back(kReplyOutcome, kReplySuccess);
  return draft;
}

Draft refusal(const HandlerFailure& failure) {
  return {.name = kPlainReply.wire_name(),
          .headers = {{std::string{kReplyOutcome}, std::string{kReplyFailure}},
                      {std::string{kReplyReason}, failure.type},
                      {std::string{kReplyText}, failure.text}}};
}

void reply(Context& context, const Message& message, Draft draft) {
  draft.id = message.id() + "/reply";  // a command that is carried out again replies the same
  draft.key = message.key();
  draft.headers.emplace_back(kReplyId, message.header(kReplyId).value_or(message.id()));
  context.publish(std::string{*message.header(kReplyTo)}, std::move(draft));
}

}  // namespace

Result<void> CommandProcessor::add(const MessageType& type, Carrier carrier) {
  const auto [found, is_new] =
      carriers_.try_emplace(std::string{type.name}, type, std::move(carrier));
  if (!is_new)
    return fail(ErrorCode::kBadArgument,
                "command '" + found->first + "' has a handler already; a command has one");
  return {};
}

/// What a refused command did is undone; the mark of its transaction and its reply stay.
CommandProcessor::Answer CommandProcessor::carry_out(const Carrier& carrier, Context& context,
                                                     const Message& message) {
  auto* transaction = context.find<Transaction>();
  if (transaction == nullptr) return carrier(context, message);
  std::optional<Answer> answered;
  const auto undone = transaction->attempt([&]() -> Result<void> {
    answered = carrier(context, message);
    return *answered ? Result<void>{} : fail(ErrorCode::kRefused);
  });
  if (!undone && (!answered || *answered))
    return std::unexpected(HandlerFailure{undone.error()});  // the database's own
  return std::move(*answered);
}

std::vector<Registration> CommandProcessor::registrations() const {
  std::vector<Registration> all;
  for (const auto& [name, entry] : carriers_) {
    const auto& [type, carrier] = entry;
    all.push_back(
        {.info = {.name = "command." + name,
                  .group = names_.service + "." + name,
                  .topics = {names_.topic_of(type)}},
         .handler = [carrier = carrier](Context& context, const Message& message) -> Handled {
           const auto reply_to = message.header(kReplyTo);
           auto answered = carry_out(carrier, context, message);
           if (answered) {
             if (reply_to) reply(context, message, success(std::move(*answered)));
             return {};
           }
           if (!reply_to || !is_refusal(answered.error()))
             return std::unexpected(std::move(answered).error());
           static_cast<void>(context.take_outputs());
           reply(context, message, refusal(answered.error()));
           return {};
         }});
  }
  return all;
}

}  // namespace mallbots::toolkit
