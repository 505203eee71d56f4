// View: a read model as the tables it fills and what each event does to them. The ViewRunner
// (view_runner.h) feeds it.
//
//   const View invoices = View{"invoices", 1,
//       "create table {invoices} (id text primary key, paid integer not null default 0)", names}
//       .on<InvoiceIssued>([](ViewWork& work, const InvoiceIssued& event) -> Handled {
//         MALLBOTS_TRY(work.run("insert into {invoices} (id) values (?)", {event.id}));
//         work.publish(InvoiceShown{event.id});        // for the page that is open right now
//         return {};
//       });
//
// A name in braces is a table of this view. Each build of the view has its own; whoever reads the
// view names the table without braces, and gets that of the build that is live.
//
// Every message is applied once to each build, although it may lie in the log twice. publish() goes
// out once for the view, whatever is rebuilt: a rebuild is silent.
//
// A handler that fails stops its build at that message until it succeeds; give_up() passes the
// message over, and counts it (ViewRunner::skipped). Any thread; a View is a value.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/toolkit/cqrs/buses.h"
#include "clients/toolkit/store/outbox.h"

namespace mallbots::toolkit {

/// What a handler of a view may touch; for one message.
class ViewWork {
 public:
  struct Around {
    Transaction& transaction;
    Outbox& outbox;
    const TopicNames& names;
    std::string view;
    std::int64_t build = 0;
    bool is_silent = false;
  };
  ViewWork(const Around& around, const Message& message) noexcept
      : around_(&around), message_(&message) {}

  /// As Transaction::run and rows, with this build's tables.
  [[nodiscard]] Result<std::int64_t> run(std::string_view sql, SqlValues values = {});
  [[nodiscard]] Result<Rows> rows(std::string_view sql, SqlValues values = {});
  [[nodiscard]] const Message& message() const noexcept { return *message_; }

  template <class Event>
  void publish(const Event& event) {
    outputs_.push_back({around_->names.topic_of(kMessageType<Event>), encode(event)});
  }
  /// Brings what was published to the outbox, unless the build is silent here.
  [[nodiscard]] Result<void> flush();

 private:
  const Around* around_;
  const Message* message_;
  std::vector<Output> outputs_;
};

class View {
 public:
  /// `form` counts the changes of schema and handlers: a higher one is built anew.
  View(std::string name, std::int64_t form, std::string schema, TopicNames names)
      : name_(std::move(name)), form_(form), schema_(std::move(schema)), names_(std::move(names)) {}

  /// `apply`: Handled (ViewWork&, const Event&). Older versions arrive upcast.
  template <class Event, class Function>
  View& on(Function apply) {
    appliers_.push_back(
        {&accepts<Event>,
         [apply = std::move(apply)](ViewWork& work, const Message& message) -> Handled {
           const auto event = decode<Event>(message);
           if (!event) return give_up("Undecodable", event.error().detail);
           return apply(work, *event);
         }});
    return *this;
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::int64_t form() const noexcept { return form_; }
  [[nodiscard]] const std::string& schema() const noexcept { return schema_; }
  [[nodiscard]] const TopicNames& names() const noexcept { return names_; }
  /// Names in braces in the schema, each once.
  [[nodiscard]] std::vector<std::string> tables() const;
  /// All handlers of the message; one of another type is passed over.
  [[nodiscard]] Handled apply(ViewWork& work, const Message& message) const;

 private:
  struct Applier {
    bool (*accepts)(std::string_view wire_name);
    std::function<Handled(ViewWork&, const Message&)> apply;
  };
  std::string name_;
  std::int64_t form_;
  std::string schema_;
  TopicNames names_;
  std::vector<Applier> appliers_;
};

/// `{invoices}` as the table of a build: `invoices_b3`.
[[nodiscard]] std::string with_tables_of(std::int64_t build, std::string_view sql);

}  // namespace mallbots::toolkit
