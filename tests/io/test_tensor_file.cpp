// SPDX-License-Identifier: MIT
// What is written comes back, and every element type reads as its format record says.
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "catch.hpp"
#include "io/scratch.hpp"
#include "lowbit/element_format.hpp"
#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;
using lowbit::test::Scratch;

namespace {

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

TEST_CASE("safetensors: written tensors come back, the file is the same every time") {
  const Scratch scratch;
  const std::vector<float> f32{1.0F, -2.5F, 0x1p-149F, -0.0F, 3.0F, 4.0F};
  const std::vector<std::uint8_t> u8{1, 2, 3};
  const std::vector<std::uint16_t> bf16{0x3F80, 0xC000};
  const std::vector<OutputTensor> tensors{{"b\"\\\xC3\xA9", &dtype_u8, {3}, bytes_of(u8)},
                                          {"a", &dtype_f32, {2, 3}, bytes_of(f32)},
                                          {"scalar", &dtype_f32, {}, bytes_of(f32).first(4)},
                                          {"empty", &dtype_f32, {0, 5}, {}},
                                          {"half", &dtype_bf16, {1, 2, 1}, bytes_of(bf16)}};
  const std::map<std::string, std::string> metadata{{"z", "1"}, {"a", "two\n"}};
  write_safetensors(scratch / "x.safetensors", tensors, metadata);
  const TensorFile file = TensorFile::open(scratch / "x.safetensors");
  CHECK(file.kind() == FileKind::safetensors);
  CHECK(file.metadata() == metadata);
  REQUIRE(file.tensors().size() == tensors.size());
  for (const OutputTensor& expected : tensors) {
    const TensorInfo& tensor = file.at(expected.name);
    CHECK(*tensor.dtype == *expected.dtype);
    CHECK(tensor.shape == expected.shape);
    CHECK(std::equal(tensor.bytes.begin(), tensor.bytes.end(), expected.bytes.begin(),
                     expected.bytes.end()));
    if (!tensor.bytes.empty() && tensor.dtype->is_float()) {
      CHECK(reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) %
                static_cast<std::uintptr_t>(tensor.dtype->block_bytes) ==
            0);
    }
  }
  CHECK(to_f32(file.at("a")) == f32);
  CHECK(file.find("c") == nullptr);
  CHECK_THROWS_AS(file.at("c"), Error);

  const std::vector<OutputTensor> reversed(tensors.rbegin(), tensors.rend());
  write_safetensors(scratch / "y.safetensors", reversed, metadata);
  CHECK(test::read_file(scratch / "x.safetensors") == test::read_file(scratch / "y.safetensors"));
  // Nothing but the two files is left in the folder.
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 2);
}

TEST_CASE("safetensors: what cannot be written is refused and leaves nothing") {
  const Scratch scratch;
  const std::vector<std::uint8_t> u8{1, 2, 3};
  const auto refused = [&](std::vector<OutputTensor> tensors) {
    CHECK_THROWS_AS(write_safetensors(scratch / "x", tensors), Error);
    CHECK(std::filesystem::is_empty(scratch.path()));
  };
  refused({{"a", &dtype_u8, {2}, bytes_of(u8)}});
  refused({{"a", &dtype_u8, {3}, bytes_of(u8)}, {"a", &dtype_u8, {3}, bytes_of(u8)}});
  refused({{"__metadata__", &dtype_u8, {3}, bytes_of(u8)}});
  refused({{"\xFF", &dtype_u8, {3}, bytes_of(u8)}});
  refused({{"a", &dtype_ggml_nvfp4, {64}, bytes_of(u8)}});
  CHECK_THROWS_AS(write_safetensors(scratch / "no/folder/x", {}), Error);
  CHECK_THROWS_AS(write_safetensors("/dev/null", {}), Error);
}

TEST_CASE("an output that is not committed leaves what was there") {
  const Scratch scratch;
  { OutputFile(scratch / "x").write("new"); }
  CHECK(std::filesystem::is_empty(scratch.path()));
  test::write_file(scratch / "x", "old");
  { OutputFile(scratch / "x").write("new"); }
  CHECK(test::read_file(scratch / "x") == "old");
  OutputFile file(scratch / "x");
  file.write("new");
  file.commit();
  CHECK(test::read_file(scratch / "x") == "new");
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 1);
}

TEST_CASE("every code of the narrow types and of F16 and BF16 reads as its record says") {
  const std::array<std::pair<const Dtype*, const ElementFormat*>, 5> types{
      {{&dtype_f16, &f16},
       {&dtype_bf16, &bf16},
       {&dtype_f8_e4m3, &e4m3},
       {&dtype_f8_e5m2, &e5m2},
       {&dtype_f8_e8m0, &e8m0}}};
  for (const auto& [dtype, format] : types) {
    std::vector<std::uint16_t> wide(65536);
    std::vector<std::uint8_t> narrow(256);
    for (std::size_t i = 0; i < wide.size(); ++i) wide[i] = static_cast<std::uint16_t>(i);
    for (std::size_t i = 0; i < narrow.size(); ++i) narrow[i] = static_cast<std::uint8_t>(i);
    TensorInfo tensor;
    tensor.dtype = dtype;
    tensor.shape = {format->code_count()};
    tensor.bytes = format->bits == 16 ? bytes_of(wide) : bytes_of(narrow);
    const std::vector<float> values = to_f32(tensor);
    std::size_t wrong = 0;
    for (std::uint32_t code = 0; code < format->code_count(); ++code) {
      const float expected = to_float(*format, code);
      const bool same = std::isnan(expected) ? std::isnan(values[code])
                                             : std::bit_cast<std::uint32_t>(values[code]) ==
                                                   std::bit_cast<std::uint32_t>(expected);
      wrong += same ? 0 : 1;
    }
    INFO(dtype->name);
    CHECK(wrong == 0);
  }
}

