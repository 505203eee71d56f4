// One append, killed at every one of its instructions: a child goes through the client's own code
// over shared memory under ptrace, one instruction at a time; after the i-th it gets SIGKILL, and
// the broker's judgement (tests/support/fake_broker over shm/concurrent/reclaim) and the next
// producer must find the batch whole or not at all. Crash points name the stores that we think of;
// this finds those that we do not, and what the compiler made of them.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "shm/concurrent/wait.h"
#include "tests/shm/concurrent/records.h"

namespace mallbots::test {
namespace {

using shm::Appender;
using shm::AppendStatus;

constexpr SessionIndex kVictim = 1;
constexpr SessionIndex kOther = 2;
constexpr int kNoPtrace = 77;
constexpr FakeTopic kTopic{.memories = 6, .slot_bytes = 4096, .sessions = 16, .shared = true};

/// Both together, and "first" behind them, leave no room for one more record in a slot.
constexpr std::size_t kFill[] = {1984, 1840};

enum class Judge : std::uint8_t {
  kDeath,          ///< the word is freed
  kFenceThenDeath  ///< the slot is sealed by the stall rule, then the session dies
};

/// What the victim does, and into what.
struct Scene {
  const char* name;
  int before;                      ///< how many of kFill another producer has appended
  std::vector<std::string> batch;  ///< one record: append(); more: append_batch()
  bool somebody_sleeps = false;
  Judge judge = Judge::kDeath;
};
const Scene kScenes[] = {
    {"single", 0, {"victim"}},
    {"single, fenced", 0, {"victim"}, false, Judge::kFenceThenDeath},
    {"single that wakes a sleeper", 0, {"victim"}, true},
    {"single that rolls over", 2, {"victim"}},
    {"batch", 0, {"victim 1", "victim 2", "victim 3"}},
    {"batch, fenced", 0, {"victim 1", "victim 2", "victim 3"}, false, Judge::kFenceThenDeath},
};

/// A traced child; killed and reaped whatever happens.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  /// Lets it run to its next stop; false once it has ended. `status` as of waitpid.
  bool wait() {
    if (waitpid(pid_, &status_, __WALL) != pid_ || !WIFSTOPPED(status_)) reaped_ = true;
    return !reaped_;
  }
  void step() const { ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr); }
  void run() const { ptrace(PTRACE_CONT, pid_, nullptr, nullptr); }
  void die_with_us() const { ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL); }
  [[nodiscard]] bool stepped() const { return WSTOPSIG(status_) == SIGTRAP; }
  [[nodiscard]] int exit_code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }
  void end() {
    if (reaped_) return;
    kill(pid_, SIGKILL);
    while (!reaped_) wait();
  }

 private:
  pid_t pid_;
  int status_ = 0;
  bool reaped_ = false;
};

/// In the child: everything up to the append, a stop, the append, a stop.
[[noreturn]] void be_victim(FakeBroker& broker, const Scene& scene) {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNoPtrace);
  const auto mapping = shm::Mapping::of(broker.memory_fd(), FakeMemory::bytes(broker.topic()),
                                        shm::Access::kReadWrite);
  FakeMemory memory(mapping->data(), broker.topic());
  Appender appender(memory.parts(kVictim), memory.seat(kVictim));
  // The second append is the one to look at: all is mapped, resolved and cached.
  if (append(appender, "first").status != AppendStatus::kAppended) _exit(1);
  std::vector<shm::RecordInput> inputs;
  for (const std::string& text : scene.batch) inputs.push_back({.payload = bytes_of(text)});
  if (scene.somebody_sleeps) static_cast<void>(shm::prepare_wait(memory.knock(0).data));
  raise(SIGSTOP);
  const shm::AppendOptions options{.deadline = Deadline::never()};
  const auto outcome = inputs.size() == 1 ? appender.append(inputs[0], options)
                                          : appender.append_batch(inputs, options);
  raise(SIGSTOP);
  _exit(outcome.status == AppendStatus::kAppended ? 0 : 1);
}

