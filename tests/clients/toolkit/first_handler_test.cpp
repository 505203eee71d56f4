// The program of the README: built, run against a daemon, shown as it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/clients/fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

class FirstHandlerTest : public ClientTest {};

TEST_F(FirstHandlerTest, GreetsBuriesCountsAndLeavesWithGrace) {
  const auto connection = connect();
  create(*connection, "users");
  create(*connection, "greetings");
  Process service = Process::start({binary("first_handler"), daemon_.runtime_dir()});
  const auto users = producer(*connection, "users");
  ASSERT_OK(users->append({.payload = client::as_bytes("Ann")}));
  ASSERT_OK(users->append({.payload = client::as_bytes("")}));
  ASSERT_OK(users->append({.payload = client::as_bytes("Bob")}));
  const auto greetings = consumer(*connection);
  ASSERT_OK(greetings->assign("greetings", {}, client::Start::oldest()));
  EXPECT_EQ(read(*greetings, 2), (std::vector<std::string>{"Hello Ann", "Hello Bob"}))
      << service.errors();
  EXPECT_TRUE(eventually([&] {
    const auto letters = consumer(*connection)->range({"users.greeter.dlq", 0});
    return letters && letters->end == 1;
  }));
  service.send(SIGTERM);
  EXPECT_EQ(service.wait().exit_code, 0) << service.errors();
  const std::string metrics = service.output();
  for (const char* line :
       {"messages_processed_total{handler=\"greet\",topic=\"users\"} 3",
        "messages_processing_failed_total{handler=\"greet\",topic=\"users\",type=\"NoName\"} 1",
        "messages_dead_lettered_total{handler=\"greet\",topic=\"users\"} 1",
        "messages_processing_duration_seconds{handler=\"greet\",topic=\"users\",quantile=\"0."
        "99\"}"})
    EXPECT_NE(metrics.find(line), std::string::npos) << line << '\n' << metrics;
}

TEST(FirstHandler, WithoutAFolderLooksForTheBrokerWhereItIsByDefault) {
  const TempDir nowhere;
  const Finished said =
      run({binary("first_handler")}, {.environment = {{"XDG_RUNTIME_DIR", nowhere / "run"}}});
  EXPECT_EQ(said.ended.signal, 0);
  EXPECT_NE(said.errors.find("mallbots/default"), std::string::npos) << said.errors;
}

TEST(ToolkitReadme, ShowsTheFirstHandlerThatIsTested) {
  const std::string code = text_of("clients/toolkit/examples/first_handler.cpp");
  EXPECT_NE(text_of("clients/toolkit/README.md").find("```cpp\n" + code + "```\n"),
            std::string::npos);
  EXPECT_LT(std::count(code.begin(), code.end(), '\n'), 30);
}

}  // namespace
}  // namespace mallbots::test
