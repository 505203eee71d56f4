// StepSpan: what a saga's step was, as a span that is recorded when its transaction commits. Used
// by the saga runner, on the thread of the transaction.
#pragma once

#include <string>
#include <utility>

#include "clients/toolkit/middleware/tracing.h"
#include "clients/toolkit/store/database.h"
#include "shm/base/clock.h"

namespace mallbots::toolkit {

class StepSpan {
 public:
  struct Step {
    const std::string& saga;
    const std::string& name;
    const std::string& instance;
    bool is_undo;
  };
  /// Begins; nothing is recorded without a recorder. `trace`: of what moved the saga.
  StepSpan(SpanRecorder* recorder, const Step& step, const std::string& trace)
      : recorder_(recorder) {
    if (recorder_ == nullptr) return;
    const auto parent = TraceContext::parse(trace);
    span_.context = parent ? parent->child() : TraceContext::start();
    if (parent) span_.parent_id = parent->span_id;
    span_.name = step.saga + (step.is_undo ? " undo " : " ") + step.name;
    span_.start_ns = wall_now_ns();
    span_.attributes = {{"saga", step.saga},
                        {"saga.step", step.name},
                        {"saga.instance", step.instance},
                        {"saga.direction", step.is_undo ? "undo" : "do"}};
    begun_ns_ = boot_now_ns();
  }
  void end(Transaction& transaction) const {
    if (recorder_ == nullptr) return;
    Span span = span_;
    span.duration_ns = boot_now_ns() - begun_ns_;
    transaction.after_commit(
        [recorder = recorder_, span = std::move(span)] { recorder->record(span); });
  }

 private:
  SpanRecorder* recorder_;
  Span span_{};
  BootNanos begun_ns_ = 0;
};

}  // namespace mallbots::toolkit
