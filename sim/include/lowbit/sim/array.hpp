// SPDX-License-Identifier: MIT
/// \file
/// An array of R x C MAC units with operand buffers, a memory and a quantizer in front: how a GEMM
/// is cut into tiles, and when each of them loads, streams, drains and is written. docs/array.md
/// has the timing rules; array_systemc.hpp steps the same machine cycle by cycle.
///
/// The machine multiplies D[M, N] = A[M, K] * W[N, K]^T. A beat is one block of `lanes` elements
/// and its scale byte.
///   output stationary  unit (r, c) owns one output of an R x C tile: K / lanes beats per tile,
///   skewed
///                      by one cycle per hop; the C results of a row leave one per cycle.
///   weight stationary  unit (r, c) holds one weight block: a tile is R blocks of K by C columns,
///   all
///                      M rows stream through it, exact partial sums flow down the columns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::sim {

/// Which operand stays in the units while the other streams past (docs/array.md).
enum class Dataflow : std::uint8_t { output_stationary, weight_stationary };

/// What quantizes the activations before they reach the array.
enum class QuantizerMode : std::uint8_t {
  none,           ///< A is in memory in its block format already
  given_amax,     ///< one pass: read BF16, write blocks
  measured_amax,  ///< a pass over the BF16 values for the tensor's amax before it
};

/// Energy of an SRAM access per byte: pj_per_byte at `bytes` of capacity, growing with the square
/// root of the capacity (word and bit lines grow with the side of the array). The defaults are the
/// 10 pJ per 64-bit word of an 8 KiB SRAM in 45 nm at 0.9 V (M. Horowitz, "Computing's energy
/// problem", ISSCC 2014), whose 20 pJ at 32 KiB and 100 pJ at 1 MiB the law meets within 13 %.
struct SramModel {
  double bytes = 8192;                             ///< capacity at which pj_per_byte holds
  double pj_per_byte = 1.25;                       ///< pJ per byte of an access at that capacity
  [[nodiscard]] double at(double capacity) const;  ///< pJ per byte; capacity > 0
};

/// Energies of the parts; the unit's is measured (docs/mac_area.md), the others are assumptions of
/// the caller's technology.
struct ArrayEnergy {
  double pj_per_mac = 0;                     ///< pJ per multiply-add of one unit
  SramModel sram{};                          ///< of a bank of the operand buffers
  std::optional<double> buffer_pj_per_byte;  ///< pJ per byte through a buffer, instead of the model
  double memory_pj_per_byte = 20.0;          ///< pJ per byte from or to memory
};

/// The array, its memory and its quantizer. Every field is checked where it is used.
struct ArrayConfig {
  int rows = 16;          ///< R, 1..1024
  int columns = 16;       ///< C, 1..1024
  int lanes = 16;         ///< elements per beat: the block size
  double beat_bytes = 9;  ///< codes and scale byte of one beat (16 x 4 bits + 8)
  int unit_latency = 4;   ///< cycles from a beat to its result (lowbit_mac_exact_core)
  Dataflow dataflow = Dataflow::output_stationary;  ///< what stays in the units
  double clock_mhz = 200;                           ///< 10^6 cycles per second
  double bandwidth_gb_s = 25.6;  ///< 10^9 bytes per second, reads and writes together
  int memory_latency = 100;      ///< cycles from the end of a transfer's slot to the data's use
  double buffer_bytes = 0;       ///< of each operand buffer; 0: two panels of the layer's K
  double output_bytes = 2;       ///< an output element in memory
  QuantizerMode quantizer = QuantizerMode::none;  ///< in front of the array
  int quantizer_rate = 64;  ///< elements per cycle through the quantizer, one candidate
  int candidates = 1;       ///< 2 for 4/6 and IF formats: each element is quantized twice
  ArrayEnergy energy{};     ///< per MAC and per byte

  /// Bytes that the memory moves per clock cycle.
  [[nodiscard]] double bytes_per_cycle() const { return bandwidth_gb_s * 1e3 / clock_mhz; }
};

/// One GEMM of a model; `count` of them run one after another.
struct GemmShape {
  std::string name;        ///< of the layer, for reports
  std::int64_t m = 0;      ///< rows of A and D
  std::int64_t n = 0;      ///< rows of W, columns of D
  std::int64_t k = 0;      ///< columns of A and W
  std::int64_t count = 1;  ///< how many of them
};

/// One tile of a layer, in the order in which they run.
struct ArrayTile {
  std::int64_t load_bytes = 0;   ///< what must arrive before it starts; 0 where all is resident
  std::int64_t beats = 0;        ///< cycles in which it takes operands
  std::int64_t interval = 0;     ///< cycles before the next tile may start
  std::int64_t write_bytes = 0;  ///< of its outputs; 0 for partial sums
};

