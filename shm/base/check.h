// CHECK: states what only a bug of ours can break. Always on, in every build: a broker that goes on
// with a broken invariant damages data, one that stops is restarted by its keeper.
//
// Never CHECK what another process, a file or a socket wrote: that is data, and gets an Error.
#pragma once

namespace mallbots {

/// Prints `file:line: CHECK(expression) failed` to stderr and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* expression) noexcept;

}  // namespace mallbots

#define CHECK(expression)                                \
  (__builtin_expect(static_cast<bool>(expression), true) \
       ? static_cast<void>(0)                            \
       : ::mallbots::check_failed(__FILE__, __LINE__, #expression))

#ifdef NDEBUG
#define DCHECK(expression) static_cast<void>(sizeof((expression) ? 1 : 0))
#else
#define DCHECK(expression) CHECK(expression)
#endif
