// CRASH_POINT("room.step"): a named place just before a store or file operation that others can
// see. Test builds (MALLBOTS_CRASH_POINTS=1) stop the process there on request; product builds
// contain nothing. Every name stands once in the tree; tests/tidy finds operations without one.
#pragma once

#if defined(MALLBOTS_CRASH_POINTS) && MALLBOTS_CRASH_POINTS
namespace mallbots {
/// Linked from tests/support; counts the visit, and kills or stops the process if it was asked to.
void crash_point_reached(const char* name) noexcept;
}  // namespace mallbots
#define CRASH_POINT(name) ::mallbots::crash_point_reached(name)
#else
#define CRASH_POINT(name) static_cast<void>(0)
#endif
