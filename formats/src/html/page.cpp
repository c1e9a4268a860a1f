// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "html/style.hpp"
#include "io/error_text.hpp"
#include "lowbit/html.hpp"
#include "lowbit/version.hpp"

namespace lowbit::html {

std::string escape(std::string_view text) {
  constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0 || first < 0x20 || first == 0x7F || c1) {
      out += replacement;
    } else if (first == '&') {
      out += "&amp;";
    } else if (first == '<') {
      out += "&lt;";
    } else if (first == '>') {
      out += "&gt;";
    } else if (first == '"') {
      out += "&quot;";
    } else if (first == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string folded(std::string_view summary, std::string_view markup) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape(summary), markup);
}

Page::Page(std::string_view title, std::string_view subtitle) : title_(escape(title)) {
  body_ = fmt::format("<h1>{}</h1>\n", title_);
  if (!subtitle.empty()) body_ += fmt::format("<p class=\"subtitle\">{}</p>\n", escape(subtitle));
}

Page& Page::section(std::string_view heading) {
  body_ += fmt::format("<h2>{}</h2>\n", escape(heading));
  return *this;
}

Page& Page::text(std::string_view paragraph) {
  body_ += fmt::format("<p>{}</p>\n", escape(paragraph));
  return *this;
}

Page& Page::tiles(const std::vector<std::pair<std::string, std::string>>& value_and_name) {
  body_ += "<dl class=\"tiles\">\n";
  for (const auto& [value, name] : value_and_name) {
    body_ += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value));
  }
  body_ += "</dl>\n";
  return *this;
}

Page& Page::add(std::string_view markup) {
  body_ += markup;
  return *this;
}

Page& Page::beside(const std::vector<std::string>& markup) {
  body_ += "<div class=\"beside\">\n";
  for (const std::string& part : markup) body_ += part;
  body_ += "</div>\n";
  return *this;
}

Page& Page::folded(std::string_view summary, std::string_view markup) {
  return add(html::folded(summary, markup));
}

std::string Page::str() const {
  // The policy forbids whatever a hostile name could still ask for: scripts, frames, requests.
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"generator\" content=\"lowbit {}\">\n<title>{}</title>\n<style>\n{}</style>\n"
      "</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      LOWBIT_VERSION, title_, style_sheet, body_);
}

}  // namespace lowbit::html
