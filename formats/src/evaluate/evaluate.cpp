// SPDX-License-Identifier: MIT
#include "lowbit/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "dequantize/value_table.hpp"
#include "evaluate/block_errors.hpp"
#include "io/error_text.hpp"
#include "io/mapped_file.hpp"
#include "lowbit/axis_view.hpp"
#include "lowbit/detail/parallel.hpp"
#include "lowbit/dialect.hpp"
#include "quantize/engine.hpp"
#include "quantize/request.hpp"
#include "quantize/rows.hpp"

namespace lowbit {
namespace {

using detail::Engine;
using detail::for_each_index;
using detail::LoadedPiece;
using detail::MatrixSource;
using detail::Piece;
using detail::Request;
using detail::TensorConstants;

/// Reads a piece of the matrix whose rows run along the axis.
/// \param run  scratch memory
void read_piece(const TensorInfo& tensor, const AxisView& view, const Piece& piece,
                std::vector<float>& run, std::span<float> out) {
  if (view.inner == 1) {
    for (std::size_t r = 0; r < piece.rows; ++r) {
      to_f32(tensor, (piece.row + r) * view.length + piece.column,
             out.subspan(r * piece.columns, piece.columns));
    }
    return;
  }
  // Neighbouring rows are side by side in the file: read along them, write across.
  for (std::size_t r = 0; r < piece.rows;) {
    const std::size_t outer = (piece.row + r) / view.inner;
    const std::size_t inner = (piece.row + r) % view.inner;
    const std::size_t side = std::min(view.inner - inner, piece.rows - r);
    run.resize(side);
    for (std::size_t c = 0; c < piece.columns; ++c) {
      to_f32(tensor, (outer * view.length + piece.column + c) * view.inner + inner, run);
      for (std::size_t i = 0; i < side; ++i) out[(r + i) * piece.columns + c] = run[i];
    }
    r += side;
  }
}

/// The elements where they lie in the file, or null where they have to be converted or moved.
const float* in_place(const TensorInfo& tensor, const AxisView& view) {
  const bool lies_in_rows = view.inner == 1 && !tensor.fortran_order;
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.bytes.data());
  if (!(*tensor.dtype == dtype_f32) || !lies_in_rows || address % alignof(float) != 0) {
    return nullptr;
  }
  return reinterpret_cast<const float*>(tensor.bytes.data());
}

AxisView checked_view(const TensorInfo& tensor, int axis) {
  const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
  try {
    return view_along(shape, axis);
  } catch (const Error& error) {
    reject({tensor.file, tensor.name, tensor.offset}, error.what(), "choose another axis");
  }
}

[[noreturn]] void reject_nonfinite(const TensorInfo& tensor, bool is_nan, std::size_t row,
                                   std::size_t column) {
  try {
    reject({tensor.file, tensor.name, tensor.offset},
           fmt::format("{} at row {}, column {}", is_nan ? "NaN" : "infinity", row, column),
           "choose --nonfinite saturate, or exclude the tensor");
  } catch (const Error& error) {
    throw NonFiniteInput(error.what());
  }
}

/// One request on the tensor.
struct Work {
  Work(std::size_t rows, std::size_t columns, const QuantizeOptions& wanted, InputType type)
      : options(typed(wanted, type)), request(rows, columns, options) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  static QuantizeOptions typed(QuantizeOptions options, InputType type) {
    options.input_type = type;
    return options;
  }
  /// Once the tensor's amax is known.
  void begin(float amax) {
    constants = detail::make_constants(options, options.amax.value_or(amax));
    engine = &detail::engine_for(constants);
  }

