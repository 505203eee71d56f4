#include "services/simulators/staff_session.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace mallbots::simulators {

Result<void> StaffSession::sign_in() {
  const nlohmann::json body = {{"name", account_.name}, {"password", account_.password}};
  auto answer = client_.ask({"POST", "/admin/v1/session", body.dump()});
  if (!answer) return std::unexpected(answer.error());
  if (!answer->is_good() || answer->cookie.empty()) {
    return std::unexpected(
        Error{ErrorCode::kNotPermitted, fmt::format("staff '{}' cannot sign in: {} {}",
                                                    account_.name, answer->status, answer->body)});
  }
  cookie_ = answer->cookie;
  return {};
}

Result<Answer> StaffSession::ask(Question question) {
  for (bool is_first = true;; is_first = false) {
    if (cookie_.empty()) MALLBOTS_TRY(sign_in());
    question.headers["Cookie"] = cookie_;
    auto answer = client_.ask(question);
    if (!answer || answer->status != 401 || !is_first) return answer;
    cookie_.clear();
  }
}

Result<Answer> StaffSession::command(const std::string& method, const std::string& path,
                                     const std::string& key, const std::string& body) {
  return ask({method, path, body, {{"Idempotency-Key", fmt::format("{:->16}", key)}}});
}

}  // namespace mallbots::simulators
