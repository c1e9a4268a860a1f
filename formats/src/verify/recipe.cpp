// SPDX-License-Identifier: MIT
#include "verify/recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>

#include "lowbit/conversion.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/dialect_axis.hpp"
#include "lowbit/error.hpp"
#include "quantize/rows.hpp"
#include "quantize/tensor_constants.hpp"

namespace lowbit::detail {
namespace {

bool same_bits(float x, float y) {
  return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
}

/// Adds what was found in another part. The first block is that of the lowest row, then column.
void add(BlockDifference& all, const BlockDifference& more) {
  const auto place = [](const BlockDifference& d) { return std::pair(d.first_row, d.first_block); };
  if (more.different != 0 && (all.different == 0 || place(more) < place(all))) {
    all.first_row = more.first_row;
    all.first_block = more.first_block;
  }
  all.compared += more.compared;
  all.different += more.different;
  all.scales += more.scales;
  all.codes += more.codes;
}

/// The scale byte, and the levels below it.
bool same_scale(const BlockTensor& x, const BlockTensor& y, std::size_t row, std::size_t block) {
  return x.scale(row, block) == y.scale(row, block) &&
         levels_of(*x.format, x.block(row, block)) == levels_of(*y.format, y.block(row, block));
}

bool same_codes(const BlockTensor& x, const BlockTensor& y, std::size_t row, std::size_t first,
                std::size_t last) {
  if (x.format->storage_bits() == 4 && !x.format->has_levels() && first % 2 == 0 && last % 2 == 0) {
    const auto at = static_cast<std::ptrdiff_t>(row * x.value_bytes_per_row() + first / 2);
    return std::equal(x.values.begin() + at,
                      x.values.begin() + at + static_cast<std::ptrdiff_t>((last - first) / 2),
                      y.values.begin() + at);
  }
  for (std::size_t c = first; c < last; ++c) {
    if (x.code(row, c) != y.code(row, c)) return false;
  }
  return true;
}

}  // namespace

BlockDifference difference_of(const BlockTensor& wanted, const BlockTensor* other, Mixture mixture,
                              const BlockTensor& dump) {
  BlockDifference found;
  const std::size_t blocks = wanted.blocks_per_row();
  const auto size = static_cast<std::size_t>(wanted.format->block_size);
  found.compared = wanted.rows * blocks;
  for (std::size_t row = 0; row < wanted.rows; ++row) {
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t first = block * size;
      const std::size_t last = std::min(first + size, wanted.columns);
      const bool scale = same_scale(wanted, dump, row, block);
      const bool codes = same_codes(wanted, dump, row, first, last);
      if (scale && codes) continue;
      // Levels are chosen with the codes: no mixture of the two gives both.
      const BlockFormat& format = *wanted.format;
      if (other != nullptr && mixture != Mixture::none && !format.has_levels()) {
        const std::uint8_t byte = dump.scale(row, block);
        // The kind of an IF block goes with its scale or with its codes.
        const auto is_scale = [&](const BlockTensor& q, const BlockTensor& coded) {
          const std::uint8_t own = q.scale(row, block);
          return own == byte || (format.scale_magnitude(own) == format.scale_magnitude(byte) &&
                                 format.is_integer_block(coded.scale(row, block)) ==
                                     format.is_integer_block(byte));
        };
        const auto explains = [&](const BlockTensor& coded) {
          return same_codes(coded, dump, row, first, last) &&
                 (is_scale(wanted, coded) ||
                  (mixture == Mixture::either && is_scale(*other, coded)));
        };
        if (explains(wanted) || explains(*other)) continue;
      }
      if (found.different++ == 0) {
        found.first_row = row;
        found.first_block = block;
      }
      found.scales += scale ? 0 : 1;
      if (codes) continue;
      for (std::size_t c = first; c < last; ++c) {
        found.codes += wanted.code(row, c) != dump.code(row, c) ? 1 : 0;
      }
    }
  }
  return found;
}

Trial::Trial(const StoredMatrix& matrix, const StoredDump& dump, const VerifyRequest& request)
    : matrix_(matrix),
      rows_(matrix.rows()),
      columns_(matrix.columns()),
      dump_(dump),
      request_(request),
      ranks_(request.ranks != nullptr ? *request.ranks : alone()) {
  for (const auto& transform : request.declared.transforms) transform->check(columns_);
  measure();
}

