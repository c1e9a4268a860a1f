// SPDX-License-Identifier: MIT
// optimal and search:K against exhaustive search in exact numbers. The oracle below shares nothing
// with the library: codes by the list of what codes mean, errors in binary64 with a bound on their
// rounding, and as rationals where that leaves more than one candidate.
#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <tuple>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/quantize.hpp"
#include "oracle/exact_format.hpp"
#include "quantize/vector/vector_engine.hpp"

using namespace lowbit;

namespace {

using oracle::Rational;

/// What the definition says of a format, in plain numbers.
struct Meaning {
  const oracle::Format* element;
  const oracle::Format* integer;
  bool mx;
  int unit_exponent;  ///< of MXINT8 codes
  double Q, C;
  int numerator = 1, denominator = 1;  ///< of E
};

Meaning meaning_of(const BlockFormat& f, float scale_max) {
  const auto name = [](const ElementFormat& e) { return std::string(e.name); };
  Meaning m{&oracle::format(name(*f.element)), nullptr, f.scale->name == "e8m0",
            f.name == "mxint8" ? -6 : 0,       0,       1};
  m.Q = m.element->largest().convert_to<double>();
  m.C = m.mx ? 1.0 : static_cast<float>(m.Q * scale_max);
  if (f.integer != nullptr) {
    m.integer = &oracle::format(name(*f.integer));
    const Rational e = m.element->largest() / m.integer->largest();
    m.numerator = static_cast<int>(numerator(e));
    m.denominator = static_cast<int>(denominator(e));
  }
  return m;
}

/// The magnitudes of a format, ascending, with the parity of their codes.
struct Grid {
  std::vector<double> values;
  std::vector<bool> even;
  explicit Grid(const oracle::Format& f) {
    for (const auto& [value, code] : f.values) {
      values.push_back(value.convert_to<double>());
      even.push_back(code % 2 == 0);
    }
  }
  /// To nearest, ties to the even code, saturating.
  [[nodiscard]] double nearest(float y) const {
    const double m = std::fabs(double{y});
    const auto hi = static_cast<std::size_t>(std::lower_bound(values.begin(), values.end(), m) -
                                             values.begin());
    double v = values.back();
    if (hi == 0) {
      v = values[0];
    } else if (hi < values.size()) {
      const double below = m - values[hi - 1];
      const double above = values[hi] - m;
      v = below < above || (below == above && even[hi - 1]) ? values[hi - 1] : values[hi];
    }
    return std::signbit(y) ? -v : v;
  }
};

struct Choice {
  int byte = 0;
  bool integer = false;
};

/// All bytes of a block, by error.
class Exhaustive {
 public:
  Exhaustive(const BlockFormat& format, float scale_max, float amax)
      : format_(format), m_(meaning_of(format, scale_max)), amax_(amax) {
    grid_.emplace_back(*m_.element);
    if (m_.integer != nullptr) grid_.emplace_back(*m_.integer);
    scale_ = &oracle::format(format.name == "amdfp4" ? "ue5m3" : "e4m3");
  }

  /// Exact terms of a candidate: error = sum of w (a_i - b_i)^2 over one common denominator.
  void terms(const float* x, int n, Choice c, std::vector<double>& a,
             std::vector<double>& b) const {
    const auto A = static_cast<float>(amax_);
    float inverse = 0;
    double s = 0;
    if (m_.mx) {
      s = std::ldexp(1.0, c.byte - 127 + m_.unit_exponent);
    } else {
      s = scale_->codes[static_cast<std::size_t>(c.byte)].value.convert_to<double>();
      const float S = static_cast<float>(m_.C) / A;
      inverse = 1.0F / ((1.0F / S) * static_cast<float>(s));
    }
    const auto R = static_cast<float>(static_cast<double>(m_.denominator) / m_.numerator);
    for (int i = 0; i < n; ++i) {
      float y = m_.mx ? static_cast<float>(x[i] / s) : x[i] * inverse;
      if (c.integer) y = y * R;
      const double q = grid_[c.integer ? 1 : 0].nearest(y);
      // Exact: 5 + 4 + 24 + 5 bits, and 24 + 12 + 5.
      a[static_cast<std::size_t>(i)] =
          m_.mx ? q * s : q * s * A * (c.integer ? m_.numerator : m_.denominator);
      b[static_cast<std::size_t>(i)] = m_.mx ? x[i] : x[i] * m_.C * m_.denominator;
    }
  }

