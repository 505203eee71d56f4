// A small exhaustive checker of memory orders: runs the real code of shm/concurrent, compiled with
// Atomic in the place of std::atomic, under every interleaving and every read that C++20 allows it
// within the limits below. Used by one test program, from one thread.
//
// How: each thread of a program is a fiber that stops before every atomic operation; who goes on,
// and which of the values still visible a load returns, are choices that a depth-first search tries
// one after the other, replaying from the start. A location keeps all values ever stored, each with
// the view (newest value per location) that its store released. Acquiring joins that view. A load
// may return any value not older than the thread's view; a seq_cst load none older than the newest
// seq_cst store to that location. A compare-exchange succeeds on the newest value only.
//
// What it covers: interleavings, store buffering (so everything x86 does), stale and reordered
// reads, release and acquire through stores, read-modify-writes and fences.
// What it does not: loads that see stores which come later in both threads (out-of-thin-air and
// load buffering: no pair of ours relies on their absence alone); stores to one location that
// become visible in another order than they were made; data races on plain memory (that is the
// thread sanitizer's). Loads that return an old value are limited to `stale_reads` per thread and
// execution, since loops would otherwise not end.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mallbots::test::litmus {

enum class Kind { kLoad, kStore, kExchange, kFence };

/// A deliberate mistake: operations of that kind at that address (null: fences) are made with
/// `order` instead of the one the code names.
struct Weaker {
  const void* at;
  Kind kind;
  std::memory_order order;
};

struct Program {
  std::shared_ptr<void> state;  ///< keeps the shared objects alive during one execution
  std::vector<std::function<void()>> threads;
  std::function<bool()> holds;  ///< asked when all threads have ended
  std::vector<Weaker> weaker;
};

struct Limits {
  int preemptions = 1'000;
  int stale_reads = 3;
  std::uint64_t executions = 20'000'000;
};

struct Verdict {
  std::uint64_t executions = 0;
  bool complete = false;  ///< all executions within the limits were tried
  std::string violation;  ///< empty: none
};

class Machine {
 public:
  /// Tries all executions until one violates what the program promises.
  static Verdict explore(const std::function<Program()>& make, const Limits& limits = {}) {
    Machine machine(limits);
    Verdict verdict;
    do {
      if (verdict.executions == limits.executions) return verdict;
      ++verdict.executions;
      verdict.violation = machine.run_once(make);
      if (!verdict.violation.empty()) return verdict;
    } while (machine.next_path());
    verdict.complete = true;
    return verdict;
  }

  /// The machine whose fiber runs now; null: outside, where atomics are plain variables.
  static Machine* current() noexcept { return running_ < 0 ? nullptr : instance_; }

  /// A violation seen by a thread itself.
  static void fail(const std::string& what) {
    if (instance_->violation_.empty()) instance_->violation_ = what;
  }

  std::uint64_t load(const void* at, std::uint64_t initial, std::memory_order order) {
    step();
    order = order_of(at, Kind::kLoad, order);
    Location& location = locate(at, initial);
    Fiber& me = fibers_[running_];
    const std::size_t newest = location.values.size() - 1;
    const std::size_t back = choose_stale(newest - oldest_visible(location, order));
    return read(me, location, newest - back, order);
  }

  void store(const void* at, std::uint64_t initial, std::uint64_t value, std::memory_order order) {
    step();
    order = order_of(at, Kind::kStore, order);
    append(locate(at, initial), value, order, {});
  }

  /// `change` gives the new value, or nothing to leave it. The value read.
  template <class Change>
  std::uint64_t exchange(const void* at, std::uint64_t initial, std::memory_order success,
                         std::memory_order failure, const Change& change) {
    step();
    success = order_of(at, Kind::kExchange, success);
    Location& location = locate(at, initial);
    Fiber& me = fibers_[running_];
    // An older value may be read only to fail on it.
    std::size_t newest = location.values.size() - 1;
    std::size_t back = 0;
    while (newest - back > oldest_visible(location, failure) &&
           !change(location.values[newest - back - 1].value))
      ++back;
    back = choose_stale(back);
    const std::uint64_t seen = location.values[newest - back].value;
    const auto next = back == 0 ? change(seen) : std::nullopt;
    read(me, location, newest - back, next ? success : failure);
    if (next) append(location, *next, success, location.values[newest].released);
    return seen;
  }

