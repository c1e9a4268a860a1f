// SPDX-License-Identifier: MIT
// The recorded hardware rows (tests/data/tensor_core, or the whole set where LOWBIT_GOLDEN_DIR
// names it), and which instruction produced each set.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "lowbit/conversion.hpp"
#include "lowbit/sim/instruction.hpp"
#include "lowbit/tensor_file.hpp"

namespace lowbit::test {

struct RecordedSet {
  const char* gpu;
  const char* input;
  const char* output;
  const char* instruction;
  bool zero_addend = false;  // the program that recorded the set never passed its c on
};

/// docs/tensor_cores.md states the same mapping. V100's rows have 4 terms, A100's to L40S's 8 (4 in
/// TF32), Hopper's and Blackwell's 16 (TF32 4); FP8 has 32.
inline const std::vector<RecordedSet>& recorded_sets() {
  static const std::vector<RecordedSet> sets = [] {
    std::vector<RecordedSet> all{
        {"V100", "fp16", "fp32", "mma.Volta.m8n8k4.f32.f16.f16.f32"},
        {"V100", "fp16", "fp16", "mma.Volta.m8n8k4.f16.f16.f16.f16"},
    };
    for (const char* gpu : {"A100", "A2"}) {
      all.push_back({gpu, "fp16", "fp32", "mma.Ampere.m16n8k8.f32.f16.f16.f32"});
      all.push_back({gpu, "fp16", "fp16", "mma.Ampere.m16n8k8.f16.f16.f16.f16"});
      all.push_back({gpu, "bf16", "fp32", "mma.Ampere.m16n8k8.f32.bf16.bf16.f32"});
      all.push_back({gpu, "tf32", "fp32", "mma.Ampere.m16n8k4.f32.tf32.tf32.f32"});
    }
    for (const char* gpu : {"Ada", "L40S"}) {
      all.push_back({gpu, "fp16", "fp32", "mma.Ada_Lovelace.m16n8k8.f32.f16.f16.f32"});
      all.push_back({gpu, "fp16", "fp16", "mma.Ada_Lovelace.m16n8k8.f16.f16.f16.f16"});
      all.push_back({gpu, "bf16", "fp32", "mma.Ada_Lovelace.m16n8k8.f32.bf16.bf16.f32"});
      all.push_back({gpu, "tf32", "fp32", "mma.Ada_Lovelace.m16n8k4.f32.tf32.tf32.f32"});
      all.push_back({gpu, "E4M3", "fp32", "mma.Ada_Lovelace.m16n8k32.f32.e4m3.e4m3.f32"});
      all.push_back({gpu, "E5M2", "fp32", "mma.Ada_Lovelace.m16n8k32.f32.e5m2.e5m2.f32"});
    }
    all.push_back({"Ada", "E4M3", "fp16", "mma.Ada_Lovelace.m16n8k32.f16.e4m3.e4m3.f16"});
    all.push_back({"Ada", "E5M2", "fp16", "mma.Ada_Lovelace.m16n8k32.f16.e5m2.e5m2.f16"});
    for (const char* gpu : {"H100", "H200"}) {
      all.push_back({gpu, "fp16", "fp32", "mma.Hopper.m16n8k16.f32.f16.f16.f32"});
      all.push_back({gpu, "fp16", "fp16", "mma.Hopper.m16n8k16.f16.f16.f16.f16"});
      all.push_back({gpu, "bf16", "fp32", "mma.Hopper.m16n8k16.f32.bf16.bf16.f32"});
      all.push_back({gpu, "tf32", "fp32", "mma.Hopper.m16n8k4.f32.tf32.tf32.f32"});
      all.push_back({gpu, "E4M3", "fp32", "wgmma.Hopper.m64n8k32.f32.e4m3.e4m3", true});
      all.push_back({gpu, "E5M2", "fp32", "wgmma.Hopper.m64n8k32.f32.e5m2.e5m2", true});
      all.push_back({gpu, "E4M3", "fp16", "mma.Hopper.m16n8k32.f16.e4m3.e4m3.f16"});
      all.push_back({gpu, "E5M2", "fp16", "mma.Hopper.m16n8k32.f16.e5m2.e5m2.f16"});
    }
    all.push_back({"B200", "fp16", "fp32", "mma.Blackwell.m16n8k16.f32.f16.f16.f32"});
    all.push_back({"B200", "fp16", "fp16", "mma.Blackwell.m16n8k16.f16.f16.f16.f16"});
    all.push_back({"B200", "bf16", "fp32", "mma.Blackwell.m16n8k16.f32.bf16.bf16.f32"});
    all.push_back({"B200", "tf32", "fp32", "mma.Blackwell.m16n8k4.f32.tf32.tf32.f32"});
    all.push_back({"B200", "E4M3", "fp32", "mma.Blackwell.m16n8k32.f32.e4m3.e4m3.f32"});
    all.push_back({"B200", "E5M2", "fp32", "mma.Blackwell.m16n8k32.f32.e5m2.e5m2.f32"});
    all.push_back({"B200", "E4M3", "fp16", "mma.Blackwell.m16n8k32.f16.e4m3.e4m3.f16"});
    all.push_back({"B200", "E5M2", "fp16", "mma.Blackwell.m16n8k32.f16.e5m2.e5m2.f16"});
    return all;
  }();
  return sets;
}

/// One set, converted to codes of the instruction's types.
struct RecordedRows {
  std::size_t rows = 0;
  std::size_t k = 0;
  std::vector<std::uint32_t> a, b, c, d;
};

inline std::filesystem::path golden_file(const std::string& name) {
  const char* all = std::getenv("LOWBIT_GOLDEN_DIR");
  const std::filesystem::path shipped = LOWBIT_TEST_DATA_DIR;
  return (all != nullptr ? std::filesystem::path(all) : shipped) / "tensor_core" / name;
}

inline std::vector<std::uint32_t> words_of(const TensorInfo& tensor) {
  std::vector<std::uint32_t> words(tensor.bytes.size() / 4);
  std::memcpy(words.data(), tensor.bytes.data(), words.size() * 4);
  return words;
}

inline float as_float(std::uint32_t word) {
  return std::bit_cast<float>(word);
}

inline RecordedRows read_rows(const TensorFile& file, const RecordedSet& set,
                              const sim::Instruction& instruction) {
  const std::string key = std::string(set.gpu) + "." + set.input + "." + set.output;
  const TensorInfo& a = file.at(key + ".a");
  RecordedRows rows;
  rows.rows = a.shape.at(0);
  rows.k = a.shape.at(1);
  rows.a = words_of(a);
  rows.b = words_of(file.at(key + ".b"));
  rows.c = words_of(file.at(key + ".c"));
  rows.d = words_of(file.at(key + ".d"));
  const auto narrow = [](const ElementFormat& format, std::vector<std::uint32_t>& words) {
    if (format == tf32 || format == f32) return;
    for (std::uint32_t& w : words) w = from_float(format, as_float(w));
  };
  narrow(*instruction.a, rows.a);
  narrow(*instruction.b, rows.b);
  if (set.zero_addend) rows.c.assign(rows.rows, 0);
  narrow(*instruction.c, rows.c);
  narrow(*instruction.d, rows.d);
  return rows;
}

}  // namespace lowbit::test
