// SPDX-License-Identifier: MIT
#include "lowbit/remedy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/printable.hpp"
#include "transform/gptq.hpp"
#include "transform/svd_branch.hpp"
#include "transform/transforms.hpp"

namespace lowbit {
namespace {

/// What there is, in the order in which a list may name it: rows, then a branch, then weights.
enum class Stage : std::uint8_t { rows, branch, weights };
struct Known {
  std::string_view name;
  Stage stage;
  bool needs_inputs;
};
constexpr Known known[] = {{"hadamard", Stage::rows, false}, {"smooth", Stage::rows, true},
                           {"awq", Stage::rows, true},       {"sort", Stage::rows, false},
                           {"svd", Stage::branch, false},    {"arc", Stage::branch, true},
                           {"gptq", Stage::weights, true}};

const Known& known_named(std::string_view name, std::string_view list) {
  for (const Known& k : known) {
    if (k.name == name) return k;
  }
  std::string names;
  for (const Known& k : known) names += fmt::format("{}{}", names.empty() ? "" : ", ", k.name);
  throw Error(ErrorKind::usage, fmt::format("remedies {}: \"{}\" is none of {}", printable(list),
                                            printable(name), names));
}

[[noreturn]] void refuse(std::string_view list, std::string_view what) {
  throw Error(ErrorKind::usage, fmt::format("remedies {}: {}", printable(list), what));
}

/// The text as a number of that type, whole.
template <typename Number>
bool parse_number(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

void apply_rows(const Transform& transform, bool weights, std::size_t columns,
                std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); i += columns) {
    const std::span<float> row(values.data() + i, columns);
    if (weights) {
      transform.apply_to_weights(row, InputType::float32);
    } else {
      transform.apply_to_inputs(row, InputType::float32);
    }
  }
}

/// Rows of `columns` values followed by rows of `extra` ones.
std::vector<float> joined(const std::vector<float>& left, std::size_t columns,
                          const std::vector<float>& right, std::size_t extra) {
  if (extra == 0) return left;
  const std::size_t rows = left.size() / columns;
  std::vector<float> out;
  out.reserve(left.size() + right.size());
  for (std::size_t r = 0; r < rows; ++r) {
    const auto l = left.begin() + static_cast<std::ptrdiff_t>(r * columns);
    const auto x = right.begin() + static_cast<std::ptrdiff_t>(r * extra);
    out.insert(out.end(), l, l + static_cast<std::ptrdiff_t>(columns));
    out.insert(out.end(), x, x + static_cast<std::ptrdiff_t>(extra));
  }
  return out;
}

/// The first `count` values of each row.
std::vector<float> first_columns(const std::vector<float>& values, std::size_t columns,
                                 std::size_t count) {
  std::vector<float> out;
  for (std::size_t i = 0; i < values.size(); i += columns) {
    const auto row = values.begin() + static_cast<std::ptrdiff_t>(i);
    out.insert(out.end(), row, row + static_cast<std::ptrdiff_t>(count));
  }
  return out;
}

}  // namespace

Remedies Remedies::parse(std::string_view list) {
  Remedies out;
  out.text_ = list;
  if (list.empty()) return out;
  Stage stage = Stage::rows;
  for (const std::string_view text : split(list, ',')) {
    const std::vector<std::string_view> parts = split(text, ':');
    const Known& k = known_named(parts[0], list);
    if (k.stage < stage || (k.stage == stage && stage != Stage::rows)) {
      refuse(list, "transforms of rows come first, then at most one of svd and arc, then gptq");
    }
    stage = k.stage;
    Step step;
    step.name = k.name;
    const std::string_view value = parts.size() > 1 ? parts[1] : "";
    const bool given = parts.size() > 1;
    if (parts.size() > (k.name == "hadamard" ? 3U : 2U)) refuse(list, "too many values after ':'");
    if (k.name == "hadamard" && given) {
      std::uint64_t points = 0;
      step.flag = value == "full";
      if (!step.flag &&
          (!parse_number(value, points) || points < 16 || !std::has_single_bit(points))) {
        refuse(list, "hadamard takes a power of two from 16, or full");
      }
      step.number = step.flag ? 0.0 : static_cast<double>(points);
      if (parts.size() == 3 && (!parse_number(parts[2], step.seed) || step.seed >> 32 != 0)) {
        refuse(list, "the seed of a rotation is a number below 2^32");
      }
    } else if (k.name == "hadamard") {
      step.number = -1.0;  // the published one
    } else if (k.name == "smooth") {
      step.number = 0.5;
      if (given &&
          (!parse_number(value, step.number) || !(step.number >= 0.0) || !(step.number <= 1.0))) {
        refuse(list, "smooth takes ALPHA from 0 to 1");
      }
    } else if (k.name == "svd") {
      std::uint32_t rank = 32;
      if (given && (!parse_number(value, rank) || rank == 0))
        refuse(list, "svd takes a RANK from 1");
      step.number = rank;
    } else if (k.name == "sort" || k.name == "gptq") {
      const std::string_view only = k.name == "sort" ? "inputs" : "act";
      if (given && value != only) refuse(list, fmt::format("{} takes {} or nothing", k.name, only));
      step.flag = given;
    } else if (given) {
      refuse(list, fmt::format("{} takes no value", k.name));
    }
    out.steps_.push_back(std::move(step));
  }
  return out;
}

