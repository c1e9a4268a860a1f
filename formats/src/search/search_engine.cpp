// SPDX-License-Identifier: MIT
// The engine of the rules `optimal` and `search`: the search chooses each block's scale byte, the
// block engine codes the block under it.
#include "quantize/block_loops.hpp"
#include "search/scale_search.hpp"

namespace lowbit::detail {
namespace {

template <const ElementFormat& Element, const ElementFormat& Integer>
class SearchBlock {
 public:
  static constexpr std::string_view engine_name = "search";

  SearchBlock(const TensorConstants& constants, BlockScratch& scratch)
      : engine_(constants, scratch), search_(constants), rows_of_(constants.format->block_size) {}

  Candidate& run(const BlockInput& in, BlockTrace* trace = nullptr) {
    Candidate& chosen = engine_.encode(in, choose(in));
    if (trace != nullptr) engine_.record(in, in.amax(), chosen, *trace);
    return chosen;
  }

  std::uint8_t choose(const BlockInput& in) {
    return search_.best(engine_.choose(in), in.x, in.count, in.importance, rows_of_);
  }

  Candidate& encode(const BlockInput& in, std::uint8_t scale_byte) {
    return engine_.encode(in, scale_byte);
  }

 private:
  BlockEngine<Element, Integer> engine_;
  ScaleSearch<Element, Integer> search_;
  int rows_of_;  ///< elements of a row of a block: importances repeat after them
};

}  // namespace

const Engine& search_engine(const BlockFormat& format) {
  return loops::engine_of<SearchBlock>(format);
}

}  // namespace lowbit::detail
