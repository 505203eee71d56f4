// viewers.100: a hundred pages look at the robots of a running admin gateway through WebSockets,
// one of them stands still and reads nothing. A thousand robots move twice a second, as often as
// the fleet gateway tells; the positions are appended here, so that a round has a beginning.
//
// A round is with a page when the row of the robot that was appended last has come, from the moment
// at which the round was meant to begin: broker, gateway and socket are in it.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/harness/clock.h"
#include "bench/harness/histogram.h"
#include "bench/scenarios/mall.h"
#include "bench/scenarios/scenarios.h"
#include "bench/scenarios/stage.h"

namespace mallbots::bench {
namespace {

constexpr const char* kPositions = "mallbots.fleet.positions";
constexpr const char* kLastRobot = "robot-last";
/// Not a multiple of the 100 ms between two tellings: or each round of a run would meet the same
/// moment between them.
constexpr std::uint64_t kPauseNs = 483'000'000;
constexpr double kPatienceNs = 20e9;

// Budgets; their reasons are in bench/README.md.
constexpr double kRoundNs = 250e6;
constexpr double kBesideStuck = 1.5;
constexpr double kGatewayPercent = 50;
constexpr double kViewersBytes = 128.0 * 1024 * 1024;

std::uint64_t now_ns() { return raw_now_ns(); }

/// A TCP connection to the gateway.
class Socket {
 public:
  Socket(std::uint16_t port, int receive_buffer) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer != 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_open_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool send(std::string_view bytes) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    is_open_ = is_open_ && sent == static_cast<ssize_t>(bytes.size());
    return is_open_;
  }
  /// Up to the end of an answer's head.
  [[nodiscard]] std::string head() const {
    std::string text;
    char one = 0;
    while (!text.ends_with("\r\n\r\n") && ::recv(fd_, &one, 1, 0) == 1) text += one;
    return text;
  }

 private:
  int fd_;
  bool is_open_ = false;
};

struct Place {
  std::uint16_t port = 0;
  std::string cookie;
};

/// A page that looks at the robots.
class Page {
 public:
  explicit Page(const Place& place, int receive_buffer = 0) : socket_(place.port, receive_buffer) {
    is_open_ =
        socket_.send("GET /admin/v1/socket HTTP/1.1\r\nHost: localhost\r\nCookie: " + place.cookie +
                     "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n") &&
        socket_.head().starts_with("HTTP/1.1 101") && say(R"({"op":"subscribe","topic":"bots"})");
  }
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }
  [[nodiscard]] int fd() const noexcept { return socket_.fd(); }
  [[nodiscard]] std::uint64_t round() const noexcept { return round_; }

