// SPDX-License-Identifier: MIT
// Checkpoints that libraries wrote (tests/data/interop), damaged at random: bits flipped, files cut
// short, shapes and offsets exchanged, names and dtypes changed. Every command's work ends in a
// result or in one line per fault; under the sanitizers nothing is read or written out of bounds.
// LOWBIT_FUZZ_SECONDS=N in the environment goes on for N seconds with other seeds.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>

#include "catch.hpp"
#include "io/scratch.hpp"
#include "lowbit/checkpoint.hpp"
#include "lowbit/checkpoint_convert.hpp"
#include "lowbit/checkpoint_diff.hpp"
#include "lowbit/checkpoint_lint.hpp"
#include "lowbit/dialect.hpp"
#include "lowbit/error.hpp"
#include "lowbit/stored_blocks.hpp"
#include "lowbit/verify_checkpoint.hpp"

using namespace lowbit;
using lowbit::test::read_file;
using lowbit::test::Scratch;
using lowbit::test::write_file;

namespace {

namespace fs = std::filesystem;

struct Source {
  fs::path folder;
  std::string model;
  std::string config;
};

std::vector<Source> sources() {
  std::vector<Source> all;
  for (const char* name : {"modelopt", "compressed_tensors", "torchao", "fouroversix", "gpt_oss"}) {
    const fs::path folder = fs::path(LOWBIT_TEST_DATA_DIR) / "interop" / name;
    all.push_back(
        {folder, read_file(folder / "model.safetensors"), read_file(folder / "config.json")});
  }
  return all;
}

class Damage {
 public:
  explicit Damage(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }
  void flip(std::string& bytes, std::size_t first, std::size_t last) {
    if (first >= last || last > bytes.size()) return;
    char& byte = bytes[first + below(last - first)];
    byte = static_cast<char>(byte ^ (1 << below(8)));
  }
  /// Another digit, in the header: shapes and offsets.
  void change_digit(std::string& bytes, std::size_t header) {
    for (int tries = 0; tries < 200; ++tries) {
      char& byte = bytes[8 + below(header)];
      if (byte < '0' || byte > '9') continue;
      byte = static_cast<char>('0' + below(10));
      return;
    }
  }
  /// Two lists of numbers, dtypes or names of the same length change places.
  void exchange(std::string& bytes, std::size_t header, std::string_view key) {
    std::vector<std::pair<std::size_t, std::size_t>> values;
    std::string_view text(bytes.data() + 8, header);
    for (std::size_t at = text.find(key); at != text.npos; at = text.find(key, at + 1)) {
      const std::size_t first = at + key.size();
      const std::size_t last = text.find_first_of("]}\"", first + 1);
      if (last != text.npos) values.emplace_back(8 + first, last - first);
    }
    if (values.size() < 2) return;
    const auto [a, length] = values[below(values.size())];
    const auto [b, other] = values[below(values.size())];
    if (length != other) return;
    const std::string kept = bytes.substr(a, length);
    bytes.replace(a, length, bytes, b, length);
    bytes.replace(b, length, kept);
  }
  std::string of(std::string bytes) {
    std::size_t header = 0;
    for (std::size_t i = 0; i < 8 && i < bytes.size(); ++i) {
      header |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    header = std::min(header, bytes.size() - std::min<std::size_t>(8, bytes.size()));
    const std::size_t changes = 1 + below(4);
    for (std::size_t i = 0; i < changes; ++i) {
      switch (below(8)) {
        case 0:
          flip(bytes, 0, 8 + header);
          break;
        case 1:
          flip(bytes, 8 + header, bytes.size());
          break;
        case 2:
          change_digit(bytes, header);
          break;
        case 3:
          exchange(bytes, header, "\"shape\":[");
          break;
        case 4:
          exchange(bytes, header, "\"dtype\":\"");
          break;
        case 5:
          exchange(bytes, header, "\"data_offsets\":[");
          break;
        case 6:  // the ending of a name: another part, or none
          exchange(bytes, header, "},\"model.layers.0.");
          break;
        case 7:
          if (below(4) == 0) bytes.resize(below(bytes.size() + 1));
          header = std::min(header, bytes.size() - std::min<std::size_t>(8, bytes.size()));
          break;
      }
      if (bytes.size() < 16 || header == 0) break;
    }
    return bytes;
  }

 private:
  std::mt19937 random_;
};

/// What could be done with a damaged checkpoint.
struct Counts {
  std::size_t refused = 0, with_faults = 0, whole = 0, converted = 0, compared = 0;
};

bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == text.npos;
}

/// Runs `work`; the only exception is an Error with a message. \return whether it went well
bool survives(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const Error& error) {
    CHECK(*error.what() != '\0');
    return false;
  }
}

