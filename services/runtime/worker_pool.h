// WorkerPool: a few threads and a bounded queue of tasks for them, so that what takes long (a
// database, a flush) never stands on gRPC's own threads, and too much of it is refused at once.
//
// Who calls: any thread. Tasks do not throw.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mallbots {

struct WorkerPoolOptions {
  std::size_t threads = 4;
  std::size_t max_waiting = 1'000;
};

class WorkerPool {
 public:
  explicit WorkerPool(const WorkerPoolOptions& options = {});
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  /// Every task that was taken is carried out first.
  ~WorkerPool();

  /// False: too many wait already.
  [[nodiscard]] bool submit(std::function<void()> task);
  [[nodiscard]] std::size_t waiting() const;

 private:
  void work();

  WorkerPoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool ends_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace mallbots
