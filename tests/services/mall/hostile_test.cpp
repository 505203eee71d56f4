// What a hostile caller may say to the contexts' gRPC methods: every method with what does not
// read, with text that is no text and with huge text, and the moves that the rules forbid. Each is
// refused with its code and a sentence, no process ends, and nothing has happened.
#include <grpcpp/generic/generic_stub.h>

#include <set>

#include "clients/admin.h"
#include "services/search/api.grpc.pb.h"
#include "tests/services/mall/mall_fixture.h"

namespace mallbots::test {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using grpc::StatusCode;

const std::map<std::string, const ServiceDescriptor*>& contexts() {
  static const std::map<std::string, const ServiceDescriptor*> all = {
      {"customers", customerspb::Customer::descriptor()->file()->service(0)},
      {"orders", orderspb::Order::descriptor()->file()->service(0)},
      {"depot", depotpb::Bot::descriptor()->file()->service(0)},
      {"payments", paymentspb::Invoice::descriptor()->file()->service(0)},
      {"stores", storespb::Store::descriptor()->file()->service(0)},
      {"search", searchpb::Order::descriptor()->file()->service(0)}};
  return all;
}

/// An empty one of that type.
std::unique_ptr<Message> message_of(const google::protobuf::Descriptor* type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

/// Every text field, in the messages within too, one of each repeated one.
void fill(Message& message, const std::string& text) {
  const auto* type = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const bool is_many = field->is_repeated();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      is_many ? reflection->AddString(&message, field, text)
              : reflection->SetString(&message, field, text);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
      fill(is_many ? *reflection->AddMessage(&message, field)
                   : *reflection->MutableMessage(&message, field),
           text);
    }
  }
}

class HostileCalls : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(mall_.start()) << mall_.log();
    ASSERT_NO_FATAL_FAILURE(story_.open_store());
    ASSERT_NO_FATAL_FAILURE(story_.fill_cart());
    ASSERT_NO_FATAL_FAILURE(story_.check_out());
    story_.wait_for("approved");
    ASSERT_NO_FATAL_FAILURE(story_.start_shopping());
    story_.wait_for("in-progress");
    list_ = story_.order().shopping_id();
    connection_ = client::Connection::open({.runtime_dir = mall_.daemon().runtime_dir()}).value();
  }
  grpc::Status call(const std::string& service, const std::string& method, const std::string& bytes,
                    const std::map<std::string, std::string>& metadata = {}) {
    grpc::GenericStub stub(mall_.channel(service));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareUnaryCall(
        &context, "/" + contexts().at(service)->full_name() + "/" + method, request, &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool is_good = false;
    queue.Next(&tag, &is_good);
    return status;
  }
  /// What has happened: records by topic, and what the contexts say of the story.
  std::map<std::string, std::string> facts() {
    std::map<std::string, std::string> facts;
    client::Admin admin(*connection_);
    const auto topics = admin.list_topics().value();
    for (const client::TopicSummary& topic : topics) {
      if (topic.name.starts_with("mallbots.")) facts[topic.name] = std::to_string(topic.records);
    }
    facts["order"] = story_.order().ShortDebugString();
    facts["invoice"] = story_.invoice().ShortDebugString();
    depotpb::ListRequest list;
    list.set_id(list_);
    depotpb::ShoppingList of;
    static_cast<void>(mall_.ask("depot", &depotpb::DepotService::Stub::GetList, list, &of));
    facts["list"] = of.ShortDebugString();
    return facts;
  }
  /// Once nothing more comes of what was before.
  std::map<std::string, std::string> settled_facts() {
    auto now = facts();
    for (int i = 0; i < 50; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{500});
      auto next = facts();
      if (next == now) break;
      now = std::move(next);
    }
    return now;
  }

  RunningMall mall_{Manner::kTogether};
  Story story_{mall_};
  std::string list_;
  std::unique_ptr<client::Connection> connection_;
};

