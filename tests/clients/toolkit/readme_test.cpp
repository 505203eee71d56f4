// The tables of the toolkit's README: complete, and every test that they name is there.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "clients/toolkit/lake/lake_folder.h"
#include "tests/support/text_file.h"

namespace mallbots::test {
namespace {

namespace fs = std::filesystem;

/// SUITE.NAME of every test in tests/, and NAME of every test that CMake adds.
std::set<std::string> all_tests() {
  static const std::regex gtest{R"((?:^|\n)(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))"};
  static const std::regex added{R"(add_test\(\s*NAME\s+([\w.]+))"};
  std::set<std::string> tests;
  for (const auto& entry : fs::recursive_directory_iterator{"tests"}) {
    const bool is_cmake = entry.path().filename() == "CMakeLists.txt";
    if (entry.path().extension() != ".cpp" && !is_cmake) continue;
    const std::string text = text_of(entry.path());
    const std::regex& form = is_cmake ? added : gtest;
    for (std::sregex_iterator at{text.begin(), text.end(), form}, end; at != end; ++at)
      tests.insert(is_cmake ? (*at)[1].str() : (*at)[1].str() + "." + (*at)[2].str());
  }
  return tests;
}

struct Row {
  std::string name;
  std::vector<std::string> tests;  ///< patterns and folders
};

/// Rows whose first cell begins with `letter` and a digit; of the cell `tests`, what stands in
/// backticks and names a test or a folder of tests.
std::vector<Row> rows_of(const std::string& readme, char letter, std::size_t tests) {
  static const std::regex quoted{"`([^`]+)`"};
  static const std::regex test_name{R"([A-Za-z]\w*\.[\w*/]+|tests/.*)"};
  std::vector<Row> rows;
  std::istringstream lines{readme};
  for (std::string line; std::getline(lines, line);) {
    if (line.size() < 4 || line[0] != '|' || line[2] != letter || std::isdigit(line[3]) == 0)
      continue;
    std::vector<std::string> cells;
    std::istringstream cells_of{line};
    for (std::string cell; std::getline(cells_of, cell, '|');) cells.push_back(cell);
    Row row{.name = cells.at(1)};
    const std::string& cell = cells.at(tests);
    for (std::sregex_iterator at{cell.begin(), cell.end(), quoted}, end; at != end; ++at)
      if (std::regex_match((*at)[1].str(), test_name)) row.tests.push_back((*at)[1].str());
    rows.push_back(std::move(row));
  }
  return rows;
}

class ToolkitTables : public testing::Test {
 protected:
  void expect_tests_exist(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      EXPECT_FALSE(row.tests.empty()) << row.name << "names no test";
      for (const std::string& wanted : row.tests) {
        if (wanted.starts_with("tests/")) {
          EXPECT_TRUE(fs::exists(wanted)) << row.name << wanted;
          continue;
        }
        const std::string pattern = wanted.substr(0, wanted.find('/'));  // without a parameter
        EXPECT_TRUE(std::ranges::any_of(
            tests_, [&](const auto& test) { return toolkit::fits_pattern(pattern, test); }))
            << row.name << "names " << wanted << ", which no test is called";
      }
    }
  }
  /// Every row of every module, by name or in "M2.1 to M2.7".
  static void expect_all_capabilities(const std::vector<Row>& rows) {
    static constexpr std::array kRowsOfModule = {4, 7, 5, 5, 5, 6, 6, 5, 5, 7,
                                                 5, 6, 4, 4, 6, 5, 4, 5, 5, 10};
    static const std::regex some{R"(M(\d+)\.(\d+)(?: to M\d+\.(\d+))?)"};
    std::set<std::pair<int, int>> named;
    for (const Row& row : rows)
      for (std::sregex_iterator at{row.name.begin(), row.name.end(), some}, end; at != end; ++at) {
        const int first = std::stoi((*at)[2]);
        const int last = (*at)[3].matched ? std::stoi((*at)[3]) : first;
        for (int i = first; i <= last; ++i) named.emplace(std::stoi((*at)[1]), i);
      }
    for (std::size_t module = 1; module <= kRowsOfModule.size(); ++module)
      for (int i = 1; i <= kRowsOfModule[module - 1]; ++i)
        EXPECT_TRUE(named.contains({static_cast<int>(module), i}))
            << "no row M" << module << '.' << i;
  }
  static void expect_numbers(const std::vector<Row>& rows, int last) {
    std::string names = " ";
    for (const Row& row : rows) names += row.name + " ";
    for (int i = 1; i <= last; ++i)
      EXPECT_TRUE(std::regex_search(names, std::regex{"[MD]" + std::to_string(i) + "[ ,.]"}))
          << "no row " << i;
  }
  const std::string readme_ = text_of("clients/toolkit/README.md");
  const std::set<std::string> tests_ = all_tests();
};

TEST_F(ToolkitTables, EveryCapabilityHasATestThatExists) {
  const auto rows = rows_of(readme_, 'M', 3);
  expect_all_capabilities(rows);
  expect_tests_exist(rows);
}

TEST_F(ToolkitTables, EveryDefectHasATestThatExists) {
  const auto rows = rows_of(readme_, 'D', 3);
  expect_numbers(rows, 13);
  expect_tests_exist(rows);
}

}  // namespace
}  // namespace mallbots::test
