// What to say about a command line that is not understood: which word, and which known word is
// nearest. Pure functions, called by run_command().
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mallbots::client::cli {

/// Letters to insert, delete, change or swap with their neighbour to make `a` of `b`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or empty if none is near enough to be meant.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string>& candidates);

/// The deepest command that was understood.
[[nodiscard]] const CLI::App* deepest_command(const CLI::App& root);

/// One sentence about why the line was not understood, without the programme's name.
[[nodiscard]] std::string explain(const CLI::App& root, const CLI::ParseError& error);

}  // namespace mallbots::client::cli
