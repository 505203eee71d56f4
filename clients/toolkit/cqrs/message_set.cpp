#include "clients/toolkit/cqrs/message_set.h"

#include <sstream>

namespace mallbots::toolkit {

void MessageSet::put(const MessageType& type, std::string_view content, FieldList fields) {
  Entry& entry = entries_[type.wire_name()];
  entry.form = std::string{kind_name(type.kind)}.append(" ").append(content);
  entry.fields = {fields.begin(), fields.end()};
}

std::string MessageSet::text() const {
  std::string text;
  for (const auto& [name, entry] : entries_) {
    const auto space = entry.form.find(' ');
    text += entry.form.substr(0, space) + " " + name + entry.form.substr(space) + "\n";
    for (const auto& [field, type] : entry.fields) text += "  " + field + " " + type + "\n";
  }
  return text;
}

Result<MessageSet::Entries> MessageSet::parse(std::string_view text) {
  Entries entries;
  Entry* current = nullptr;
  std::istringstream lines{std::string{text}};
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words{line};
    std::string first;
    std::string second;
    std::string third;
    words >> first >> second >> third;
    if (line.starts_with("  ") && current != nullptr && !second.empty()) {
      current->fields[first] = second;
    } else if (!line.starts_with(' ') && !third.empty()) {
      current = &entries[second];
      current->form = first + " " + third;
    } else {
      return fail(ErrorCode::kIncompatible, "the released set does not read at '" + line + "'");
    }
  }
  return entries;
}

Result<void> MessageSet::check_against(std::string_view released) const {
  const auto before = parse(released);
  if (!before) return std::unexpected(before.error());
  std::string broken;
  const auto note = [&](const std::string& what) { broken += (broken.empty() ? "" : "; ") + what; };
  for (const auto& [name, old] : *before) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) {
      note(name + " is gone");
      continue;
    }
    const Entry& now = found->second;
    if (now.form != old.form) note(name + " was " + old.form + ", is " + now.form);
    for (const auto& [field, type] : old.fields) {
      const auto kept = now.fields.find(field);
      if (kept == now.fields.end())
        note(name + " has no " + field + " any more");
      else if (kept->second != type)
        note(name + "." + field + " was " + type + ", is " + kept->second);
    }
  }
  if (!broken.empty()) return fail(ErrorCode::kIncompatible, broken);
  return {};
}

}  // namespace mallbots::toolkit
