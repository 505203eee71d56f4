#include <vector>

#include "clients/producer.h"
#include "tests/soak/worker.h"

namespace mallbots::test {
namespace {

constexpr std::uint64_t kSaidAgain = 20;  ///< that many of what was accepted before are said again

}  // namespace

/// Its records are named by name, partition and sequence, so that its next life knows by the last
/// accepted sequence alone which of them are in the log.
int produce_named(Stage& stage) {
  const std::string& name = stage.order.group;
  const std::string topic = ' ' + stage.order.topic + ' ';
  const auto producer =
      must("open", client::Producer::open(*stage.connection, stage.order.topic, {.name = name}));
  must("prepare", producer->prepare());
  const auto value_at = [&name](PartitionIndex partition, std::uint64_t sequence) {
    return name + '.' + std::to_string(partition) + '.' + std::to_string(sequence);
  };
  std::vector<std::uint64_t> sequences;
  for (PartitionIndex partition = 0; partition < producer->partitions(); ++partition) {
    const std::uint64_t last = sequences.emplace_back(producer->last_sequence(partition));
    for (std::uint64_t i = last > kSaidAgain ? last - kSaidAgain : 1; i <= last; ++i)
      stage.notes.add(boot_now_ns(), "acked" + topic + value_at(partition, i) + ' ' +
                                         std::to_string(partition) + " ?");
  }
  stage.notes.write();
  while (!asked_to_end()) {
    const auto partition =
        static_cast<PartitionIndex>(stage.roll(static_cast<int>(sequences.size())));
    const std::uint64_t sequence = ++sequences[partition];
    const std::string value = value_at(partition, sequence);
    const std::string text = stage.payload(value);
    stage.notes.write("send" + topic + value + " - " + value);
    const auto receipt = producer->append(
        {.payload = client::as_bytes(text)},
        {.deadline = Deadline::after_ms(kPatienceMs),
         .partition = partition,
         .acks = stage.roll(4) == 0 ? client::Acks::kDurable : client::Acks::kCommitted,
         .sequence = sequence});
    if (!receipt && (receipt.error().code == ErrorCode::kNotDurable ||
                     receipt.error().code == ErrorCode::kInDoubt))
      continue;  // the next life asks
    if (!receipt) give_up("append", receipt.error());
    stage.notes.write("acked" + topic + value + ' ' + std::to_string(partition) + ' ' +
                      (receipt->duplicate ? "?" : std::to_string(receipt->offset)));
    stage.pause_ms(20);
  }
  return 0;
}

}  // namespace mallbots::test
