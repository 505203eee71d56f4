// MessageSet: all message types of a service with their fields, as a text that is checked in. A
// test compares it with the file of the last release, so that an incompatible change is refused
// before anybody else sees it.
//
//   MessageSet set;
//   set.add<OrderPlaced>().add<PlaceOrder>();
//   const auto kept = set.check_against(text_of("services/orders/messages.txt"));
//
// The file is the set's own text(), one message with its fields after the other:
//
//   event OrderPlaced_v1 application/json
//     lines[].count integer
//     order_id text
//
// Kept is what readers of the released form rely on: every released message is there, is of the
// same kind and content type, and has every released field with the same type (protobuf: the same
// number and type). New messages and new fields may come. Taking a message out of the file is a
// decision that shows in the review of that file. Errors: Incompatible, with everything that broke.
// One thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "clients/toolkit/cqrs/codec.h"

namespace google::protobuf {
class Descriptor;
}

namespace mallbots::toolkit {

/// Field numbers, names and types (protobuf.cpp; links protobuf).
[[nodiscard]] FieldList protobuf_fields(const google::protobuf::Descriptor& type);

class MessageSet {
 public:
  template <class T>
  MessageSet& add() {
    FieldList fields;
    if constexpr (Protobuf<T>)
      fields = protobuf_fields(*T::descriptor());
    else
      list_fields<T>(fields, {});
    put(kMessageType<T>, content_type_of<T>(), std::move(fields));
    return *this;
  }

  [[nodiscard]] std::string text() const;
  [[nodiscard]] Result<void> check_against(std::string_view released) const;

 private:
  struct Entry {
    std::string form;  ///< kind and content type
    std::map<std::string, std::string> fields;
  };
  using Entries = std::map<std::string, Entry>;

  void put(const MessageType& type, std::string_view content, FieldList fields);
  [[nodiscard]] static Result<Entries> parse(std::string_view text);

  Entries entries_;
};

}  // namespace mallbots::toolkit