bool Remedies::needs_inputs() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
    return known_named(step.name, "").needs_inputs || (step.name == "sort" && step.flag);
  });
}

TransformList Remedies::fixed() const {
  TransformList list;
  for (const Step& step : steps_) {
    if (step.name != "hadamard") return {};
    if (step.number < 0.0) {
      list.push_back(hadamard());
    } else {
      list.push_back(
          detail::rotation(step.flag ? 0 : static_cast<std::size_t>(step.number), step.seed));
    }
  }
  return list;
}

RemediedLayer Remedies::apply(const MatrixView& weights, const MatrixView& inputs,
                              const QuantizeOptions& request) const {
  if (needs_inputs() && inputs.values.empty()) {
    refuse(text_, "these learn from recorded inputs, and the layer has none");
  }
  const std::size_t columns = weights.columns;
  const std::size_t outputs = weights.rows;
  const auto o = static_cast<double>(outputs);
  const auto k = static_cast<double>(columns);
  RemediedLayer layer;
  layer.request_ = request;
  layer.weights_.assign(weights.values.begin(), weights.values.end());
  std::vector<float> x(inputs.values.begin(), inputs.values.end());
  bool by_diagonal = false;
  bool compensates = false;
  const auto add_transform = [&](const std::shared_ptr<Transform>& transform) {
    transform->fit({layer.weights_, outputs, columns}, {x, inputs.rows, columns});
    apply_rows(*transform, true, columns, layer.weights_);
    apply_rows(*transform, false, columns, x);
    const TransformCost cost = transform->cost(outputs, columns);
    layer.cost_.bits += cost.bits;
    layer.cost_.multiply_adds += cost.multiply_adds;
    layer.transforms_.push_back(transform);
    layer.steps_.push_back(transform->name());
  };
  for (const Step& step : steps_) {
    if (step.name == "hadamard" && step.number < 0.0) {
      hadamard()->check(columns);
      apply_rows(*hadamard(), true, columns, layer.weights_);
      apply_rows(*hadamard(), false, columns, x);
      layer.cost_.multiply_adds += hadamard()->cost(outputs, columns).multiply_adds;
      layer.transforms_.push_back(hadamard());
      layer.steps_.push_back(hadamard()->name());
    } else if (step.name == "hadamard") {
      const auto transform = detail::rotation(static_cast<std::size_t>(step.number), step.seed);
      transform->check(columns);
      add_transform(transform);
    } else if (step.name == "smooth") {
      add_transform(detail::smoothing(step.number));
    } else if (step.name == "awq") {
      add_transform(detail::awq(request));
    } else if (step.name == "sort") {
      add_transform(detail::column_order(step.flag ? detail::ColumnKey::input_norm
                                                   : detail::ColumnKey::weight_norm));
    } else if (step.name == "svd") {
      layer.rank_ = static_cast<std::size_t>(step.number);
      if (layer.rank_ > std::min(outputs, columns)) {
        refuse(text_, fmt::format("a matrix of {} x {} has no branch of rank {}", outputs, columns,
                                  layer.rank_));
      }
      detail::SvdBranch branch =
          detail::svd_branch({layer.weights_, outputs, columns}, layer.rank_);
      layer.left_ = std::move(branch.left);
      layer.right_ = std::move(branch.right);
      layer.weights_ = std::move(branch.rest);
      layer.steps_.push_back(fmt::format("svd:{}", layer.rank_));
      layer.cost_.bits += 16.0 * static_cast<double>(layer.rank_) * (o + k);
      layer.cost_.multiply_adds += static_cast<double>(layer.rank_) * (o + k);
    } else if (step.name == "arc") {
      add_transform(detail::column_order(detail::ColumnKey::input_amax));
      const std::vector<double> amax = detail::column_amax({x, inputs.rows, columns});
      const double threshold = *std::max_element(amax.begin(), amax.end()) / 8.0;
      const auto above = static_cast<std::size_t>(
          std::count_if(amax.begin(), amax.end(), [&](double a) { return a > threshold; }));
      const auto size = static_cast<std::size_t>(request.format->block_size);
      layer.residual_ = std::min((above + size - 1) / size * size, columns / size * size);
      layer.steps_.back() = fmt::format("arc:{}", layer.residual_);
      const double extra = o * static_cast<double>(layer.residual_);
      layer.cost_.bits += extra * request.format->bits_per_element();
      layer.cost_.multiply_adds += extra;
    } else {
      compensates = true;
      by_diagonal = step.flag;
      layer.steps_.emplace_back(step.flag ? "gptq:act" : "gptq");
    }
  }
  const auto size = static_cast<std::size_t>(request.format->block_size);
  layer.choices_.resize(outputs * ((columns + size - 1) / size));
  layer.quantized_ = quantize(layer.weights_, outputs, columns, request, layer.choices_);
  if (compensates) {
    const bool serves =
        !searches(request.rule.value_or(default_rule(*request.format, request.dialect)));
    if (!serves) refuse(text_, "gptq takes no rule that searches");
    if (request.format->has_levels()) {
      refuse(text_, fmt::format("gptq takes no {}: its codes cannot be chosen one by one under "
                                "levels of their block",
                                request.format->name));
    }
    detail::gptq({layer.weights_, outputs, columns}, {x, inputs.rows, columns}, request,
                 by_diagonal, layer.quantized_);
  }
  layer.dequantized_.resize(layer.weights_.size());
  dequantize(layer.quantized_, layer.dequantized_, request.dialect);
  return layer;
}

