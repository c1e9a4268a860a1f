// SPDX-License-Identifier: MIT
#include "lowbit/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>

#include "lowbit/block_trace.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "verify/margins.hpp"
#include "verify/trace_text.hpp"

namespace lowbit {
namespace {

using detail::choice_text;
using detail::levels_text;
using detail::Margin;
using detail::margin_of;
using detail::number_text;
using detail::percent_apart;

std::string margin_text(const ElementFormat& format, float x) {
  if (!std::isfinite(x)) return "";
  const Margin m = margin_of(format, x);
  if (m.is_beyond) return fmt::format("above {:g}", m.upper);
  if (m.is_tie) return fmt::format("tie of {:g} and {:g}", m.lower, m.upper);
  return m.lower == m.upper ? "exact" : fmt::format("{:.3g} from tie {:g}", m.distance, m.boundary);
}

class Steps {
 public:
  Steps(const QuantizeOptions& options, const BlockTrace& x, const BlockTrace* y,
        const BlockTensor* dump, std::size_t row, std::size_t block)
      : options_(options), x_(x), y_(y), dump_(dump), row_(row), block_(block) {}

  std::vector<ExplainStep> run() {
    const bool mx = options_.format->family() == ScaleFamily::mx;
    if (options_.format->family() == ScaleFamily::nv) {
      numbers("tensor amax", &BlockTrace::tensor_amax);
      numbers("largest scale times largest element, C", &BlockTrace::encode_constant);
      numbers("encode scale, S", &BlockTrace::encode_scale);
      numbers("decode scale, 1 / S", &BlockTrace::decode_scale);
    }
    numbers("block amax", &BlockTrace::block_amax);
    const std::size_t count = x_.candidates.size();
    for (std::size_t i = 0; i < count; ++i) candidate(i, mx);
    if (count > 1) selection();
    ExplainStep& byte = add("scale byte", fmt::format("0x{:02x}", x_.scale_byte),
                            y_ != nullptr ? fmt::format("0x{:02x}", y_->scale_byte) : "");
    if (dump_ != nullptr) byte.dump = fmt::format("0x{:02x}", dump_->scale(row_, block_));
    if (options_.format->has_levels()) levels();
    if (count != 0) elements();
    return std::move(steps_);
  }

 private:
  ExplainStep& add(std::string name, std::string first, std::string second,
                   std::string margin = {}) {
    ExplainStep s{
        std::move(name), std::move(first), std::move(second), {}, std::move(margin), false};
    s.differs = y_ != nullptr && s.first != s.second;
    return steps_.emplace_back(std::move(s));
  }

  void numbers(const char* name, float BlockTrace::*member) {
    add(name, number_text(x_.*member), y_ != nullptr ? number_text(y_->*member) : "");
  }

  [[nodiscard]] const CandidateTrace* other(std::size_t i) const {
    return y_ != nullptr && i < y_->candidates.size() ? &y_->candidates[i] : nullptr;
  }

  /// The margin of the first, and of the second where it is another.
  [[nodiscard]] std::string margins(const ElementFormat& format, float x,
                                    std::optional<float> y) const {
    std::string text = margin_text(format, x);
    if (y && margin_text(format, *y) != text) text += " | " + margin_text(format, *y);
    return text;
  }

  void candidate(std::size_t i, bool mx) {
    const CandidateTrace& c = x_.candidates[i];
    const CandidateTrace* const o = other(i);
    const std::string prefix = x_.candidates.size() > 1
                                   ? fmt::format("candidate {}: ", choice_text(c.kind))
                                   : std::string();
    const auto optional = [&](float CandidateTrace::*m) {
      return o != nullptr ? number_text(o->*m) : std::string();
    };
    if (!mx) {
      add(prefix + "scale before rounding, h", number_text(c.h), optional(&CandidateTrace::h),
          margins(*options_.format->scale, c.h, o != nullptr ? std::optional(o->h) : std::nullopt));
    }
    add(prefix + "scale", fmt::format("0x{:02x} ({:g})", c.scale_byte, c.scale),
        o != nullptr ? fmt::format("0x{:02x} ({:g})", o->scale_byte, o->scale) : "");
    // A dialect that divides elements by the scale has no multiplier to compare.
    const auto multiplier = [](const CandidateTrace& t) {
      return t.inverse == 0.0F ? std::string("none") : number_text(t.inverse);
    };
    ExplainStep& step =
        add(prefix + "element multiplier", multiplier(c), o != nullptr ? multiplier(*o) : "");
    if (o != nullptr && (c.inverse == 0.0F || o->inverse == 0.0F)) step.differs = false;
    if (x_.candidates.size() > 1) {
      add(prefix + "error", number_text(c.error), optional(&CandidateTrace::error));
    }
  }

  void levels() {
    const BlockFormat& format = *options_.format;
    const auto text = [&](const BlockTrace& t) {
      return levels_text(format, t.candidates.empty() ? 0 : t.candidates[t.chosen].levels);
    };
    ExplainStep& step = add("levels", text(x_), y_ != nullptr ? text(*y_) : "");
    if (dump_ == nullptr) return;
    step.dump = levels_text(format, levels_of(format, dump_->block(row_, block_)));
  }

  static std::string apart(const BlockTrace& t) {
    return fmt::format("{:.3g} % apart", percent_apart(t));
  }

  void selection() {
    std::string margin = apart(x_);
    if (y_ != nullptr && y_->candidates.size() > 1 && apart(*y_) != margin) {
      margin += " | " + apart(*y_);
    }
    add("chosen", choice_text(x_.candidates[x_.chosen].kind),
        y_ != nullptr && !y_->candidates.empty() ? choice_text(y_->candidates[y_->chosen].kind)
                                                 : "",
        std::move(margin));
  }