  /// The best of the bytes lowest .. highest; ties as defined.
  [[nodiscard]] Choice best(const float* x, int n, const float* w, int base, int lowest,
                            int highest) const {
    const auto size = static_cast<std::size_t>(n);
    std::vector<double> a(size), b(size);
    const auto weight = [&](std::size_t i) { return w == nullptr ? 1.0F : w[i]; };
    std::vector<std::pair<double, Choice>> candidates;
    double bound = std::numeric_limits<double>::infinity();
    for (int byte = lowest; byte <= highest; ++byte) {
      for (int integer = 0; integer <= (m_.integer != nullptr ? 1 : 0); ++integer) {
        const Choice c{byte, integer == 1};
        terms(x, n, c, a, b);
        double sum = 0.0;
        for (std::size_t i = 0; i < size; ++i) sum += weight(i) * ((a[i] - b[i]) * (a[i] - b[i]));
        candidates.emplace_back(sum, c);
        bound = std::min(bound, sum);
      }
    }
    // A sum of n squares is rounded by at most n + 4 units of 2^-53.
    bound *= 1.0 + 4.0 * (n + 4) * 0x1p-53;
    const auto rank = [&](const Choice& c) {
      return std::tuple(c.byte == base ? 0 : 1, c.integer ? 1 : 0, c.byte);
    };
    Choice found;
    bool first = true;
    Rational least;
    for (const auto& [rounded, c] : candidates) {
      if (rounded > bound) continue;
      terms(x, n, c, a, b);
      Rational sum = 0;
      for (std::size_t i = 0; i < size; ++i) {
        const Rational d = Rational(a[i]) - Rational(b[i]);
        sum += Rational(weight(i)) * d * d;
      }
      if (!first && (sum > least || (sum == least && rank(c) > rank(found)))) continue;
      found = c;
      least = sum;
      first = false;
    }
    return found;
  }

  /// The byte of static_6, or rceil.
  [[nodiscard]] int base_byte(const float* x, int n) const {
    float top = 0;
    for (int i = 0; i < n; ++i) top = std::max(top, std::fabs(x[i]));
    if (top == 0.0F) return 0;
    if (m_.mx) {
      int e = -127;
      while (e < 127 && m_.Q * std::ldexp(1.0, e + m_.unit_exponent) < top) ++e;
      return e + 127;
    }
    const float S = static_cast<float>(m_.C) / amax_;
    const float h = top / static_cast<float>(m_.Q) * S;
    const oracle::Format& f = *scale_;
    return static_cast<int>(oracle::round_to_code(f, oracle::neighbours(f, Rational(h)), false,
                                                  oracle::Mode::nearest_even, false, false));
  }
  [[nodiscard]] int lowest() const { return m_.mx ? 0 : 1; }
  [[nodiscard]] int highest() const { return m_.mx ? 254 : static_cast<int>(*scale_->nan) - 1; }

