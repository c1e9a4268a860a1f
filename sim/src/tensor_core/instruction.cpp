// SPDX-License-Identifier: MIT
#include "lowbit/sim/instruction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <sstream>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

using Formats = std::vector<const ElementFormat*>;

/// What all instructions of an architecture share.
struct Architecture {
  std::string_view name;
  int half_terms;  // FP16 and BF16 products per step
  int tf32_terms;  // 0: no TF32
  int fraction_bits;
  int f32_exponent_of_zero;
  int f16_exponent_of_zero;  // of mma with an FP16 accumulator
};

constexpr Architecture volta{"Volta", 4, 0, 23, -131, -19};
constexpr Architecture turing{"Turing", 8, 0, 24, -132, -20};
constexpr Architecture ampere{"Ampere", 8, 4, 24, -132, -20};
constexpr Architecture ada{"Ada_Lovelace", 8, 4, 24, -132, -20};
constexpr Architecture hopper{"Hopper", 16, 8, 25, -133, -21};
constexpr Architecture blackwell{"Blackwell", 16, 8, 25, -133, -21};
constexpr Architecture rtx_blackwell{"RTX_Blackwell", 16, 8, 25, -133, -21};

struct Shape {
  int m, n, k;
};

MmaParameters aligned(int terms, int fraction_bits, FinalRounding rounding, int exponent_of_zero) {
  MmaParameters p;
  p.terms = terms;
  p.fraction_bits = fraction_bits;
  p.rounding = rounding;
  p.exponent_of_zero = exponent_of_zero;
  return p;
}

class Table {
 public:
  std::vector<Instruction> take() { return std::move(records_); }

  Instruction& add(std::string_view family, const Architecture& architecture, Shape shape,
                   const ElementFormat& d, const ElementFormat& a, const ElementFormat& b,
                   const ElementFormat& c, const MmaParameters& parameters, int block = 0,
                   const ElementFormat* scale = nullptr) {
    Instruction i;
    i.architecture = architecture.name;
    i.a = &a;
    i.b = &b;
    i.c = &c;
    i.d = &d;
    i.scale = scale;
    i.m = shape.m;
    i.n = shape.n;
    i.k = shape.k;
    i.block = block;
    i.parameters = parameters;
    i.parameters.terms = std::min(parameters.terms, shape.k);
    i.name = fmt::format("{}.{}.m{}n{}k{}", family, architecture.name, shape.m, shape.n, shape.k);
    if (block != 0) i.name += fmt::format(".block{}", block);
    i.name += fmt::format(".{}.{}.{}", d.name, a.name, b.name);
    // wgmma and tcgen05 accumulate in place: their names have no type of C.
    if (family.starts_with("mma")) i.name += fmt::format(".{}", c.name);
    // PTX spells the unsigned scale type ue8m0; the format is OCP's E8M0.
    if (scale != nullptr) i.name += scale == &e8m0 ? ".ue8m0" : ".ue4m3";
    records_.push_back(std::move(i));
    return records_.back();
  }

 private:
  std::vector<Instruction> records_;
};

