#include "tests/shm/steps.h"

#include <setjmp.h>

#include "shm/base/crash_point.h"

namespace mallbots {
namespace test {
namespace {

struct Stepper {
  StepAt at;
  std::function<void(const char* name)> reached;
};
thread_local Stepper* stepper = nullptr;

/// False: the point was reached, and the body left there.
bool ends(jmp_buf& back, const std::function<void()>& body) {
  if (setjmp(back) != 0) return false;
  body();
  return true;
}

}  // namespace

std::string die_at(const StepAt& at, const std::function<void()>& body) {
  jmp_buf back;
  std::string where;
  Stepper mine{at, [&](const char* name) {
                 where = name;
                 stepper = nullptr;
                 longjmp(back, 1);
               }};
  stepper = &mine;
  static_cast<void>(ends(back, body));
  stepper = nullptr;
  return where;
}

Stalled::Stalled(const StepAt& at, std::function<void()> body) {
  auto stopped = stopped_.get_future();
  thread_ = std::thread([this, at, body = std::move(body), go = go_.get_future()]() mutable {
    Stepper mine{at, [&](const char* name) {
                   stepper = nullptr;
                   stopped_.set_value(name);
                   go.wait();
                 }};
    stepper = &mine;
    body();
    if (stepper != nullptr) stopped_.set_value({});
    stepper = nullptr;
  });
  where_ = stopped.get();
}

Stalled::~Stalled() { resume(); }

void Stalled::resume() {
  if (!thread_.joinable()) return;
  go_.set_value();
  thread_.join();
}

}  // namespace test

void crash_point_reached(const char* name) noexcept {
  test::Stepper* const mine = test::stepper;
  if (mine == nullptr || (!mine->at.name.empty() && mine->at.name != name)) return;
  if (mine->at.visit-- == 0) mine->reached(name);
}

}  // namespace mallbots
