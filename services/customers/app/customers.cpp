#include "services/customers/app/customers.h"

#include <fmt/format.h>

#include "services/runtime/text.h"

namespace mallbots::customers {
namespace {

using toolkit::Row;

constexpr const char* kSchema =
    "create table if not exists customers ("
    " id text primary key, name text not null, sms_number text not null unique,"
    " is_enabled integer not null) strict;"
    "create index if not exists customers_by_name on customers (name, id)";
constexpr const char* kColumns = "select id, name, sms_number, is_enabled from customers ";

Customer customer_from(const Row& row) {
  return {std::string(row.text(0)), std::string(row.text(1)), std::string(row.text(2)),
          row.integer(3) != 0};
}

/// Nobody's, if the id is not known.
Outcome<Customer> load(toolkit::Transaction& transaction, std::string_view id) {
  MALLBOTS_OUTCOME(rows, transaction.rows(std::string(kColumns) + "where id = ?", {id}));
  return rows->empty() ? Customer{} : customer_from(rows->front());
}

/// kWrongState: another customer has the number.
Outcome<void> number_is_free(toolkit::Transaction& transaction, const Customer& customer) {
  MALLBOTS_OUTCOME(rows,
                   transaction.rows("select 1 from customers where sms_number = ? and id <> ?",
                                    {customer.sms_number, customer.id}));
  if (rows->empty()) return {};
  return std::unexpected(Refusal{
      RefusalKind::kWrongState,
      fmt::format("another customer has the number {}", masked_phone(customer.sms_number))});
}

/// What others hear of it.
Result<void> tell(Unit& unit, const Customer& customer, const CustomerEvent& event) {
  const toolkit::TopicNames names = topic_names();
  struct {
    Unit& unit;
    const Customer& customer;
    const toolkit::TopicNames& names;
    Result<void> operator()(const CustomerRegistered& registered) const {
      customersapi::CustomerRegistered message;
      message.set_id(customer.id);
      message.set_name(registered.name);
      message.set_sms_number(masked_phone(registered.sms_number));
      return unit.tell(names, message);
    }
    Result<void> operator()(const CustomerSmsChanged& changed) const {
      customersapi::CustomerSmsChanged message;
      message.set_id(customer.id);
      message.set_sms_number(masked_phone(changed.sms_number));
      return unit.tell(names, message);
    }
    Result<void> operator()(const CustomerEnabled&) const {
      customersapi::CustomerEnabled message;
      message.set_id(customer.id);
      return unit.tell(names, message);
    }
    Result<void> operator()(const CustomerDisabled&) const {
      customersapi::CustomerDisabled message;
      message.set_id(customer.id);
      return unit.tell(names, message);
    }
  } then{unit, customer, names};
  return std::visit(then, event);
}

Outcome<void> carry_out(Unit& unit, Customer& customer, const CustomerDecision& decision) {
  if (!decision) return std::unexpected(decision.error());
  if (decision->empty()) return {};
  for (const CustomerEvent& event : *decision) {
    customer.apply(event);
    MALLBOTS_OUTCOME(told, tell(unit, customer, event));
  }
  if (auto is_free = number_is_free(unit.transaction, customer); !is_free) return is_free;
  MALLBOTS_OUTCOME(
      saved, unit.transaction.run(
                 "insert into customers values (?, ?, ?, ?) on conflict (id) do update"
                 " set name = excluded.name, sms_number = excluded.sms_number,"
                 " is_enabled = excluded.is_enabled",
                 {customer.id, customer.name, customer.sms_number, customer.is_enabled ? 1 : 0}));
  return {};
}

}  // namespace

Result<std::unique_ptr<Customers>> Customers::open(Units units) {
  MALLBOTS_TRY(units.database().ensure(kSchema));
  return std::unique_ptr<Customers>(new Customers(units));
}

Outcome<std::string> Customers::find_or_register(std::string_view name, std::string_view sms_number,
                                                 const toolkit::Cause& cause) {
  return units_.run(cause, [&](Unit& unit) -> Outcome<std::string> {
    MALLBOTS_OUTCOME(phone, checked_phone(sms_number));
    MALLBOTS_OUTCOME(
        rows, unit.transaction.rows("select id from customers where sms_number = ?", {*phone}));
    if (!rows->empty()) return std::string(rows->front().text(0));
    Customer customer;
    const CustomerDecision decision = register_customer(customer, name, *phone);
    customer.id = toolkit::new_message_id();
    if (auto done = carry_out(unit, customer, decision); !done) {
      return std::unexpected(std::move(done).error());
    }
    return customer.id;
  });
}

Outcome<Customer> Customers::get(std::string_view id) const {
  MALLBOTS_OUTCOME(rows, units_.database().read(std::string(kColumns) + "where id = ?", {id}));
  if (!rows->empty()) return customer_from(rows->front());
  return std::unexpected(Refusal{RefusalKind::kUnknown, "there is no such customer"});
}

Outcome<Customer> Customers::find_by_number(std::string_view sms_number) const {
  MALLBOTS_OUTCOME(phone, checked_phone(sms_number));
  MALLBOTS_OUTCOME(
      rows, units_.database().read(std::string(kColumns) + "where sms_number = ?", {*phone}));
  if (!rows->empty()) return customer_from(rows->front());
  return std::unexpected(Refusal{RefusalKind::kUnknown, "no customer has that number"});
}

Outcome<Page<Customer>> Customers::list(std::string_view name_contains,
                                        const PageRequest& page) const {
  MALLBOTS_OUTCOME(limit, page_size(page.limit));
  MALLBOTS_OUTCOME(after, read_cursor(page.cursor, 2));
  MALLBOTS_OUTCOME(
      rows, units_.database().read(std::string(kColumns) +
                                       "where (?1 = '' or instr(lower(name), lower(?1)) > 0)"
                                       " and (name, id) > (?2, ?3) order by name, id limit ?4",
                                   {name_contains, after->at(0), after->at(1), *limit + 1}));
  Page<Customer> found;
  for (const Row& row : *rows) {
    if (static_cast<std::int64_t>(found.items.size()) == *limit) {
      found.next = make_cursor({found.items.back().name, found.items.back().id});
      break;
    }
    found.items.push_back(customer_from(row));
  }
  return found;
}

template <class Decide>
Outcome<void> Customers::change(std::string_view id, const toolkit::Cause& cause,
                                const Decide& decide) {
  return units_.run(cause, [&](Unit& unit) -> Outcome<void> {
    MALLBOTS_OUTCOME(customer, load(unit.transaction, id));
    return carry_out(unit, *customer, decide(*customer));
  });
}

Outcome<void> Customers::change_sms_number(std::string_view id, std::string_view sms_number,
                                           const toolkit::Cause& cause) {
  return change(id, cause, [&](const Customer& customer) {
    return customers::change_sms_number(customer, sms_number);
  });
}

Outcome<void> Customers::enable(std::string_view id, const toolkit::Cause& cause) {
  return change(id, cause, customers::enable);
}

Outcome<void> Customers::disable(std::string_view id, const toolkit::Cause& cause) {
  return change(id, cause, customers::disable);
}

toolkit::Handled Customers::authorize(toolkit::Context& context,
                                      const customersapi::AuthorizeCustomer& command) const {
  const auto customer = load(toolkit::transaction_of(context), command.id());
  if (!customer) return std::unexpected(as_handler_failure(customer.error()));
  const auto allowed = customers::authorize(*customer);
  if (!allowed) return std::unexpected(as_handler_failure(allowed.error()));
  return {};
}

}  // namespace mallbots::customers
