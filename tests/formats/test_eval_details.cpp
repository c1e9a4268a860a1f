// SPDX-License-Identifier: MIT
// What a page about an evaluation draws of blocks, on blocks whose numbers are known, and the page
// itself.
#include "lowbit/eval_details.hpp"

#include <cmath>
#include <numeric>

#include "catch.hpp"
#include "lowbit/eval_report.hpp"

using namespace lowbit;

namespace {

std::uint64_t total(const Histogram& h) {
  return std::accumulate(h.counts.begin(), h.counts.end(), std::uint64_t{0});
}

QuantizeOptions nvfp4() {
  QuantizeOptions request;
  request.format = find_block_format("nvfp4");
  request.rule = ScaleRule::static_6;
  return request;
}

}  // namespace

TEST_CASE("bins of a histogram") {
  Histogram h{-1.0, 1.0, std::vector<std::uint64_t>(4, 0)};
  for (const double v : {-1.0, -0.51, -0.5, 0.0, 0.49, 0.5, 1.0, 5.0, -7.0, std::nan("")}) h.add(v);
  CHECK(h.counts == std::vector<std::uint64_t>{3, 1, 2, 3});
  Histogram other = h;
  other.add(h);
  CHECK(other.counts == std::vector<std::uint64_t>{6, 2, 4, 6});
}

TEST_CASE("histograms and the worst block of a tensor") {
  // Row 0: a block on the grid, then one of halves that all round. Row 1: zeros, then the largest.
  std::vector<float> x(4 * 16, 0.0F);
  for (std::size_t i = 0; i < 16; ++i) {
    x[i] = i % 2 == 0 ? 6.0F : -3.0F;
    x[16 + i] = i == 0 ? 6.0F : 2.5F;
    x[48 + i] = i == 0 ? 2688.0F : 0.0F;
  }
  EvalDetails details;
  details.formats.resize(2);
  details.add(1, "t", x, 32, nvfp4());
  const FormatDetails& found = details.formats[1];
  // A = 2688, so S = 1 and the scale of the first two blocks is 1. The block of zeros has scale 0.
  CHECK(total(found.magnitudes) == 48);
  CHECK(total(found.errors) == 48);
  CHECK(found.magnitudes.counts[20] == 8);      // 3 / 6 in bins of 0.025
  CHECK(found.magnitudes.counts[40] == 8 + 2);  // 6 / 6, and the largest
  CHECK(found.magnitudes.counts[16] == 15);     // 2.5 / 6
  CHECK(found.magnitudes.counts[0] == 15);
  CHECK(found.errors.counts[25] == 16 + 1 + 16);  // no error
  CHECK(found.errors.counts[16] == 15);           // 2.5 to 2, the even code: -0.5 / 6
  REQUIRE(found.worst.size() == 1);
  const BlockPicture& block = found.worst[0];
  CHECK(block.tensor == "t");
  CHECK(block.row == 0);
  CHECK(block.block == 1);
  CHECK(block.scale_byte == 0x38);
  CHECK(block.times_mean == Approx(4.0));  // all of the error, in one of four blocks
  CHECK(block.codes.size() == 16);
  CHECK(block.codes[0] == 7);
  CHECK(block.codes[1] == 4);
  CHECK(block.dequantized[1] == 2.0F);
  CHECK(details.formats[0].magnitudes.counts.empty());
  // Three tensors at most, the worst first.
  for (int i = 0; i < 5; ++i) {
    std::vector<float> more(x.begin(), x.begin() + 16 * (2 + i % 3));
    details.add(1, std::to_string(i), more, 16, nvfp4());
  }
  CHECK(found.worst.size() == 3);
  CHECK(found.worst[0].times_mean >= found.worst[1].times_mean);
  CHECK(found.worst[1].times_mean >= found.worst[2].times_mean);
  CHECK(found.worst[0].tensor == "t");
}

TEST_CASE("crest factors") {
  std::vector<float> x(3 * 20, 0.0F);
  for (std::size_t i = 0; i < 20; ++i)
    x[i] = i % 2 == 0 ? 2.0F : -2.0F;  // 1, and 1 in the short block
  x[20 + 5] = -3.0F;                   // sqrt(16)
  EvalDetails details;
  details.add_crests(x, 20, 16);
  const Histogram& h = details.crests.at(16);
  CHECK(total(h) == 3);
  CHECK(h.counts[0] == 2);
  CHECK(h.counts[30] == 1);  // 4 in bins of 0.1 from 1
}

TEST_CASE("the page holds the numbers, and no name breaks it") {
  const std::string hostile = "<img src=x onerror=alert(1)>\"'&";
  EvalReport report;
  report.dialect = "canonical";
  report.files = {hostile};
  report.notes = {hostile};
  report.formats.resize(2);
  report.formats[0].format = find_block_format("nvfp4");
  report.formats[0].rule = ScaleRule::static_6;
  report.totals.resize(2);
  EvalTensor tensor;
  tensor.name = hostile;
  tensor.results.resize(2);
  tensor.results[0].errors.squared_error = 1.0;
  tensor.results[0].errors.squared_value = 1000.0;
  report.tensors = {tensor};
  report.skipped = {{hostile, hostile, hostile}};
  report.details.emplace();
  report.details->formats.resize(2);
  std::vector<float> x(32, 1.0F);
  x[3] = 0.3F;
  report.details->add(0, hostile, x, 16, nvfp4());
  report.details->add_crests(x, 16, 16);
  const std::string page = as_html(report);
  CHECK(page.find("<img") == page.npos);
  CHECK(page.find("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;") != page.npos);
  CHECK(page.find(">30.00<") != page.npos);  // 10 log10(1000)
  CHECK(page.find(">inf<") != page.npos);    // the format that keeps
  CHECK(page.find("The worst blocks") != page.npos);
  report.details.reset();
  CHECK(as_html(report).find("The worst blocks") == std::string::npos);
}
