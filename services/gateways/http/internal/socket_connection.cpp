#include "services/gateways/http/internal/socket_connection.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <chrono>
#include <deque>
#include <functional>

namespace mallbots::gateways {
namespace {

namespace websocket = beast::websocket;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kMessageBytes = 64 * 1024;
constexpr std::size_t kReasonBytes = 120;
constexpr seconds kHandshake{10};
constexpr seconds kFarewell{2};
constexpr seconds kSilence{30};  ///< half of it, then a ping

/// What the queue asks of the connection, on the server's thread.
class Sender {
 public:
  Sender() = default;
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  virtual ~Sender() = default;
  virtual void write() = 0;
  virtual void say_goodbye(std::uint16_t code, const std::string& reason) = 0;
};

/// The queue towards one peer. Outlives connection and server, if somebody keeps it: whoever ends
/// one of these calls shut() before.
class SocketQueue final : public SocketPeer {
 public:
  SocketQueue(Engine& engine, std::weak_ptr<Sender> sender)
      : limits_(engine.options.socket), engine_(&engine), sender_(std::move(sender)) {}

  Sent send(std::string text) override {
    const std::lock_guard lock{mutex_};
    if (is_shut_) return Sent::kClosed;
    if (texts_.size() >= limits_.queued_messages || bytes_ + text.size() > limits_.queued_bytes) {
      wants_room_ = true;
      ++engine_->counters.sockets_full;
      return Sent::kFull;
    }
    bytes_ += text.size();
    texts_.push_back(std::move(text));
    if (std::exchange(is_writing_, true)) return Sent::kQueued;
    asio::post(engine_->io, [sender = sender_.lock()] {
      if (sender) sender->write();
    });
    return Sent::kQueued;
  }
  void close(std::uint16_t code, std::string reason) override {
    const std::lock_guard lock{mutex_};
    if (std::exchange(is_shut_, true)) return;
    asio::post(engine_->io, [sender = sender_.lock(), code, reason = std::move(reason)] {
      if (sender) sender->say_goodbye(code, reason);
    });
  }

  // --- For the connection

  /// Nothing is taken, nor asked of connection or server any more.
  void shut() {
    const std::lock_guard lock{mutex_};
    is_shut_ = true;
  }
  /// The next one to be written; it stays where it is until written(). Null: nothing more.
  const std::string* front() {
    const std::lock_guard lock{mutex_};
    if (!is_shut_ && !texts_.empty()) return &texts_.front();
    is_writing_ = false;
    return nullptr;
  }
  /// True: there is room again for somebody who was refused.
  bool written() {
    const std::lock_guard lock{mutex_};
    bytes_ -= texts_.front().size();
    texts_.pop_front();
    return texts_.empty() && !is_shut_ && std::exchange(wants_room_, false);
  }

