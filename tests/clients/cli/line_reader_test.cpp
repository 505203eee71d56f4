#include "clients/cli/line_reader.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "shm/region/fd.h"

namespace mallbots::client::cli {
namespace {

using Outcome = LineReader::Outcome;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    out = shm::UniqueFd{ends[0]};
    in = shm::UniqueFd{ends[1]};
  }
  void write(std::string_view text) {
    EXPECT_EQ(::write(in.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  shm::UniqueFd out;
  shm::UniqueFd in;
};

std::vector<std::string> all_lines(LineReader& reader) {
  std::vector<std::string> lines;
  std::string_view line;
  while (true) {
    const auto outcome = reader.next(line, true);
    EXPECT_TRUE(outcome);
    if (!outcome || *outcome != Outcome::kLine) return lines;
    lines.emplace_back(line);
    EXPECT_EQ(reader.line_number(), lines.size());
  }
}

TEST(LineReader, EmptyLinesCountAndTheLastNeedsNoLineEnd) {
  Pipe pipe;
  pipe.write("one\n\nthree\r\nlast");
  pipe.in.reset();
  LineReader reader{pipe.out.get(), 100};
  EXPECT_EQ(all_lines(reader), (std::vector<std::string>{"one", "", "three\r", "last"}));
}

TEST(LineReader, NoInputIsNoLine) {
  Pipe pipe;
  pipe.in.reset();
  LineReader reader{pipe.out.get(), 100};
  EXPECT_TRUE(all_lines(reader).empty());
}

TEST(LineReader, DoesNotWaitWhenItMayNot) {
  Pipe pipe;
  LineReader reader{pipe.out.get(), 100};
  std::string_view line;
  EXPECT_EQ(*reader.next(line, false), Outcome::kNotYet);
  pipe.write("hal");
  EXPECT_EQ(*reader.next(line, false), Outcome::kNotYet);
  pipe.write("f\nnext\n");
  EXPECT_EQ(*reader.next(line, false), Outcome::kLine);
  EXPECT_EQ(line, "half");
  EXPECT_EQ(*reader.next(line, false), Outcome::kLine);
  EXPECT_EQ(line, "next");
  EXPECT_EQ(*reader.next(line, false), Outcome::kNotYet);
  pipe.in.reset();
  EXPECT_EQ(*reader.next(line, false), Outcome::kEnd);
}

TEST(LineReader, ALineBeyondTheLimitIsNamed) {
  Pipe pipe;
  pipe.write("fine\n" + std::string(11, 'x') + "\n");
  LineReader reader{pipe.out.get(), 10};
  std::string_view line;
  EXPECT_EQ(*reader.next(line, true), Outcome::kLine);
  const auto outcome = reader.next(line, true);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kTooLarge);
  EXPECT_NE(outcome.error().detail.find("line 2 "), std::string::npos);
}

TEST(LineReader, GivesEveryByteBack) {
  rc::check([] {
    const auto lines = *rc::gen::container<std::vector<std::string>>(
        rc::gen::container<std::string>(rc::gen::inRange<char>(11, 127)));
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    RC_PRE(text.size() < 60'000u);  // a pipe holds 64 KiB
    Pipe pipe;
    pipe.write(text);
    pipe.in.reset();
    LineReader reader{pipe.out.get(), 60'000};
    RC_ASSERT(all_lines(reader) == lines);
  });
}

}  // namespace
}  // namespace mallbots::client::cli