 private:
  const BlockFormat& format_;
  Meaning m_;
  float amax_;
  std::vector<Grid> grid_;
  const oracle::Format* scale_;
};

enum class Data { normal, coarse, wide, sparse };

std::vector<float> data_of(Data kind, std::size_t count, std::mt19937& random) {
  std::normal_distribution<double> gauss;
  std::vector<float> x(count);
  for (float& v : x) {
    switch (kind) {
      case Data::normal:
        v = static_cast<float>(gauss(random));
        break;
      case Data::coarse:  // ties between bytes and in rounding are common
        v = static_cast<float>(static_cast<int>(random() % 9) - 4) * 0.25F;
        break;
      case Data::wide:
        v = static_cast<float>(std::ldexp(gauss(random), static_cast<int>(random() % 60) - 30));
        break;
      case Data::sparse:
        v = random() % 6 == 0 ? static_cast<float>(gauss(random))
                              : (random() % 2 == 0 ? 0.0F : -0.0F);
        break;
    }
  }
  return x;
}

struct Report {
  std::size_t blocks = 0, differing = 0, moved = 0;
};

/// Compares every block of a random matrix. \param weights  whether columns are weighted
Report compare(const BlockFormat& format, Data kind, std::size_t rows, int radius, bool weights,
               unsigned seed, bool has_headroom = false) {
  std::mt19937 random(seed);
  const float scale_max = format.name == "amdfp4" ? (has_headroom ? 65536.0F : 114688.0F)
                                                  : (has_headroom ? 256.0F : 448.0F);
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t columns = 4 * size;
  const std::vector<float> x = data_of(kind, rows * columns, random);
  std::vector<float> importance(columns);
  for (float& w : importance)
    w = std::ldexp(static_cast<float>(random() % 1000), -static_cast<int>(random() % 12));
  QuantizeOptions options;
  options.format = &format;
  options.rule = radius == 0 ? ScaleRule::optimal : ScaleRule::search;
  options.search_radius = radius;
  if (format.family() == ScaleFamily::nv) options.scale_max = scale_max;
  if (weights) options.importance = importance;
  const BlockTensor q = quantize(x, rows, columns, options);
  const Exhaustive oracle(format, scale_max, q.amax);
  Report report;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t b = 0; b < 4; ++b) {
      const float* const at = x.data() + r * columns + b * size;
      const int n = format.block_size;
      const int base = oracle.base_byte(at, n);
      if (std::all_of(at, at + n, [](float v) { return v == 0.0F; })) {
        report.differing += q.scale(r, b) != 0 ? 1 : 0;
        continue;
      }
      const int low = radius == 0 ? oracle.lowest() : std::max(oracle.lowest(), base - radius);
      const int high = radius == 0 ? oracle.highest() : std::min(oracle.highest(), base + radius);
      const Choice best =
          oracle.best(at, n, weights ? importance.data() + b * size : nullptr, base, low, high);
      const int wanted = best.byte | (best.integer ? 0x80 : 0);
      ++report.blocks;
      report.differing += q.scale(r, b) != wanted ? 1 : 0;
      report.moved += best.byte != base ? 1 : 0;
    }
  }
  return report;
}

double squared_error(const std::vector<float>& x, std::size_t columns,
                     const QuantizeOptions& options) {
  const BlockTensor q = quantize(x, x.size() / columns, columns, options);
  std::vector<float> out(x.size());
  dequantize(q, out);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    sum += (double{out[i]} - x[i]) * (double{out[i]} - x[i]);
  return sum;
}

}  // namespace

TEST_CASE("optimal is exhaustive search, for every format") {
  for (const BlockFormat& format : block_formats()) {
    if (format.has_levels()) continue;
    INFO(format.name);
    const Report normal = compare(format, Data::normal, 30, 0, false, 1);
    CHECK(normal.differing == 0);
    if (format.element->bits <= 4) CHECK(normal.moved > 0);
    CHECK(compare(format, Data::coarse, 30, 0, false, 2).differing == 0);
    CHECK(compare(format, Data::wide, 10, 0, false, 3).differing == 0);
    CHECK(compare(format, Data::sparse, 10, 0, false, 4).differing == 0);
    CHECK(compare(format, Data::normal, 10, 0, true, 5).differing == 0);
    CHECK(compare(format, Data::coarse, 10, 0, true, 6).differing == 0);
    if (format.family() == ScaleFamily::nv) {
      CHECK(compare(format, Data::normal, 30, 0, false, 7, true).differing == 0);
    }
  }
}

TEST_CASE("optimal is exhaustive search with every instruction set") {
  for (const detail::VectorTarget& target : detail::vector_targets()) {
    detail::force_vector_target(target.id);
    for (const BlockFormat& format : block_formats()) {
      if (format.has_levels()) continue;
      INFO(target.name << " " << format.name);
      CHECK(compare(format, Data::normal, 2, 0, true, 14).differing == 0);
      CHECK(compare(format, Data::coarse, 5, 0, false, 15).differing == 0);
    }
  }
  detail::force_vector_target(0);
}

