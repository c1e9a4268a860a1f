// SPDX-License-Identifier: MIT
// What differs between two dumps, whatever their layouts.
#include <fmt/format.h>

#include "io/checkpoint_maker.hpp"
#include "lowbit/checkpoint_convert.hpp"
#include "lowbit/checkpoint_diff.hpp"

using namespace lowbit;
using namespace lowbit::test;

TEST_CASE("diff: where two dumps differ") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  add_modelopt(maker, "a", s.t);
  maker.add("n", 1.0F);
  maker.write(scratch / "a.safetensors");
  maker.bytes("a.weight")[3 * 32 + 9] ^= 0x20;
  maker.bytes("a.weight_scale")[77] ^= 0x01;
  maker.add("n", 2.0F);
  maker.write(scratch / "b.safetensors");
  const DumpComparison c = compare_dumps(Checkpoint::open(scratch / "a.safetensors"),
                                         Checkpoint::open(scratch / "b.safetensors"));
  REQUIRE(c.differences.size() == 2);
  CHECK(c.differences[0].text.find(
            "2 of 512 blocks differ (scale bytes in 1, codes in 1); first: row "
            "3, block 1") == 0);
  CHECK(c.differences[0].text.find("column 19") != std::string::npos);
  CHECK(c.differences[1].text == "1 of 1 elements differ; first: 0");
  // A weight in one of them.
  maker.remove("a.weight").remove("a.weight_scale").remove("a.weight_scale_2");
  maker.remove("a.input_scale").add("n", 1.0F).write(scratch / "c.safetensors");
  const Checkpoint whole = Checkpoint::open(scratch / "a.safetensors");
  const Checkpoint less = Checkpoint::open(scratch / "c.safetensors");
  const auto texts = [](const DumpComparison& d) {
    std::vector<std::string> all;
    for (const auto& difference : d.differences) all.push_back(difference.text);
    return all;
  };
  CHECK(texts(compare_dumps(whole, less)) ==
        std::vector<std::string>{"in blocks in the first dump only"});
  CHECK(texts(compare_dumps(less, whole)) ==
        std::vector<std::string>{"in blocks in the second dump only"});
}

TEST_CASE("diff: rows of experts count through, codes of padding do not count") {
  const Scratch scratch;
  const Small s;
  Maker maker;
  const float two[] = {0.5F, 4.0F};
  maker.add("e.weight", dtype_u8, {2, 64, 32}, s.t.values);
  maker.add("e.weight_scale", dtype_f8_e4m3, {2, 64, 4}, s.t.scales);
  maker.add("e.weight_scale_2", two, {2}).write(scratch / "a.safetensors");
  maker.bytes("e.weight")[67 * 32] ^= 1;
  maker.write(scratch / "b.safetensors");
  const DumpComparison experts = compare_dumps(Checkpoint::open(scratch / "a.safetensors"),
                                               Checkpoint::open(scratch / "b.safetensors"));
  REQUIRE(experts.differences.size() == 1);
  CHECK(experts.differences[0].text.find("first: row 67, block 0") != std::string::npos);

  const std::vector<float> x = weights(4 * 40, 8);
  NamedBlockTensor own = named("p", "nvfp4", x, 4, 40);
  write_block_tensors(scratch / "a.safetensors", std::span(&own, 1));
  REQUIRE(own.tensor.values.size() == 4 * 24);
  own.tensor.values[23] ^= 0x10;  // columns 46 and 47 of 40
  write_block_tensors(scratch / "b.safetensors", std::span(&own, 1));
  CHECK(compare_dumps(Checkpoint::open(scratch / "a.safetensors"),
                      Checkpoint::open(scratch / "b.safetensors"))
            .differences.empty());
}