// Whose hardware words stand behind a record (docs/tensor_cores.md says which words). The campaign
// ran each of the first list on an H100; recorded rows and frozen B200 words exist for the others.
constexpr std::string_view campaign_names[] = {
    "mma.Hopper.m16n8k16.f32.f16.f16.f32",   "mma.Hopper.m16n8k16.f16.f16.f16.f16",
    "mma.Hopper.m16n8k16.f32.bf16.bf16.f32", "mma.Hopper.m16n8k8.f32.tf32.tf32.f32",
    "mma.Hopper.m16n8k32.f32.e4m3.e4m3.f32", "mma.Hopper.m16n8k32.f32.e5m2.e5m2.f32",
    "mma.Hopper.m16n8k32.f16.e4m3.e4m3.f16", "mma.Hopper.m16n8k32.f16.e5m2.e5m2.f16",
    "wgmma.Hopper.m64n8k16.f32.f16.f16",     "wgmma.Hopper.m64n8k16.f16.f16.f16",
    "wgmma.Hopper.m64n8k16.f32.bf16.bf16",   "wgmma.Hopper.m64n8k8.f32.tf32.tf32",
    "wgmma.Hopper.m64n8k32.f32.e4m3.e4m3",   "wgmma.Hopper.m64n8k32.f32.e5m2.e5m2",
    "wgmma.Hopper.m64n8k32.f32.e4m3.e5m2",   "wgmma.Hopper.m64n8k32.f16.e4m3.e4m3",
    "wgmma.Hopper.m64n8k32.f16.e5m2.e5m2",
};
constexpr std::string_view row_names[] = {
    "mma.Volta.m8n8k4.f32.f16.f16.f32",
    "mma.Volta.m8n8k4.f16.f16.f16.f16",
    "mma.Ampere.m16n8k8.f32.f16.f16.f32",
    "mma.Ampere.m16n8k8.f16.f16.f16.f16",
    "mma.Ampere.m16n8k8.f32.bf16.bf16.f32",
    "mma.Ampere.m16n8k4.f32.tf32.tf32.f32",
    "mma.Ada_Lovelace.m16n8k8.f32.f16.f16.f32",
    "mma.Ada_Lovelace.m16n8k8.f16.f16.f16.f16",
    "mma.Ada_Lovelace.m16n8k8.f32.bf16.bf16.f32",
    "mma.Ada_Lovelace.m16n8k4.f32.tf32.tf32.f32",
    "mma.Ada_Lovelace.m16n8k32.f32.e4m3.e4m3.f32",
    "mma.Ada_Lovelace.m16n8k32.f32.e5m2.e5m2.f32",
    "mma.Ada_Lovelace.m16n8k32.f16.e4m3.e4m3.f16",
    "mma.Ada_Lovelace.m16n8k32.f16.e5m2.e5m2.f16",
    "mma.Hopper.m16n8k4.f32.tf32.tf32.f32",
    "mma.Blackwell.m16n8k16.f32.f16.f16.f32",
    "mma.Blackwell.m16n8k16.f16.f16.f16.f16",
    "mma.Blackwell.m16n8k16.f32.bf16.bf16.f32",
    "mma.Blackwell.m16n8k4.f32.tf32.tf32.f32",
    "mma.Blackwell.m16n8k32.f32.e4m3.e4m3.f32",
    "mma.Blackwell.m16n8k32.f32.e5m2.e5m2.f32",
    "mma.Blackwell.m16n8k32.f16.e4m3.e4m3.f16",
    "mma.Blackwell.m16n8k32.f16.e5m2.e5m2.f16",
};

/// The frozen B200 words: dense ones of equal types, block-scaled ones of equal types, and two NaN
/// words of one FP16 result.
bool has_frozen_words(const Instruction& i) {
  if (!i.name.starts_with("tcgen05mma")) return false;
  if (i.d == &f16) return i.a == &e2m1 && i.b == &e4m3;
  return i.a == i.b;
}

MmaEvidence evidence_of(const Instruction& i) {
  if (std::ranges::find(campaign_names, i.name) != std::end(campaign_names))
    return MmaEvidence::campaign;
  if (std::ranges::find(row_names, i.name) != std::end(row_names))
    return MmaEvidence::hardware_rows;
  return has_frozen_words(i) ? MmaEvidence::frozen_words : MmaEvidence::published_model;
}

/// What was or is undecided about a record. Probes of an H100 settled the Hopper ones.
std::vector<OpenPoint> open_points_of(const Instruction& i) {
  std::vector<OpenPoint> points;
  const bool half = i.d == &f16;
  const bool on_hopper = i.architecture == hopper.name;
  // Products of other types never lie below the exponent of zero, so it cannot show.
  const bool shows = half ? i.a == &f16 : i.a == &bf16 || i.a == &tf32 || i.scale != nullptr;
  if (!shows) {
    points.push_back(
        {"exponent_of_zero", "exponent_of_zero=N", "no effect: every product lies above it"});
  } else if (on_hopper) {
    points.push_back({"exponent_of_zero", "exponent_of_zero=N", "settled: probes of an H100"});
  } else if (half) {
    points.push_back({"exponent_of_zero", "exponent_of_zero=N",
                      "open: public sources differ by one or more, recorded rows cannot decide; an "
                      "H100 settled Hopper's at -21"});
  } else if (i.name.starts_with("tcgen05mma") && i.scale == nullptr) {
    points.push_back(
        {"exponent_of_zero", "exponent_of_zero=N", "settled: frozen B200 words below the floor"});
  } else {
    points.push_back({"exponent_of_zero", "exponent_of_zero=N",
                      "open: public models agree, no hardware word decides"});
  }
  constexpr std::string_view hopper_sign = "settled: probes of an H100, mma and wgmma alike";
  constexpr std::string_view other_sign = "open: public models differ; set as an H100 behaves";
  points.push_back(
      {"zero_sum", "zero_sum=negative_if_all_negative", on_hopper ? hopper_sign : other_sign});
  points.push_back({"underflow_sign", "underflow_sign=keep", on_hopper ? hopper_sign : other_sign});
  if (i.parameters.rule == MmaRule::grouped && i.scale == &ue4m3) {
    points.push_back({"window", "window=products",
                      "open: two public models differ where a scale exponent lies below C's and "
                      "C's below a product's"});
  }
  return points;
}

