// SPDX-License-Identifier: MIT
#include "lowbit/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include "io/error_text.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/layout.hpp"

namespace lowbit {
namespace {

/// Elements of a chunk, about: large enough to share out, small enough to stay in a core's cache.
/// Statistics are summed chunk by chunk, so this number is part of their last bits.
constexpr std::uint64_t chunk_elements = std::uint64_t{1} << 16;

/// A rectangle of the matrix: rows x columns from (row, column).
struct Chunk {
  std::size_t row;
  std::size_t column;
  std::size_t rows;
  std::size_t columns;
};

/// Whole rows where they are short, pieces of a row where they are long. Pieces are multiples of
/// every block size, so blocks are whole; the chunks cover the matrix in row order.
std::vector<Chunk> chunks_of(std::size_t rows, std::size_t columns) {
  std::vector<Chunk> chunks;
  if (rows == 0 || columns == 0) return chunks;
  if (columns <= chunk_elements) {
    const std::size_t step = chunk_elements / columns;
    for (std::size_t r = 0; r < rows; r += step) {
      chunks.push_back({r, 0, std::min(step, rows - r), columns});
    }
    return chunks;
  }
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; c += chunk_elements) {
      chunks.push_back({r, c, 1, std::min<std::size_t>(chunk_elements, columns - c)});
    }
  }
  return chunks;
}

/// Reads a chunk of the matrix whose rows run along the axis.
void read_chunk(const TensorInfo& tensor, const AxisView& view, const Chunk& chunk,
                std::vector<float>& run, std::span<float> out) {
  if (view.inner == 1) {
    for (std::size_t r = 0; r < chunk.rows; ++r) {
      to_f32(tensor, (chunk.row + r) * view.length + chunk.column,
             out.subspan(r * chunk.columns, chunk.columns));
    }
    return;
  }
  // Neighbouring rows lie side by side in the file: read along them, write across.
  for (std::size_t r = 0; r < chunk.rows;) {
    const std::size_t outer = (chunk.row + r) / view.inner;
    const std::size_t inner = (chunk.row + r) % view.inner;
    const std::size_t side = std::min(view.inner - inner, chunk.rows - r);
    run.resize(side);
    for (std::size_t c = 0; c < chunk.columns; ++c) {
      to_f32(tensor, (outer * view.length + chunk.column + c) * view.inner + inner, run);
      for (std::size_t i = 0; i < side; ++i) out[(r + i) * chunk.columns + c] = run[i];
    }
    r += side;
  }
}

/// Calls work(index, buffers of this thread) for every index, on several threads; the exception of
/// the lowest index that failed comes out, as it would with one thread.
template <typename Buffers, typename Work>
void for_each_index(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  std::size_t failed_at = count;
  std::exception_ptr failure;
  const auto run = [&] {
    Buffers buffers;
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i, buffers);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (i < failed_at) {
          failed_at = i;
          failure = std::current_exception();
        }
        next = count;
      }
    }
  };
  std::vector<std::jthread> helpers;
  const auto wanted = std::min<std::size_t>(std::max(threads, 1U), count);
  for (std::size_t t = 1; t < wanted; ++t) helpers.emplace_back(run);
  run();
  helpers.clear();
  if (failure) std::rethrow_exception(failure);
}

struct Buffers {
  std::vector<float> values;
  std::vector<float> run;
  std::vector<float> dequantized;
  std::vector<BlockChoice> choices;
};

AxisView checked_view(const TensorInfo& tensor, int axis) {
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  try {
    return view_along(shape, axis);
  } catch (const Error& error) {
    reject({tensor.file, tensor.name, tensor.offset}, error.what(), "choose another axis");
  }
}

}  // namespace

InputType input_type_of(const Dtype& dtype) {
  if (dtype == dtype_f16) return InputType::float16;
  if (dtype == dtype_bf16) return InputType::bfloat16;
  return InputType::float32;
}

std::vector<ErrorStatistics> evaluate(const TensorInfo& tensor,
                                      std::span<const QuantizeOptions> requests,
                                      const EvaluateOptions& options) {
  const AxisView view = checked_view(tensor, options.axis);
  const std::vector<Chunk> chunks = chunks_of(view.rows(), view.length);
  const bool saturate = !requests.empty() && requests.front().nonfinite == NonFinite::saturate;
  const float largest = largest_finite(input_type_of(*tensor.dtype));
  const auto load = [&](const Chunk& chunk, Buffers& buffers) {
    buffers.values.resize(chunk.rows * chunk.columns);
    read_chunk(tensor, view, chunk, buffers.run, buffers.values);
    float amax = 0.0F;
    for (std::size_t i = 0; i < buffers.values.size(); ++i) {
      float& x = buffers.values[i];
      if (!std::isfinite(x)) {
        if (!saturate) {
          reject({tensor.file, tensor.name, tensor.offset},
                 fmt::format("{} at row {}, column {}", std::isnan(x) ? "NaN" : "infinity",
                             chunk.row + i / chunk.columns, chunk.column + i % chunk.columns),
                 "choose --nonfinite saturate, or exclude the tensor");
        }
        x = std::isnan(x) ? 0.0F : std::copysign(largest, x);
      }
      amax = std::max(amax, std::fabs(x));
    }
    return amax;
  };

  std::vector<float> chunk_amax(chunks.size());
  for_each_index<Buffers>(chunks.size(), options.threads, [&](std::size_t i, Buffers& buffers) {
    chunk_amax[i] = load(chunks[i], buffers);
  });
  const float amax =
      chunk_amax.empty() ? 0.0F : *std::max_element(chunk_amax.begin(), chunk_amax.end());

  std::mutex progress_mutex;
  std::vector<ErrorStatistics> parts(chunks.size() * requests.size());
  for_each_index<Buffers>(chunks.size(), options.threads, [&](std::size_t i, Buffers& buffers) {
    const Chunk& chunk = chunks[i];
    load(chunk, buffers);
    buffers.dequantized.resize(buffers.values.size());
    for (std::size_t k = 0; k < requests.size(); ++k) {
      QuantizeOptions request = requests[k];
      request.input_type = input_type_of(*tensor.dtype);
      if (!request.amax) request.amax = amax;
      const auto size = static_cast<std::size_t>(request.format->block_size);
      buffers.choices.resize(chunk.rows * ((chunk.columns + size - 1) / size));
      const BlockTensor quantized =
          quantize(buffers.values, chunk.rows, chunk.columns, request, buffers.choices);
      dequantize(quantized, buffers.dequantized, request.dialect);
      parts[i * requests.size() + k] =
          error_statistics(buffers.values, quantized, buffers.dequantized, buffers.choices);
    }
    if (options.progress) {
      const std::lock_guard lock(progress_mutex);
      options.progress(buffers.values.size());
    }
  });

  std::vector<ErrorStatistics> totals(requests.size());
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    for (std::size_t k = 0; k < requests.size(); ++k) totals[k].add(parts[i * requests.size() + k]);
  }
  for (std::size_t k = 0; k < requests.size(); ++k)
    add_tensor_scale(totals[k], *requests[k].format);
  return totals;
}

}  // namespace lowbit