std::vector<float> Trial::read(const Rectangle& rectangle, bool through_f16) const {
  const QuantizeOptions& o = request_.declared;
  // A transform may need the whole row.
  Rectangle wanted = rectangle;
  if (!o.transforms.empty()) {
    wanted.column = 0;
    wanted.columns = columns_;
  }
  std::vector<float> x(wanted.rows * wanted.columns);
  matrix_.read(wanted, x);
  if (!o.transforms.empty()) {
    // Transforms are part of the request, not of a dialect: they are done in the pipeline's order,
    // the non-finite policy first.
    if (o.nonfinite == NonFinite::saturate) {
      for (float& v : x) {
        if (std::isnan(v)) v = 0.0F;
        if (std::isinf(v)) v = std::copysign(largest_finite(o.input_type), v);
      }
    }
    for (const auto& transform : o.transforms) {
      for (std::size_t r = 0; r < wanted.rows; ++r) {
        const auto row = std::span(x).subspan(r * columns_, columns_);
        if (o.side == OperandSide::weights) {
          transform->apply_to_weights(row, o.input_type);
        } else {
          transform->apply_to_inputs(row, o.input_type);
        }
      }
    }
    if (rectangle.columns != columns_) {
      for (std::size_t r = 0; r < rectangle.rows; ++r) {
        std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(r * columns_ + rectangle.column),
                    rectangle.columns,
                    x.begin() + static_cast<std::ptrdiff_t>(r * rectangle.columns));
      }
      x.resize(rectangle.rows * rectangle.columns);
    }
  }
  if (through_f16) {
    for (float& v : x) v = round_to_input_type(v, InputType::float16);
  }
  return x;
}

bool Trial::needs_whole_rows() const {
  return !request_.declared.random0.empty() || !request_.declared.transforms.empty();
}

std::size_t Trial::width(std::size_t block_rows, bool whole_rows) const {
  constexpr std::size_t elements = std::size_t{1} << 18;
  const std::size_t most = std::max<std::size_t>(1, elements / block_rows / 64) * 64;
  return std::max<std::size_t>(1, whole_rows ? columns_ : std::min(columns_, most));
}

std::vector<Rectangle> Trial::rectangles(std::size_t block_rows, bool whole_rows) const {
  std::vector<Rectangle> all;
  if (rows_ == 0 || columns_ == 0) return all;
  // Where neighbours in memory are rows apart, tiles; both sides are multiples of every block.
  constexpr std::size_t tile_rows = 128, tile_columns = 1024;
  const bool in_rows = whole_rows || runs_along_rows(matrix_.view, matrix_.transposed);
  const std::size_t columns = in_rows ? width(block_rows, whole_rows) : tile_columns;
  const std::size_t some = std::max<std::size_t>(1, (std::size_t{1} << 18) / columns_);
  const std::size_t rows = in_rows ? (some + block_rows - 1) / block_rows * block_rows : tile_rows;
  // The rows of a tile lie side by side in memory, and so do those of the next tile below it.
  for (std::size_t c = 0; c < columns_; c += columns) {
    for (std::size_t r = 0; r < rows_; r += rows) {
      all.push_back({r, c, std::min(rows, rows_ - r), std::min(columns, columns_ - c)});
    }
  }
  return all;
}

void Trial::measure() {
  struct Found {
    float top = 0.0F;
    bool finite = true;
  };
  const std::vector<Rectangle> parts = rectangles(1, !request_.declared.transforms.empty());
  const Share share = share_of(ranks_, parts.size());
  const auto all = ranks_.gather<Found>([&] {
    std::vector<Found> found(share.size());
    parallel_indices(share.size(), request_.threads, [&](std::size_t i, unsigned) {
      for (const float x : read(parts[share.first + i], false)) {
        found[i].finite = found[i].finite && std::isfinite(x);
        found[i].top = std::max(found[i].top, std::fabs(x));
      }
    });
    return found;
  });
  for (const Found& found : all) {
    all_finite_ = all_finite_ && found.finite;
    top_ = std::max(top_, found.top);
  }
}