/// mma with FP16, BF16 and TF32 operands, of the shapes that exist since Turing and Ampere.
void add_dense_mma(Table& t, const Architecture& x) {
  const auto f32_parameters = [&](int terms) {
    return aligned(terms, x.fraction_bits, FinalRounding::f32_toward_zero, x.f32_exponent_of_zero);
  };
  const MmaParameters half = aligned(x.half_terms, x.fraction_bits, FinalRounding::f16_nearest_even,
                                     x.f16_exponent_of_zero);
  if (&x == &volta) {
    t.add("mma", x, {8, 8, 4}, f32, f16, f16, f16, f32_parameters(x.half_terms));
    t.add("mma", x, {8, 8, 4}, f32, f16, f16, f32, f32_parameters(x.half_terms));
    t.add("mma", x, {8, 8, 4}, f16, f16, f16, f16, half);
    return;
  }
  Formats singles{&f16};
  if (x.tf32_terms != 0) singles.push_back(&bf16);
  for (const int k : {8, 16}) {
    if (k == 16 && &x == &turing) continue;
    for (const ElementFormat* format : singles) {
      t.add("mma", x, {16, 8, k}, f32, *format, *format, f32, f32_parameters(x.half_terms));
    }
    t.add("mma", x, {16, 8, k}, f16, f16, f16, f16, half);
  }
  if (x.tf32_terms == 0) return;
  for (const int k : {4, 8}) {
    t.add("mma", x, {16, 8, k}, f32, tf32, tf32, f32, f32_parameters(x.tf32_terms));
  }
}

const Formats fp8{&e4m3, &e5m2};
const Formats f8f6f4{&e4m3, &e5m2, &e2m3, &e3m2, &e2m1};

template <typename F>
void pairs(const Formats& formats, F&& f) {
  for (const ElementFormat* a : formats) {
    for (const ElementFormat* b : formats) f(*a, *b);
  }
}

void add_ada_fp8(Table& t) {
  for (const int k : {16, 32}) {
    pairs(fp8, [&](const ElementFormat& a, const ElementFormat& b) {
      t.add("mma", ada, {16, 8, k}, f32, a, b, f32,
            aligned(16, 13, FinalRounding::e8m13_toward_zero, ada.f32_exponent_of_zero));
      t.add("mma", ada, {16, 8, k}, f16, a, b, f16,
            aligned(16, 13, FinalRounding::f16_nearest_even, ada.f16_exponent_of_zero));
    });
  }
}

/// FP8 mma where the tensor cores' own FP8 is wgmma's or tcgen05's: ptxas emits two F16 mma and an
/// addition (reference: SASS of sm_90a and sm_100a).
void add_emulated_fp8(Table& t, const Architecture& x) {
  pairs(fp8, [&](const ElementFormat& a, const ElementFormat& b) {
    for (const bool half : {false, true}) {
      MmaParameters p =
          aligned(16, x.fraction_bits,
                  half ? FinalRounding::f16_nearest_even : FinalRounding::f32_toward_zero,
                  half ? x.f16_exponent_of_zero : x.f32_exponent_of_zero);
      p.rule = MmaRule::emulated;
      p.group = 2;
      const ElementFormat& d = half ? f16 : f32;
      t.add("mma", x, {16, 8, 32}, d, a, b, d, p);
    }
  });
}