  /// A short text, masked with zeros, which is allowed.
  [[nodiscard]] bool say(std::string_view text) {
    std::string frame{"\x81"};
    frame += static_cast<char>(0x80 | text.size());
    return socket_.send(frame + std::string(4, '\0') + std::string(text));
  }
  /// Takes what has come. False: the connection has ended.
  [[nodiscard]] bool take() {
    static std::vector<char> bytes(256 * 1024);
    const auto got = ::recv(socket_.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    text_.append(bytes.data(), static_cast<std::size_t>(got));
    std::size_t from = 0;
    for (std::size_t at = 0; (at = text_.find(kLastRobot, from)) != std::string::npos;) {
      // Behind it in the same row: ..., "x": the round, "y": ...
      const std::size_t x = text_.find("\"x\":", at);
      if (x == std::string::npos || text_.find("\"y\":", x) == std::string::npos) {
        text_.erase(0, at);
        return got > 0;
      }
      std::from_chars(text_.data() + x + 4, text_.data() + text_.size(), round_);
      from = x;
    }
    if (text_.size() > 16) text_.erase(0, text_.size() - 16);
    return got > 0;
  }

 private:
  Socket socket_;
  std::string text_;
  std::uint64_t round_ = 0;
  bool is_open_ = false;
};

/// Signs in with a link, as a page does.
Result<Place> sign_in(const RunContext& run, const Stage& stage) {
  const auto added = ask_mall(run, stage, {"staff", "add", "viewer", "--role", "depot-admin"});
  if (!added) return std::unexpected(added.error());
  const auto link = ask_mall(run, stage, {"staff", "link", "viewer"});
  if (!link) return std::unexpected(link.error());
  // http://127.0.0.1:PORT/#link=TOKEN
  const auto colon = link->find(':', link->find("//"));
  const auto mark = link->find("#link=");
  Place place;
  if (colon == std::string::npos || mark == std::string::npos)
    return fail(ErrorCode::kIo, "mall staff link: " + *link);
  std::from_chars(link->data() + colon + 1, link->data() + mark, place.port);
  const auto from = mark + std::string_view{"#link="}.size();
  const std::string body =
      R"({"link":")" + link->substr(from, link->find('\n', from) - from) + R"("})";
  Socket socket(place.port, 0);
  const bool is_sent =
      socket.send(fmt::format("POST /admin/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                              "application/json\r\nContent-Length: {}\r\n\r\n{}",
                              body.size(), body));
  const std::string head = is_sent ? socket.head() : "";
  const std::string_view name = "Set-Cookie: ";
  const auto cookie = head.find(name);
  if (cookie == std::string::npos) return fail(ErrorCode::kIo, "no session: " + head);
  const auto value = cookie + name.size();
  place.cookie = head.substr(value, head.find_first_of(";\r", value) - value);
  return place;
}

/// A serialized fleetpb.RobotAt: {1: {1: x, 2: y}, 2: battery}. The numbers are below 128 * 128.
std::string robot_at(std::uint64_t x, std::uint64_t y) {
  const auto number = [](char tag, std::uint64_t value) {
    return std::string{tag, static_cast<char>(0x80 | (value & 0x7F)),
                       static_cast<char>(value >> 7 & 0x7F)};
  };
  const std::string position = number('\x08', x) + number('\x10', y);
  return std::string{'\x0A', static_cast<char>(position.size())} + position + number('\x10', 90);
}

/// The robots and the pages that take what comes.
class Show {
 public:
  Show(client::Producer& positions, std::uint64_t robots, std::vector<std::unique_ptr<Page>>& pages)
      : positions_(positions), robots_(robots), pages_(pages) {}

  /// Everybody moves, at that time; until all pages have seen it.
  [[nodiscard]] Result<void> play(std::uint64_t at_ns, Histogram& waits) {
    ++round_;
    MALLBOTS_TRY(take_until(at_ns));
    if (round_ % 8 == 0) {
      for (const auto& page : pages_) static_cast<void>(page->say(R"({"op":"heartbeat"})"));
    }
    for (std::uint64_t robot = 0; robot < robots_; ++robot) {
      const bool is_last = robot + 1 == robots_;
      MALLBOTS_TRY(move(is_last ? kLastRobot : fmt::format("robot-{:04}", robot), robot));
    }
    std::size_t waiting = pages_.size();
    while (waiting > 0) {
      if (static_cast<double>(now_ns()) - static_cast<double>(at_ns) > kPatienceNs)
        return fail(ErrorCode::kTimeout, fmt::format("{} pages miss round {}", waiting, round_));
      MALLBOTS_TRY(take(10, [&](const Page& page, std::uint64_t before) {
        if (before >= round_ || page.round() < round_) return;
        waits.record(now_ns() - at_ns);
        --waiting;
      }));
    }
    return {};
  }

 private:
  Result<void> move(const std::string& id, std::uint64_t robot) {
    const std::string payload = robot_at(round_, robot);
    const auto sent = positions_.append(
        {.payload = std::as_bytes(std::span{payload}), .key = std::as_bytes(std::span{id})});
    if (!sent) return std::unexpected(sent.error());
    return {};
  }
  template <class Heard>
  Result<void> take(int wait_ms, const Heard& heard) {
    std::vector<pollfd> ready;
    for (const auto& page : pages_) ready.push_back({page->fd(), POLLIN, 0});
    static_cast<void>(::poll(ready.data(), ready.size(), wait_ms));
    for (std::size_t i = 0; i < ready.size(); ++i) {
      if (ready[i].revents == 0) continue;
      const std::uint64_t before = pages_[i]->round();
      if (!pages_[i]->take()) return fail(ErrorCode::kIo, "a page was cut off");
      heard(*pages_[i], before);
    }
    return {};
  }
  Result<void> take_until(std::uint64_t at_ns) {
    for (std::uint64_t now = now_ns(); now < at_ns; now = now_ns()) {
      const auto left_ms = static_cast<int>((at_ns - now) / 1'000'000);
      MALLBOTS_TRY(take(left_ms, [](const Page&, std::uint64_t) {}));
    }
    return {};
  }