  QuantizeOptions options;
  Request request;
  TensorConstants constants{};
  const Engine* engine = nullptr;
};

/// The memory of one thread.
struct Buffers {
  std::vector<float> values;
  std::vector<float> transformed;
  std::vector<float> run;
  detail::RunBuffers blocks;
  std::unique_ptr<detail::BlockScratch> scratch = std::make_unique<detail::BlockScratch>();
  std::vector<std::optional<detail::ValueTable>> tables;  ///< one per request
};

/// The chunks of one tensor, for all requests.
class Evaluation {
 public:
  Evaluation(const TensorInfo& tensor, std::span<const QuantizeOptions> requests,
             const EvaluateOptions& how)
      : tensor_(tensor),
        view_(how.view ? *how.view : checked_view(tensor, how.axis)),
        values_(in_place(tensor, view_)) {
    const InputType type = input_type_of(*tensor.dtype);
    bool may_cut_rows = true;
    for (const QuantizeOptions& request : requests) {
      work_.push_back(std::make_unique<Work>(view_.rows(), view_.length, request, type));
      for (const auto& transform : request.transforms) {
        may_cut_rows = may_cut_rows && transform->group_columns() != 0;
      }
      if (request.block_2d) {
        throw Error(ErrorKind::usage, "square blocks are not evaluated; quantize and compare them");
      }
    }
    plain_.nonfinite = requests.front().nonfinite;
    plain_.input_type = type;
    pieces_ = detail::pieces_of(view_.rows(), view_.length, 1, may_cut_rows);
  }

  [[nodiscard]] std::size_t pieces() const { return pieces_.size(); }
  [[nodiscard]] std::size_t requests() const { return work_.size(); }
  [[nodiscard]] bool needs_amax() const {
    return std::any_of(work_.begin(), work_.end(), [](const auto& w) {
      return !w->options.amax && w->request.format().family() == ScaleFamily::nv;
    });
  }
  void begin(std::size_t request, float amax) { work_[request]->begin(amax); }

  /// The elements of a piece, read once; done() follows when they are no longer needed.
  [[nodiscard]] LoadedPiece read(std::size_t index, Buffers& buffers) const {
    const MatrixSource source{values_, view_.length, [&](const Piece& piece, std::span<float> out) {
                                read_piece(tensor_, view_, piece, buffers.run, out);
                              }};
    return load(source, pieces_[index], plain_, buffers.values);
  }
  /// Elements in the file were not read by to_f32(), which keeps memory bounded.
  void done(const Piece& piece) const {
    if (values_ == nullptr) return;
    note_read(tensor_.bytes.subspan((piece.row * view_.length + piece.column) * sizeof(float),
                                    piece.rows * piece.columns * sizeof(float)));
  }
  /// The same after the transforms of a request.
  [[nodiscard]] LoadedPiece transformed(const LoadedPiece& read, std::size_t request,
                                        Buffers& buffers) const {
    const QuantizeOptions& options = work_[request]->options;
    if (options.transforms.empty()) return read;
    const MatrixSource source{read.x, read.stride, {}};
    LoadedPiece out =
        load(source, {0, 0, read.piece.rows, read.piece.columns}, options, buffers.transformed);
    out.piece = read.piece;
    return out;
  }
  [[nodiscard]] ErrorStatistics measure(const LoadedPiece& read, std::size_t request,
                                        Buffers& buffers) const {
    const Work& work = *work_[request];
    buffers.tables.resize(work_.size());
    std::optional<detail::ValueTable>& table = buffers.tables[request];
    if (!table) {
      table.emplace(work.request.format(), work.constants.amax, work.constants.encode_constant,
                    *work.constants.dialect);
    }
    const LoadedPiece loaded = transformed(read, request, buffers);
    const detail::BlockRun run =
        detail::run_of(loaded, work.request, work.constants, buffers.blocks);
    ErrorStatistics sums;
    work.engine->measure(work.constants, run, *buffers.scratch, *table, sums);
    return sums;
  }

 private:
  [[nodiscard]] LoadedPiece load(const MatrixSource& source, const Piece& piece,
                                 const QuantizeOptions& options, std::vector<float>& buffer) const {
    try {
      return detail::load(source, piece, options, buffer);
    } catch (const detail::NonFiniteFound& found) {
      reject_nonfinite(tensor_, found.is_nan, found.row, found.column);
    }
  }

