#include "clients/toolkit/cqrs/json.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace mallbots::toolkit {
namespace {

using Library = nlohmann::ordered_json;

constexpr std::size_t kMaxDepth = 64;

Library to_library(const Json& json) {
  struct Visitor {
    Library operator()(std::nullptr_t) const { return nullptr; }
    Library operator()(bool value) const { return value; }
    Library operator()(std::int64_t value) const { return value; }
    Library operator()(double value) const { return value; }
    Library operator()(const std::string& value) const { return value; }
    Library operator()(const Json::Array& values) const {
      Library array = Library::array();
      for (const Json& value : values) array.push_back(to_library(value));
      return array;
    }
    Library operator()(const Json::Object& members) const {
      Library object = Library::object();
      for (const auto& [name, value] : members) object[name] = to_library(value);
      return object;
    }
  };
  return std::visit(Visitor{}, json.value);
}

/// Builds a Json from the parser's events, so that depth and numbers are judged while reading.
class Builder final : public nlohmann::json_sax<Library> {
 public:
  explicit Builder(Json& root) { places_.push_back(&root); }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  bool null() override { return put({}); }
  bool boolean(bool value) override { return put({value}); }
  bool number_integer(number_integer_t value) override { return put({std::int64_t{value}}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      return refuse("a number of more than 63 bits");
    return put({static_cast<std::int64_t>(value)});
  }
  bool number_float(number_float_t value, const string_t&) override { return put({value}); }
  bool string(string_t& value) override { return put({std::move(value)}); }
  bool binary(binary_t&) override { return refuse("bytes"); }
  bool start_object(std::size_t) override { return open({Json::Object{}}); }
  bool start_array(std::size_t) override { return open({Json::Array{}}); }
  bool key(string_t& name) override {
    name_ = std::move(name);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return refuse("no JSON at byte " + std::to_string(position));
  }

 private:
  bool refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }
  Json* place(Json&& value) {
    Json* parent = places_.back();
    if (auto* array = std::get_if<Json::Array>(&parent->value))
      return &array->emplace_back(std::move(value));
    if (auto* object = std::get_if<Json::Object>(&parent->value))
      return &object->emplace_back(std::move(name_), std::move(value)).second;
    *parent = std::move(value);
    return parent;
  }
  bool put(Json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(Json&& value) {
    if (places_.size() > kMaxDepth) return refuse("nested too deep");
    places_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    places_.pop_back();
    return true;
  }

  std::vector<Json*> places_;
  std::string name_;
  std::string reason_;
};

}  // namespace

const Json* Json::find(std::string_view name) const noexcept {
  const auto* object = std::get_if<Object>(&value);
  if (object == nullptr) return nullptr;
  const auto found = std::ranges::find(*object, name, &Member::first);
  return found == object->end() ? nullptr : &found->second;
}

std::string to_text(const Json& json) {
  return to_library(json).dump(-1, ' ', false, Library::error_handler_t::replace);
}

Result<Json> parse_json(std::string_view text) {
  // The library takes it for the end of the text and looks at nothing behind it.
  if (const auto at = text.find('\0'); at != std::string_view::npos)
    return fail(ErrorCode::kUndecodable, "no JSON at byte " + std::to_string(at));
  Json root;
  Builder builder{root};
  if (!Library::sax_parse(text, &builder)) return fail(ErrorCode::kUndecodable, builder.reason());
  return root;
}

}  // namespace mallbots::toolkit