float Trial::measure_amax_of(const Recipe& recipe) const {
  // In the order of rows, as measure_amax() does it, with the place of what is refused.
  const QuantizeOptions o = options(recipe);
  const MatrixSource source{nullptr, 0, [&](const Piece& piece, std::span<float> out) {
                              const std::vector<float> x =
                                  read({piece.row, piece.column, piece.rows, piece.columns},
                                       recipe.through_f16);
                              std::copy(x.begin(), x.end(), out.begin());
                            }};
  std::vector<float> tops, buffer;
  for (const Piece& piece : pieces_of(rows_, columns_, 1, !needs_whole_rows())) {
    tops.push_back(load_or_refuse(source, piece, o, buffer).amax);
  }
  return largest_amax(tops);
}

const DumpBlocks* Trial::dump(const BlockFormat& format, const Layout& layout) const {
  Layout key_layout = layout;
  key_layout.tensor_scale = TensorScaleKind::amax;
  key_layout.scale_type = ScaleType::u8;
  const std::tuple key{format.block_size, format.storage_bits() + format.level_bits(),
                       describe(key_layout)};
  const auto found = dumps_.find(key);
  if (found != dumps_.end()) return found->second.get();
  std::unique_ptr<DumpBlocks>& held = dumps_[key];
  const auto sizes = stored_sizes(layout, format, rows_, columns_);
  if (!sizes || sizes->values != dump_.values.size() || sizes->scales != dump_.scales.size()) {
    return nullptr;
  }
  held = std::make_unique<DumpBlocks>(dump_, format, layout, rows_, columns_);
  return held.get();
}

QuantizeOptions Trial::options(const Recipe& recipe) const {
  QuantizeOptions o = request_.declared;
  o.transforms.clear();
  o.format = recipe.format;
  o.rule = recipe.rule;
  o.scale_max = recipe.scale_max;
  o.dialect = &recipe.dialect;
  o.amax = recipe.amax ? recipe.amax : request_.declared.amax;
  if (recipe.format->family() != ScaleFamily::nv) o.amax.reset();
  if (!searches(recipe.rule)) o.importance = {};
  if (recipe.rule != ScaleRule::search) o.search_radius = 0;
  return o;
}

bool Trial::exists(const Recipe& recipe) {
  return is_valid_rule(*recipe.format, recipe.rule, &recipe.dialect) &&
         (!recipe.scale_max || is_valid_scale_max(*recipe.format, *recipe.scale_max));
}

float Trial::amax(const Recipe& recipe) const {
  const QuantizeOptions o = options(recipe);
  if (o.amax) return *o.amax;
  // Dialects differ in A only where there are NaN and infinity. Rounding keeps the order, so the
  // largest rounded magnitude is the rounded largest one.
  if (all_finite_) {
    return recipe.through_f16 ? round_to_input_type(top_, InputType::float16) : top_;
  }
  const std::pair key{recipe.dialect.nonfinite, recipe.through_f16};
  const auto held = amax_.find(key);
  if (held != amax_.end()) return held->second;
  return amax_[key] = measure_amax_of(recipe);
}

bool Trial::is_ordinary(const DumpBlocks& dump, const ElementFormat& scale,
                        std::span<const float> constants) const {
  // Then no product or quotient of scales is 0 or NaN where the scale byte is the dump's, and so no
  // scaled element is NaN; a block with another byte differs whatever its codes are.
  // Stochastic rounding of MX elements is exact in one value of the axis nonfinite.
  if (!all_finite_ || request_.declared.rounding != ElementRounding::nearest) return false;
  for (const float x : constants) {
    if (!(x >= 0x1p-80F && x <= 0x1p80F)) return false;
  }
  const auto [held, is_new] = has_edges_.try_emplace({&dump, &scale}, false);
  if (is_new) {
    const auto magnitude = static_cast<std::uint8_t>(0xFFU & ~(scale.sign_mask()));
    held->second = dump.any_scale([&](std::uint8_t byte) {
      return (byte & magnitude) == 0 || (byte & magnitude) == scale.nan_code();
    });
  }
  return !held->second;
}