  void elements() {
    const CandidateTrace& c = x_.candidates[x_.chosen];
    const CandidateTrace* const o =
        y_ != nullptr && !y_->candidates.empty() ? &y_->candidates[y_->chosen] : nullptr;
    const auto size = static_cast<std::size_t>(options_.format->block_size);
    const auto element = [&](const CandidateTrace& t) -> const ElementFormat& {
      return t.kind == BlockChoice::integer ? *options_.format->integer : *options_.format->element;
    };
    for (std::size_t i = 0; i < c.codes.size(); ++i) {
      // A 2D block's rows one after another.
      const std::size_t in_row = i % size;
      const std::string place = c.codes.size() > size
                                    ? fmt::format("row {}, column {}", i / size, in_row)
                                    : fmt::format("column {}", block_ * size + in_row);
      add(place + ": scaled, y", number_text(c.scaled[i]),
          o != nullptr ? number_text(o->scaled[i]) : "",
          margins(element(c), c.scaled[i],
                  o != nullptr && o->kind == c.kind ? std::optional(o->scaled[i]) : std::nullopt));
      const auto code = [&](const CandidateTrace& t) {
        return fmt::format("0x{:x} ({:g})", t.codes[i], to_double(element(t), t.codes[i]));
      };
      ExplainStep& step = add(place + ": code", code(c), o != nullptr ? code(*o) : "");
      const std::size_t column = block_ * size + in_row;
      const std::size_t row = c.codes.size() > size ? row_ - row_ % size + i / size : row_;
      if (dump_ != nullptr && column < dump_->columns && row < dump_->rows) {
        step.dump = fmt::format("0x{:x}", dump_->code(row, column));
      }
    }
  }

  const QuantizeOptions& options_;
  const BlockTrace& x_;
  const BlockTrace* y_;
  const BlockTensor* dump_;
  std::size_t row_;
  std::size_t block_;
  std::vector<ExplainStep> steps_;
};

std::string title(const QuantizeOptions& o) {
  const Dialect& dialect = o.dialect != nullptr ? *o.dialect : canonical;
  return fmt::format("{} {} {}", o.format->name,
                     name_of(o.rule.value_or(default_rule(*o.format, &dialect))), dialect.name);
}

}  // namespace

Explanation explain_block(std::span<const float> values, std::size_t rows, std::size_t columns,
                          const QuantizeOptions& first, const QuantizeOptions* second,
                          std::size_t row, std::size_t block, const BlockTensor* dump) {
  if (dump != nullptr &&
      (dump->format != first.format || dump->rows != rows || dump->columns != columns)) {
    throw Error(ErrorKind::usage,
                fmt::format("the dump is {} of {}x{}, the tensor {} of {}x{}", dump->format->name,
                            dump->rows, dump->columns, first.format->name, rows, columns));
  }
  const BlockTrace x = trace_block(values, rows, columns, first, row, block);
  std::optional<BlockTrace> y;
  if (second != nullptr) y = trace_block(values, rows, columns, *second, row, block);
  Explanation e;
  e.first = title(first);
  if (second != nullptr) e.second = title(*second);
  e.row = row;
  e.block = block;
  e.steps = Steps(first, x, y ? &*y : nullptr, dump, row, block).run();
  const auto found = std::ranges::find(e.steps, true, &ExplainStep::differs);
  if (found != e.steps.end()) {
    e.first_difference = static_cast<std::size_t>(found - e.steps.begin());
  }
  return e;
}

std::string as_text(const Explanation& e) {
  std::string text = fmt::format("row {}, block {}: {}{}{}\n", e.row, e.block, e.first,
                                 e.second.empty() ? "" : " | ", e.second);
  const auto out = std::back_inserter(text);
  std::size_t names = 0, firsts = 0, seconds = 0;
  for (const ExplainStep& s : e.steps) {
    names = std::max(names, s.name.size());
    firsts = std::max(firsts, s.first.size());
    seconds = std::max(seconds, s.second.size());
  }
  for (std::size_t i = 0; i < e.steps.size(); ++i) {
    const ExplainStep& s = e.steps[i];
    std::string line = fmt::format("  {:<{}}  {:<{}}", s.name, names, s.first, firsts);
    if (!e.second.empty())
      line += fmt::format("  {} {:<{}}", s.differs ? '!' : ' ', s.second, seconds);
    if (!s.dump.empty()) line += fmt::format("  dump {}", s.dump);
    if (!s.margin.empty()) line += fmt::format("  {}", s.margin);
    if (e.first_difference == i) line += "  <- the first step that differs";
    while (line.ends_with(' ')) line.pop_back();
    fmt::format_to(out, "{}\n", line);
  }
  if (!e.second.empty() && !e.first_difference) text += "  the two run alike on this block\n";
  return text;
}

std::string as_json(const Explanation& e) {
  using Json = nlohmann::ordered_json;
  Json j{{"row", e.row}, {"block", e.block}, {"first", e.first}};
  j["second"] = e.second.empty() ? Json(nullptr) : Json(e.second);
  j["first_difference"] =
      e.first_difference ? Json(e.steps[*e.first_difference].name) : Json(nullptr);
  j["steps"] = Json::array();
  for (const ExplainStep& s : e.steps) {
    j["steps"].push_back({{"step", s.name},
                          {"first", s.first},
                          {"second", s.second.empty() ? Json(nullptr) : Json(s.second)},
                          {"dump", s.dump.empty() ? Json(nullptr) : Json(s.dump)},
                          {"margin", s.margin},
                          {"differs", s.differs}});
  }
  return j.dump(1) + "\n";
}

}  // namespace lowbit
