// Codec: a typed message as a draft, and a message as its type again. A type with fields() travels
// as JSON, a protobuf message as protobuf; the header content-type says which, and a reader that
// expects the other is told so.
//
// decode<T> takes T's own version and, step by step, the older ones that T::upcast leads from.
// Undecodable: another name, another version, another content type, a payload that does not read.
//
// Any thread; no state. Protobuf is used through the message's own methods: this header does not
// include it.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "clients/toolkit/cqrs/fields.h"
#include "clients/toolkit/cqrs/message_type.h"
#include "clients/toolkit/message.h"

namespace mallbots::toolkit {

inline constexpr std::string_view kContentType = "content-type";
inline constexpr std::string_view kJsonContent = "application/json";
inline constexpr std::string_view kProtobufContent = "application/protobuf";

template <class T>
concept Protobuf = requires(T message, const T read, std::string text) {
  message.ParseFromArray(text.data(), 0);
  read.SerializeToString(&text);
};

template <class T>
[[nodiscard]] constexpr std::string_view content_type_of() {
  return Protobuf<T> ? kProtobufContent : kJsonContent;
}

namespace codec_detail {

[[nodiscard]] std::unexpected<Error> undecodable(const Message& message, std::string_view wanted,
                                                 std::string_view reason);

template <class T>
struct Before;
template <class To, class From>
struct Before<To (*)(From)> {
  using Type = std::remove_cvref_t<From>;
};
template <class T>
inline constexpr bool kHasUpcast =
    !std::is_same_v<std::remove_cv_t<decltype(kUpcast<T>)>, std::nullptr_t>;

template <class T>
[[nodiscard]] Result<T> decode_own(const Message& message) {
  const std::string wire_name = kMessageType<T>.wire_name();
  const std::string_view content = message.header(kContentType).value_or(content_type_of<T>());
  if (content != content_type_of<T>())
    return undecodable(message, wire_name, "it is " + std::string{content});
  if constexpr (Protobuf<T>) {
    T value;
    const std::string_view payload = message.payload();
    if (!value.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
      return undecodable(message, wire_name, "its protobuf does not parse");
    return value;
  } else {
    auto value = read_fields<T>(message.payload());
    if (!value) return undecodable(message, wire_name, value.error().detail);
    return value;
  }
}

}  // namespace codec_detail

/// True if decode<T> knows the message's name and version.
template <class T>
[[nodiscard]] bool accepts(std::string_view wire_name) {
  if (wire_name == kMessageType<T>.wire_name()) return true;
  if constexpr (codec_detail::kHasUpcast<T>)
    return accepts<typename codec_detail::Before<std::remove_cv_t<decltype(kUpcast<T>)>>::Type>(
        wire_name);
  else
    return false;
}

template <class T>
[[nodiscard]] Result<T> decode(const Message& message) {
  if (message.name() == kMessageType<T>.wire_name()) return codec_detail::decode_own<T>(message);
  if constexpr (codec_detail::kHasUpcast<T>) {
    using Older = typename codec_detail::Before<std::remove_cv_t<decltype(kUpcast<T>)>>::Type;
    if (accepts<Older>(message.name())) {
      auto older = decode<Older>(message);
      if (!older) return std::unexpected(std::move(older).error());
      return kUpcast<T>(std::move(*older));
    }
  }
  return codec_detail::undecodable(message, kMessageType<T>.wire_name(), "it has another name");
}

template <class T>
[[nodiscard]] std::string encode_payload(const T& value) {
  if constexpr (Protobuf<T>) {
    std::string payload;
    value.SerializeToString(&payload);
    return payload;
  } else {
    return write_fields(value);
  }
}

template <class T>
[[nodiscard]] std::string key_of([[maybe_unused]] const T& value) {
  if constexpr (requires { value.partition_key(); })
    return std::string{value.partition_key()};
  else if constexpr (requires { partition_key_of(value); })
    return std::string{partition_key_of(value)};
  else
    return {};
}

/// Everything of a draft that the type knows; ids are filled in when it is published.
template <class T>
[[nodiscard]] Draft encode(const T& value) {
  return {.payload = encode_payload(value),
          .name = kMessageType<T>.wire_name(),
          .version = kMessageType<T>.version,
          .key = key_of(value),
          .headers = {{std::string{kContentType}, std::string{content_type_of<T>()}}}};
}

}  // namespace mallbots::toolkit