TEST_CASE("F64 is rounded once, to nearest even") {
  const std::vector<double> values{1.0,           1.0 + 0x1p-24, 1.0 + 0x1p-24 + 0x1p-52,
                                   1.0 + 0x3p-24, 1e300,         -0.0,
                                   0x1p-150,      0x1.8p-149};
  TensorInfo tensor;
  tensor.dtype = &dtype_f64;
  tensor.shape = {values.size()};
  tensor.bytes = bytes_of(values);
  CHECK(to_f32(tensor) == std::vector<float>{1.0F, 1.0F, 0x1.000002p0F, 0x1.000004p0F, INFINITY,
                                             -0.0F, 0.0F, 0x1p-148F});
  std::vector<float> part(2);
  to_f32(tensor, 2, part);
  CHECK(part == std::vector<float>{0x1.000002p0F, 0x1.000004p0F});
  CHECK_THROWS_AS(to_f32(tensor, 7, part), Error);
  CHECK_THROWS_AS(to_f32(tensor, ~std::uint64_t{0}, part), Error);
}

TEST_CASE("GGUF blocks decode as ggml lays them out") {
  std::vector<std::uint8_t> mx(34, 0);
  mx[0] = 128;    // 2^1
  mx[1] = 0xE3;   // element 0: 1.5, element 16: -4
  mx[17] = 0;     // 2^-127
  mx[33] = 0x2F;  // element 47: -6, element 63: 1
  TensorInfo tensor;
  tensor.dtype = &dtype_ggml_mxfp4;
  tensor.shape = {1, 64};
  tensor.bytes = bytes_of(mx);
  std::vector<float> values = to_f32(tensor);
  CHECK(values[0] == 3.0F);
  CHECK(values[16] == -8.0F);
  CHECK(values[47] == -6 * 0x1p-127F);
  CHECK(values[63] == 0x1p-127F);
  std::vector<float> part(33);
  to_f32(tensor, 15, part);
  CHECK(part == std::vector<float>(values.begin() + 15, values.begin() + 48));

  std::vector<std::uint8_t> nv(36, 0);
  nv[0] = 0x38;           // 1.0
  nv[3] = 0x01;           // 2^-9
  nv[1] = 0x7F;           // reads as 0
  nv[4] = 0x7D;           // element 0: -3, element 8: 6
  nv[4 + 8] = 0x77;       // under the 0 scale
  nv[4 + 24 + 7] = 0x12;  // element 55: 1, element 63: 0.5
  tensor.dtype = &dtype_ggml_nvfp4;
  tensor.bytes = bytes_of(nv);
  values = to_f32(tensor);
  CHECK(values[0] == -3.0F);
  CHECK(values[8] == 6.0F);
  CHECK(values[16] == 0.0F);
  CHECK(values[55] == 0x1p-9F);
  CHECK(values[63] == 0x1p-10F);
}

TEST_CASE("files that numpy, safetensors and gguf wrote read as those packages read them") {
  const std::filesystem::path folder = std::string(LOWBIT_TEST_DATA_DIR) + "/io";
  const TensorFile expected = TensorFile::open(folder / "expected.safetensors");
  std::size_t compared = 0;
  for (const char* name :
       {"c_order.npy", "fortran.npy", "stored.npz", "deflated.npz", "blocks.gguf"}) {
    const TensorFile file = TensorFile::open(folder / name);
    for (const TensorInfo& tensor : file.tensors()) {
      INFO(name << " " << tensor.name);
      if (!tensor.dtype->is_float()) {
        CHECK(tensor.name == "count");
        continue;
      }
      const TensorInfo& reference = expected.at(tensor.name);
      CHECK(tensor.shape == reference.shape);
      CHECK(to_f32(tensor) == to_f32(reference));
      ++compared;
      // Any part of it, too.
      const std::size_t half = tensor.elements() / 2;
      std::vector<float> part(tensor.elements() - half);
      to_f32(tensor, half, part);
      const std::vector<float> whole = to_f32(reference);
      CHECK(
          std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(half)));
    }
  }
  CHECK(compared == 10);
  CHECK(TensorFile::open(folder / "blocks.gguf").metadata().at("general.name") == "lowbit fixture");
}

TEST_CASE("shards read as one file") {
  const Scratch scratch;
  const std::vector<std::uint8_t> bytes{1, 2, 3, 4};
  write_safetensors(scratch / "1.safetensors",
                    std::vector<OutputTensor>{{"b", &dtype_u8, {4}, bytes_of(bytes)}});
  write_safetensors(scratch / "2.safetensors",
                    std::vector<OutputTensor>{{"a", &dtype_u8, {2, 2}, bytes_of(bytes)}});
  test::write_file(
      scratch / "model.safetensors.index.json",
      R"({"metadata":{"total_size":8},"weight_map":{"b":"1.safetensors","a":"2.safetensors"}})");
  const TensorFile file = TensorFile::open(scratch / "model.safetensors.index.json");
  REQUIRE(file.tensors().size() == 2);
  CHECK(file.tensors()[0].name == "a");
  CHECK(file.at("b").file == (scratch / "1.safetensors").string());
  CHECK(std::equal(file.at("b").bytes.begin(), file.at("b").bytes.end(), bytes_of(bytes).begin()));
}

TEST_CASE("the golden files open, where they are at hand") {
  const char* folder = std::getenv("LOWBIT_GOLDEN_DIR");
  if (folder == nullptr) return;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    INFO(entry.path());
    CHECK_FALSE(TensorFile::open(entry.path()).tensors().empty());
  }
}