void expect_refused(const grpc::Status& status, const std::set<StatusCode>& codes) {
  EXPECT_TRUE(codes.contains(status.error_code()))
      << status.error_code() << ": " << status.error_message();
  EXPECT_FALSE(status.error_message().empty());
  EXPECT_LT(status.error_message().size(), 500U);
}

TEST_F(HostileCalls, AreRefusedByEveryMethodAndNothingHasHappened) {
  const auto before = settled_facts();
  const std::vector<std::string> texts = {std::string(400'000, 'x'), std::string("a\0b", 3),
                                          "a\nb"};
  for (const auto& [service, methods] : contexts()) {
    for (int i = 0; i < methods->method_count(); ++i) {
      const MethodDescriptor* method = methods->method(i);
      SCOPED_TRACE(method->full_name());
      const auto send = [&](const std::string& bytes) {
        return call(service, method->name(), bytes);
      };
      expect_refused(send("\xff\xff\xff\xff"), {StatusCode::INVALID_ARGUMENT});
      expect_refused(send("\x0a\x7f"
                          "cut"),
                     {StatusCode::INVALID_ARGUMENT});
      expect_refused(send(std::string(5'000'000, '\0')),
                     {StatusCode::RESOURCE_EXHAUSTED, StatusCode::INVALID_ARGUMENT});
      const auto message = message_of(method->input_type());
      fill(*message, "x");
      if (message->ByteSizeLong() == 0) continue;  // it asks nothing
      std::string garbled = message->SerializeAsString();
      for (std::size_t at = garbled.find("\x01x"); at != std::string::npos;
           at = garbled.find("\x01x", at + 1))
        garbled[at + 1] = '\xc3';
      expect_refused(send(garbled), {StatusCode::INVALID_ARGUMENT});
      for (const std::string& text : texts) {
        fill(*message, text);
        const grpc::Status status = send(message->SerializeAsString());
        if (status.ok()) continue;  // a filter that finds nothing
        expect_refused(status, {StatusCode::INVALID_ARGUMENT, StatusCode::NOT_FOUND,
                                StatusCode::FAILED_PRECONDITION, StatusCode::ABORTED});
      }
    }
  }
  EXPECT_EQ(settled_facts(), before);
  EXPECT_TRUE(mall_.stop()) << mall_.log();
}

/// One row of a table: its message, and what is said to it.
struct Row {
  const char* what;
  const char* service;
  const char* method;
  std::string bytes;
  StatusCode code;
  std::map<std::string, std::string> metadata{};
};

template <class M, class Change>
std::string made(const Change& change) {
  M message;
  change(message);
  return message.SerializeAsString();
}
std::string id(const std::string& text) {  // field 1 of many messages
  return made<orderspb::OrderRequest>([&](auto& message) { message.set_id(text); });
}
std::string report(const std::string& bot, std::uint64_t epoch, const std::string& list,
                   std::uint64_t sequence) {
  return made<depotpb::ReportRequest>([&](auto& message) {
    message.set_bot_id(bot);
    message.set_epoch(epoch);
    message.set_list_id(list);
    message.set_sequence(sequence);
    message.mutable_arrived_at_depot();
  });
}
std::string quantity(const std::string& cart, const std::string& product, std::int32_t quantity) {
  return made<orderspb::SetQuantityRequest>([&](auto& message) {
    message.set_id(cart);
    message.set_product_id(product);
    message.set_quantity(quantity);
  });
}
std::string count(const std::string& list, std::int32_t quantity) {
  return made<depotpb::TakeInventoryRequest>([&](auto& message) {
    message.set_list_id(list);
    message.add_counted()->set_product_id("mug");
    message.mutable_counted(0)->set_quantity(quantity);
  });
}
std::string price(const std::string& product, std::int64_t minor, const std::string& currency) {
  return made<storespb::ChangePriceRequest>([&](auto& message) {
    message.set_id(product);
    message.mutable_price()->set_minor(minor);
    message.mutable_price()->set_currency(currency);
  });
}
std::string hold(const std::string& payment, std::int64_t minor, const std::string& currency) {
  return made<paymentspb::AuthorizeRequest>([&](auto& message) {
    message.set_id(payment);
    message.set_customer_id("c1");
    message.set_card_token("tok_2");
    message.mutable_amount()->set_minor(minor);
    message.mutable_amount()->set_currency(currency);
  });
}
std::string pay(const std::string& invoice, const std::string& by) {
  return made<paymentspb::PayRequest>([&](auto& message) {
    message.set_invoice_id(invoice);
    message.set_by(by);
  });
}
std::string page(const std::string& cursor, std::int32_t limit) {
  return made<depotpb::ListBotsRequest>([&](auto& message) {
    message.set_cursor(cursor);
    message.set_limit(limit);
  });
}

std::vector<Row> depot_rows(const std::string& list) {
  return {
      {"a connection to come", "depot", "Report", report("b1", 99, list, 2), StatusCode::ABORTED},
      {"no connection", "depot", "Report", report("b1", 0, list, 2), StatusCode::ABORTED},
      {"a robot nobody knows", "depot", "Report", report("b9", 1, list, 1), StatusCode::NOT_FOUND},
      {"a list nobody knows", "depot", "Report", report("b1", 1, "none", 0), StatusCode::NOT_FOUND},
      {"home too early", "depot", "Report", report("b1", 1, list, 0),
       StatusCode::FAILED_PRECONDITION},
      {"a replay with another deed", "depot", "Report", report("b1", 1, list, 1), StatusCode::OK},
      {"a robot without a name", "depot", "Hello",
       made<depotpb::HelloRequest>([](auto& m) { m.set_bot_id("b2"); }),
       StatusCode::INVALID_ARGUMENT},
      {"counted while it is fetched", "depot", "TakeInventory", count(list, 2),
       StatusCode::FAILED_PRECONDITION},
      {"counted below 0", "depot", "TakeInventory", count(list, -2), StatusCode::INVALID_ARGUMENT},
      {"counted what is none", "depot", "TakeInventory", count("none", 2), StatusCode::NOT_FOUND},
      {"a cursor that is none", "depot", "ListBots", page("zz", 10), StatusCode::INVALID_ARGUMENT},
      {"a page of less than nothing", "depot", "ListBots", page("", -1),
       StatusCode::INVALID_ARGUMENT},
      {"a page of everything", "depot", "ListBots", page("", INT32_MAX),
       StatusCode::INVALID_ARGUMENT},
  };
}
std::vector<Row> order_rows() {
  return {
      {"a cart that is checked out", "orders", "SetQuantity", quantity("o1", "mug", 5),
       StatusCode::FAILED_PRECONDITION},
      {"less than nothing", "orders", "SetQuantity", quantity("c2", "mug", -1),
       StatusCode::INVALID_ARGUMENT},
      {"more than there may be", "orders", "SetQuantity", quantity("c2", "mug", INT32_MAX),
       StatusCode::INVALID_ARGUMENT},
      {"no such cart", "orders", "SetQuantity", quantity("none", "mug", 1), StatusCode::NOT_FOUND},
      {"no such product", "orders", "SetQuantity", quantity("c2", "gold", 1),
       StatusCode::NOT_FOUND},
      {"canceled when checked out", "orders", "CancelCart",
       made<orderspb::CancelRequest>([](auto& m) {
         m.set_id("o1");
         m.set_reason("no");
       }),
       StatusCode::FAILED_PRECONDITION},
      {"handed over while it is fetched", "orders", "ReleaseOrder", id("o1"),
       StatusCode::FAILED_PRECONDITION},
      {"handed over what is none", "orders", "ReleaseOrder", id("none"), StatusCode::NOT_FOUND},
      {"a cancellation without a reason", "orders", "CancelOrder", id("o1"),
       StatusCode::INVALID_ARGUMENT},
      {"words for the database", "orders", "GetOrder", id("' or 1=1 --"), StatusCode::NOT_FOUND},
      {"no saga", "orders", "ResumeSaga", id("none"), StatusCode::NOT_FOUND},
  };
}
std::vector<Row> other_rows(const std::map<std::string, std::string>& repriced) {
  constexpr std::int64_t kMost = INT64_MAX;
  return {
      {"paid with gold", "payments", "Pay", pay("o1", "gold"), StatusCode::INVALID_ARGUMENT},
      {"no such invoice", "payments", "Pay", pay("none", "card"), StatusCode::NOT_FOUND},
      {"a hold below 0", "payments", "Authorize", hold("h2", -5, "GBP"),
       StatusCode::INVALID_ARGUMENT},
      {"a hold of all the money", "payments", "Authorize", hold("h2", kMost, "GBP"),
       StatusCode::INVALID_ARGUMENT},
      {"a hold in no currency", "payments", "Authorize", hold("h2", 5, "pounds"),
       StatusCode::INVALID_ARGUMENT},
      {"another hold under its id", "payments", "Authorize", hold("payment-o1", 1, "GBP"),
       StatusCode::FAILED_PRECONDITION},
      {"a price below 0", "stores", "ChangePrice", price("mug", -1, "GBP"),
       StatusCode::INVALID_ARGUMENT},
      {"a price beyond all", "stores", "ChangePrice", price("mug", kMost, "GBP"),
       StatusCode::INVALID_ARGUMENT},
      {"a price of no product", "stores", "ChangePrice", price("none", 5, "GBP"),
       StatusCode::NOT_FOUND},
      {"a request that was made, saying another thing", "stores", "ChangePrice",
       price("cake", 1, "GBP"), StatusCode::OK, repriced},
      {"denied what takes part", "stores", "DenyParticipation",
       made<storespb::DenyParticipationRequest>([](auto& m) {
         m.set_id("s1");
         m.set_reason("no");
       }),
       StatusCode::FAILED_PRECONDITION},
      {"a store without a name", "stores", "RebrandStore", id("s1"), StatusCode::INVALID_ARGUMENT},
      {"no such store", "stores", "EndParticipation", id("none"), StatusCode::NOT_FOUND},
      {"a number that cannot be called", "customers", "FindOrRegister",
       made<customerspb::FindOrRegisterRequest>([](auto& m) {
         m.set_name("Eve");
         m.set_sms_number("call me");
       }),
       StatusCode::INVALID_ARGUMENT},
      {"no such customer", "customers", "DisableCustomer", id("none"), StatusCode::NOT_FOUND},
      {"no such order", "search", "GetOrder", id("none"), StatusCode::NOT_FOUND},
      {"a trace that is none",
       "stores",
       "GetStore",
       id("s1"),
       StatusCode::OK,
       {{"traceparent", "00-zz-??"}}},
      {"a name of the asking one that is too long",
       "stores",
       "GetStore",
       id("s1"),
       StatusCode::RESOURCE_EXHAUSTED,
       {{"actor", std::string(100'000, 'x')}}},
      {"no such method", "stores", "GiveAway", id("s1"), StatusCode::UNIMPLEMENTED},
  };
}

TEST_F(HostileCalls, ThatTheRulesForbidAreRefusedAndNothingHasHappened) {
  const std::map<std::string, std::string> repriced = {{"request-id", "reprice-1"}};
  ASSERT_TRUE(call("stores", "ChangePrice", price("cake", 250, "GBP"), repriced).ok());
  ASSERT_TRUE(call("orders", "StartCart", id("c2")).ok());
  const auto before = settled_facts();
  std::vector<Row> rows = depot_rows(list_);
  for (const auto& more : {order_rows(), other_rows(repriced)}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const grpc::Status status = call(row.service, row.method, row.bytes, row.metadata);
    EXPECT_EQ(status.error_code(), row.code) << status.error_message();
    const bool has_words = row.code != StatusCode::OK && row.code != StatusCode::UNIMPLEMENTED;
    EXPECT_EQ(has_words, !status.error_message().empty());
  }
  EXPECT_EQ(settled_facts(), before);
  ASSERT_NO_FATAL_FAILURE(story_.bring_it_in());
  story_.wait_for("ready");
  EXPECT_TRUE(mall_.stop()) << mall_.log();
}

}  // namespace
}  // namespace mallbots::test