TEST_CASE("diff: the same bytes in C and in Fortran order are other matrices") {
  const Scratch scratch;
  for (const bool fortran : {false, true}) {
    std::string header = std::string("{'descr': '<f4', 'fortran_order': ") +
                         (fortran ? "True" : "False") + ", 'shape': (2, 2), }";
    header.resize(118 - 1, ' ');
    header += '\n';
    std::string bytes = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header;
    for (const float x : {1.0F, 2.0F, 3.0F, 4.0F}) {
      bytes.append(reinterpret_cast<const char*>(&x), sizeof x);
    }
    std::filesystem::create_directory(scratch / (fortran ? "f" : "c"));
    write_file(scratch / (fortran ? "f" : "c") / "x.npy", bytes);
  }
  const Checkpoint c = Checkpoint::open(scratch / "c" / "x.npy");
  const Checkpoint f = Checkpoint::open(scratch / "f" / "x.npy");
  CHECK(compare_dumps(c, c).differences.empty());
  CHECK(compare_dumps(c, f).differences.size() == 1);
}

TEST_CASE("diff: weights and other tensors that are read in several pieces") {
  const Scratch scratch;
  const std::size_t strip = std::size_t{1} << 19;
  struct Place {
    std::size_t rows, columns, row, column;
  };
  for (const Place& p : {Place{3072, 512, 2500, 77}, Place{1, 2 * strip + 64, 0, strip + 41},
                         Place{1, 2 * strip + 64, 0, 2 * strip + 63}}) {
    Maker maker;
    add_modelopt(maker, "a", quantized("nvfp4", weights(p.rows * p.columns, 9), p.rows, p.columns));
    maker.write(scratch / "a.safetensors");
    maker.bytes("a.weight")[(p.row * p.columns + p.column) / 2] ^= 0x70;
    maker.write(scratch / "b.safetensors");
    const DumpComparison c = compare_dumps(Checkpoint::open(scratch / "a.safetensors"),
                                           Checkpoint::open(scratch / "b.safetensors"));
    REQUIRE(c.differences.size() == 1);
    const std::string& text = c.differences[0].text;
    CAPTURE(text);
    CHECK(text.starts_with(fmt::format(
        "1 of {} blocks differ (scale bytes in 0, codes in 1); first: row {}, block {}:",
        p.rows * p.columns / 16, p.row, p.column / 16)));
    CHECK(text.find(fmt::format(", code of column {} ", p.column)) != std::string::npos);
  }
  // Long rows whose scale bytes stand among the codes are read whole.
  Maker row;
  add_modelopt(row, "a", quantized("nvfp4", weights(strip + 64, 9), 1, strip + 64));
  row.write(scratch / "a.safetensors");
  const Checkpoint a = Checkpoint::open(scratch / "a.safetensors");
  convert_checkpoint(a, *find_checkpoint_convention("gguf"), scratch / "a.gguf");
  const Checkpoint fused = Checkpoint::open(scratch / "a.gguf");
  CHECK(compare_dumps(a, fused).differences.empty());
  CHECK(compare_dumps(fused, a).differences.empty());
  std::vector<float> x(700000, 1.0F);
  Maker maker;
  maker.add("n", x, {x.size()});
  maker.write(scratch / "a.safetensors");
  x[650001] = x[650003] = 2.0F;
  maker.add("n", x, {x.size()});
  maker.write(scratch / "b.safetensors");
  const DumpComparison c = compare_dumps(Checkpoint::open(scratch / "a.safetensors"),
                                         Checkpoint::open(scratch / "b.safetensors"));
  REQUIRE(c.differences.size() == 1);
  CHECK(c.differences[0].text == "2 of 700000 elements differ; first: 650001");
}

TEST_CASE("diff: the amax beside MX blocks of lowbit's own files counts") {
  const Scratch scratch;
  NamedBlockTensor own = named("p", "mxfp4", weights(4 * 64, 8), 4, 64);
  write_block_tensors(scratch / "a.safetensors", std::span(&own, 1));
  own.tensor.amax = 2.0F;
  write_block_tensors(scratch / "b.safetensors", std::span(&own, 1));
  const DumpComparison c = compare_dumps(Checkpoint::open(scratch / "a.safetensors"),
                                         Checkpoint::open(scratch / "b.safetensors"));
  REQUIRE(c.differences.size() == 1);
  CHECK(c.differences[0].text == "tensor scales stand for 1 and 2");
}
