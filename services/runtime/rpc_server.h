// RpcServer: the gRPC server of a process, on one Unix socket for each service in it, with health
// (grpc.health.v1, by the service's name and for all together) and reflection.
//
// Who calls: Host, its thread. The folder of the sockets is made with mode 0700: who may enter it
// may call. Errors of start(): Io.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shm/base/result.h"

namespace grpc {
class Channel;
class Server;
class Service;
}  // namespace grpc

namespace mallbots {

class RpcServer {
 public:
  RpcServer();
  ~RpcServer();

  void announce(const std::string& name);
  void serve(const std::string& name, grpc::Service& service);
  /// On the sockets of all names.
  void serve_everywhere(grpc::Service& service) { services_.push_back(&service); }
  [[nodiscard]] Result<void> start(const std::string& folder);
  void set_serving(bool is_serving);
  /// Calls that run have so long to end.
  void stop(std::int64_t grace_ms);

  /// What the service's health says, asked once; false if nobody answers within a second.
  [[nodiscard]] static bool is_serving(const std::string& folder, const std::string& name);
  [[nodiscard]] static std::shared_ptr<grpc::Channel> connect(const std::string& socket);

 private:
  std::vector<std::string> names_;
  std::vector<grpc::Service*> services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace mallbots
