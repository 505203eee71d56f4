#include "clients/cli/output.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace mallbots::client::cli {
namespace {

Table sample() {
  Table table{{{"TOPIC", "topic"}, {"LAG", "lag", Align::kRight}, {"MEMBER", "member"}}};
  table.add({text_cell("orders"), number_cell(7), text_cell("grüße")});
  table.add({text_cell("a-much-longer-name"), number_cell(123456), empty_cell()});
  return table;
}

TEST(Table, ColumnsAlignWithoutTrailingBlanks) {
  EXPECT_EQ(sample().text(),
            "TOPIC                  LAG  MEMBER\n"
            "orders                   7  grüße\n"
            "a-much-longer-name  123456  -\n");
}

TEST(Table, FitsATerminalByCuttingTheWidestTextColumn) {
  const std::string text = sample().text(28);
  EXPECT_EQ(text,
            "TOPIC            LAG  MEMBER\n"
            "orders             7  grüße\n"
            "a-much-long…  123456  -\n");
}

TEST(Table, NumbersAreNeverCut) { EXPECT_NE(sample().text(5).find("123456"), std::string::npos); }

TEST(Table, JsonHasTheSameCellsByKey) {
  EXPECT_EQ(sample().json().dump(),
            R"([{"topic":"orders","lag":7,"member":"grüße"},)"
            R"({"topic":"a-much-longer-name","lag":123456,"member":null}])");
}

TEST(Table, WithoutRowsIsATitleLineAndAnEmptyList) {
  const Table table{{{"TOPIC", "topic"}}};
  EXPECT_EQ(table.text(), "TOPIC\n");
  EXPECT_EQ(table.json().dump(), "[]");
}

TEST(Facts, AlignAndKeepTheirOrder) {
  Facts facts;
  facts.add("broker pid", "broker_pid", number_cell(12));
  facts.add("memory", "memory_bytes", size_cell(64 << 20));
  EXPECT_EQ(facts.text(), "broker pid  12\nmemory      64MiB\n");
  EXPECT_EQ(facts.json().dump(), R"({"broker_pid":12,"memory_bytes":67108864})");
}

TEST(Cells, WhatIsNotThereIsADashSoThatColumnsCanBeCounted) {
  EXPECT_EQ(text_cell("").text, "-");
  EXPECT_EQ(offset_cell(kNoOffset).text, "-");
  EXPECT_TRUE(offset_cell(kNoOffset).json.is_null());
  EXPECT_EQ(offset_cell(5).text, "5");
}

TEST(Printable, ControlCharactersOfOthersDoNotReachTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
  EXPECT_EQ(printable("grüße"), "grüße");
  EXPECT_EQ(printable("\xff"), "\\xff");
}

}  // namespace
}  // namespace mallbots::client::cli
