#include "clients/producer.h"

#include <optional>
#include <vector>

#include "tests/soak/worker.h"

namespace mallbots::test {
namespace {

constexpr int kKeys = 64;
constexpr int kLongestDelayMs = 3'000;

/// Sends them as one batch, at once or when it is time, and notes what became of each.
void send(Stage& stage, client::Producer& producer, const std::vector<std::string>& values,
          std::optional<UnixMillis> due = {}) {
  const std::string key = "k" + std::to_string(stage.roll(kKeys));
  const std::string topic = ' ' + stage.order.topic + ' ';
  std::vector<std::string> texts;
  for (const std::string& value : values) {
    texts.push_back(stage.payload(value));
    stage.notes.add(boot_now_ns(), "send" + topic + value + ' ' + key + ' ' + values.front());
    if (due) stage.notes.add(boot_now_ns(), "due" + topic + value + ' ' + std::to_string(*due));
  }
  stage.notes.write();
  std::vector<client::Record> records;
  for (const std::string& text : texts)
    records.push_back({.payload = client::as_bytes(text), .key = client::as_bytes(key)});
  const client::SendOptions options{
      .deadline = Deadline::after_ms(kPatienceMs),
      .acks = stage.roll(4) == 0 ? client::Acks::kDurable : client::Acks::kCommitted,
      .deliver_at = due};
  const auto receipt = producer.append_batch(records, options);
  if (!receipt && (receipt.error().code == ErrorCode::kNotDurable ||
                   receipt.error().code == ErrorCode::kInDoubt))
    return;  // there, but where? Or perhaps there
  for (std::size_t i = 0; i < values.size(); ++i)
    if (receipt)
      stage.notes.add(boot_now_ns(), "acked" + topic + values[i] + ' ' +
                                         std::to_string(receipt->partition) + ' ' +
                                         (due ? "?" : std::to_string(receipt->offset + i)));
    else
      stage.notes.add(boot_now_ns(), "failed" + topic + values[i] + ' ' +
                                         std::string{error_entry(receipt.error().code).name});
  stage.notes.write();
  if (!receipt) give_up("append", receipt.error());
}

}  // namespace

int produce(Stage& stage) {
  const auto producer = must("open", client::Producer::open(*stage.connection, stage.order.topic));
  for (int number = 0; !asked_to_end();) {
    std::vector<std::string> values;
    for (int left = stage.roll(5) == 0 ? 2 + stage.roll(20) : 1; left > 0; --left)
      values.push_back(stage.order.who + '.' + std::to_string(number++));
    send(stage, *producer, values);
    stage.pause_ms(20);
  }
  return 0;
}

int postpone(Stage& stage) {
  const auto producer = must("open", client::Producer::open(*stage.connection, stage.order.topic));
  for (int number = 0; !asked_to_end(); ++number) {
    const UnixMillis due = wall_now_ms() + stage.roll(stage.roll(3) == 0 ? 30 : kLongestDelayMs);
    send(stage, *producer, {stage.order.who + '.' + std::to_string(number)}, due);
    stage.pause_ms(40);
  }
  return 0;
}

}  // namespace mallbots::test
