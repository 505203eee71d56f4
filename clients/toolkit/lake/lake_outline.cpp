#include "clients/toolkit/lake/lake_outline.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>

namespace mallbots::toolkit {
namespace {

constexpr std::size_t kMarkBytes = 16;
constexpr unsigned kVarintBytes = 10;
using Mark = std::array<char, kMarkBytes>;

class Walk {
 public:
  Walk(std::FILE* file, std::uint64_t size) : file_(file), left_(size) {}

  [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
  [[nodiscard]] bool read(char* to, std::size_t size) {
    if (size > left_ || std::fread(to, 1, size, file_) != size) return false;
    left_ -= size;
    return true;
  }
  [[nodiscard]] bool skip(std::uint64_t size) {
    if (size > left_ || ::fseeko(file_, static_cast<off_t>(size), SEEK_CUR) != 0) return false;
    left_ -= size;
    return true;
  }
  /// Avro's long: zigzag, seven bits a byte, the lowest first.
  [[nodiscard]] std::optional<std::int64_t> number() {
    std::uint64_t bits = 0;
    for (unsigned i = 0; i < kVarintBytes; ++i) {
      char byte = 0;
      if (!read(&byte, 1)) return std::nullopt;
      bits |= (static_cast<std::uint64_t>(byte) & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) return static_cast<std::int64_t>((bits >> 1) ^ (~(bits & 1) + 1));
    }
    return std::nullopt;
  }
  [[nodiscard]] bool skip_bytes() {
    const auto size = number();
    return size && *size >= 0 && skip(static_cast<std::uint64_t>(*size));
  }

 private:
  std::FILE* file_;
  std::uint64_t left_;
};

/// Magic, a map of strings to bytes, and the mark that ends each block.
bool walk_header(Walk& walk, Mark& mark) {
  std::array<char, 4> magic{};
  if (!walk.read(magic.data(), magic.size()) || std::memcmp(magic.data(), "Obj\1", 4) != 0)
    return false;
  for (;;) {
    const auto pairs = walk.number();
    if (!pairs || *pairs == std::numeric_limits<std::int64_t>::min()) return false;
    if (*pairs == 0) return walk.read(mark.data(), mark.size());
    if (*pairs < 0 && !walk.number()) return false;  // a count below zero has the bytes beside it
    for (std::int64_t i = std::abs(*pairs); i > 0; --i)
      if (!walk.skip_bytes() || !walk.skip_bytes()) return false;
  }
}

}  // namespace

Result<LakeOutline> outline_of(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose};
  off_t size = -1;
  if (file != nullptr && ::fseeko(file.get(), 0, SEEK_END) == 0) size = ::ftello(file.get());
  if (size < 0 || ::fseeko(file.get(), 0, SEEK_SET) != 0)
    return fail(ErrorCode::kIo, "lake file " + path + ": " + std::strerror(errno));
  Walk walk{file.get(), static_cast<std::uint64_t>(size)};
  Mark mark{};
  if (!walk_header(walk, mark)) return LakeOutline{.damage = "its header is damaged"};
  LakeOutline outline;
  while (walk.left() > 0) {
    const auto records = walk.number();
    Mark found{};
    if (!records || *records < 0 || !walk.skip_bytes() || !walk.read(found.data(), found.size()) ||
        found != mark) {
      outline.damage = "the block after record " + std::to_string(outline.records) + " is damaged";
      break;
    }
    outline.records += static_cast<std::uint64_t>(*records);
  }
  return outline;
}

}  // namespace mallbots::toolkit