/// The tiles of a layer, generated: most are alike.
class TilePlan {
 public:
  /// \throws Error(usage) for sizes out of range or buffers too small for one panel.
  TilePlan(const ArrayConfig& config, const GemmShape& shape);
  /// How many tiles the layer has.
  [[nodiscard]] std::int64_t size() const { return outer_ * inner_; }
  /// Tile `index`, 0 <= index < size().
  [[nodiscard]] ArrayTile tile(std::int64_t index) const;
  /// Bytes of each operand buffer: the configuration's, or two panels of K.
  [[nodiscard]] double buffer_bytes() const { return buffer_bytes_; }
  /// First output row and column (output stationary), or first block and column of the tile.
  struct Origin {
    std::int64_t row,  ///< of the output, or block of K
        column;        ///< of the output
  };
  /// Where tile `index` begins, 0 <= index < size().
  [[nodiscard]] Origin origin(std::int64_t index) const;
  /// The array that the plan is for.
  [[nodiscard]] const ArrayConfig& config() const { return config_; }
  /// The layer that the plan is for.
  [[nodiscard]] const GemmShape& shape() const { return shape_; }

 private:
  ArrayConfig config_;
  GemmShape shape_;
  std::int64_t blocks_;  ///< ceil(K / lanes)
  std::int64_t outer_ = 0, inner_ = 0;
  bool columns_outer_ = true;     ///< output stationary: the weight panel stays, else the A panel
  bool stationary_fits_ = false;  ///< the operand of the inner loop stays in its buffer for good
  double buffer_bytes_ = 0;
};

/// When a tile's events happen, in cycles from the start of the layer.
struct TileTiming {
  std::int64_t issued = 0;   ///< load requested
  std::int64_t loaded = 0;   ///< operands in the buffer
  std::int64_t started = 0;  ///< first beat
  std::int64_t drained = 0;  ///< last output left the array
};

/// What most of a layer's cycles go into. `shape` is compute where more than half of the array has
/// no part in it: fewer rows, columns or lanes of work than of units.
enum class Bound : std::uint8_t { compute, shape, memory, drain, weights, quantizer };
/// The value's name in snake_case, as the command prints it.
[[nodiscard]] std::string_view name_of(Bound bound);

/// What one layer costs on the array.
struct ArrayResult {
  std::int64_t cycles = 0;            ///< from the first request to the last byte written
  std::int64_t quantizer_cycles = 0;  ///< of those, before the array's first request
  std::int64_t tiles = 0;             ///< tiles that ran
  std::int64_t beats = 0;             ///< cycles in which the array took operands
  std::int64_t wait_memory = 0;       ///< cycles in which it could have, but for operands
  std::int64_t wait_interval = 0;     ///< and but for the drain, or the weights of the next tile
  double macs = 0;                    ///< multiply-adds of the layer, padding excluded
  double bytes_read = 0,              ///< from memory
      bytes_written = 0,              ///< to memory
      buffer_bytes = 0;               ///< through the operand buffers
  double utilisation = 0;             ///< MACs of the layer over MACs the array could have done
  double buffer_pj_per_byte = 0;      ///< as given, or by the model: a bank per row or column
  double energy_pj = 0,               ///< in all
      energy_units_pj = 0,            ///< of the units
      energy_buffers_pj = 0,          ///< of the operand buffers
      energy_memory_pj = 0;           ///< of memory
  Bound bound = Bound::compute;       ///< what most of the cycles go into
};

/// Replays a layer tile by tile, as events: the same cycles as stepping it (test_array.cpp).
/// Thread-safe. Seconds for a hundred million tiles.
/// \param config  the array
/// \param shape  the layer
/// \param trace  where not null, the timing of every tile (of the first million).
[[nodiscard]] ArrayResult replay_layer(const ArrayConfig& config, const GemmShape& shape,
                                       std::vector<TileTiming>* trace = nullptr);

/// Cycles of the array alone, memory infinitely fast and loads free, in closed form:
/// (tiles - 1) * interval + beats + (R - 1) + (C - 1) + latency of a unit and its output register.
[[nodiscard]] std::int64_t ideal_cycles(const ArrayConfig& config, const GemmShape& shape);

/// The GEMM shapes of a model's forward pass, from JSON:
///   {"name": "...", "gemms": [{"name": "q_proj", "n": 4096, "k": 4096, "count": 32}, ...]}
/// \throws Error(invalid_input) naming the file and the entry.
[[nodiscard]] std::vector<GemmShape> read_model_shapes(const std::string& path,
                                                       std::int64_t tokens);

/// Tile timings as a Chrome-trace JSON document (chrome://tracing, Perfetto), one cycle a
/// microsecond.
[[nodiscard]] std::string chrome_trace(const TilePlan& plan,
                                       const std::vector<TileTiming>& timings);

}  // namespace lowbit::sim
