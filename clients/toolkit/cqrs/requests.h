// Requests: commands whose sender waits for the reply.
//
//   Requests requests{commands, bus, "replies.kiosk-1"};
//   MALLBOTS_TRY(add(router, requests.registration()));         // takes the replies in
//   const auto basket = requests.ask<Basket>(StartBasket{...}, Deadline::after_ms(500));
//   const auto done = requests.ask(CancelBasket{...}, Deadline::after_ms(500));
//
// The reply topic belongs to one process at a time: name it after the instance. A reply that nobody
// waits for any more (the deadline passed, the process was another) is done and counted.
//
// A deadline that passes says nothing about the command: it may still be carried out. Ask again
// under the same id, and its effect happens once.
//
// Who calls: ask() from any thread but a handler of the same router's last worker, which would wait
// for itself; the registration's handler from the router. Errors: those of the Publisher; Timeout
// (no reply by then); Refused (the failure reply, its reason and text); Undecodable (the reply is
// of another type).
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "clients/toolkit/cqrs/processors.h"

namespace mallbots::toolkit {

class Requests {
 public:
  Requests(CommandBus commands, Publisher& bus, std::string reply_topic)
      : commands_(std::move(commands)), bus_(&bus), reply_topic_(std::move(reply_topic)) {}
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  template <class Command>
  [[nodiscard]] Result<void> ask(const Command& command, Deadline deadline,
                                 SendingOptions options = {}) {
    const auto reply = exchange(command, deadline, std::move(options));
    if (!reply) return std::unexpected(reply.error());
    return {};
  }
  template <class Reply, class Command>
  [[nodiscard]] Result<Reply> ask(const Command& command, Deadline deadline,
                                  SendingOptions options = {}) {
    const auto reply = exchange(command, deadline, std::move(options));
    if (!reply) return std::unexpected(reply.error());
    return decode<Reply>(Message{reply->view()});
  }

  /// Takes replies in; its group is named after the reply topic.
  [[nodiscard]] Registration registration();
  /// Replies that nobody waited for.
  [[nodiscard]] std::uint64_t late() const;

 private:
  template <class Command>
  [[nodiscard]] Result<client::OwnedMessage> exchange(const Command& command, Deadline deadline,
                                                      SendingOptions options) {
    if (options.id.empty()) options.id = new_message_id();
    options.headers.emplace_back(kReplyTo, reply_topic_);
    options.headers.emplace_back(kReplyId, options.id);
    const std::string id = options.id;
    expect(id);  // before the command is out
    if (auto sent = commands_.send(*bus_, command, {}, options); !sent) {
      give_up_on(id);
      return std::unexpected(std::move(sent).error());
    }
    return wait_for(id, deadline);
  }
  void expect(const std::string& id);
  void give_up_on(const std::string& id);
  [[nodiscard]] Result<client::OwnedMessage> wait_for(const std::string& id, Deadline deadline);
  void take(const Message& message);

  CommandBus commands_;
  Publisher* bus_;
  std::string reply_topic_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::string, std::unique_ptr<client::OwnedMessage>> expected_;  ///< null: not here yet
  std::uint64_t late_ = 0;
};

}  // namespace mallbots::toolkit
