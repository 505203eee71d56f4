#include "tests/history/history.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>

namespace mallbots::test {
namespace {

/// One letter per word behind TIME WHO WHAT: t topic, g group, p partition, o offset, v value,
/// k key, b batch, a attempt, n number.
struct Form {
  std::string_view name;
  std::string_view words;
};

constexpr std::array kForms{
    Form{"send", "tvkb"},      Form{"acked", "tvpo"},     Form{"failed", "tvk"},
    Form{"due", "tvn"},        Form{"started", "tpo"},    Form{"read", "tpovkn"},
    Form{"ended", "tpo"},      Form{"gained", "tgp"},     Form{"dropped", "tgp"},
    Form{"given", "tgpovk"},   Form{"committed", "tgpo"}, Form{"drained", "tgpo"},
    Form{"locks", "tgn"},      Form{"held", "tgpovkan"},  Form{"settling", "tgpoka"},
    Form{"settled", "tgpoka"}, Form{"refused", "tgpoka"}, Form{"expects", "tgvk"},
    Form{"versioned", "tgvn"}, Form{"conflict", "tgvn"},  Form{"event", "tgvn"},
    Form{"whole", "tgn"},      Form{"kill", "tk"},        Form{"restarted", "n"},
};

template <class Number>
bool to_number(std::string_view text, Number& number) {
  const auto done = std::from_chars(text.data(), text.data() + text.size(), number);
  return done.ec == std::errc{} && done.ptr == text.data() + text.size() && !text.empty();
}

/// Takes the next word off the front; nothing if there is none.
std::optional<std::string_view> take(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const auto end = rest.find(' ');
  const std::string_view word = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return word;
}

}  // namespace

Word History::word(std::string_view text) {
  if (const auto found = numbers_.find(text); found != numbers_.end()) return found->second;
  const Word number = static_cast<Word>(words_.size());
  numbers_.emplace(words_.emplace_back(text), number);
  return number;
}

bool History::parse(std::string_view line) {
  const auto time = take(line);
  const auto who = take(line);
  const auto what = take(line);
  Event event;
  if (!what || !to_number(*time, event.time_ns)) return false;
  const auto form = std::ranges::find(kForms, *what, &Form::name);
  if (form == kForms.end()) return false;
  event.what = static_cast<What>(form - kForms.begin());
  event.who = word(*who);
  for (const char kind : form->words) {
    const auto next = take(line);
    if (!next) return false;
    switch (kind) {
      case 't':
        event.topic = word(*next);
        break;
      case 'g':
        event.group = word(*next);
        break;
      case 'v':
        event.value = word(*next);
        break;
      case 'k':
        event.key = word(*next);
        break;
      case 'b':
        event.batch = word(*next);
        break;
      case 'p':
        if (!to_number(*next, event.partition)) return false;
        break;
      case 'a':
        if (!to_number(*next, event.attempt)) return false;
        break;
      case 'o':
        if (*next != "?" && !to_number(*next, event.offset)) return false;
        break;
      default:
        if (!to_number(*next, event.number)) return false;
    }
  }
  if (!line.empty()) return false;
  events_.push_back(event);
  return true;
}

Result<void> History::add(std::string_view text, const std::string& source) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) break;  // its writer died within it
    const std::string_view line = text.substr(0, end);
    if (!parse(line))
      return fail(ErrorCode::kBadArgument, source + ":" + std::to_string(number) + ": '" +
                                               std::string{line} + "' is no line of a history");
    text.remove_prefix(end + 1);
  }
  return {};
}

Result<History> load_history(const std::filesystem::path& folder) {
  std::error_code failed;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed))
    if (entry.path().extension() == ".history") files.push_back(entry.path());
  if (failed || files.empty())
    return fail(ErrorCode::kBadArgument, folder.string() + " holds no .history file");
  std::ranges::sort(files);
  History history;
  for (const auto& file : files) {
    std::ostringstream text;
    text << std::ifstream{file, std::ios::binary}.rdbuf();
    if (const auto added = history.add(text.view(), file.filename().string()); !added)
      return std::unexpected(added.error());
  }
  return history;
}

}  // namespace mallbots::test