/// How one run ended: before the victim was through, or not.
enum class Step : std::uint8_t { kKilled, kThrough, kForbidden };

Step kill_after(FakeBroker& broker, const Scene& scene, long instructions) {
  const pid_t pid = fork();
  if (pid == 0) be_victim(broker, scene);
  Child child(pid);
  if (!child.wait()) return Step::kForbidden;
  child.die_with_us();
  for (long i = 0; i < instructions; ++i) {
    child.step();
    EXPECT_TRUE(child.wait()) << "the victim ended by itself with " << child.exit_code();
    if (!child.stepped()) {  // its second SIGSTOP
      child.run();
      EXPECT_FALSE(child.wait());
      EXPECT_EQ(child.exit_code(), 0);
      return Step::kThrough;
    }
  }
  return Step::kKilled;
}

/// True if the batch is there. Fails the test if anything else is wrong.
bool judge_log(FakeBroker& broker, const Scene& scene) {
  if (scene.judge == Judge::kFenceThenDeath) broker.seal_open();
  broker.session_died(kVictim);
  broker.pump();
  Appender heir(broker.memory().parts(kOther), broker.memory().seat(kOther));
  EXPECT_EQ(append(heir, "after").status, AppendStatus::kAppended) << "the word is not free";
  const auto log = log_of(broker);
  std::vector<std::string> theirs;
  std::vector<std::string> others;
  for (std::size_t i = 0; i < log.size(); ++i) {
    EXPECT_EQ(log[i].offset, i);
    (log[i].text.starts_with('v') ? theirs : others).push_back(log[i].text);
  }
  EXPECT_EQ(others.size(), static_cast<std::size_t>(scene.before) + 2) << "first, others, after";
  EXPECT_EQ(others.back(), "after");
  const bool there = !theirs.empty();
  if (there) {
    EXPECT_EQ(theirs, scene.batch);
  }
  EXPECT_EQ(broker.accepted_sequence(kVictim), 1 + (there ? scene.batch.size() : 0));
  EXPECT_EQ(broker.end_offset(), log.size());
  return there;
}

/// Every instruction in full; otherwise of the plain append, and every fifth of the others.
long stride_of(const Scene& scene) {
  const char* bound = std::getenv("MALLBOTS_CHECK");
  const bool full = bound != nullptr && std::strcmp(bound, "full") == 0;
  return full || scene.name == kScenes[0].name ? 1 : 5;
}

class SingleStep : public testing::TestWithParam<Scene> {};
INSTANTIATE_TEST_SUITE_P(Scenes, SingleStep, testing::ValuesIn(kScenes), [](const auto& info) {
  std::string name = info.param.name;
  std::erase_if(name, [](char c) { return c == ' ' || c == ','; });
  return name;
});

TEST_P(SingleStep, AnAppendKilledAtAnyInstructionIsThereWholeOrNotAtAll) {
  const Scene& scene = GetParam();
  const long stride = stride_of(scene);
  long there = 0;
  for (long instructions = 0;; instructions += stride) {
    FakeBroker broker{kTopic};
    Appender other(broker.memory().parts(kOther), broker.memory().seat(kOther));
    for (int i = 0; i < scene.before; ++i)
      ASSERT_EQ(append(other, std::string(kFill[i], 'x')).status, AppendStatus::kAppended);
    const Step step = kill_after(broker, scene, instructions);
    if (step == Step::kForbidden) GTEST_SKIP() << "ptrace: " << std::strerror(errno);
    const bool is_there = judge_log(broker, scene);
    ASSERT_FALSE(HasFailure()) << scene.name << ", killed after instruction " << instructions;
    there += is_there ? 1 : 0;
    if (step == Step::kKilled) continue;
    std::printf("%s: %ld instructions, one run for every %ld; committed in the last %ld runs\n",
                scene.name, instructions, stride, there);
    EXPECT_TRUE(is_there);
    EXPECT_GT(instructions - there * stride, 100);
    return;
  }
}

}  // namespace
}  // namespace mallbots::test