TEST_CASE("search:K looks at K bytes on either side") {
  for (const char* name : {"nvfp4", "if4", "mxfp4", "nvint3", "if6_e2m3", "mxint8", "amdfp4"}) {
    const BlockFormat& format = *find_block_format(name);
    for (const int radius : {1, 3, 7}) {
      INFO(name << " " << radius);
      CHECK(compare(format, Data::normal, 10, radius, false, 8).differing == 0);
      CHECK(compare(format, Data::sparse, 3, radius, false, 9).differing == 0);
    }
  }
}

TEST_CASE("10^5 blocks of every format", "[.nightly]") {
  for (const BlockFormat& format : block_formats()) {
    if (format.has_levels()) continue;
    DYNAMIC_SECTION(format.name) {
      const Report report = compare(format, Data::normal, 25000, 0, false, 10);
      CHECK(report.blocks >= 99900);
      CHECK(report.differing == 0);
    }
  }
}

TEST_CASE("no rule with the same C beats optimal, and MX: no rule at all") {
  std::mt19937 random(12);
  for (const BlockFormat& format : block_formats()) {
    if (format.has_levels()) continue;
    const std::size_t columns = 64;
    const std::vector<float> x = data_of(Data::normal, 64 * columns, random);
    QuantizeOptions best;
    best.format = &format;
    best.rule = ScaleRule::optimal;
    const double least = squared_error(x, columns, best);
    for (const ScaleRule rule : scale_rules()) {
      if (!is_valid_rule(format, rule) || rule == ScaleRule::static_4) continue;
      QuantizeOptions options;
      options.format = &format;
      options.rule = rule;
      if (format.family() == ScaleFamily::nv) options.scale_max = format.largest_scale();
      if (rule == ScaleRule::search) options.search_radius = 2;
      INFO(format.name << " " << name_of(rule));
      CHECK(least <= squared_error(x, columns, options) * (1 + 1e-6));
    }
  }
}

TEST_CASE("zeros, single elements and far scales") {
  QuantizeOptions options;
  options.format = find_block_format("nvfp4");
  options.rule = ScaleRule::optimal;
  std::vector<float> x(64, 0.0F);
  CHECK(quantize(x, 1, 64, options).scales == std::vector<std::uint8_t>(4, 0));
  x[20] = 1.0F;
  x[40] = 1e-20F;  // below every product of the smallest scale
  const BlockTensor q = quantize(x, 1, 64, options);
  CHECK(q.scales[0] == 0);
  CHECK(q.scales[1] == 0x7E);  // 6 * 448: exact, and the byte of static_6 among those that are
  CHECK(q.scales[2] == 1);     // every byte gives 0: the smallest, since 0 is excluded
  // Far outside the range of the tensor's FP32 scale, the same bytes.
  std::mt19937 random(13);
  const std::vector<float> base = data_of(Data::normal, 640, random);
  std::vector<float> large(base), small(base);
  for (float& v : large) v = std::ldexp(v, 100);
  for (float& v : small) v = std::ldexp(v, -90);
  const auto bytes = quantize(base, 10, 64, options).scales;
  CHECK(quantize(large, 10, 64, options).scales == bytes);
  CHECK(quantize(small, 10, 64, options).scales == bytes);
}

TEST_CASE("importance is checked") {
  QuantizeOptions options;
  options.format = find_block_format("nvfp4");
  options.rule = ScaleRule::optimal;
  const std::vector<float> x(64, 1.0F);
  std::vector<float> importance(32, 1.0F);
  options.importance = importance;
  CHECK_THROWS_AS(quantize(x, 1, 64, options), Error);  // one per column
  importance.assign(64, 1.0F);
  importance[3] = -1.0F;
  options.importance = importance;
  CHECK_THROWS_AS(quantize(x, 1, 64, options), Error);
  importance[3] = std::nanf("");
  CHECK_THROWS_AS(quantize(x, 1, 64, options), Error);
  importance[3] = 0.0F;
  CHECK(quantize(x, 1, 64, options).scales[1] == 0x7E);
  options.rule = ScaleRule::static_6;
  CHECK_THROWS_AS(quantize(x, 1, 64, options), Error);  // no rule that would look at it
  options.importance = {};
  options.rule = ScaleRule::search;
  CHECK_THROWS_AS(quantize(x, 1, 64, options), Error);  // without a radius
}