std::string Trial::key(const Recipe& recipe, const DumpBlocks* dump) const {
  const bool nearest = request_.declared.rounding == ElementRounding::nearest;
  std::string key = fmt::format("{} {} {} {}", recipe.format->name, name_of(recipe.rule),
                                recipe.scale_max.value_or(0.0F), recipe.through_f16);
  std::vector<float> constants;
  if (recipe.format->family() == ScaleFamily::nv) {
    const TensorConstants t = make_constants(options(recipe), amax(recipe));
    constants = {t.encode_scale, t.decode_scale, t.amax, t.scaled_amax};
    for (const float x : constants) key += fmt::format(" {:x}", std::bit_cast<std::uint32_t>(x));
    key += fmt::format(" {}", t.range_exponent);
  }
  const bool ordinary = dump != nullptr && is_ordinary(*dump, *recipe.format->scale, constants);
  for (const DialectAxis& axis : dialect_axes()) {
    if (axis.scope.constants_only || (ordinary && !axis.scope.ordinary)) continue;
    if (can_show(axis, {recipe.format, recipe.rule, all_finite_, nearest})) {
      key += fmt::format(" {}", axis.get(recipe.dialect));
    }
  }
  return key;
}

std::size_t Trial::block_rows(const BlockFormat& format) const {
  return request_.declared.block_2d ? static_cast<std::size_t>(format.block_rows_2d()) : 1;
}

QuantizeOptions Trial::options_of(const Recipe& recipe, const Rectangle& part) const {
  QuantizeOptions o = options(recipe);
  if (recipe.format->family() == ScaleFamily::nv) o.amax = amax(recipe);
  const auto size = static_cast<std::size_t>(recipe.format->block_size);
  // Random numbers lie by whole rows, padded to whole blocks.
  const std::size_t padded = (columns_ + size - 1) / size * size;
  const auto rows_of = [&](std::span<const float> all) {
    return all.empty() ? all : all.subspan(part.row * padded, part.rows * padded);
  };
  o.random0 = rows_of(request_.declared.random0);
  o.random1 = rows_of(request_.declared.random1);
  if (!o.importance.empty()) o.importance = o.importance.subspan(part.column, part.columns);
  return o;
}

BlockTensor Trial::quantize_part(const Recipe& recipe, const Rectangle& part) const {
  return quantize(read(part, recipe.through_f16), part.rows, part.columns,
                  options_of(recipe, part));
}

BlockSample Trial::sample(const BlockFormat& format, std::size_t count,
                          std::span<const BlockRef> wanted) const {
  const auto size = static_cast<std::size_t>(format.block_size);
  const std::size_t height = block_rows(format);
  // Whole blocks; a matrix that has none of them has one row or one column of partial ones.
  const std::size_t across = std::max<std::size_t>(1, columns_ / size);
  const std::size_t down = std::max<std::size_t>(1, rows_ / height);
  const std::size_t tall = std::min(height, rows_);
  const std::size_t wide = std::min(size, columns_);
  BlockSample s;
  for (const BlockRef& ref : wanted) {
    if (ref.second >= across || ref.first / height >= down) continue;
    const BlockRef first{ref.first / height * height, ref.second};
    if (s.blocks.empty() || s.blocks.back() != first) s.blocks.push_back(first);
  }
  const std::size_t all = across * down;
  const std::size_t more = std::min(count, all);
  for (std::size_t i = 0; i < more; ++i) {
    // An odd stride over rows and columns at once, so that columns of equal numbers do not repeat.
    const std::size_t at = all <= count ? i : (i * all / more + i * 7) % all;
    s.blocks.emplace_back(at / across * height, at % across);
  }
  const std::size_t n = s.blocks.size();
  // Rows one below the other; 2D blocks side by side.
  s.rows = height == 1 ? n : tall;
  s.columns = height == 1 ? wide : n * wide;
  s.values.resize(s.rows * s.columns);
  const bool random = !request_.declared.random0.empty();
  const std::size_t padded = (columns_ + size - 1) / size * size;
  const std::size_t sample_padded = (s.columns + size - 1) / size * size;
  if (random) s.random0.assign(s.rows * sample_padded, 0.0F);
  if (!request_.declared.random1.empty()) s.random1.assign(s.rows * sample_padded, 0.0F);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t r = 0; r < tall; ++r) {
      const std::size_t row = height == 1 ? i : r;
      const std::size_t column = height == 1 ? 0 : i * wide;
      const std::size_t from = s.blocks[i].first + r;
      const std::vector<float> x = read({from, s.blocks[i].second * size, 1, wide}, false);
      std::copy(x.begin(), x.end(),
                s.values.begin() + static_cast<std::ptrdiff_t>(row * s.columns + column));
      const auto copy_random = [&](std::span<const float> all_numbers, std::vector<float>& to) {
        if (to.empty()) return;
        std::copy_n(all_numbers.begin() +
                        static_cast<std::ptrdiff_t>(from * padded + s.blocks[i].second * size),
                    wide, to.begin() + static_cast<std::ptrdiff_t>(row * sample_padded + column));
      };
      copy_random(request_.declared.random0, s.random0);
      copy_random(request_.declared.random1, s.random1);
    }
  }
  s.values_f16 = s.values;
  for (float& x : s.values_f16) x = round_to_input_type(x, InputType::float16);
  return s;
}

