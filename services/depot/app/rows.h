// Rows: shopping lists and robots in the depot's database. A list's stops are one JSON column: they
// are always read and written whole. Within a transaction of the caller's thread. Errors: those of
// Database; Corrupt (a stored list does not read).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/toolkit/store/database.h"
#include "services/depot/domain/bot.h"
#include "services/depot/domain/scheduler.h"
#include "services/depot/domain/shopping_list.h"
#include "services/runtime/outcome.h"

namespace mallbots::depot {

extern const char* const kSchema;
/// Of one robot: reports whose answers are kept.
inline constexpr std::uint64_t kAnswersKept = 64;

/// Of state kNone if there is none.
[[nodiscard]] Outcome<ShoppingList> load_list(toolkit::Transaction& transaction,
                                              std::string_view id);
[[nodiscard]] Outcome<ShoppingList> load_list_of_order(toolkit::Transaction& transaction,
                                                       std::string_view order_id);
/// `now_ms` is when a new list takes its place in the queue; a known one keeps its own, and stands
/// since then in the state it is in.
[[nodiscard]] Outcome<void> save_list(toolkit::Transaction& transaction, const ShoppingList& list,
                                      UnixMillis now_ms);
[[nodiscard]] Outcome<std::vector<WaitingList>> waiting_lists(toolkit::Transaction& transaction);
/// Of lists that were assigned before `before_ms` and not begun.
[[nodiscard]] Outcome<std::vector<ShoppingList>> unanswered_offers(
    toolkit::Transaction& transaction, UnixMillis before_ms);

/// `status` and `phase` -1: any. Behind (created_ms, id), oldest first; each with when it was made.
struct ListQuery {
  int status = -1;
  int phase = -1;
  UnixMillis after_ms = 0;
  std::string_view after_id;
  std::int64_t limit = 0;
};
struct DatedList {
  ShoppingList list;
  UnixMillis created_ms = 0;
};
[[nodiscard]] Outcome<std::vector<DatedList>> read_lists(toolkit::Database& database,
                                                         const ListQuery& query);
[[nodiscard]] Outcome<std::vector<Bot>> read_bots(toolkit::Database& database,
                                                  std::string_view after_id, std::int64_t limit);

/// Epoch 0 if it was never here.
[[nodiscard]] Outcome<Bot> load_bot(toolkit::Transaction& transaction, std::string_view id);
[[nodiscard]] Outcome<void> save_bot(toolkit::Transaction& transaction, const Bot& bot,
                                     UnixMillis now_ms);
[[nodiscard]] Outcome<void> note_heard(toolkit::Transaction& transaction, std::string_view id,
                                       UnixMillis now_ms);
/// What the robot's report of that number was answered; nothing: it is new. kInvalid: it is older
/// than what is kept.
[[nodiscard]] Outcome<std::optional<Decision<void>>> find_answer(toolkit::Transaction& transaction,
                                                                 std::string_view bot_id,
                                                                 std::uint64_t sequence);
/// And forgets those that are kept no longer. Sequence 0: nothing.
[[nodiscard]] Outcome<void> keep_answer(toolkit::Transaction& transaction, std::string_view bot_id,
                                        std::uint64_t sequence, const Decision<void>& answer);
/// 0 if none was answered.
[[nodiscard]] Outcome<std::uint64_t> last_sequence(toolkit::Transaction& transaction,
                                                   std::string_view bot_id);
[[nodiscard]] Outcome<std::vector<WaitingBot>> waiting_bots(toolkit::Transaction& transaction);
/// Not offline yet, and not heard since before.
[[nodiscard]] Outcome<std::vector<Bot>> silent_bots(toolkit::Transaction& transaction,
                                                    UnixMillis before_ms);
/// Offline since before, with a list in hand.
[[nodiscard]] Outcome<std::vector<Bot>> lost_bots(toolkit::Transaction& transaction,
                                                  UnixMillis before_ms);

}  // namespace mallbots::depot
