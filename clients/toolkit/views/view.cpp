#include "clients/toolkit/views/view.h"

#include <algorithm>

namespace mallbots::toolkit {

std::string with_tables_of(std::int64_t build, std::string_view sql) {
  std::string text;
  for (const char letter : sql) {
    if (letter == '{') continue;
    if (letter == '}')
      text.append("_b").append(std::to_string(build));
    else
      text.push_back(letter);
  }
  return text;
}

Result<std::int64_t> ViewWork::run(std::string_view sql, SqlValues values) {
  return around_->transaction.run(with_tables_of(around_->build, sql), values);
}

Result<Rows> ViewWork::rows(std::string_view sql, SqlValues values) {
  return around_->transaction.rows(with_tables_of(around_->build, sql), values);
}

Result<void> ViewWork::flush() {
  if (around_->is_silent) return {};
  std::size_t place = 0;
  for (Output& output : outputs_) {
    // The same however often the message is applied after a power cut took the commit back.
    output.draft.id = around_->view + "/" + message_->id() + "/" + std::to_string(place++);
    MALLBOTS_TRY(around_->outbox.add(around_->transaction, output.topic, std::move(output.draft),
                                     message_->as_cause()));
  }
  return {};
}

std::vector<std::string> View::tables() const {
  std::vector<std::string> names;
  for (std::size_t at = schema_.find('{'); at != std::string::npos;
       at = schema_.find('{', at + 1)) {
    const std::string name = schema_.substr(at + 1, schema_.find('}', at) - at - 1);
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

Handled View::apply(ViewWork& work, const Message& message) const {
  for (const Applier& applier : appliers_)
    if (applier.accepts(message.name()))
      if (auto applied = applier.apply(work, message); !applied) return applied;
  return {};
}

}  // namespace mallbots::toolkit