  client::Producer& positions_;
  std::uint64_t robots_;
  std::vector<std::unique_ptr<Page>>& pages_;
  std::uint64_t round_ = 0;
};

/// Rounds, a pause after each other.
Result<Histogram> play_rounds(Show& show, std::uint64_t rounds) {
  Histogram waits;
  const std::uint64_t begun_ns = now_ns() + kPauseNs;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    MALLBOTS_TRY(show.play(begun_ns + round * kPauseNs, waits));
  }
  return waits;
}

Result<Figures> measure_in(const RunContext& run, Stage& stage) {
  const std::uint64_t viewers = run.times(100, 4);
  auto gateway = run_services(run, stage, {"admin"});
  if (!gateway) return std::unexpected(gateway.error());
  const auto place = sign_in(run, stage);
  if (!place) return std::unexpected(place.error());
  auto connection = stage.connect();
  if (!connection) return std::unexpected(connection.error());
  auto positions = client::Producer::open(**connection, kPositions);
  if (!positions) return std::unexpected(positions.error());
  const double idle_bytes = memory_bytes(gateway->pid());

  std::vector<std::unique_ptr<Page>> pages;
  for (std::uint64_t i = 1; i < viewers; ++i) {
    if (!pages.emplace_back(std::make_unique<Page>(*place))->is_open())
      return fail(ErrorCode::kIo, "a page got no socket: " + gateway->output());
  }
  Show show(**positions, run.times(1'000, 20), pages);
  const auto without = play_rounds(show, run.times(8, 2));
  if (!without) return std::unexpected(without.error());

  const Page stuck(*place, 4'096);
  if (!stuck.is_open()) return fail(ErrorCode::kIo, "the stuck page got no socket");
  // What the kernel takes for it and its queue: full before anything counts.
  Histogram not_counted;
  for (std::uint64_t i = 0; i < run.times(45, 2); ++i) {
    MALLBOTS_TRY(show.play(now_ns(), not_counted));
  }
  const double used_s = cpu_s(gateway->pid());
  const std::uint64_t from_ns = now_ns();
  const auto waits = play_rounds(show, run.times(14, 2));
  if (!waits) return std::unexpected(waits.error());
  const double seconds = static_cast<double>(now_ns() - from_ns) / 1e9;
  const auto ns = [](const Histogram& of, double percent) {
    return static_cast<double>(of.percentile(percent));
  };
  Figures figures{{"p50", ns(*waits, 50)},
                  {"p99", ns(*waits, 99)},
                  {"max", static_cast<double>(waits->max())},
                  {"p99_without", ns(*without, 99)},
                  {"cpu", 100 * (cpu_s(gateway->pid()) - used_s) / seconds},
                  {"memory", memory_bytes(gateway->pid())},
                  {"viewers_memory", memory_bytes(gateway->pid()) - idle_bytes}};
  pages.clear();
  MALLBOTS_TRY(end_services(*gateway));
  return figures;
}

Result<Figures> measure(const RunContext& run) {
  auto stage = Stage::open(run, {});
  if (!stage) return std::unexpected(stage.error());
  auto figures = measure_in(run, **stage);
  remove_mall(run);
  return figures;
}

}  // namespace

void add_viewer_rows(Registry& registry) {
  registry.add(Row{
      .name = "viewers.100",
      .placement = "the daemon, the admin gateway in a process of its own, all pages in another,"
                   " not pinned; 1,000 robots move twice a second; one page reads nothing",
      .peer = "",
      .probe = ProbeRule::kShownOnly,
      .lines = {Line{.work = "100 viewers, one stuck: a round at the 99, p50", .figure = "p50"},
                Line{.work = "  p99", .figure = "p99", .bound = Bound::kAtMost, .budget = kRoundNs},
                Line{.work = "  p99, beside that without the stuck one",
                     .figure = "p99",
                     .limit = {{"", "p99_without"}},
                     .bound = Bound::kRatioAtMost,
                     .budget = kBesideStuck},
                Line{.work = "  longest", .figure = "max"},
                Line{.work = "  the gateway's processor time, of one core",
                     .figure = "cpu",
                     .unit = Unit::kPercent,
                     .bound = Bound::kAtMost,
                     .budget = kGatewayPercent},
                Line{.work = "  its memory for the viewers",
                     .figure = "viewers_memory",
                     .unit = Unit::kBytes,
                     .bound = Bound::kAtMost,
                     .budget = kViewersBytes},
                Line{.work = "  its memory", .figure = "memory", .unit = Unit::kBytes}},
      .measure = measure});
}

}  // namespace mallbots::bench
