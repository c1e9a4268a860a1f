// SPDX-License-Identifier: MIT
#include "oracle/canonical_oracle.hpp"

#include <cmath>
#include <functional>
#include <stdexcept>

#include "oracle/exact_format.hpp"

namespace oracle {
namespace {

/// What a format's name means.
struct BlockMeaning {
  const Format* element = nullptr;
  const Format* integer = nullptr;
  bool mx = false;
  int block = 16;
  Rational unit = 1;  ///< of integer element codes: 1/64 for MXINT8
  const Format* scale = &format("e4m3");
  int largest_scale = 448;
  int headroom_scale = 256;  ///< where a block may take the scale of 4, half as large again
  unsigned nan_scale = 0x7F;
};

BlockMeaning meaning_of(std::string name) {
  BlockMeaning m;
  if (name.size() > 4 && name.substr(name.size() - 4) == "_bs8") {
    m.block = 8;
    name.resize(name.size() - 4);
  }
  const auto set = [&](const char* element, const char* integer, bool mx) {
    m.element = &format(element);
    if (integer != nullptr) m.integer = &format(integer);
    m.mx = mx;
    if (mx) m.block = 32;
  };
  if (name == "nvfp4")
    set("e2m1", nullptr, false);
  else if (name == "amdfp4") {
    set("e2m1", nullptr, false);
    m.scale = &format("ue5m3");
    m.largest_scale = 114688;
    m.headroom_scale = 65536;
    m.nan_scale = 0xFF;
  } else if (name == "nvfp3")
    set("e2m0", nullptr, false);
  else if (name == "nvfp6_e2m3")
    set("e2m3", nullptr, false);
  else if (name == "nvfp6_e3m2")
    set("e3m2", nullptr, false);
  else if (name == "nvint3")
    set("int3", nullptr, false);
  else if (name == "nvint4")
    set("int4", nullptr, false);
  else if (name == "nvint6")
    set("int6", nullptr, false);
  else if (name == "if3")
    set("e2m0", "int3", false);
  else if (name == "if4")
    set("e2m1", "int4", false);
  else if (name == "if6_e2m3")
    set("e2m3", "int6", false);
  else if (name == "if6_e3m2")
    set("e3m2", "int6", false);
  else if (name == "mxfp3")
    set("e2m0", nullptr, true);
  else if (name == "mxfp4")
    set("e2m1", nullptr, true);
  else if (name == "mxfp4_bs16")
    set("e2m1", nullptr, true), m.block = 16;
  else if (name == "mxfp6_e2m3")
    set("e2m3", nullptr, true);
  else if (name == "mxfp6_e3m2")
    set("e3m2", nullptr, true);
  else if (name == "mxfp8_e4m3")
    set("e4m3", nullptr, true);
  else if (name == "mxfp8_e5m2")
    set("e5m2", nullptr, true);
  else if (name == "mxint8")
    set("int8", nullptr, true), m.unit = Rational(1, 64);
  else if (name == "test_e2m1_e5m2") {
    set("e2m1", nullptr, false);
    m.block = 32;
    m.scale = &format("e5m2");
    m.largest_scale = 57344;
    m.headroom_scale = 32768;
    m.nan_scale = 0x7E;
  } else
    throw std::invalid_argument("oracle: unknown format " + name);
  return m;
}

/// A number with the sign that it had before it was rounded: zeros keep theirs.
struct Signed {
  Rational value;
  bool negative = false;
};

struct Matrix {
  int rows = 0;
  int columns = 0;  ///< padded
  std::vector<Signed> x;
  std::vector<bool> bad;
};

/// "y_j = 0.25 * (sum over i in order of sign_i * x_i * H_ij), rounded to the input's type".
void hadamard_transform(Matrix& m, int real_columns, const std::string& type) {
  const char* signs = "+++-+------+-+--";
  const int mantissa = type == "f16" ? 10 : type == "bf16" ? 7 : 23;
  const int lowest = type == "f16" ? -24 : type == "bf16" ? -133 : -149;
  for (int r = 0; r < m.rows; ++r) {
    for (int base = 0; base < real_columns; base += 16) {
      Signed out[16];
      for (int j = 0; j < 16; ++j) {
        Rational sum = 0;
        for (int i = 0; i < 16; ++i) {
          const int ones = __builtin_popcount(static_cast<unsigned>(i & j));
          const bool minus = (signs[i] == '-') != (ones % 2 == 1);
          const Rational& x = m.x[static_cast<std::size_t>(r * m.columns + base + i)].value;
          sum = fl(minus ? Rational(sum - x) : Rational(sum + x));
        }
        Rational y = fl(sum / 4);
        if (y != 0) {
          int unit = floor_log2(abs(y)) - mantissa;
          if (unit < lowest) unit = lowest;
          y = Rational(nearest_even_integer(y * power_of_two(-unit))) * power_of_two(unit);
        }
        out[j] = {y, y < 0};
      }
      for (int j = 0; j < 16; ++j) m.x[static_cast<std::size_t>(r * m.columns + base + j)] = out[j];
    }
  }
}

/// The scale byte of a nonnegative number: to nearest even, saturating.
unsigned to_scale(const Format& scale, const Rational& h) {
  return round_to_code(scale, neighbours(scale, h), false, Mode::nearest_even, false, false);
}

struct Candidate {
  unsigned scale = 0;
  std::vector<unsigned> codes;
  std::vector<Rational> errors;  ///< candidate value minus x', each fl
};

Rational measure(const std::string& rule, const std::vector<Rational>& d) {
  Rational e = 0;
  for (const Rational& difference : d) {
    if (rule == "mse")
      e = fl(e + fl(difference * difference));
    else if (rule == "mae")
      e = fl(e + abs(difference));
    else if (abs(difference) > e)
      e = abs(difference);
  }
  return e;
}

unsigned element_code(const Format& f, const Signed& y, const Request& request, float u) {
  const Mode mode = request.rounding == "nearest" ? Mode::nearest_even : Mode::stochastic;
  return round_to_code(f, neighbours(f, y.value), y.negative, mode, false, true, from_float(u));
}

}  // namespace

Result quantize_canonical(const std::vector<float>& values, int rows, int columns,
                          const Request& request) {
  const BlockMeaning f = meaning_of(request.format);
  const std::string& rule = request.rule;
  const int block_rows = request.block_2d ? f.block : 1;
  const int blocks = (columns + f.block - 1) / f.block;
  Matrix m;
  m.rows = rows;
  m.columns = blocks * f.block;
  const auto at = [&](int r, int c) { return static_cast<std::size_t>(r * m.columns + c); };
  m.x.resize(at(rows, 0));
  m.bad.resize(at(rows, 0));
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const float x = values[static_cast<std::size_t>(r * columns + c)];
      if (!std::isfinite(x))
        m.bad[at(r, c)] = true;
      else
        m.x[at(r, c)] = {from_float(x), std::signbit(x)};
    }
  }
  if (request.hadamard) hadamard_transform(m, columns, request.input_type);

  Result result;
  result.codes.assign(at(rows, 0), 0);
  result.dequantized.assign(at(rows, 0), 0.0F);
  result.scales.assign(static_cast<std::size_t>(rows * blocks), 0);
  result.second.assign(static_cast<std::size_t>(rows * blocks), 0);

  // Tensor: A, and x' and A' brought into range by a power of two where A is far out.
  Rational A = 0;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      if (abs(m.x[at(r, c)].value) > A) A = abs(m.x[at(r, c)].value);
    }
  }
  if (request.amax) A = from_float(*request.amax);
  result.amax = f.mx ? 1.0F : to_float(A);
  const bool adaptive = rule == "mse" || rule == "mae" || rule == "abs_max";
  Rational A1 = A;
  if (!f.mx && A != 0 && (A < power_of_two(-32) || A > power_of_two(32))) {
    const Rational factor = power_of_two(-floor_log2(A));
    A1 = A * factor;
    for (Signed& x : m.x) x.value = fl(x.value * factor);
  }

  // Constants.
  const bool two_scales = adaptive && f.integer == nullptr;
  const int M = request.scale_max != 0 ? request.scale_max
                : two_scales           ? f.headroom_scale
                                       : f.largest_scale;
  Rational Q = rule == "static_4" ? Rational(4) : f.element->largest();
  Rational C = fl(Q * M);
  if (request.rounding == "stochastic_unbiased") {
    Q = fl(Q * Rational(16, 17));
    C = fl(C * Rational(16, 17));
  }
  const Rational R = f.integer ? fl(f.integer->largest() / f.element->largest()) : Rational(1);
  const Rational exact_E =
      f.integer ? Rational(f.element->largest() / f.integer->largest()) : Rational(1);
  const Rational E = fl(exact_E);

  for (int top = 0; top < rows; top += block_rows) {
    for (int block = 0; block < blocks; ++block) {
      std::vector<std::size_t> places;  // row by row
      bool bad = false;
      for (int r = top; r < top + block_rows && r < rows; ++r) {
        for (int c = block * f.block; c < (block + 1) * f.block; ++c) places.push_back(at(r, c));
      }
      Rational b = 0;
      for (const std::size_t p : places) {
        if (abs(m.x[p].value) > b) b = abs(m.x[p].value);
        bad = bad || m.bad[p];
      }
      unsigned byte = 0;
      bool second = false;
      std::vector<unsigned> codes(places.size(), 0);
      const auto random = [&](const std::vector<float>& stream, std::size_t i) {
        return stream.empty() ? 0.0F : stream[places[i]];
      };

      if (bad) {
        byte = f.mx ? 0xFF : f.nan_scale;
      } else if (f.mx) {
        if (b != 0) {
          const int emax = f.element->is_integer ? 0 : floor_log2(f.element->largest());
          const int mantissa = f.element->is_integer ? 6 : [&] {
            int bits = 0;  // the mantissa bits of the format: how finely its top binade is divided
            while (f.element->beyond - f.element->largest() != power_of_two(emax - bits)) ++bits;
            return bits;
          }();
          Rational largest = f.element->largest() * f.unit;
          if (rule == "static_4") largest = 4;
          int e = floor_log2(b) - emax;
          if (rule == "ceil" && b != power_of_two(floor_log2(b))) ++e;
          if (rule == "even") {
            const unsigned bits = (to_bits32(b) + (1U << (22 - mantissa))) >> 23;
            e = static_cast<int>(bits) - 127 - emax;
          }
          if (rule == "rceil" || rule == "static_6" || rule == "static_4") {
            e = floor_log2(b / largest);
            if (largest * power_of_two(e) < b) ++e;
          }
          if (e < -127) e = -127;
          if (e > 127) e = 127;
          byte = static_cast<unsigned>(e + 127);
          for (std::size_t i = 0; i < places.size(); ++i) {
            const Signed& x = m.x[places[i]];
            const Signed y{x.value * power_of_two(-e) / f.unit, x.negative};
            codes[i] = element_code(*f.element, y, request, random(request.random0, i));
          }
        }
      } else if (A != 0) {
        const Rational S = fl(C / A1);
        const Rational h = fl(fl(b / Q) * S);
        const auto quantize = [&](const Format& element, const Rational& scaled, bool integer,
                                  const std::vector<float>& stream) {
          Candidate candidate;
          candidate.scale = to_scale(*f.scale, scaled);
          const Rational s = f.scale->codes[candidate.scale].value;
          const Rational inv = s == 0 ? Rational(0) : fl(1 / fl(fl(1 / S) * s));
          for (std::size_t i = 0; i < places.size(); ++i) {
            const Signed& x = m.x[places[i]];
            unsigned code = 0;
            if (s != 0) {
              Signed y{fl(x.value * inv), x.negative};
              if (integer) y.value = fl(y.value * R);
              code = element_code(element, y, request, random(stream, i));
            }
            candidate.codes.push_back(code);
            Rational value = fl(fl(element.codes[code].value * s) * A1);
            if (integer) value = fl(value * E);
            value = fl(value / C);
            candidate.errors.push_back(fl(value - x.value));
          }
          return candidate;
        };
        Candidate chosen = quantize(*f.element, h, false, request.random0);
        if (adaptive) {
          Candidate other =
              f.integer ? quantize(*f.integer, h, true, request.random1)
                        : quantize(*f.element, fl(h * Rational(3, 2)), false, request.random1);
          second = measure(rule, other.errors) < measure(rule, chosen.errors);
          if (second) chosen = other;
          if (second && f.integer) chosen.scale |= 0x80;
        }
        byte = chosen.scale;
        codes = chosen.codes;
      }

      // Dequantization: the exact value, rounded once.
      const Format& element = second && f.integer ? *f.integer : *f.element;
      for (std::size_t i = 0; i < places.size(); ++i) {
        result.codes[places[i]] = static_cast<std::uint8_t>(codes[i]);
        if (bad) {
          result.dequantized[places[i]] = std::nanf("");
          continue;
        }
        const CodeValue& q = element.codes[codes[i]];
        Rational value = q.value;
        if (f.mx) {
          value *= f.unit * power_of_two(static_cast<int>(byte) - 127);
        } else {
          value *= f.scale->codes[f.integer ? byte & 0x7F : byte].value * A / C;
          if (second && f.integer) value *= exact_E;
        }
        const float rounded = to_float(fl(value));
        result.dequantized[places[i]] =
            q.negative && !element.is_integer ? -std::abs(rounded) : rounded;
      }
      for (int r = top; r < top + block_rows && r < rows; ++r) {
        result.scales[static_cast<std::size_t>(r * blocks + block)] =
            static_cast<std::uint8_t>(byte);
        result.second[static_cast<std::size_t>(r * blocks + block)] = second ? 1 : 0;
      }
    }
  }
  return result;
}

}  // namespace oracle