  void fence(std::memory_order order) {
    for (const Weaker& weaker : program_.weaker)
      if (weaker.kind == Kind::kFence && order == weaker.order) return;  // leaves this sort out
    Fiber& me = fibers_[running_];
    if (acquires(order)) join(me.view, me.acquirable);
    if (releases(order)) me.releasable = me.view;
  }

  /// futex(2) FUTEX_WAIT: sleeps if the newest value is `expected`.
  void futex_wait(const void* at, std::uint64_t initial, std::uint64_t expected) {
    step();
    if (locate(at, initial).values.back().value == expected) block(at);
  }
  /// Sleeps until wake(at).
  void block(const void* at) {
    fibers_[running_].asleep = at;
    swapcontext(&fibers_[running_].context, &scheduler_);
  }
  void wake(const void* at) {
    for (Fiber& fiber : fibers_)
      if (fiber.asleep == at) fiber.asleep = nullptr;
  }

 private:
  using View = std::vector<std::size_t>;  // by location, the oldest value still visible
  struct Value {
    std::uint64_t value;
    View released;
  };
  struct Location {
    std::size_t index;
    std::vector<Value> values;
    std::size_t newest_seq_cst = 0;
  };
  struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(128 * 1024);
    bool ended = false;
    const void* asleep = nullptr;
    int stale_left = 0;
    View view, acquirable, releasable;
  };

  explicit Machine(const Limits& limits) : limits_(limits) { instance_ = this; }

  static bool acquires(std::memory_order order) {
    return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
  }
  static bool releases(std::memory_order order) {
    return order == std::memory_order_release || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
  }
  static void join(View& view, const View& other) {
    if (view.size() < other.size()) view.resize(other.size());
    for (std::size_t i = 0; i < other.size(); ++i) view[i] = std::max(view[i], other[i]);
  }
  static std::size_t& at(View& view, std::size_t index) {
    if (view.size() <= index) view.resize(index + 1);
    return view[index];
  }

  std::memory_order order_of(const void* where, Kind kind, std::memory_order order) const {
    for (const Weaker& weaker : program_.weaker)
      if (weaker.at == where && weaker.kind == kind) return weaker.order;
    return order;
  }
  Location& locate(const void* where, std::uint64_t initial) {
    auto [found, fresh] = locations_.try_emplace(where);
    if (fresh) {
      found->second.index = locations_.size() - 1;
      found->second.values.push_back({initial, {}});
    }
    return found->second;
  }
  std::size_t oldest_visible(const Location& location, std::memory_order order) {
    const std::size_t mine = at(fibers_[running_].view, location.index);
    return order == std::memory_order_seq_cst ? std::max(mine, location.newest_seq_cst) : mine;
  }
  std::uint64_t read(Fiber& me, Location& location, std::size_t which, std::memory_order order) {
    at(me.view, location.index) = which;
    join(me.acquirable, location.values[which].released);
    if (acquires(order)) join(me.view, location.values[which].released);
    return location.values[which].value;
  }
  void append(Location& location, std::uint64_t value, std::memory_order order, View released) {
    Fiber& me = fibers_[running_];
    at(me.view, location.index) = location.values.size();
    join(released, releases(order) ? me.view : me.releasable);
    at(released, location.index) = location.values.size();
    if (order == std::memory_order_seq_cst) location.newest_seq_cst = location.values.size();
    location.values.push_back({value, std::move(released)});
  }

  std::size_t choose(std::size_t options) {
    if (options <= 1) return 0;
    if (depth_ == path_.size()) path_.push_back({0, options});
    return path_[depth_++].taken;
  }
  std::size_t choose_stale(std::size_t older) {
    Fiber& me = fibers_[running_];
    if (me.stale_left == 0) return 0;
    const std::size_t back = choose(older + 1);
    if (back != 0) --me.stale_left;
    return back;
  }
  bool next_path() {
    while (!path_.empty() && ++path_.back().taken == path_.back().options) path_.pop_back();
    return !path_.empty();
  }

  void step() { swapcontext(&fibers_[running_].context, &scheduler_); }

  static void enter() {
    Machine& machine = *instance_;
    machine.program_.threads[static_cast<std::size_t>(running_)]();
    machine.fibers_[running_].ended = true;
    swapcontext(&machine.fibers_[running_].context, &machine.scheduler_);
  }

  std::string run_once(const std::function<Program()>& make) {
    program_ = make();
    locations_.clear();
    violation_.clear();
    depth_ = 0;
    fibers_.resize(program_.threads.size());
    for (Fiber& fiber : fibers_) {
      getcontext(&fiber.context);
      fiber.context.uc_stack = {fiber.stack.data(), 0, fiber.stack.size()};
      makecontext(&fiber.context, &Machine::enter, 0);
      fiber.ended = false;
      fiber.asleep = nullptr;
      fiber.stale_left = limits_.stale_reads;
      fiber.view.clear();
      fiber.acquirable.clear();
      fiber.releasable.clear();
    }
    int last = -1;
    int preemptions = limits_.preemptions;
    for (;;) {
      std::vector<int> ready;
      bool sleepers = false, last_ready = false;
      for (int i = 0; i < static_cast<int>(fibers_.size()); ++i) {
        if (fibers_[i].ended) continue;
        sleepers = sleepers || fibers_[i].asleep != nullptr;
        if (fibers_[i].asleep != nullptr) continue;
        last_ready = last_ready || i == last;
        if (i == last)
          ready.insert(ready.begin(), i);  // the first choice is to go on
        else
          ready.push_back(i);
      }
      if (ready.empty()) {
        if (violation_.empty() && sleepers) violation_ = "a thread sleeps for ever";
        break;
      }
      if (last_ready && preemptions == 0) ready.resize(1);
      const int next = ready[choose(ready.size())];
      if (last_ready && next != last) --preemptions;
      running_ = last = next;
      swapcontext(&scheduler_, &fibers_[next].context);
      running_ = -1;
    }
    if (violation_.empty() && program_.holds && !program_.holds()) violation_ = "the end is wrong";
    return violation_;
  }

  struct Choice {
    std::size_t taken, options;
  };
  static inline Machine* instance_ = nullptr;
  static inline int running_ = -1;
  Limits limits_;
  Program program_;
  std::map<const void*, Location> locations_;
  std::vector<Fiber> fibers_;
  ucontext_t scheduler_{};
  std::vector<Choice> path_;
  std::size_t depth_ = 0;
  std::string violation_;
};

