// analytics: prints what the service of that name tells.
#include <grpcpp/create_channel.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "clients/connection.h"
#include "services/analytics/api.grpc.pb.h"
#include "services/runtime/grpc_client.h"
#include "services/runtime/rpc_server.h"

int main(int count, char** words) {
  using namespace mallbots;  // NOLINT(google-build-using-namespace)
  std::string instance = "default";
  std::string socket_dir;
  CLI::App program{
      "What the mall took by store and hour, how long robots fetched, why orders were"
      " cancelled."};
  program.add_option("--instance", instance, "the broker's instance")->capture_default_str();
  program.add_option("--socket-dir", socket_dir, "where the service listens (RUNTIME-DIR/mall)");
  program.footer("Exit codes: 0 done, 1 the service does not answer, 2 usage.\nExample: analytics");
  CLI11_PARSE(program, count, words);
  if (socket_dir.empty()) socket_dir = client::default_runtime_dir(instance) + "/mall";
  const auto channel = RpcServer::connect(socket_dir + "/analytics.sock");
  analyticspb::AnalyticsService::Stub stub{channel};
  grpc::ClientContext context;
  prepare(context, {.id = "report", .actor = "system"}, 10'000);
  analyticspb::Report report;
  const grpc::Status status = stub.GetReport(&context, {}, &report);
  if (!status.ok()) {
    std::cerr << "analytics: " << socket_dir << "/analytics.sock: " << status.error_message()
              << "; is the service up? `mall up` runs it\n";
    return 1;
  }
  std::cout << report.text();
  return 0;
}
