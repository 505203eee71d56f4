#include "services/gateways/fleet/messages.h"

#include "shm/base/check.h"

namespace mallbots::fleet {
namespace {

using From = fleetpb::FromRobot;

fleetpb::Stop::State state_of(const std::string& state) {
  if (state == "done") return fleetpb::Stop::DONE;
  return state == "arrived" ? fleetpb::Stop::ARRIVED : fleetpb::Stop::WAITING;
}

}  // namespace

std::string list_of(const From& message) {
  switch (message.what_case()) {
    case From::kAccept:
      return message.accept().list_id();
    case From::kDecline:
      return message.decline().list_id();
    case From::kStarted:
      return message.started().list_id();
    case From::kArrivedAtStore:
      return message.arrived_at_store().list_id();
    case From::kItemsPicked:
      return message.items_picked().list_id();
    case From::kArrivedAtDepot:
      return message.arrived_at_depot().list_id();
    case From::kEmptied:
      return message.emptied().list_id();
    case From::kHello:
    case From::kHeartbeat:
    case From::kAck:
    case From::WHAT_NOT_SET:
      break;
  }
  return {};
}

depotpb::ReportRequest report_of(const From& message, const std::string& bot_id,
                                 std::uint64_t epoch) {
  depotpb::ReportRequest request;
  request.set_bot_id(bot_id);
  request.set_epoch(epoch);
  request.set_list_id(list_of(message));
  request.set_sequence(message.sequence());
  switch (message.what_case()) {
    case From::kAccept:
      request.mutable_accepted();
      break;
    case From::kDecline:
      request.mutable_declined();
      break;
    case From::kStarted:
      request.mutable_started();
      break;
    case From::kArrivedAtStore:
      request.mutable_arrived_at_store()->set_store_id(message.arrived_at_store().store_id());
      break;
    case From::kItemsPicked: {
      depotpb::ReportRequest::Picked* picked = request.mutable_items_picked();
      picked->set_store_id(message.items_picked().store_id());
      for (const fleetpb::PickedItem& item : message.items_picked().items()) {
        depotpb::ItemReport* one = picked->add_items();
        one->set_product_id(item.product_id());
        one->set_picked(item.picked());
        one->set_unavailable(item.unavailable());
      }
      break;
    }
    case From::kArrivedAtDepot:
      request.mutable_arrived_at_depot();
      break;
    case From::kEmptied:
      request.mutable_emptied();
      break;
    case From::kHello:
    case From::kHeartbeat:
    case From::kAck:
    case From::WHAT_NOT_SET:
      CHECK(false);  // Robots keeps these to itself
  }
  return request;
}

fleetpb::ToRobot offer_of(const depotpb::ShoppingList& list) {
  fleetpb::ToRobot message;
  fleetpb::Offer* offer = message.mutable_offer();
  offer->set_list_id(list.id());
  offer->set_is_begun(list.status() == "active");
  offer->set_is_at_depot(list.status() == "active" && list.phase() == "at-depot");
  for (const depotpb::Stop& from : list.stops()) {
    fleetpb::Stop* stop = offer->add_stops();
    stop->set_store_id(from.store_id());
    stop->set_store_name(from.store_name());
    stop->set_store_location(from.store_location());
    stop->set_state(state_of(from.state()));
    for (const depotpb::WantedItem& wanted : from.items()) {
      fleetpb::WantedItem* item = stop->add_items();
      item->set_product_id(wanted.product_id());
      item->set_product_name(wanted.product_name());
      item->set_quantity(wanted.quantity());
      item->set_picked(wanted.picked());
    }
  }
  return message;
}

fleetpb::ToRobot released(const std::string& list_id) {
  fleetpb::ToRobot message;
  message.mutable_released()->set_list_id(list_id);
  return message;
}

fleetpb::ToRobot rejection(std::uint64_t sequence, const CallFailure& why) {
  fleetpb::ToRobot message;
  fleetpb::Reject* reject = message.mutable_reject();
  reject->set_sequence(sequence);
  reject->set_code(why.code);
  reject->set_reason(why.reason);
  return message;
}

}  // namespace mallbots::fleet
