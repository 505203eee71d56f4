// Assets: the files of a page, compiled into the program (cmake/MallbotsEmbed.cmake).
//
// Who calls: gateways give them to the router; any thread. Answers carry an ETag of the bytes and
// Cache-Control: no-cache, so that a page asks each time and gets 304; pages carry a
// Content-Security-Policy that allows only what this server itself gives: no inline scripts or
// styles, nothing from elsewhere, no frames.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "services/gateways/http/message.h"

namespace mallbots::gateways {

struct Asset {
  std::string_view path;   ///< "index.html", "js/board.js"
  std::string_view bytes;  ///< live as long as the process
};

/// What the pages share (services/gateways/page), to be served as /page/.
[[nodiscard]] std::span<const Asset> shared_page();

/// By the ending of its name; "application/octet-stream" for an unknown one.
[[nodiscard]] std::string_view content_type_of(std::string_view path) noexcept;
[[nodiscard]] Response asset_response(const Request& request, const Asset& asset);

}  // namespace mallbots::gateways