BlockTensor Trial::quantize_sample(const Recipe& recipe, const BlockSample& sample) const {
  QuantizeOptions o = options(recipe);
  if (recipe.format->family() == ScaleFamily::nv) o.amax = amax(recipe);
  o.random0 = sample.random0;
  o.random1 = sample.random1;
  return quantize(recipe.through_f16 ? sample.values_f16 : sample.values, sample.rows,
                  sample.columns, o);
}

BlockTensor Trial::dump_sample(const DumpBlocks& dump, const BlockSample& sample) const {
  BlockTensor t;
  t.format = &dump.format();
  t.rows = sample.rows;
  t.columns = sample.columns;
  t.values.assign(t.rows * t.value_bytes_per_row(), 0);
  t.scales.assign(t.rows * t.blocks_per_row(), 0);
  const std::size_t height = block_rows(*t.format);
  const std::size_t bytes = t.format->block_bytes();
  const std::size_t tall = height == 1 ? 1 : sample.rows;
  for (std::size_t i = 0; i < sample.blocks.size(); ++i) {
    for (std::size_t r = 0; r < tall; ++r) {
      const std::size_t row = height == 1 ? i : r;
      const std::size_t block = height == 1 ? 0 : i;
      const BlockTensor one = dump.block(sample.blocks[i].first + r, sample.blocks[i].second);
      std::copy_n(one.values.begin(), bytes,
                  t.values.begin() +
                      static_cast<std::ptrdiff_t>(row * t.value_bytes_per_row() + block * bytes));
      t.scales[row * t.blocks_per_row() + block] = one.scale(0, 0);
    }
  }
  return t;
}

BlockDifference Trial::compare_all(const Recipe& recipe, const Recipe* other, Mixture mixture,
                                   const DumpBlocks& dump) const {
  return compare(recipe, other, mixture, dump, false);
}

bool Trial::agrees(const Recipe& recipe, const DumpBlocks& dump) const {
  return compare(recipe, nullptr, Mixture::none, dump, true).different == 0;
}

BlockDifference Trial::compare(const Recipe& recipe, const Recipe* other, Mixture mixture,
                               const DumpBlocks& dump, bool stops) const {
  const bool is_mixed = other != nullptr && mixture != Mixture::none;
  // A in advance, so that no part measures it again.
  const auto with_amax = [&](Recipe r) {
    if (r.format->family() == ScaleFamily::nv) r.amax = amax(r);
    return r;
  };
  const Recipe first = with_amax(recipe);
  const Recipe second_one = is_mixed ? with_amax(*other) : first;
  const auto size = static_cast<std::size_t>(recipe.format->block_size);
  const std::vector<Rectangle> parts =
      rectangles(block_rows(*recipe.format), dump.is_fused() || needs_whole_rows());
  const Share share = share_of(ranks_, parts.size());
  const auto found = ranks_.gather<BlockDifference>([&] {
    std::vector<BlockDifference> differences(share.size());
    std::atomic<bool> any = false;
    parallel_indices(share.size(), request_.threads, [&](std::size_t i, unsigned) {
      if (stops && any) return;
      const Rectangle& part = parts[share.first + i];
      const BlockTensor wanted = quantize_part(first, part);
      const BlockTensor second = is_mixed ? quantize_part(second_one, part) : BlockTensor{};
      BlockDifference& d = differences[i];
      d = difference_of(wanted, is_mixed ? &second : nullptr, mixture, dump.part(part));
      d.first_row += part.row;
      d.first_block += part.column / size;
      if (d.different != 0) any = true;
    });
    return differences;
  });
  BlockDifference all;
  for (const BlockDifference& d : found) add(all, d);
  return all;
}