void look(const fs::path& folder, const Source& source, const Checkpoint& original, Damage& damage,
          Counts& counts) {
  std::optional<Checkpoint> opened;
  if (!survives([&] { opened = Checkpoint::open(folder); })) {
    ++counts.refused;
    return;
  }
  const Checkpoint& c = *opened;
  ++(c.faults().empty() ? counts.whole : counts.with_faults);
  for (const CheckpointFault& fault : c.faults()) CHECK(is_one_line(fault.line()));
  for (const LintFinding& f : lint(c, damage.below(2) == 0 ? &original : nullptr)) {
    CHECK(is_one_line(f.line()));
  }
  for (const QuantizedTensor& q : c.quantized()) {
    CHECK(c.dequantize(q).size() == q.rows * q.columns);
  }
  const Checkpoint intact = Checkpoint::open(source.folder);
  static_cast<void>(survives([&] { static_cast<void>(compare_dumps(c, intact)); }));

  const auto targets = conversion_targets();
  const std::string_view target = targets[damage.below(targets.size())];
  const bool is_file = target == "gguf" || target == "lowbit";
  const fs::path out = folder / (is_file ? "out.file" : "out");
  const bool converted = survives(
      [&] { static_cast<void>(convert_checkpoint(c, *find_checkpoint_convention(target), out)); });
  // Whole or not at all, and what was written is read again.
  if (converted) {
    ++counts.converted;
    CHECK(survives([&] { static_cast<void>(Checkpoint::open(out)); }));
  } else {
    CHECK(!fs::exists(is_file ? out : out / "model.safetensors"));
  }
  fs::remove_all(out);

  // One weight against its original, in one dialect.
  if (!c.quantized().empty()) {
    CheckpointVerifyOptions options;
    const std::string name = c.quantized()[damage.below(c.quantized().size())].name;
    options.accepts = [&](const std::string& other) { return other == name; };
    options.adjust = [](VerifyRequest& r) { r.declared.dialect = &canonical; };
    counts.compared +=
        survives([&] { static_cast<void>(verify_checkpoint(c, original, options)); }) ? 1 : 0;
  }
  // Any two tensors as codes and scale bytes.
  const auto any = [&] {
    const auto tensors = c.files()[0].tensors();
    return tensors.empty() ? std::string() : tensors[damage.below(tensors.size())].name;
  };
  BlockDescription d;
  d.format = find_block_format(damage.below(2) == 0 ? "nvfp4" : "mxfp4");
  d.names = {any(), damage.below(3) == 0 ? std::string() : any(),
             damage.below(2) == 0 ? std::string() : any()};
  d.layout.fused_blocks = static_cast<int>(damage.below(3)) * 2;
  d.layout.scales = scale_layouts()[damage.below(scale_layouts().size())];
  static_cast<void>(survives([&] { static_cast<void>(read_blocks(c, d)); }));
}

void round_of(unsigned seed, Counts& counts) {
  static const std::vector<Source> all = sources();
  static const Checkpoint original =
      Checkpoint::open(fs::path(LOWBIT_TEST_DATA_DIR) / "interop/original");
  INFO("seed " << seed);
  Damage damage(seed);
  const Source& source = all[seed % all.size()];
  const Scratch scratch;
  write_file(scratch / "model.safetensors", damage.of(source.model));
  std::string config = source.config;
  if (damage.below(3) == 0) damage.flip(config, 0, config.size());
  if (damage.below(6) == 0) config.resize(damage.below(config.size()));
  write_file(scratch / "config.json", config);
  look(scratch.path(), source, original, damage, counts);
}

}  // namespace

TEST_CASE("damaged checkpoints of libraries end in results or lines") {
  Counts counts;
  unsigned seed = 0;
  for (; seed < 400; ++seed) round_of(seed, counts);
  // The damage is of every kind: refused, read with faults, and read as if nothing were wrong.
  CHECK(counts.refused > 40);
  CHECK(counts.with_faults > 40);
  CHECK(counts.whole > 40);
  CHECK(counts.converted > 20);
  CHECK(counts.compared > 20);

  const char* const text = std::getenv("LOWBIT_FUZZ_SECONDS");
  if (text == nullptr) return;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(text));
  for (; std::chrono::steady_clock::now() < end; ++seed) round_of(seed, counts);
  std::cout << seed << " damaged checkpoints: " << counts.refused << " refused, "
            << counts.with_faults << " with faults, " << counts.whole << " whole, "
            << counts.converted << " converted, " << counts.compared << " compared\n";
}
