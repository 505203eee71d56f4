#include "broker/storage/durable_note.h"

namespace mallbots::broker {

namespace {

const NoteHalf& newer(const DurableNote& note) noexcept {
  return note.halves[note.halves[0].store.load() >= note.halves[1].store.load() ? 0 : 1];
}

}  // namespace

void store_note(DurableNote& note, const NoteValue& value) noexcept {
  const NoteHalf& current = newer(note);
  NoteHalf& half = note.halves[&current == &note.halves[0] ? 1 : 0];
  half.offset.store(value.point.offset);
  half.segment.store(value.point.segment);
  half.byte.store(value.point.byte);
  half.running_max_ms.store(value.point.running_max_ms);
  half.records.store(value.records);
  half.slot_gen.store(value.slot_gen);
  half.units.store(value.units);
  half.store.store(current.store.load() + 1);
}

std::optional<NoteValue> load_note(const DurableNote& note) noexcept {
  const NoteHalf& half = newer(note);
  if (half.store.load() == 0) return std::nullopt;
  NoteValue value;
  value.point.offset = half.offset.load();
  value.point.segment = half.segment.load();
  value.point.byte = half.byte.load();
  value.point.running_max_ms = half.running_max_ms.load();
  value.records = half.records.load();
  value.slot_gen = half.slot_gen.load();
  value.units = static_cast<std::uint32_t>(half.units.load());
  return value;
}

}  // namespace mallbots::broker