  const TensorInfo& tensor_;
  AxisView view_;
  const float* values_;    ///< in the file, or null
  QuantizeOptions plain_;  ///< the policy alone
  std::vector<std::unique_ptr<Work>> work_;
  std::vector<Piece> pieces_;
};

/// Results of all pieces, one per request, by all ranks and threads: work(piece, buffers, results)
/// computes those of a piece; take(request, result) gets them in the order of the pieces, whichever
/// rank has computed them. Only those of so many pieces per rank are in memory at one time.
template <typename Result>
void for_each_result(const Evaluation& evaluation, const EvaluateOptions& options,
                     const std::function<void(std::size_t, Buffers&, std::span<Result>)>& work,
                     const std::function<void(std::size_t, const Result&)>& take) {
  constexpr std::size_t pieces_of_rank = 1024;
  const Communicator& ranks = options.ranks != nullptr ? *options.ranks : alone();
  const std::size_t count = evaluation.requests();
  const std::size_t most = pieces_of_rank * ranks.size();
  for (std::size_t first = 0; first < evaluation.pieces(); first += most) {
    const Share share = share_of(ranks, std::min(most, evaluation.pieces() - first));
    const auto results = ranks.gather<Result>([&] {
      std::vector<Result> mine(share.size() * count);
      for_each_index<Buffers>(share.size(), options.threads, [&](std::size_t i, Buffers& buffers) {
        work(first + share.first + i, buffers, std::span(mine).subspan(i * count, count));
      });
      return mine;
    });
    for (std::size_t i = 0; i < results.size(); ++i) take(i % count, results[i]);
  }
}

}  // namespace

std::vector<ErrorStatistics> evaluate(const TensorInfo& tensor,
                                      std::span<const QuantizeOptions> requests,
                                      const EvaluateOptions& options) {
  if (requests.empty()) return {};
  Evaluation evaluation(tensor, requests, options);
  const std::size_t count = evaluation.requests();

  std::mutex progress_mutex;
  const auto report = [&](std::uint64_t elements) {
    if (!options.progress) return;
    const std::lock_guard lock(progress_mutex);
    options.progress(elements);
  };
  std::vector<float> amax(count);
  if (evaluation.needs_amax()) {
    const auto measure = [&](std::size_t piece, Buffers& buffers, std::span<float> tops) {
      const LoadedPiece read = evaluation.read(piece, buffers);
      for (std::size_t k = 0; k < count; ++k) {
        tops[k] = evaluation.transformed(read, k, buffers).amax;
      }
      evaluation.done(read.piece);
      // Nothing is done yet, but the caller may want to stop.
      report(0);
    };
    for_each_result<float>(evaluation, options, measure,
                           [&](std::size_t k, float top) { amax[k] = std::max(amax[k], top); });
  }
  for (std::size_t k = 0; k < count; ++k) evaluation.begin(k, amax[k]);

  std::vector<ErrorStatistics> totals(count);
  const auto measure = [&](std::size_t piece, Buffers& buffers, std::span<ErrorStatistics> sums) {
    const LoadedPiece read = evaluation.read(piece, buffers);
    for (std::size_t k = 0; k < count; ++k) sums[k] = evaluation.measure(read, k, buffers);
    evaluation.done(read.piece);
    report(read.piece.rows * read.piece.columns);
  };
  for_each_result<ErrorStatistics>(
      evaluation, options, measure,
      [&](std::size_t k, const ErrorStatistics& sums) { totals[k].add(sums); });
  for (std::size_t k = 0; k < count; ++k) add_tensor_scale(totals[k], *requests[k].format);
  return totals;
}