/// Stands in for std::atomic; of the same size. Holds the newest value.
template <class T>
class Atomic {
 public:
  static constexpr bool is_always_lock_free = true;
  constexpr Atomic() noexcept = default;
  constexpr Atomic(T value) noexcept : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
    Machine* const machine = Machine::current();
    return machine == nullptr ? value_ : from(machine->load(this, bits(value_), order));
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
    if (Machine* const machine = Machine::current(); machine != nullptr)
      machine->store(this, bits(value_), bits(value), order);
    value_ = value;
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) noexcept {
    const T wanted = expected;
    expected = change(success, failure, [&](T seen) {
      return seen == wanted ? std::optional{desired} : std::nullopt;
    });
    return expected == wanted;
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst) noexcept {
    return compare_exchange_strong(expected, desired, order, on_failure(order));
  }
  bool compare_exchange_weak(T& expected, T desired,
                             std::memory_order order = std::memory_order_seq_cst) noexcept {
    return compare_exchange_strong(expected, desired, order, on_failure(order));
  }
  T fetch_add(T by, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return change(order, on_failure(order),
                  [&](T seen) { return std::optional<T>{static_cast<T>(seen + by)}; });
  }
  [[nodiscard]] T newest() const noexcept { return value_; }

 private:
  static std::memory_order on_failure(std::memory_order order) noexcept {
    if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
    return order == std::memory_order_release ? std::memory_order_relaxed : order;
  }
  static std::uint64_t bits(T value) noexcept { return static_cast<std::uint64_t>(value); }
  static T from(std::uint64_t bits) noexcept { return static_cast<T>(bits); }
  template <class Change>
  T change(std::memory_order success, std::memory_order failure, const Change& to) noexcept {
    T seen = value_;
    if (Machine* const machine = Machine::current(); machine != nullptr)
      seen = from(machine->exchange(this, bits(value_), success, failure,
                                    [&](std::uint64_t old) -> std::optional<std::uint64_t> {
                                      const auto next = to(from(old));
                                      return next ? std::optional{bits(*next)} : std::nullopt;
                                    }));
    // A failure on an old value leaves the newest alone, whatever that is.
    if (const auto next = to(seen); next && seen == value_) value_ = *next;
    return seen;
  }
  T value_{};
};

inline void thread_fence(std::memory_order order) noexcept {
  if (Machine* const machine = Machine::current(); machine != nullptr) machine->fence(order);
}

}  // namespace mallbots::test::litmus