 private:
  SocketLimits limits_;
  std::mutex mutex_;
  Engine* engine_;  ///< unless shut
  std::weak_ptr<Sender> sender_;
  std::deque<std::string> texts_;
  std::size_t bytes_ = 0;
  bool is_writing_ = false;  ///< the front, or about to
  bool wants_room_ = false;
  bool is_shut_ = false;
};

/// The handler's calls go to the workers one at a time; everything else is the server's thread's.
template <class Stream>
class SocketConnection final : public Connection,
                               public Sender,
                               public std::enable_shared_from_this<SocketConnection<Stream>> {
 public:
  SocketConnection(Engine& engine, Stream stream, Upgrade upgrade)
      : engine_(engine),
        stream_(std::move(stream)),
        stuck_(engine.io),
        place_(std::move(upgrade.place)),
        handler_(std::move(upgrade.handler)),
        head_(std::move(upgrade.head)) {
    ++engine_.counters.sockets_now;
  }
  ~SocketConnection() override { --engine_.counters.sockets_now; }

  void begin() {
    beast::get_lowest_layer(stream_).expires_never();
    stream_.set_option(websocket::stream_base::timeout{kHandshake, kSilence, true});
    stream_.read_message_max(kMessageBytes);
    stream_.auto_fragment(false);
    stream_.text(true);
    const auto self = this->shared_from_this();
    queue_ = std::make_shared<SocketQueue>(engine_, self);
    place_->seat(self);
    stream_.async_accept(head_, [self](beast::error_code bad) {
      if (bad || self->is_finished_) return self->finish();
      self->is_open_ = true;
      self->is_told_ = false;
      // What on_open sends asks for its writing itself: one asked for here would run beside it.
      self->call([self] { self->handler_->on_open(self->queue_); }, [self] { self->read(); });
    });
  }

  void stop() override { queue_->close(websocket::close_code::going_away, "the gateway stops"); }
  void abandon() override {
    queue_->shut();
    if (handler_ && !std::exchange(is_told_, true)) handler_->on_close();
    handler_.reset();
    place_.reset();
    calls_.clear();  // they hold the connection
  }

  void write() override {
    const std::string* text = is_open_ && !is_finished_ ? queue_->front() : nullptr;
    if (text == nullptr) return;
    watch(milliseconds{engine_.options.socket.stuck_ms});
    stream_.async_write(asio::buffer(*text),
                        [self = this->shared_from_this()](beast::error_code bad, std::size_t) {
                          self->stuck_.cancel();
                          const bool has_room = self->queue_->written();
                          if (bad) return self->finish();
                          if (has_room) {
                            self->call([self] { self->handler_->on_room(); }, nullptr);
                          }
                          self->write();
                        });
  }
  void say_goodbye(std::uint16_t code, const std::string& reason) override {
    if (!is_open_ || is_finished_) return finish();
    // A peer that takes nothing more does not take the farewell either.
    watch(kFarewell);
    const std::string_view words = std::string_view(reason).substr(0, kReasonBytes);
    stream_.async_close({static_cast<websocket::close_code>(code), words},
                        [self = this->shared_from_this()](beast::error_code) { self->finish(); });
  }

 private:
  using Call = std::function<void()>;

  /// `work` on a worker, `then` on the server's thread; after those that were asked for before.
  void call(Call work, Call then) {
    calls_.emplace_back(std::move(work), std::move(then));
    if (!is_calling_) next_call();
  }
  void next_call() {
    is_calling_ = !calls_.empty();
    if (!is_calling_) return;
    // Taken always: the pool has no bound, as a connection has one task at a time.
    static_cast<void>(engine_.socket_workers->submit(
        [self = this->shared_from_this(), work = std::move(calls_.front().first)] {
          try {
            work();
          } catch (const std::exception& error) {
            self->complain(error.what());
            self->queue_->close(websocket::close_code::internal_error, "something failed");
          }
          asio::post(self->engine_.io, [self] { self->called(); });
        }));
  }
  void called() {
    const Call then = std::move(calls_.front().second);
    calls_.pop_front();
    if (then) then();
    next_call();
  }
  void complain(const char* why) const {
    if (!engine_.options.log) return;
    engine_.options.log({toolkit::Severity::kError,
                         "a handler of a WebSocket failed",
                         {{"gateway", engine_.options.name}, {"reason", why}}});
  }

  void read() {
    if (is_finished_) return;
    stream_.async_read(
        buffer_, [self = this->shared_from_this()](beast::error_code bad, std::size_t) {
          // Finished meanwhile: the handler is about to go, or gone.
          if (bad || self->is_finished_) return self->finish();
          if (self->stream_.got_binary()) {
            return self->queue_->close(websocket::close_code::unknown_data, "text only");
          }
          auto text = beast::buffers_to_string(self->buffer_.data());
          self->buffer_.consume(self->buffer_.size());
          self->call([self, text = std::move(text)] { self->handler_->on_text(text); },
                     [self] { self->read(); });
        });
  }

  /// Drops the peer when it has not taken what is being sent.
  void watch(std::chrono::steady_clock::duration limit) {
    stuck_.expires_after(limit);
    stuck_.async_wait([self = this->shared_from_this()](beast::error_code canceled) {
      if (!canceled) beast::get_lowest_layer(self->stream_).close();
    });
  }

  void finish() {
    if (std::exchange(is_finished_, true)) return;
    queue_->shut();
    stuck_.cancel();
    beast::get_lowest_layer(stream_).close();
    call(
        [self = this->shared_from_this()] {
          if (!std::exchange(self->is_told_, true)) self->handler_->on_close();
        },
        [self = this->shared_from_this()] { self->abandon(); });
  }

  Engine& engine_;
  websocket::stream<Stream, false> stream_;  ///< without compression
  beast::flat_buffer buffer_;
  asio::steady_timer stuck_;
  std::unique_ptr<Lobby::Place> place_;
  std::unique_ptr<SocketHandler> handler_;
  http::request<http::empty_body> head_;
  std::shared_ptr<SocketQueue> queue_;
  std::deque<std::pair<Call, Call>> calls_;  ///< the front is with a worker, if is_calling_
  bool is_calling_ = false;
  bool is_open_ = false;
  bool is_finished_ = false;
  bool is_told_ = true;  ///< on_close; there is nothing to tell before on_open
};

template <class Stream>
void begin(Engine& engine, Stream stream, Upgrade upgrade) {
  std::make_shared<SocketConnection<Stream>>(engine, std::move(stream), std::move(upgrade))
      ->begin();
}

}  // namespace

void begin_socket(Engine& engine, PlainStream stream, Upgrade upgrade) {
  begin(engine, std::move(stream), std::move(upgrade));
}
void begin_socket(Engine& engine, TlsStream stream, Upgrade upgrade) {
  begin(engine, std::move(stream), std::move(upgrade));
}

}  // namespace mallbots::gateways