std::size_t RemediedLayer::operand_columns() const {
  return quantized_.columns + rank_ + residual_;
}

std::vector<float> RemediedLayer::weight_operand(bool quantize) const {
  const std::vector<float>& w = quantize ? dequantized_ : weights_;
  if (rank_ != 0) return joined(w, quantized_.columns, left_, rank_);
  return joined(w, quantized_.columns, first_columns(w, quantized_.columns, residual_), residual_);
}

std::vector<float> RemediedLayer::input_operand(const MatrixView& inputs, bool quantize) const {
  const std::size_t columns = quantized_.columns;
  std::vector<float> x(inputs.values.begin(), inputs.values.end());
  for (const auto& transform : transforms_) apply_rows(*transform, false, columns, x);
  QuantizeOptions request = request_;
  request.importance = {};
  request.side = OperandSide::inputs;
  const auto through = [&](const std::vector<float>& values, std::size_t width) {
    std::vector<float> out(values.size());
    if (width != 0) {
      dequantize(lowbit::quantize(values, inputs.rows, width, request), out, request.dialect);
    }
    return out;
  };
  const std::vector<float> main = quantize ? through(x, columns) : x;
  std::vector<float> extra;
  if (rank_ != 0) {
    extra.resize(inputs.rows * rank_);
    for (std::size_t t = 0; t < inputs.rows; ++t) {
      for (std::size_t r = 0; r < rank_; ++r) {
        double sum = 0.0;
        for (std::size_t j = 0; j < columns; ++j) {
          sum += static_cast<double>(x[t * columns + j]) * right_[r * columns + j];
        }
        extra[t * rank_ + r] = static_cast<float>(sum);
      }
    }
    return joined(main, columns, extra, rank_);
  }
  extra.assign(inputs.rows * residual_, 0.0F);
  for (std::size_t i = 0; i < extra.size(); ++i) {
    const std::size_t at = i / residual_ * columns + i % residual_;
    extra[i] = x[at] - main[at];
  }
  return joined(main, columns, quantize ? through(extra, residual_) : extra, residual_);
}

std::string_view remedy_help() {
  return "  hadamard[:N|:full[:SEED]]  a rotation of 16 (published signs) or N columns\n"
         "  smooth[:ALPHA]             SmoothQuant, ALPHA 0.5\n"
         "  awq                        AWQ's scales\n"
         "  sort[:inputs]              columns in the order of their norm\n"
         "  svd[:RANK]                 SVDQuant's branch in 16 bits, RANK 32\n"
         "  arc                        ARCQuant's residual columns\n"
         "  gptq[:act]                 GPTQ; act: columns by their inputs' second moments\n";
}

}  // namespace lowbit
