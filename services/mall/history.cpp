#include "services/mall/history.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "clients/admin.h"
#include "clients/consumer.h"
#include "services/customers/contract.h"
#include "services/depot/contract.h"
#include "services/orders/contract.h"
#include "services/payments/contract.h"
#include "services/runtime/money_proto.h"
#include "services/stores/contract.h"

namespace mallbots::mall {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr std::int64_t kPatienceMs = 1'000;
constexpr std::size_t kLongestText = 120;

/// One message of each contract, so that its descriptors are there; their files hold the others.
const Descriptor* type_named(const std::string& name) {
  static const std::array kContracts = {customersapi::CustomerRegistered::descriptor()->file(),
                                        depotapi::ShoppingListAvailable::descriptor()->file(),
                                        ordersapi::OrderCreated::descriptor()->file(),
                                        paymentsapi::InvoiceCreated::descriptor()->file(),
                                        storesapi::StoreCreated::descriptor()->file()};
  for (const auto* contract : kContracts)
    if (const Descriptor* type = contract->FindMessageTypeByName(name)) return type;
  return nullptr;
}

/// What comes from the log goes to a terminal: one line, without what steers it.
std::string plain(std::string_view text) {
  std::string shown(text.substr(0, kLongestText));
  for (char& letter : shown) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte == 0x7F) letter = '?';
  }
  if (text.size() > kLongestText) shown += "...";
  return shown;
}

std::string shown(const google::protobuf::Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.is_repeated()) return std::to_string(reflection.FieldSize(message, &field));
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return plain(reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "yes" : "no";
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.message_type() == runtimepb::Money::descriptor()) {
        runtimepb::Money money;
        money.CopyFrom(reflection.GetMessage(message, &field));
        return to_text(from_proto(money).value_or(Money{}));
      }
      return plain(reflection.GetMessage(message, &field).ShortDebugString());
    default:
      return "?";
  }
}

bool is_said(const google::protobuf::Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.is_repeated()) return reflection.FieldSize(message, &field) != 0;
  // A "no" says something, an empty text does not.
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) return true;
  return reflection.HasField(message, &field);
}

std::string_view without_version(std::string_view name) {
  return name.substr(0, std::min(name.size(), name.rfind("_v")));
}

}  // namespace

std::string_view Fact::field(std::string_view wanted) const noexcept {
  const auto found = std::ranges::find(fields, wanted, &std::pair<std::string, std::string>::first);
  return found == fields.end() ? std::string_view{} : std::string_view{found->second};
}

bool Fact::is_event() const noexcept { return topic.find("events.") != std::string::npos; }

bool is_of_history(std::string_view topic) noexcept {
  if (topic.ends_with(".dlq") || topic == "mallbots.fleet.positions") return false;
  return topic.starts_with("mallbots.") || topic.starts_with("commands.") ||
         topic.starts_with("replies.") || topic.starts_with("internal-events.");
}

Fact fact_of(const toolkit::Message& message) {
  const client::Message& record = message.record();
  Fact fact{.topic = std::string(record.topic),
            .partition = record.partition,
            .offset = record.offset,
            .at_ms = record.timestamp_ms,
            .id = plain(message.id()),
            .name = plain(without_version(message.name())),
            .key = plain(message.key()),
            .correlation = plain(message.correlation_id()),
            .causation = plain(message.causation_id()),
            .actor = plain(message.actor()),
            .fields = {}};
  const Descriptor* type = type_named(std::string(without_version(message.name())));
  if (type == nullptr) return fact;
  const std::unique_ptr<google::protobuf::Message> body(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  const std::string_view payload = message.payload();
  if (!body->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return fact;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor& field = *type->field(i);
    if (is_said(*body, field)) fact.fields.emplace_back(field.name(), shown(*body, field));
  }
  return fact;
}

Result<std::vector<Fact>> read_history(const client::ConnectionOptions& where) {
  auto connection = client::Connection::open(where);
  if (!connection) return std::unexpected(std::move(connection).error());
  const auto topics = client::Admin{**connection}.list_topics();
  if (!topics) return std::unexpected(topics.error());
  auto consumer = client::Consumer::open(**connection, {.internal_events = true});
  if (!consumer) return std::unexpected(std::move(consumer).error());
  for (const client::TopicSummary& topic : *topics)
    if (is_of_history(topic.name))
      MALLBOTS_TRY((*consumer)->assign(topic.name, {}, client::Start::oldest()));

  // A mall that runs writes on: what is there now is the history.
  std::map<std::pair<std::string, PartitionIndex>, Offset> left;
  for (const client::TopicPartition& partition : (*consumer)->assignment()) {
    const auto range = (*consumer)->range(partition);
    if (!range) return std::unexpected(range.error());
    if (range->end > range->start) left[{partition.topic, partition.partition}] = range->end;
  }
  std::vector<Fact> facts;
  while (!left.empty()) {
    const auto records = (*consumer)->poll(Deadline::after_ms(kPatienceMs));
    if (!records && client::is_setback(records.error().code)) continue;
    if (!records) return std::unexpected(records.error());
    if (records->empty()) break;  // the rest is the log's own
    for (const client::Message& record : *records) {
      const auto end = left.find({std::string(record.topic), record.partition});
      if (end == left.end()) continue;
      facts.push_back(fact_of(toolkit::Message{record}));
      if (record.offset + 1 >= end->second) left.erase(end);
    }
  }
  return facts;
}

}  // namespace mallbots::mall