std::vector<BlockRef> Trial::differing(const Recipe& recipe, const DumpBlocks& dump,
                                       std::size_t most) const {
  std::vector<BlockRef> found;
  const std::size_t height = block_rows(*recipe.format);
  const std::size_t chunk =
      (std::max<std::size_t>(1, (std::size_t{1} << 16) / std::max<std::size_t>(1, columns_)) +
       height - 1) /
      height * height;
  const auto size = static_cast<std::size_t>(recipe.format->block_size);
  // Chunks far apart first, so that the blocks come from all of the matrix.
  const std::size_t wide = width(height, dump.is_fused() || needs_whole_rows());
  const std::size_t across = (columns_ + wide - 1) / wide;
  const std::size_t chunks = (rows_ + chunk - 1) / chunk * across;
  std::vector<std::size_t> order(chunks);
  for (std::size_t i = 0; i < chunks; ++i) order[i] = i;
  const std::size_t strides = std::min<std::size_t>(chunks, 16);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return x % strides < y % strides; });
  const std::size_t per_chunk = std::max<std::size_t>(most / std::max<std::size_t>(1, chunks), 16);
  for (const std::size_t at : order) {
    if (found.size() >= most) break;
    const std::size_t row = at / across * chunk;
    const std::size_t column = at % across * wide;
    const Rectangle part{row, column, std::min(chunk, rows_ - row),
                         std::min(wide, columns_ - column)};
    const BlockTensor wanted = quantize_part(recipe, part);
    const BlockTensor held = dump.part(part);
    std::size_t here = 0;
    for (std::size_t r = 0; r < part.rows && here < per_chunk; ++r) {
      for (std::size_t block = 0; block < wanted.blocks_per_row() && here < per_chunk; ++block) {
        const std::size_t begin = block * size;
        if (same_scale(wanted, held, r, block) &&
            same_codes(wanted, held, r, begin, std::min(begin + size, part.columns))) {
          continue;
        }
        found.emplace_back(row + r, column / size + block);
        ++here;
      }
    }
  }
  return found;
}

BlockTrace Trial::trace(const Recipe& recipe, const BlockRef& at) const {
  const std::size_t height = block_rows(*recipe.format);
  const std::size_t first = at.first / height * height;
  const auto size = static_cast<std::size_t>(recipe.format->block_size);
  const std::size_t wide = width(height, needs_whole_rows());
  const std::size_t column = at.second * size / wide * wide;
  const Rectangle part{first, column, std::min(height, rows_ - first),
                       std::min(wide, columns_ - column)};
  return trace_block(read(part, recipe.through_f16), part.rows, part.columns,
                     options_of(recipe, part), at.first - first, at.second - column / size);
}

Trial::ScaleCheck Trial::check_scale(const Recipe& recipe) const {
  ScaleCheck check;
  if (recipe.format->family() != ScaleFamily::nv) {
    // lowbit's own files have amax 1 there.
    check.expected = 1.0F;
    check.equal = !dump_.tensor_scale || same_bits(*dump_.tensor_scale, 1.0F);
    return check;
  }
  const float a = amax(recipe);
  const TensorConstants constants = make_constants(options(recipe), a);
  const float c = constants.encode_constant;
  const auto scales = tensor_scales(recipe.dialect, c, a, request_.declared.input_type);
  const auto is = [&](TensorScaleKind kind, float x) {
    check.expected = x;
    check.kind = kind;
    check.equal = same_bits(*dump_.tensor_scale, x);
    return check.equal;
  };
  if (!dump_.tensor_scale) {
    check.equal =
        recipe.layout.tensor_scale == TensorScaleKind::none || !request_.tensor_scale_declared;
    check.expected = a;
    return check;
  }
  const bool open = !request_.tensor_scale_declared;
  const TensorScaleKind declared = recipe.layout.tensor_scale;
  if (declared == TensorScaleKind::none && !open) return check;
  // The dialect's own scale, or the quotient rounded once.
  if ((open || declared == TensorScaleKind::multiplier) &&
      (is(TensorScaleKind::multiplier, scales.decode) || is(TensorScaleKind::multiplier, a / c))) {
    return check;
  }
  if ((open || declared == TensorScaleKind::divisor) &&
      (is(TensorScaleKind::divisor, scales.encode) || is(TensorScaleKind::divisor, c / a))) {
    return check;
  }
  // A dialect without a tensor scale has the factor 1.
  if (open || declared == TensorScaleKind::amax) (void)is(TensorScaleKind::amax, constants.amax);
  return check;
}

}  // namespace lowbit::detail
