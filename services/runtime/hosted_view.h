// Hosted view: a view that a process of the shop keeps up to date, from the log of its broker.
//
// With the setting NAME.rebuild=yes a start builds it anew from the oldest record, beside the one
// that is read, and takes it when it has caught up; the next start drops the old one.
//
// Who calls: services, before Host::start(). The runner feeds the view on a thread of the host from
// then on; it is the service's, and lives until the host has stopped. Errors: those of the topics,
// of ViewRunner::open and of LogReader::open.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "clients/toolkit/views/view_runner.h"
#include "services/runtime/host.h"

namespace mallbots {

/// Makes the topics if they are not there.
[[nodiscard]] Result<std::unique_ptr<toolkit::ViewRunner>> keep_view(
    Host& host, const toolkit::View& view, const toolkit::ServiceStore& store,
    const std::vector<std::string>& topics, const toolkit::LogReaderOptions& options = {});

}  // namespace mallbots
