// SPDX-License-Identifier: MIT
// The record of a quantized tensor through a file's metadata, key by key.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/hadamard.hpp"
#include "lowbit/quantize_record.hpp"

using namespace lowbit;
using Metadata = std::map<std::string, std::string>;

namespace {

QuantizeRecord plain() {
  QuantizeRecord record;
  record.format = find_block_format("nvfp4");
  return record;
}

Metadata written(const QuantizeRecord& record, const std::string& name = "layer.w") {
  Metadata metadata;
  write_quantize_record(record, name, metadata);
  return metadata;
}

}  // namespace

TEST_CASE("every member of a record comes back, and only its own key changes") {
  using Change = std::function<void(QuantizeRecord&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"format", [](auto& r) { r.format = find_block_format("if4"); }},
      {"rule", [](auto& r) { r.rule = ScaleRule::abs_max; }},
      {"dialect", [](auto& r) { r.dialect = find_dialect("fos_triton"); }},
      {"scale_max", [](auto& r) { r.scale_max = 448.0F; }},
      {"amax_given", [](auto& r) { r.amax_given = true; }},
      {"search_radius", [](auto& r) { r.search_radius = 3; }},
      {"importance_given", [](auto& r) { r.importance_given = true; }},
      {"axis", [](auto& r) { r.axis = -3; }},
      {"transposed", [](auto& r) { r.transposed = true; }},
      {"block_2d", [](auto& r) { r.block_2d = true; }},
      {"scale_layout", [](auto& r) { r.scale_layout = ScaleLayout::swizzled; }},
      {"weight_layout", [](auto& r) { r.weight_layout = "out_in_kernel"; }},
      {"nonfinite", [](auto& r) { r.nonfinite = NonFinite::propagate; }},
      {"nonfinite", [](auto& r) { r.nonfinite = NonFinite::saturate; }},
      {"rounding", [](auto& r) { r.rounding = ElementRounding::stochastic; }},
      {"rounding", [](auto& r) { r.rounding = ElementRounding::stochastic_unbiased; }},
      {"transforms", [](auto& r) { r.transforms = {"hadamard"}; }},
      {"transforms",
       [](auto& r) {
         r.transforms = {"smooth", "rotation"};
       }},
      {"shape",
       [](auto& r) {
         r.shape = {3, 18446744073709551615U, 0};
       }},
      {"shape", [](auto& r) { r.shape.emplace(); }},
      {"dtype", [](auto& r) { r.dtype = find_dtype("BF16"); }},
  };
  const Metadata before = written(plain());
  CHECK(read_quantize_record(before, "layer.w", "f") == plain());
  for (const auto& [key, change] : changes) {
    QuantizeRecord record = plain();
    change(record);
    CAPTURE(key);
    CHECK_FALSE(record == plain());
    const Metadata metadata = written(record);
    CHECK(read_quantize_record(metadata, "layer.w", "f") == record);
    for (const auto& [full, text] : metadata) {
      const bool same = before.contains(full) && before.at(full) == text;
      const bool of_hadamard = full == "layer.w.hadamard" && record.is_hadamard_transformed();
      CAPTURE(full, text);
      CHECK(same == (full != "layer.w." + key && !of_hadamard));
    }
  }
}

TEST_CASE("the keys of a record are those that are written") {
  QuantizeRecord record = plain();
  record.rule = ScaleRule::mse;
  record.scale_max = 448.0F;
  record.shape = {4, 4};
  record.dtype = &dtype_f32;
  const Metadata metadata = written(record, "x");
  CHECK(metadata.size() == 17);
  for (const auto& [key, text] : metadata) CHECK(is_record_key(key.substr(2)));
  for (const char* key : {"rows", "columns", "encode_constant", "", "Format", "format "}) {
    CHECK_FALSE(is_record_key(key));
  }
}

TEST_CASE("names that are prefixes of one another keep their own records") {
  Metadata metadata = written(plain(), "a");
  QuantizeRecord other = plain();
  other.axis = 0;
  write_quantize_record(other, "a.b", metadata);
  CHECK(read_quantize_record(metadata, "a", "f") == plain());
  CHECK(read_quantize_record(metadata, "a.b", "f") == other);
}

TEST_CASE("a file that says nothing but the format has the defaults") {
  CHECK(read_quantize_record({{"x.format", "nvfp4"}}, "x", "f") == plain());
  QuantizeRecord transformed = plain();
  transformed.transforms = {"hadamard"};
  CHECK(read_quantize_record({{"x.format", "nvfp4"}, {"x.hadamard", "true"}}, "x", "f") ==
        transformed);
  CHECK_THROWS_AS(read_quantize_record({{"y.format", "nvfp4"}}, "x", "f"), Error);
}

TEST_CASE("a request becomes a record and the record the request") {
  QuantizeOptions request;
  request.format = find_block_format("if4");
  CHECK(record_of(request).rule == default_rule(*request.format));
  CHECK_FALSE(record_of(request).amax_given);
  CHECK_FALSE(request_of(record_of(request), 3.0F).amax);
  request.rule = ScaleRule::mae;
  request.dialect = find_dialect("fos_pytorch");
  request.scale_max = 256.0F;
  request.amax = 3.0F;
  request.block_2d = true;
  request.transforms = {hadamard()};
  request.nonfinite = NonFinite::saturate;
  request.rounding = ElementRounding::stochastic_unbiased;
  const QuantizeOptions again = request_of(record_of(request), 3.0F);
  CHECK(again.format == request.format);
  CHECK(again.rule == request.rule);
  CHECK(again.dialect == request.dialect);
  CHECK(again.scale_max == request.scale_max);
  CHECK(again.amax == request.amax);
  CHECK(again.block_2d);
  CHECK(again.transforms == request.transforms);
  CHECK(again.nonfinite == request.nonfinite);
  CHECK(again.rounding == request.rounding);
  QuantizeRecord unknown = plain();
  unknown.transforms = {"hadamard", "rotation"};
  CHECK_THROWS_AS(request_of(unknown, 1.0F), Error);
  unknown.transforms = {"rotation"};
  CHECK_THROWS_AS(request_of(unknown, 1.0F), Error);
}