void add_wgmma(Table& t) {
  const auto p = [](int terms, int fraction_bits, FinalRounding rounding) {
    return aligned(terms, fraction_bits, rounding,
                   rounding == FinalRounding::f16_nearest_even ? hopper.f16_exponent_of_zero
                                                               : hopper.f32_exponent_of_zero);
  };
  t.add("wgmma", hopper, {64, 8, 16}, f32, f16, f16, f32,
        p(16, 25, FinalRounding::f32_toward_zero));
  t.add("wgmma", hopper, {64, 8, 16}, f16, f16, f16, f16,
        p(16, 25, FinalRounding::f16_nearest_even));
  t.add("wgmma", hopper, {64, 8, 16}, f32, bf16, bf16, f32,
        p(16, 25, FinalRounding::f32_toward_zero));
  t.add("wgmma", hopper, {64, 8, 8}, f32, tf32, tf32, f32,
        p(8, 25, FinalRounding::f32_toward_zero));
  pairs(fp8, [&](const ElementFormat& a, const ElementFormat& b) {
    t.add("wgmma", hopper, {64, 8, 32}, f32, a, b, f32,
          p(32, 13, FinalRounding::e8m13_toward_zero));
    t.add("wgmma", hopper, {64, 8, 32}, f16, a, b, f16, p(32, 13, FinalRounding::f16_nearest_even));
  });
}

/// Dense FP8, FP6 and FP4 with 32 products per step.
void add_f8f6f4(Table& t, std::string_view family, const Architecture& x, Shape shape,
                int f16_exponent_of_zero) {
  pairs(f8f6f4, [&](const ElementFormat& a, const ElementFormat& b) {
    t.add(family, x, shape, f32, a, b, f32, aligned(32, 25, FinalRounding::f32_toward_zero, -133));
    t.add(family, x, shape, f16, a, b, f16,
          aligned(32, 25, FinalRounding::f16_nearest_even, f16_exponent_of_zero));
  });
}

void add_block_scaled(Table& t, std::string_view family, const Architecture& x, int m) {
  pairs(f8f6f4, [&](const ElementFormat& a, const ElementFormat& b) {
    MmaParameters p = aligned(32, 25, FinalRounding::f32_toward_zero, -133);
    p.rule = MmaRule::scaled;
    t.add(family, x, {m, 8, 32}, f32, a, b, f32, p, 32, &e8m0);
  });
  MmaParameters p = aligned(64, 35, FinalRounding::f32_toward_zero, -139);
  p.rule = MmaRule::grouped;
  p.group = 16;
  t.add(family, x, {m, 8, 64}, f32, e2m1, e2m1, f32, p, 32, &e8m0);
  t.add(family, x, {m, 8, 64}, f32, e2m1, e2m1, f32, p, 16, &e8m0);
  t.add(family, x, {m, 8, 64}, f32, e2m1, e2m1, f32, p, 16, &ue4m3);
}

void add_tcgen05(Table& t) {
  const auto p = [](int terms, FinalRounding rounding) {
    return aligned(terms, 25, rounding, -133);
  };
  t.add("tcgen05mma", blackwell, {64, 8, 16}, f32, f16, f16, f32,
        p(16, FinalRounding::f32_toward_zero));
  t.add("tcgen05mma", blackwell, {64, 8, 16}, f16, f16, f16, f16,
        p(16, FinalRounding::f16_nearest_even));
  t.add("tcgen05mma", blackwell, {64, 8, 16}, f32, bf16, bf16, f32,
        p(16, FinalRounding::f32_toward_zero));
  t.add("tcgen05mma", blackwell, {64, 8, 8}, f32, tf32, tf32, f32,
        p(8, FinalRounding::f32_toward_zero));
  add_f8f6f4(t, "tcgen05mma", blackwell, {64, 8, 32}, -133);
  add_block_scaled(t, "tcgen05mma_block_scale", blackwell, 128);
}

