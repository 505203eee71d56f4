#include "services/gateways/http/assets.h"

#include <array>
#include <utility>

namespace mallbots::gateways {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".txt", "text/plain; charset=utf-8"},
    {".woff2", "font/woff2"},
}};

}  // namespace

std::string_view content_type_of(std::string_view path) noexcept {
  for (const auto& [ending, type] : kTypes) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

Response asset_response(const Request& request, const Asset& asset) {
  Response response{.lasting_body = asset.bytes};
  const std::string type(content_type_of(asset.path));
  response.with("Content-Type", type).with("Cache-Control", "no-cache");
  if (type.starts_with("text/html")) {
    response.with("Content-Security-Policy",
                  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
                  "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
                  "form-action 'self'; frame-ancestors 'none'");
    response.with("Referrer-Policy", "no-referrer");
  }
  return with_etag(request, std::move(response));
}

}  // namespace mallbots::gateways
