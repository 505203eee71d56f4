#include "broker/sequencer/rebuild.h"

#include <algorithm>
#include <cstring>

#include "shm/layout/record.h"

namespace mallbots::broker {
namespace {

void take_note(const shm::RecordHeader& header, ProducerHistory& history) {
  history.last_sequence = std::max(history.last_sequence, header.sequence);
  history.end_offset = std::max(history.end_offset, header.offset + 1);
  if (history.wanted != 0 && header.sequence == history.wanted)
    history.found = AppendedBefore{header.offset, header.timestamp_ms};
}

}  // namespace

void read_history(const SlotRing& slots, std::map<std::uint64_t, ProducerHistory>& producers) {
  if (producers.empty()) return;
  for (const HotSlot& slot : slots.slots()) {
    const std::span<const std::byte> data = slot.data();
    const std::size_t end =
        std::min(std::size_t{shm::load_word_seq_cst(slot.header()).tail_units()} * shm::kUnitBytes,
                 data.size());
    for (std::size_t at = 0; end - at >= sizeof(shm::RecordHeader);) {
      shm::RecordHeader header;
      std::memcpy(&header, data.data() + at, sizeof header);
      // Before it is made units of: the largest lengths wrap to none.
      if (header.length < sizeof header || header.length > end - at) break;
      if (header.type != shm::RecordType::kPad)
        if (const auto known = producers.find(header.producer_id); known != producers.end())
          take_note(header, known->second);
      at += std::size_t{shm::record_units(header.length)} * shm::kUnitBytes;
    }
  }
}

}  // namespace mallbots::broker
