#include <unordered_map>

#include "clients/consumer.h"
#include "clients/producer.h"
#include "services/gateways/fleet/topics.h"
#include "services/simulators/bots/lines.h"

namespace mallbots::bots {

class LocalLines::Impl {
 public:
  Impl(std::unique_ptr<client::Producer> reports, std::unique_ptr<client::Consumer> directives,
       std::vector<std::string> ids, Inbox& inbox)
      : reports_(std::move(reports)),
        directives_(std::move(directives)),
        ids_(std::move(ids)),
        inbox_(inbox) {
    for (std::uint32_t robot = 0; robot < ids_.size(); ++robot) {
      if (!ids_[robot].empty()) robots_[ids_[robot]] = robot;
    }
  }

  [[nodiscard]] Result<void> poll() {
    for (;;) {
      const auto batch = directives_->poll(Deadline::passed(), 256);
      if (!batch && client::is_setback(batch.error().code)) continue;
      if (!batch) return std::unexpected(batch.error());
      if (batch->empty()) return {};
      for (const client::Message& record : *batch) take(record);
    }
  }
  /// Lost is what the broker does not take at once: the robot says it again.
  void send(std::uint32_t robot, const fleetpb::FromRobot& message) {
    const std::string payload = message.SerializeAsString();
    static_cast<void>(reports_->append({.payload = std::as_bytes(std::span{payload}),
                                        .key = std::as_bytes(std::span{ids_[robot]})},
                                       {.deadline = Deadline::after_ms(kPatienceMs)}));
  }

 private:
  static constexpr std::int64_t kPatienceMs = 100;

  void take(const client::Message& record) {
    const auto robot = robots_.find(std::string(record.key_text()));
    if (robot == robots_.end()) return;  // not ours
    fleetpb::ToRobot message;
    const std::string_view bytes = record.text();
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
    inbox_.put({robot->second, 0, std::move(message)});
  }

  std::unique_ptr<client::Producer> reports_;
  std::unique_ptr<client::Consumer> directives_;
  std::vector<std::string> ids_;
  std::unordered_map<std::string, std::uint32_t> robots_;
  Inbox& inbox_;
};

Result<std::unique_ptr<LocalLines>> LocalLines::open(client::Connection& connection,
                                                     std::vector<std::string> ids, Inbox& inbox) {
  auto reports = client::Producer::open(connection, fleet::kReportsTopic);
  if (!reports) return std::unexpected(std::move(reports).error());
  auto directives = client::Consumer::open(connection, {.read = client::ReadLevel::kCommitted});
  if (!directives) return std::unexpected(std::move(directives).error());
  MALLBOTS_TRY((*directives)->assign(fleet::kDirectivesTopic, {}, client::Start::end()));
  auto impl =
      std::make_unique<Impl>(std::move(*reports), std::move(*directives), std::move(ids), inbox);
  return std::unique_ptr<LocalLines>(new LocalLines(std::move(impl)));
}

LocalLines::LocalLines(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalLines::~LocalLines() = default;
Result<void> LocalLines::poll() { return impl_->poll(); }

std::unique_ptr<Line> LocalLines::line(std::uint32_t robot) {
  class One final : public Line {
   public:
    One(Impl& impl, std::uint32_t robot) : impl_(impl), robot_(robot) {}
    void send(const fleetpb::FromRobot& message) override { impl_.send(robot_, message); }

   private:
    Impl& impl_;
    std::uint32_t robot_;
  };
  return std::make_unique<One>(*impl_, robot);
}

Result<std::unique_ptr<Lines>> GatewayLines::open(client::Connection& connection,
                                                  const std::vector<std::string>& local_ids,
                                                  const StreamLines::Options& gateway) {
  std::unique_ptr<GatewayLines> lines(new GatewayLines(gateway));
  auto locals = LocalLines::open(connection, local_ids, lines->inbox_);
  if (!locals) return std::unexpected(std::move(locals).error());
  lines->locals_ = std::move(*locals);
  for (const std::string& id : local_ids) lines->is_local_.push_back(!id.empty());
  return lines;
}

}  // namespace mallbots::bots