std::vector<Instruction> build() {
  Table t;
  for (const Architecture* x : {&volta, &turing, &ampere, &ada}) add_dense_mma(t, *x);
  add_ada_fp8(t);
  add_dense_mma(t, hopper);
  add_emulated_fp8(t, hopper);
  add_wgmma(t);
  add_dense_mma(t, blackwell);
  add_emulated_fp8(t, blackwell);
  add_tcgen05(t);
  add_dense_mma(t, rtx_blackwell);
  pairs(fp8, [&](const ElementFormat& a, const ElementFormat& b) {
    t.add("mma", rtx_blackwell, {16, 8, 16}, f32, a, b, f32,
          aligned(16, 25, FinalRounding::f32_toward_zero, -133));
    t.add("mma", rtx_blackwell, {16, 8, 16}, f16, a, b, f16,
          aligned(16, 25, FinalRounding::f16_nearest_even, rtx_blackwell.f16_exponent_of_zero));
  });
  add_f8f6f4(t, "mma", rtx_blackwell, {16, 8, 32}, rtx_blackwell.f16_exponent_of_zero);
  add_block_scaled(t, "mma_block_scale", rtx_blackwell, 16);
  std::vector<Instruction> records = t.take();
  for (Instruction& i : records) {
    i.evidence = evidence_of(i);
    i.open_points = open_points_of(i);
  }
  return records;
}

/// The name without its M and N: "mma.Hopper.m16n8k16.f32..." -> "mma.Hopper.k16.f32...".
/// Empty where the third part is not mMnNkK.
std::string without_mn(std::string_view name) {
  const std::size_t first = name.find('.', name.find('.') + 1);
  if (first == std::string_view::npos || first + 1 >= name.size() || name[first + 1] != 'm')
    return {};
  const std::size_t end = std::min(name.find('.', first + 1), name.size());
  const std::string_view shape = name.substr(first + 1, end - first - 1);
  const std::size_t n = shape.find('n');
  const std::size_t k = shape.find('k');
  const auto is_number = [](std::string_view s) {
    return !s.empty() && s.front() != '0' &&
           std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (n == std::string_view::npos || k == std::string_view::npos || n > k) return {};
  if (!is_number(shape.substr(1, n - 1)) || !is_number(shape.substr(n + 1, k - n - 1))) return {};
  return fmt::format("{}{}{}", name.substr(0, first + 1), shape.substr(k), name.substr(end));
}

template <typename E>
struct Named {
  E value;
  std::string_view name;
};

constexpr std::array<Named<MmaRule>, 5> rule_names{{{MmaRule::aligned, "aligned"},
                                                    {MmaRule::scaled, "scaled"},
                                                    {MmaRule::grouped, "grouped"},
                                                    {MmaRule::emulated, "emulated"},
                                                    {MmaRule::fma_chain, "fma_chain"}}};
constexpr std::array<Named<FinalRounding>, 6> rounding_names{
    {{FinalRounding::f32_toward_zero, "f32_toward_zero"},
     {FinalRounding::e8m13_toward_zero, "e8m13_toward_zero"},
     {FinalRounding::f16_nearest_even, "f16_nearest_even"},
     {FinalRounding::f32_nearest_even, "f32_nearest_even"},
     {FinalRounding::e8m13_nearest_even, "e8m13_nearest_even"},
     {FinalRounding::f16_toward_zero, "f16_toward_zero"}}};
constexpr std::array<Named<ZeroSum>, 3> zero_names{
    {{ZeroSum::positive, "positive"},
     {ZeroSum::negative_if_all_negative, "negative_if_all_negative"},
     {ZeroSum::negative_if_addend_negative, "negative_if_addend_negative"}}};
constexpr std::array<Named<GroupWindow>, 2> window_names{
    {{GroupWindow::scales, "scales"}, {GroupWindow::products, "products"}}};
constexpr std::array<Named<MmaEvidence>, 4> evidence_names{
    {{MmaEvidence::campaign, "H100 campaign"},
     {MmaEvidence::hardware_rows, "hardware rows"},
     {MmaEvidence::frozen_words, "frozen words"},
     {MmaEvidence::published_model, "matches published evidence"}}};

template <typename E, std::size_t N>
std::string_view name_of(const std::array<Named<E>, N>& names, E value) {
  return std::ranges::find(names, value, &Named<E>::value)->name;
}

template <typename E, std::size_t N>
bool set_named(const std::array<Named<E>, N>& names, std::string_view text, E& target) {
  const auto found = std::ranges::find(names, text, &Named<E>::name);
  if (found == names.end()) return false;
  target = found->value;
  return true;
}

bool set_number(std::string_view text, int low, int high, int& target) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    return false;
  target = value;
  return true;
}

}  // namespace

std::span<const Instruction> instructions() {
  static const std::vector<Instruction> records = build();
  return records;
}

