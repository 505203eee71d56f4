// The table and its machine-readable twin. Both say the same; --json also holds every run with its
// probes, those left out included, so that anybody can judge anew.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "bench/harness/judge.h"
#include "bench/harness/machine_sheet.h"

namespace mallbots::bench {

struct ReportedRow {
  const Measured* measured = nullptr;
  Selection selection;
  RowReport report;
};

struct Report {
  MachineSheet machine;
  NearRange near;  ///< empty: no row asked
  Spread scouted;  ///< the probes that said so; none if the edge was set by hand
  std::size_t runs_wanted = 0;
  bool quick = false;
  std::vector<ReportedRow> rows;
};

[[nodiscard]] std::string text_of(const Report& report);
[[nodiscard]] std::string json_of(const Report& report);

/// `3.37 us`, `48.0 M/s`, `3.15 GB/s` ...: three digits and the unit.
[[nodiscard]] std::string quantity(double value, Unit unit);

}  // namespace mallbots::bench