namespace {

/// Rows of the matrix, under the policy. \param run  scratch memory
void read_rows(const TensorInfo& tensor, const AxisView& view, const Piece& piece,
               NonFinite nonfinite, std::vector<float>& run, std::span<float> out) {
  read_piece(tensor, view, piece, run, out);
  const InputType type = input_type_of(*tensor.dtype);
  for (std::size_t i = 0; i < out.size(); ++i) {
    float& x = out[i];
    if (std::isfinite(x)) continue;
    if (nonfinite == NonFinite::error) {
      reject_nonfinite(tensor, std::isnan(x), piece.row + i / view.length, i % view.length);
    }
    if (nonfinite == NonFinite::saturate) {
      x = std::isnan(x) ? 0.0F : std::copysign(largest_finite(type), x);
    }
  }
}

/// All rows in order, a multiple of `step` at a time, about 2^18 elements.
void for_each_part(const TensorInfo& tensor, const AxisView& view, NonFinite nonfinite,
                   std::size_t step,
                   const std::function<void(std::span<const float>, std::size_t rows)>& take) {
  const std::size_t wanted = (std::size_t{1} << 18) / std::max<std::size_t>(view.length, 1);
  const std::size_t rows = std::max<std::size_t>(wanted / step, 1) * step;
  std::vector<float> x, run;
  for (std::size_t r = 0; r < view.rows(); r += rows) {
    const Piece piece{r, 0, std::min(rows, view.rows() - r), view.length};
    x.resize(piece.rows * piece.columns);
    read_rows(tensor, view, piece, nonfinite, run, x);
    take(x, piece.rows);
  }
}

}  // namespace

std::vector<float> read_matrix(const TensorInfo& tensor, const AxisView& view,
                               NonFinite nonfinite) {
  std::vector<float> matrix(view.rows() * view.length);
  std::vector<float> run;
  read_rows(tensor, view, {0, 0, view.rows(), view.length}, nonfinite, run, matrix);
  return matrix;
}

ErrorStatistics evaluate(const TensorInfo& tensor, const AxisView& view,
                         const ReferenceCodec& codec, NonFinite nonfinite) {
  float amax = 0.0F;
  if (codec.needs_amax()) {
    for_each_part(tensor, view, nonfinite, 1, [&](std::span<const float> x, std::size_t) {
      for (const float v : x) amax = std::max(amax, std::fabs(v));
    });
  }
  ErrorStatistics sums;
  detail::LaneSums lanes;
  std::vector<float> q;
  for_each_part(tensor, view, nonfinite, codec.rows_apart(view.length),
                [&](std::span<const float> x, std::size_t rows) {
                  q.resize(x.size());
                  codec.round_trip_part(x, rows, view.length, amax, q);
                  detail::add_errors(x, q, lanes, sums);
                });
  lanes.add_to(sums);
  sums.bits = codec.bits(view.rows(), view.length);
  return sums;
}

ErrorStatistics kept_statistics(const TensorInfo& tensor, const AxisView& view,
                                NonFinite nonfinite) {
  ErrorStatistics sums;
  detail::LaneSums lanes;
  for_each_part(tensor, view, nonfinite, 1, [&](std::span<const float> x, std::size_t) {
    detail::add_errors(x, x, lanes, sums);
  });
  lanes.add_to(sums);
  sums.bits = std::uint64_t{8} * tensor.bytes.size();
  return sums;
}

std::vector<ErrorStatistics> evaluate(const TensorInfo& tensor, std::span<const FormatSpec> specs,
                                      std::span<const QuantizeOptions> requests,
                                      NonFinite nonfinite, const EvaluateOptions& options) {
  const std::vector<ErrorStatistics> blocks = evaluate(tensor, requests, options);
  auto next = blocks.begin();
  std::vector<ErrorStatistics> all;
  for (const FormatSpec& spec : specs) {
    if (options.progress) options.progress(0);
    if (spec.format != nullptr) {
      all.push_back(*next++);
    } else if (spec.codec != nullptr) {
      all.push_back(evaluate(tensor, *options.view, *spec.codec, nonfinite));
    } else {
      all.push_back(kept_statistics(tensor, *options.view, nonfinite));
    }
  }
  return all;
}

}  // namespace lowbit