const Instruction* find_instruction(std::string_view name) {
  const auto records = instructions();
  const auto exact = std::ranges::find(records, name, &Instruction::name);
  if (exact != records.end()) return &*exact;
  const std::string key = without_mn(name);
  if (key.empty()) return nullptr;
  const auto other = std::ranges::find_if(
      records, [&](const Instruction& i) { return without_mn(i.name) == key; });
  return other != records.end() ? &*other : nullptr;
}

const Instruction& instruction(std::string_view name) {
  if (const Instruction* found = find_instruction(name)) return *found;
  // The nearest names: those that share most dot-separated parts.
  const auto shared_parts = [&](const Instruction& i) {
    int count = 0;
    for (std::size_t at = 0; at < i.name.size();) {
      const std::size_t end = std::min(i.name.find('.', at), i.name.size());
      if (name.find(i.name.substr(at, end - at)) != std::string_view::npos) ++count;
      at = end + 1;
    }
    return count;
  };
  const auto records = instructions();
  const auto best = std::ranges::max_element(records, {}, shared_parts);
  throw Error(ErrorKind::usage,
              fmt::format("no instruction '{}' (nearest: {}); `lowbit mma --list` names them all",
                          name, best->name));
}

void select_alternative(MmaParameters& p, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  const std::string_view name = assignment.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view{} : assignment.substr(equals + 1);
  bool known = true;
  if (name == "exponent_of_zero") {
    known = set_number(value, -400, 0, p.exponent_of_zero);
  } else if (name == "fraction_bits") {
    known = set_number(value, 1, 37, p.fraction_bits);
  } else if (name == "terms") {
    known = set_number(value, 1, 64, p.terms);
  } else if (name == "group") {
    known = set_number(value, 1, 64, p.group);
  } else if (name == "zero_sum") {
    known = set_named(zero_names, value, p.zero_sum);
  } else if (name == "underflow_sign") {
    known = value == "keep" || value == "drop";
    p.underflow_keeps_sign = value == "keep";
  } else if (name == "window") {
    known = set_named(window_names, value, p.window);
  } else if (name == "rounding") {
    known = set_named(rounding_names, value, p.rounding);
  } else {
    known = false;
  }
  if (!known) {
    throw Error(
        ErrorKind::usage,
        fmt::format(
            "alternative '{}' is not one of exponent_of_zero=N, fraction_bits=N, terms=N, "
            "group=N, zero_sum=positive|negative_if_all_negative, underflow_sign=keep|drop, "
            "window=scales|products, rounding=NAME",
            assignment));
  }
}

std::string_view to_string(MmaRule rule) {
  return name_of(rule_names, rule);
}
std::string_view to_string(FinalRounding rounding) {
  return name_of(rounding_names, rounding);
}
std::string_view to_string(ZeroSum zero_sum) {
  return name_of(zero_names, zero_sum);
}
std::string_view to_string(GroupWindow window) {
  return name_of(window_names, window);
}
std::string_view to_string(MmaEvidence evidence) {
  return name_of(evidence_names, evidence);
}

std::string_view short_name(MmaEvidence evidence) {
  switch (evidence) {
    case MmaEvidence::campaign:
      return "H100";
    case MmaEvidence::hardware_rows:
      return "rows";
    case MmaEvidence::frozen_words:
      return "words";
    case MmaEvidence::published_model:
      break;
  }
  return "models";
}

std::string_view meaning(MmaEvidence evidence) {
  switch (evidence) {
    case MmaEvidence::campaign:
      return "10^8 dot products ran on an H100 and no word differed";
    case MmaEvidence::hardware_rows:
      return "results that others recorded on the hardware are reproduced";
    case MmaEvidence::frozen_words:
      return "a few published words of the hardware are reproduced";
    case MmaEvidence::published_model:
      break;
  }
  return "published models agree; no word of the hardware was seen";
}

std::vector<const Instruction*> instructions_matching(std::string_view pattern) {
  const auto lower = [](std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
  };
  std::vector<std::string> words;
  std::istringstream in(lower(pattern));
  for (std::string word; in >> word;) words.push_back(word);
  std::vector<const Instruction*> found;
  for (const Instruction& i : instructions()) {
    const std::string name = lower(i.name);
    if (std::ranges::all_of(
            words, [&](const std::string& word) { return name.find(word) != std::string::npos; })) {
      found.push_back(&i);
    }
  }
  return found;
}

}  // namespace lowbit::sim
