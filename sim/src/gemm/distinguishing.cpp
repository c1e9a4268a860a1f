// SPDX-License-Identifier: MIT
#include "lowbit/sim/distinguishing.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

/// A random word of the format whose exponent lies within `binades` of 1. Half of the words repeat
/// the magnitude of the word before with the other sign, so that sums cancel.
class Words {
 public:
  Words(const ElementFormat& format, int binades, std::mt19937& random)
      : format_(format), binades_(binades), random_(random) {}
  std::uint32_t next() {
    if (random_() % 4 == 0) return last_ ^= format_.sign_mask();
    for (;;) {
      const std::uint32_t word = random_() & format_.code_mask();
      const Number n = decode(format_, word);
      if (n.number_class == NumberClass::nan || n.number_class == NumberClass::infinity) continue;
      const double magnitude = std::abs(to_double(format_, word));
      // Wide formats: pull the exponent near 1. Narrow ones are within reach as they are.
      if (format_.bits > 8 &&
          (magnitude < std::ldexp(1.0, -binades_) || magnitude > std::ldexp(1.0, binades_))) {
        continue;
      }
      return last_ = word;
    }
  }

 private:
  const ElementFormat& format_;
  int binades_;
  std::mt19937& random_;
  std::uint32_t last_ = 0;
};

BlockTensor drawn(const BlockTensor& like, std::size_t rows, int binades, std::mt19937& random) {
  BlockTensor t = like;
  t.rows = rows;
  t.values.assign(rows * t.value_bytes_per_row(), 0);
  t.scales.assign(rows * t.blocks_per_row(), 0);
  Words codes(*t.format->element, binades, random);
  for (std::uint8_t& byte : t.values) {
    byte = static_cast<std::uint8_t>(codes.next());
    if (t.format->storage_bits() == 4) {
      byte = static_cast<std::uint8_t>(byte | codes.next() << 4);
    }
  }
  // Codes past the logical columns are 0.
  if (t.padded_columns() != t.columns) {
    for (std::size_t r = 0; r < rows; ++r) {
      const std::size_t first =
          (t.columns * static_cast<std::size_t>(t.format->storage_bits()) + 7) / 8;
      std::fill(t.values.begin() + static_cast<std::ptrdiff_t>(r * t.value_bytes_per_row() + first),
                t.values.begin() + static_cast<std::ptrdiff_t>((r + 1) * t.value_bytes_per_row()),
                std::uint8_t{0});
    }
  }
  const bool nv = t.format->family() == ScaleFamily::nv;
  // E4M3 and UE5M3 have 8 bytes per binade, E8M0 one; all around 1.
  const int one = t.format->scale->bias << t.format->scale->mantissa_bits;
  const int reach = std::min(nv ? 8 * std::min(binades, 6) : binades, nv ? 0x37 : 0x60);
  for (std::uint8_t& s : t.scales) {
    const int byte = one - reach + static_cast<int>(random() % static_cast<unsigned>(2 * reach));
    s = static_cast<std::uint8_t>(byte | (t.format->is_adaptive() && random() % 2 != 0 ? 0x80 : 0));
  }
  return t;
}

GemmOperand drawn(const GemmOperand& like, std::size_t rows, int binades, std::mt19937& random) {
  if (const auto* t = std::get_if<BlockTensor>(&like)) return drawn(*t, rows, binades, random);
  const auto& m = std::get<DenseMatrix>(like);
  DenseMatrix d{m.format, rows, m.columns, {}};
  const int bits = container_bits(*m.format);
  Words words(*m.format, binades, random);
  const std::size_t row_bytes = (m.columns * static_cast<std::size_t>(bits) + 7) / 8;
  d.bytes.assign(rows * row_bytes, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < m.columns; ++k) {
      // TF32 lies in the upper bits of an FP32 container.
      const std::uint32_t word = *m.format == tf32 ? words.next() << 13 : words.next();
      std::uint8_t* at = d.bytes.data() + r * row_bytes;
      if (bits == 4) {
        at[k / 2] = static_cast<std::uint8_t>(at[k / 2] | (word & 0xF) << (k % 2 * 4));
      } else {
        for (int byte = 0; byte < bits / 8; ++byte) {
          at[k * static_cast<std::size_t>(bits / 8) + static_cast<std::size_t>(byte)] =
              static_cast<std::uint8_t>(word >> (8 * byte));
        }
      }
    }
  }
  return d;
}

}  // namespace

DistinguishingOperands distinguishing_operands(const GemmOperand& a, const GemmOperand& b,
                                               const GemmModel& model,
                                               std::span<const Schedule> schedules,
                                               const Watch& watch) {
  if (model.instruction == nullptr) {
    throw Error(ErrorKind::usage, "the exact model has no schedules to tell apart");
  }
  constexpr std::size_t m = 128;
  constexpr std::size_t n = 128;
  constexpr std::size_t compared = 16;
  std::vector<std::size_t> rows(compared), columns(compared);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  DistinguishingOperands best;
  std::mt19937 random(1);
  const int attempts[] = {4, 8, 2, 12, 6, 16};
  std::size_t done = 0;
  for (const int binades : attempts) {
    watch.tell("operands drawn", done++, std::size(attempts));
    if (watch.stopped()) break;
    DistinguishingOperands now;
    now.a = drawn(a, m, binades, random);
    now.b = drawn(b, n, binades, random);
    std::map<std::vector<std::uint32_t>, std::size_t> outputs;
    try {
      const GemmOperand part_a = select_rows(now.a, rows);
      const GemmOperand part_b = select_rows(now.b, columns);
      const PreparedOperand pa =
          prepare_operand(part_a, *model.instruction, MmaSide::a, model.schedule, model.nan_scale);
      const PreparedOperand pb =
          prepare_operand(part_b, *model.instruction, MmaSide::b, model.schedule, model.nan_scale);
      const TensorScales scales = tensor_scales(part_a, part_b, pa, pb);
      for (const Schedule& s : schedules) {
        auto words =
            replay(*model.instruction, pa.operand, pb.operand, s, scales, {}, model.threads);
        now.groups.push_back(outputs.emplace(std::move(words), outputs.size()).first->second);
      }
    } catch (const Error&) {
      if (binades > 2) continue;  // an expansion with products that its type cannot hold
      throw;
    }
    now.group_count = outputs.size();
    if (best.group_count < now.group_count) best = std::move(now);
    if (best.group_count == schedules.size()) break;
  }
  return best;
}

}  // namespace lowbit::sim
