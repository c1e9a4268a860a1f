// SPDX-License-Identifier: MIT
// What `lowbit verify quantize` prints, for people and for programs.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>
#include <vector>

#include "lowbit/printable.hpp"
#include "lowbit/verify_quantize.hpp"
#include "verify/verify_json.hpp"

namespace lowbit {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Combination& c) {
  Json j{{"format", c.format->name}, {"rule", name_of(c.rule)}};
  j["scale_max"] = c.scale_max ? Json(*c.scale_max) : Json(nullptr);
  j["dialect"] = c.dialect;
  j["layout"] = describe(c.layout);
  j["compared_blocks"] = c.compared;
  j["different_blocks"] = c.different;
  j["tensor_scale_equal"] = c.tensor_scale_equal;
  return j;
}

Json json_of(float x) {
  return {{"value", x}, {"bits", fmt::format("0x{:08x}", std::bit_cast<std::uint32_t>(x))}};
}

/// Lines for each format, rule and layout, with the dialects that agree under them.
std::string agreeing_text(const Verification& v) {
  struct Group {
    std::string key, heading;
    std::vector<std::string> dialects;
  };
  std::vector<Group> groups;
  for (const Combination& c : v.agreeing) {
    Combination without = c;
    without.dialect.clear();
    const std::string key = describe(without);
    const auto found = std::ranges::find(groups, key, &Group::key);
    if (found == groups.end()) {
      groups.push_back(
          {key,
           fmt::format("agrees {} {}{}, {}:", c.format->name, name_of(c.rule),
                       c.scale_max ? fmt::format(" M={}", *c.scale_max) : "", describe(c.layout)),
           {c.dialect}});
    } else {
      found->dialects.push_back(c.dialect);
    }
  }
  std::string text;
  for (const Group& g : groups) text += wrapped_names(g.heading, g.dialects);
  return text;
}

}  // namespace

std::string wrapped_names(std::string line, std::span<const std::string> names) {
  constexpr std::size_t width = 100;
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string piece = " " + names[i] + (i + 1 < names.size() ? "," : "");
    if (line.size() + piece.size() > width) {
      text += line + "\n";
      line = "   ";
    }
    line += piece;
  }
  return text + line + "\n";
}

std::string headline(const Verification& v) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{}: {}: {} of {} blocks differ, {} scale bytes, {} codes", printable(v.name),
                 describe(v.declared), v.difference.different, v.difference.blocks,
                 v.difference.scales, v.difference.codes);
  const std::size_t others = v.equal && !v.agreeing.empty() ? v.agreeing.size() - 1 : 0;
  if (others != 0)
    fmt::format_to(out, "; {} other{} agree{}", others, others == 1 ? "" : "s",
                   others == 1 ? "s" : "");
  if (!v.fits) text += "; the stored bytes do not have the sizes of this layout";
  if (v.difference.amax_differs && v.stored_scale) {
    fmt::format_to(out, "; tensor scale {:.9g} (0x{:08x}), the dump has {:.9g} (0x{:08x})",
                   v.expected_scale, std::bit_cast<std::uint32_t>(v.expected_scale),
                   *v.stored_scale, std::bit_cast<std::uint32_t>(*v.stored_scale));
  }
  return text + '\n';
}

std::string causes_text(const Verification& v) {
  std::string text;
  for (const CauseFinding& c : v.causes) {
    const double share = v.difference.blocks == 0 ? 0.0
                                                  : 100.0 * static_cast<double>(c.blocks) /
                                                        static_cast<double>(v.difference.blocks);
    text += fmt::format("cause {}: {} ({:.3g} % of blocks)\n{}", name_of(c.cause), c.change, share,
                        c.explanation);
  }
  return text;
}

std::string as_text(const Verification& v) {
  std::string text = headline(v);
  if (v.searched) {
    text += fmt::format("searched {} combinations; {} agree\n", v.tried, v.agreeing.size());
    text += agreeing_text(v);
  }
  return text + causes_text(v);
}

std::string as_json(std::span<const Verification> verifications) {
  return detail::text_of(detail::json_of(verifications));
}

namespace detail {

Json json_of(std::span<const Verification> verifications) {
  Json all{{"equal", true}, {"tensors", Json::array()}};
  for (const Verification& v : verifications) {
    if (!v.equal) all["equal"] = false;
    Json j{{"name", v.name},
           {"rows", v.rows},
           {"columns", v.columns},
           {"blocks", v.difference.blocks},
           {"equal", v.equal},
           {"different_blocks", v.difference.different},
           {"different_scales", v.difference.scales},
           {"different_codes", v.difference.codes},
           {"sizes_fit", v.fits}};
    j["compared_with"] = lowbit::json_of(v.declared);
    j["tensor_scale"] = {
        {"stored", v.stored_scale ? lowbit::json_of(*v.stored_scale) : Json(nullptr)},
        {"expected", lowbit::json_of(v.expected_scale)},
        {"equal", !v.difference.amax_differs}};
    j["searched"] = v.searched;
    j["tried"] = v.tried;
    j["agreeing"] = Json::array();
    for (const Combination& c : v.agreeing) j["agreeing"].push_back(lowbit::json_of(c));
    j["causes"] = Json::array();
    for (const CauseFinding& c : v.causes) {
      Json finding{
          {"cause", name_of(c.cause)},
          {"change", c.change},
          {"blocks", c.blocks},
          {"share", v.difference.blocks == 0
                        ? 0.0
                        : static_cast<double>(c.blocks) / static_cast<double>(v.difference.blocks)},
          {"row", c.row},
          {"block", c.block},
          {"explanation", c.explanation}};
      j["causes"].push_back(std::move(finding));
    }
    all["tensors"].push_back(std::move(j));
  }
  return all;
}

std::string text_of(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace detail
}  // namespace lowbit
