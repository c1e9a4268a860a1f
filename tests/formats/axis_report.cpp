// SPDX-License-Identifier: MIT
// Searches, for every value of every axis, a block on which the value shows, and prints
// tests/data/axis_examples.json; with --table the Markdown table of docs/dialects.md.
//
// usage: axis_report CAPTURES [AXIS]             CAPTURES: a folder of captured outputs
//        axis_report CAPTURES --table JSON
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "axis_examples.hpp"
#include "lowbit/capture.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/names.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;
using axis_examples::Example;

namespace {

struct Input {
  std::string name;
  std::string type;
  std::vector<float> values;
  std::size_t rows;
  std::size_t columns;
};

/// The small inputs of the captures.
std::vector<Input> inputs_of(const std::filesystem::path& folder) {
  std::vector<Input> out;
  const TensorFile file = TensorFile::open(folder / "inputs.safetensors");
  for (const TensorInfo& tensor : file.tensors()) {
    // Two of each kind are enough.
    if (tensor.name.starts_with("bf16_ties_") && tensor.name != "bf16_ties_00" &&
        tensor.name != "bf16_ties_03" && tensor.name < "bf16_ties_28") {
      continue;
    }
    const InputType type = input_type_of(*tensor.dtype);
    out.push_back({tensor.name,
                   type == InputType::bfloat16  ? "bf16"
                   : type == InputType::float16 ? "f16"
                                                : "f32",
                   to_f32(tensor), tensor.rows(), tensor.columns()});
  }
  // A made one: halves of elements, signs and magnitudes that the captures have not.
  Input made{"made", "f32", {}, 16, 64};
  for (int i = 0; i < 1024; ++i) {
    made.values.push_back(
        std::ldexp(static_cast<float>((i * 37) % 128 - 64) / 8.0F, i / 512 * 9 - 4));
  }
  out.push_back(made);
  Input tiny = made;
  tiny.name = "made times 2^-40";
  for (float& v : tiny.values) v = std::ldexp(v, -40);
  out.push_back(tiny);
  // The last binade of which A / C and S are normal numbers, and subnormals in every step below.
  Input small = made;
  small.name = "made times 2^-122";
  for (float& v : small.values) v = std::ldexp(v, -122);
  out.push_back(small);
  // Of a million random blocks five have other choices with fused squares: this is one of them.
  Input fused{"a block whose choice the fusion decides", "bf16", {}, 1, 32};
  fused.values = {-1.21875F,  1.1640625F,   .0966796875F, -.333984375F, 1.4609375F,   -.0200195312F,
                  -.5546875F, .89453125F,   -1.9296875F,  -.43359375F,  -.224609375F, 1.5234375F,
                  .87890625F, -.104492188F, -1.4453125F,  .0947265625F, 5.875F};
  fused.values.resize(32);
  out.push_back(fused);
  return out;
}

/// How a dialect is tried.
struct Trial {
  std::string format;
  std::string rule;
  float scale_max = 0.0F;
  bool is_square = false;
  bool is_stochastic = false;
  bool casts_input = false;
  std::string source;
};

std::vector<Trial> captured_trials(std::string_view dialect) {
  std::vector<Trial> out;
  for (const CaptureConfiguration& c : capture_configurations()) {
    const bool on_cpu = c.dialect == dialect;
    if (!on_cpu && c.cuda_dialect != dialect) continue;
    if (c.gives_scale || c.keeps_nan || c.shape == CapturedShape::hadamard_columns) continue;
    Trial t;
    t.format = c.format;
    t.rule = name_of(c.rule);
    t.scale_max = c.scale_max;
    t.is_square = c.shape == CapturedShape::square;
    t.casts_input = c.casts_input;
    t.source = fmt::format("{} {}{}", c.file, c.configuration, on_cpu ? "" : "@cuda");
    out.push_back(t);
  }
  return out;
}

std::vector<Trial> other_trials() {
  std::vector<Trial> out;
  for (const bool is_stochastic : {false, true}) {
    for (const BlockFormat& format : block_formats()) {
      if (format.has_levels()) continue;
      for (const ScaleRule rule :
           {ScaleRule::static_6, ScaleRule::mse, ScaleRule::mae, ScaleRule::abs_max,
            ScaleRule::floor, ScaleRule::even, ScaleRule::rceil}) {
        if (!is_valid_rule(format, rule, &canonical)) continue;
        Trial t;
        t.format = format.name;
        t.rule = name_of(rule);
        t.is_stochastic = is_stochastic;
        out.push_back(t);
      }
    }
  }
  for (const char* rule : {"mse", "mae"}) {
    Trial t;
    t.format = "nvfp4";
    t.rule = rule;
    t.is_square = true;
    out.push_back(t);
  }
  return out;
}

/// The block in row `r` of blocks, `k` in the row.
std::vector<float> block_of(const Input& in, std::size_t r, std::size_t k, std::size_t rows,
                            std::size_t size) {
  std::vector<float> x;
  for (std::size_t i = 0; i < rows; ++i) {
    const float* const from = in.values.data() + (r * rows + i) * in.columns + k * size;
    x.insert(x.end(), from, from + size);
  }
  return x;
}

/// Searches the inputs for a block that the two dialects code differently.
bool search(Example& e, const Dialect& with, const Dialect& without, const Trial& trial,
            const std::vector<Input>& inputs, bool finite_only) {
  const BlockFormat& format = block_format_named(trial.format);
  if (!is_valid_rule(format, scale_rule_named(trial.rule, format), &with)) return false;
  if (!is_valid_rule(format, scale_rule_named(trial.rule, format), &without)) return false;
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t rows = trial.is_square ? 16 : 1;
  e.format = trial.format;
  e.rule = trial.rule;
  e.scale_max = trial.scale_max;
  e.is_square = trial.is_square;
  e.is_stochastic = trial.is_stochastic;
  for (const Input& in : inputs) {
    e.type = trial.casts_input ? "f32" : in.type;
    if (!axis_examples::is_of_dequantization(e.axis)) {
      // Whole tensors first: most of them are coded alike.
      Example whole = e;
      whole.x = in.values;
      whole.amax.reset();
      if (!trial.is_square &&
          axis_examples::code(whole, with) == axis_examples::code(whole, without)) {
        continue;
      }
    }
    float amax = 0.0F;
    for (const float v : in.values) amax = std::fabs(v) > amax ? std::fabs(v) : amax;
    for (std::size_t r = 0; r < in.rows / rows; ++r) {
      for (std::size_t k = 0; k < in.columns / size; ++k) {
        e.x = block_of(in, r, k, rows, size);
        bool is_finite = true;
        for (const float v : e.x) is_finite = is_finite && std::isfinite(v);
        if (finite_only != is_finite) continue;
        // A NaN or an infinity must be able to reach A, and then A is measured.
        e.amax.reset();
        if (is_finite && std::isfinite(amax) && format.family() != ScaleFamily::mx) e.amax = amax;
        e.result = axis_examples::code(e, with);
        e.other_result = axis_examples::code(e, without);
        if (e.result == e.other_result) continue;
        e.source = fmt::format("{}{} block {}", trial.source.empty() ? "" : trial.source + " ",
                               in.name, r * (in.columns / size) + k);
        return true;
      }
    }
  }
  return false;
}

Dialect with_value(const Dialect& base, const DialectAxis& axis, std::size_t value) {
  Dialect d = base;
  axis.set(d, static_cast<std::uint8_t>(value));
  return d;
}

bool find(Example& e, const DialectAxis& axis, std::size_t value,
          const std::vector<Input>& inputs) {
  // Captured dialects that have the value first, then all that have it, then canonical with it.
  for (int pass = 0; pass < 6; ++pass) {
    const bool finite_only = pass % 2 == 0;
    int bases = 0;
    for (const Dialect& base : dialects()) {
      const bool has_value = axis.get(base) == value;
      const bool is_base =
          base.name == "canonical" || base.name == "torchao" || base.name == "fos_pytorch_cuda";
      if (pass < 4 ? !has_value : !is_base) continue;
      if (pass >= 2 && ++bases > 4) break;
      const Dialect with = with_value(base, axis, value);
      const std::vector<Trial> trials = pass < 2 ? captured_trials(base.name) : other_trials();
      for (std::size_t w = 0; w < axis.values.size(); ++w) {
        if (w == value) continue;
        const Dialect without = with_value(base, axis, w);
        for (const Trial& trial : trials) {
          if (!search(e, with, without, trial, inputs, finite_only)) continue;
          e.other = axis.values[w].name;
          e.dialect = has_value
                          ? std::string(base.name)
                          : fmt::format("{}+{}={}", base.name, axis.name, axis.values[value].name);
          return true;
        }
      }
    }
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4) {
    fmt::print("{}", axis_examples::table(axis_examples::read(argv[3])));
    return 0;
  }
  if (argc != 2 && argc != 3) return 2;
  const std::vector<Input> inputs = inputs_of(argv[1]);
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const DialectAxis& axis : dialect_axes()) {
    if (argc == 3 && axis.name != argv[2]) continue;
    for (std::size_t v = 0; v < axis.values.size(); ++v) {
      Example e;
      e.axis = axis.name;
      e.value = axis.values[v].name;
      if (find(e, axis, v, inputs)) {
        all.push_back(axis_examples::to_json(e));
      } else {
        fmt::print(stderr, "no block shows {}={}\n", e.axis, e.value);
        std::fflush(stderr);
      }
    }
  }
  fmt::print("{}\n", all.dump(1));
}
