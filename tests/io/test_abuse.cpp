// SPDX-License-Identifier: MIT
// Hostile files: each is one line that names file, tensor, place and remedy, and nothing else
// happens. The corpus is made here; after it, small valid files of each kind are cut short at every
// length and have every byte changed.
#include <array>
#include <cstring>
#include <functional>
#include <set>

#include "catch.hpp"
#include "io/scratch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/tensor_file.hpp"

using namespace lowbit;
using lowbit::test::Scratch;
using lowbit::test::write_file;

namespace {

template <typename T>
std::string little_endian(T value) {
  std::string text(sizeof value, '\0');
  std::memcpy(text.data(), &value, sizeof value);
  return text;
}

std::string safetensors(const std::string& header, const std::string& data = {}) {
  return little_endian<std::uint64_t>(header.size()) + header + data;
}

std::string npy(const std::string& header, const std::string& data = {}, char version = 1) {
  return std::string("\x93NUMPY") + version + '\0' +
         (version == 1 ? little_endian<std::uint16_t>(static_cast<std::uint16_t>(header.size()))
                       : little_endian<std::uint32_t>(static_cast<std::uint32_t>(header.size()))) +
         header + data;
}

std::string gguf_string(const std::string& text) {
  return little_endian<std::uint64_t>(text.size()) + text;
}

std::string gguf_head(std::uint64_t tensors, std::uint64_t pairs, std::uint32_t version = 3) {
  return "GGUF" + little_endian(version) + little_endian(tensors) + little_endian(pairs);
}

std::string gguf_tensor(const std::string& name, const std::vector<std::uint64_t>& dimensions,
                        std::uint32_t type, std::uint64_t offset) {
  std::string text =
      gguf_string(name) + little_endian(static_cast<std::uint32_t>(dimensions.size()));
  for (const std::uint64_t n : dimensions) text += little_endian(n);
  return text + little_endian(type) + little_endian(offset);
}

std::string padded(std::string text, std::size_t multiple = 32) {
  text.resize((text.size() + multiple - 1) / multiple * multiple, '\0');
  return text;
}

/// Opens the file; whatever opens is read to the end.
void open_and_read(const std::filesystem::path& path, const std::optional<RawLayout>& raw = {}) {
  const TensorFile file = TensorFile::open(path, raw);
  unsigned sum = 0;
  for (const TensorInfo& tensor : file.tensors()) {
    for (const std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
    if (tensor.dtype->is_float()) sum += static_cast<unsigned>(to_f32(tensor).size());
  }
  static_cast<void>(sum);
}

/// The message that the file earns, after checking its form; empty where it opens.
std::string message_of(const std::filesystem::path& path,
                       const std::optional<RawLayout>& raw = {}) {
  try {
    open_and_read(path, raw);
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(error.kind() == ErrorKind::invalid_input);
    CHECK(message.find('\n') == message.npos);
    CHECK(message.find('\0') == message.npos);
    CHECK(message.size() < 2000);
    CHECK(message.find(path.parent_path().string()) == 0);
    CHECK(message.find("; ") != message.npos);  // a remedy
    return message;
  }
  return {};
}

struct Case {
  std::string file;
  std::string bytes;
  std::vector<std::string> says;
};

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

std::vector<Case> safetensors_cases() {
  const std::string a = entry("a", "U8", "[4]", "[0,4]");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100000; ++i) deep += '[';
  std::string wide = "{\"a\":{\"shape\":[1";
  for (int i = 0; i < 100; ++i) wide += ",1";
  return {
      {"empty.safetensors", "", {"byte 0", "header length"}},
      {"short.safetensors", "1234567", {"byte 7", "header length"}},
      {"oversized_header.safetensors",
       little_endian(~std::uint64_t{0}) + "{}",
       {"byte 0", "a header of 18446744073709551615 bytes"}},
      {"header_beyond_end.safetensors",
       little_endian(std::uint64_t{100}) + "{}",
       {"byte 0", "a header of 100 bytes in a file of 10"}},
      {"no_object.safetensors", safetensors("[]"), {"byte 8", "not a JSON object"}},
      {"empty_header.safetensors", safetensors(""), {"byte 8", "JSON"}},
      {"unterminated.safetensors", safetensors("{\"a\":{\"dtype\":\"U8\""), {"byte", "JSON"}},
      {"unterminated_string.safetensors", safetensors("{\"a"), {"byte", "JSON"}},
      {"trailing.safetensors", safetensors("{} x"), {"byte", "JSON"}},
      {"not_utf8.safetensors", safetensors("{\"\xFF\":1}"), {"byte", "JSON"}},
      {"duplicate.safetensors",
       safetensors("{" + a + "," + a + "}", "1234"),
       {"byte", "the key \"a\" occurs twice"}},
      {"duplicate_inner.safetensors",
       safetensors(
           "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
           "1234"),
       {"the key \"dtype\" occurs twice"}},
      {"deep.safetensors", safetensors(deep), {"byte", "nested deeper"}},
      {"wide.safetensors", safetensors(wide), {"byte", "more than 64 values"}},
      {"not_an_entry.safetensors",
       safetensors("{\"a\":1}"),
       {"tensor \"a\", byte", "not a JSON object"}},
      {"no_dtype.safetensors",
       safetensors("{\"a\":{\"shape\":[4],\"data_offsets\":[0,4]}}", "1234"),
       {"tensor \"a\", byte", "lacks dtype"}},
      {"extra_key.safetensors",
       safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":1}}",
                   "1234"),
       {"tensor \"a\"", "keys beside"}},
      {"unknown_dtype.safetensors",
       safetensors("{" + entry("a", "F7", "[4]", "[0,4]") + "}", "1234"),
       {"tensor \"a\", byte", "unknown dtype \"F7\""}},
      {"ggml_dtype.safetensors",
       safetensors("{" + entry("a", "GGML_MXFP4", "[32]", "[0,17]") + "}", std::string(17, 'x')),
       {"unknown dtype"}},
      {"negative_shape.safetensors",
       safetensors("{" + entry("a", "U8", "[-4]", "[0,4]") + "}", "1234"),
       {"tensor \"a\"", "shape", "not an integer"}},
      {"fraction_shape.safetensors",
       safetensors("{" + entry("a", "U8", "[4.0]", "[0,4]") + "}", "1234"),
       {"tensor \"a\"", "shape", "not an integer"}},
      {"huge_number.safetensors",
       safetensors("{" + entry("a", "U8", "[18446744073709551616]", "[0,4]") + "}", "1234"),
       {"tensor \"a\"", "not an integer"}},
      {"overflowing_shape.safetensors",
       safetensors("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}"),
       {"tensor \"a\"", "overflows"}},
      {"overflowing_bytes.safetensors",
       safetensors("{" + entry("a", "F64", "[2305843009213693952]", "[0,0]") + "}"),
       {"tensor \"a\"", "overflows"}},
      {"overflow_behind_zero.safetensors",
       safetensors("{" + entry("a", "F32", "[0,4294967296,4294967296]", "[0,0]") + "}"),
       {"tensor \"a\"", "overflows"}},
      {"half_byte.safetensors",
       safetensors("{" + entry("a", "F4", "[3]", "[0,2]") + "}", "12"),
       {"tensor \"a\"", "whole bytes"}},
      {"beyond_end.safetensors",
       safetensors("{" + entry("a", "U8", "[4]", "[0,4]") + "}", "123"),
       {"tensor \"a\"", "leave the 3 bytes of data"}},
      {"reversed.safetensors",
       safetensors("{" + entry("a", "U8", "[4]", "[4,0]") + "}", "1234"),
       {"tensor \"a\"", "data_offsets 4..0"}},
      {"wrapping.safetensors",
       safetensors("{" + entry("a", "U8", "[4]", "[18446744073709551615,3]") + "}", "1234"),
       {"tensor \"a\"", "data_offsets"}},
      {"one_offset.safetensors",
       safetensors("{" + entry("a", "U8", "[4]", "[0]") + "}", "1234"),
       {"tensor \"a\"", "array of two"}},
      {"wrong_size.safetensors",
       safetensors("{" + entry("a", "F32", "[2]", "[0,4]") + "}", "1234"),
       {"tensor \"a\"", "take 8 bytes, data_offsets hold 4"}},
      {"overlap.safetensors",
       safetensors("{" + a + "," + entry("b", "U8", "[4]", "[2,6]") + "}", "123456"),
       {"tensor \"b\", byte", "overlap"}},
      {"same_bytes.safetensors",
       safetensors("{" + a + "," + entry("b", "U8", "[4]", "[0,4]") + "}", "1234"),
       {"overlap"}},
      {"hole.safetensors",
       safetensors("{" + a + "," + entry("b", "U8", "[2]", "[6,8]") + "}", "12345678"),
       {"tensor \"b\", byte", "belong to no tensor"}},
      {"tail.safetensors",
       safetensors("{" + a + "}", "12345"),
       {"byte", "at the end belong to no tensor"}},
      {"metadata_number.safetensors",
       safetensors("{\"__metadata__\":{\"x\":1}}"),
       {"\"__metadata__\"", "\"x\" is not a string"}},
      {"metadata_list.safetensors",
       safetensors("{\"__metadata__\":[]}"),
       {"\"__metadata__\"", "not a JSON object"}},
      {"escape.safetensors",
       safetensors("{\"a\\u001b[31m\\n\":1}"),
       {"tensor \"a\\x1b[31m\\x0a\""}},
      {"long_name.safetensors",
       safetensors("{" + entry(std::string(5000, 'n'), "U8", "[4]", "[0,4]") + "}", "1234"),
       {"name of 5000 bytes"}},
      {"zero_name.safetensors",
       safetensors("{" + entry("a\\u0000b", "U8", "[5]", "[0,4]") + "}", "1234"),
       {"tensor \"a\\x00b\""}},
  };
}

std::vector<Case> index_cases() {
  return {
      {"a.index.json", "", {"JSON"}},
      {"b.index.json", "[]", {"weight_map"}},
      {"c.index.json", "{\"weight_map\":[]}", {"weight_map"}},
      {"d.index.json", "{\"weight_map\":{\"x\":1}}", {"tensor \"x\"", "not a string"}},
      {"e.index.json",
       "{\"weight_map\":{\"x\":\"missing.safetensors\"}}",
       {"tensor \"x\"", "missing.safetensors is missing"}},
      {"f.index.json",
       "{\"weight_map\":{\"x\":\"../x.safetensors\"}}",
       {"tensor \"x\"", "plain file name"}},
      {"g.index.json", "{\"weight_map\":{\"x\":\"/etc/passwd\"}}", {"plain file name"}},
      {"h.index.json", "{\"weight_map\":{\"x\":\"..\"}}", {"plain file name"}},
      {"i.index.json",
       "{\"weight_map\":{\"x\":\"good.safetensors\"}}",
       {"tensor \"x\"", "does not hold it"}},
      {"j.index.json", "{\"weight_map\":{\"x\":\"a\",\"x\":\"a\"}}", {"occurs twice"}},
      {"k.index.json",
       "{\"weight_map\":{\"x\":\"bad.safetensors\"}}",
       {"bad.safetensors", "header"}},
  };
}

std::vector<Case> npy_cases() {
  const auto head = [](const std::string& descr, const std::string& order,
                       const std::string& shape) {
    return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  };
  return {
      {"short.npy", "\x93NUM", {"byte 0", ".npy"}},
      {"magic.npy", std::string(64, 'x'), {"byte 0", "does not begin"}},
      {"version.npy", npy(head("<f4", "False", "(1,)"), "1234", 9), {"byte 6", "version 9"}},
      {"header_beyond.npy",
       std::string("\x93NUMPY\x01\x00\xFF\xFF{}", 12),
       {"byte 8", "header of 65535 bytes"}},
      {"no_dict.npy", npy("[]"), {"'{' expected"}},
      {"unterminated.npy", npy("{'descr': '<f4"), {"does not end"}},
      {"escape.npy", npy("{'descr': '<f\\x344'"), {"escape"}},
      {"code.npy", npy("{'descr': __import__('os')}"), {"quoted string expected"}},
      {"key.npy", npy("{'other': 1}"), {"unknown or repeated key \"other\""}},
      {"repeated.npy", npy("{'descr': '<f4', 'descr': '<f4'}"), {"repeated key"}},
      {"lacking.npy", npy("{'descr': '<f4'}"), {"lacks"}},
      {"object.npy", npy(head("|O", "False", "(1,)"), "12345678"), {"unknown dtype \"|O\""}},
      {"big_endian.npy", npy(head(">f4", "False", "(1,)"), "1234"), {"unknown dtype \">f4\""}},
      {"negative.npy", npy(head("<f4", "False", "(-1,)"), "1234"), {"dimension"}},
      {"overflow.npy",
       npy(head("<f4", "False", "(4294967296, 4294967296)"), "1234"),
       {"overflows"}},
      {"huge.npy", npy(head("<f4", "False", "(18446744073709551616,)"), "1234"), {"dimension"}},
      {"truncated.npy", npy(head("<f4", "False", "(2,)"), "1234567"), {"take 8 bytes, 7 follow"}},
      {"tail.npy", npy(head("<f4", "False", "(2,)"), "123456789"), {"take 8 bytes, 9 follow"}},
      {"trailing.npy",
       npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 1", "1234"),
       {"text after"}},
      {"not_a_zip.npz", "no zip at all", {"zip archive"}},
      {"cut.npz",
       test::read_file(std::string(LOWBIT_TEST_DATA_DIR) + "/io/stored.npz").substr(0, 700),
       {"zip archive"}},
  };
}

std::vector<Case> gguf_cases() {
  const std::string one = gguf_head(1, 0);
  const auto file = [&](const std::string& record, std::size_t data) {
    return padded(one + record) + std::string(data, 'x');
  };
  const std::string alignment = gguf_string("general.alignment");
  return {
      {"short.gguf", "GGUF", {"byte 4", "version"}},
      {"version.gguf", gguf_head(0, 0, 1), {"byte 4", "version 1"}},
      {"big_endian.gguf", gguf_head(0, 0, 0x03000000), {"big-endian"}},
      {"many_tensors.gguf", gguf_head(~std::uint64_t{0}, 0), {"byte 8", "cannot fit"}},
      {"many_pairs.gguf", gguf_head(0, ~std::uint64_t{0}), {"byte 16", "cannot fit"}},
      {"long_key.gguf",
       gguf_head(0, 1) + little_endian(std::uint64_t{1} << 60) + "12345",
       {"ends inside a key"}},
      {"value_type.gguf",
       gguf_head(0, 1) + gguf_string("k") + little_endian(13U),
       {"unknown value type 13"}},
      {"same_key.gguf",
       gguf_head(0, 2) + gguf_string("k") + little_endian(0U) + "1" + gguf_string("k") +
           little_endian(0U) + "1",
       {"\"k\" occurs twice"}},
      {"array_length.gguf",
       gguf_head(0, 1) + gguf_string("k") + little_endian(9U) + little_endian(4U) +
           little_endian(~std::uint64_t{0}),
       {"cannot fit"}},
      {"array_type.gguf",
       gguf_head(0, 1) + gguf_string("k") + little_endian(9U) + little_endian(99U) +
           little_endian(std::uint64_t{0}),
       {"unknown value type 99"}},
      {"deep_array.gguf",
       gguf_head(0, 1) + gguf_string("k") + little_endian(9U) +
           [] {
             std::string s;
             for (int i = 0; i < 50; ++i) s += little_endian(9U) + little_endian(std::uint64_t{1});
             return s;
           }(),
       {"nested deeper"}},
      {"alignment_zero.gguf",
       gguf_head(0, 1) + alignment + little_endian(4U) + little_endian(0U),
       {"power of two"}},
      {"alignment_24.gguf",
       gguf_head(0, 1) + alignment + little_endian(4U) + little_endian(24U),
       {"power of two"}},
      {"alignment_type.gguf",
       gguf_head(0, 1) + alignment + little_endian(10U) + little_endian(std::uint64_t{32}),
       {"power of two"}},
      {"type.gguf",
       file(gguf_tensor("t", {4}, 77, 0), 16),
       {"tensor \"t\", byte", "unknown ggml type 77"}},
      {"dimensions.gguf",
       file(gguf_string("t") + little_endian(0xFFFFFFFFU), 64),
       {"tensor \"t\", byte", "4294967295 dimensions"}},
      {"row.gguf",
       file(gguf_tensor("t", {33}, 39, 0), 64),
       {"tensor \"t\"", "not a multiple of 32"}},
      {"overflow.gguf",
       file(gguf_tensor("t", {4294967296, 4294967296}, 0, 0), 64),
       {"tensor \"t\"", "overflows"}},
      {"offset.gguf",
       file(gguf_tensor("t", {4}, 0, 32), 16),
       {"tensor \"t\"", "leave the 16 bytes"}},
      {"wrap.gguf",
       file(gguf_tensor("t", {4}, 0, 0xFFFFFFFFFFFFFFE0U), 16),
       {"tensor \"t\"", "leave the 16 bytes"}},
      {"misaligned.gguf",
       file(gguf_tensor("t", {4}, 0, 4), 64),
       {"tensor \"t\"", "not a multiple of 32"}},
      {"overlap.gguf",
       padded(gguf_head(2, 0) + gguf_tensor("t", {16}, 0, 0) + gguf_tensor("u", {4}, 0, 32)) +
           std::string(64, 'x'),
       {"tensor \"u\"", "overlap"}},
      {"same_name.gguf",
       padded(gguf_head(2, 0) + gguf_tensor("t", {4}, 0, 0) + gguf_tensor("t", {4}, 0, 32)) +
           std::string(64, 'x'),
       {"tensor \"t\"", "named twice"}},
  };
}

void check(const std::vector<Case>& cases) {
  const Scratch scratch;
  write_file(scratch / "good.safetensors",
             safetensors("{" + entry("y", "U8", "[1]", "[0,1]") + "}", "1"));
  write_file(scratch / "bad.safetensors", "12");
  for (const Case& c : cases) {
    INFO(c.file);
    write_file(scratch / c.file, c.bytes);
    const std::string message = message_of(scratch / c.file);
    INFO(message);
    CHECK_FALSE(message.empty());
    for (const std::string& part : c.says) {
      INFO("expected: " << part);
      CHECK(message.find(part) != message.npos);
    }
  }
}

/// Every truncation, and every byte changed in several ways: an Error or a file that reads, nothing
/// else.
void fuzz(const std::string& name, const std::string& bytes) {
  const Scratch scratch;
  const auto path = scratch / name;
  std::size_t opened = 0;
  const auto attempt = [&](const std::string& text) {
    write_file(path, text);
    opened += message_of(path).empty() ? 1 : 0;
  };
  attempt(bytes);
  CHECK(opened == 1);
  opened = 0;
  for (std::size_t n = 0; n < bytes.size(); ++n) attempt(bytes.substr(0, n));
  CHECK(opened == 0);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const unsigned char change : std::array<unsigned char, 3>{0x01, 0x80, 0xFF}) {
      std::string text = bytes;
      text[i] = static_cast<char>(static_cast<unsigned char>(text[i]) ^ change);
      attempt(text);
    }
  }
  CHECK(opened > 0);  // changes of the data alone
}

}  // namespace

TEST_CASE("hostile safetensors files") {
  check(safetensors_cases());
}
TEST_CASE("hostile shard indices") {
  check(index_cases());
}
TEST_CASE("hostile .npy and .npz files") {
  check(npy_cases());
}
TEST_CASE("hostile GGUF files") {
  check(gguf_cases());
}

TEST_CASE("what is no file, and raw files of the wrong size") {
  const Scratch scratch;
  CHECK(message_of(scratch / "absent.safetensors").find("no such file") != std::string::npos);
  std::filesystem::create_directory(scratch / "folder.safetensors");
  CHECK(message_of(scratch / "folder.safetensors").find("not a regular file") != std::string::npos);
  write_file(scratch / "unknown.bin", "12345678");
  CHECK(message_of(scratch / "unknown.bin").find("--dtype and --shape") != std::string::npos);
  CHECK(message_of(scratch / "unknown.bin", RawLayout{&dtype_f32, {3}})
            .find("take 12 bytes, the file has 8") != std::string::npos);
  CHECK(message_of(scratch / "unknown.bin", RawLayout{&dtype_f32, {1}})
            .find("take 4 bytes, the file has 8") != std::string::npos);
  CHECK(message_of(scratch / "unknown.bin", RawLayout{&dtype_f32, {2}}).empty());
  CHECK_THROWS_AS(
      TensorFile::open(scratch / "unknown.bin", RawLayout{&dtype_f32, {1ULL << 40, 1ULL << 40}}),
      Error);
}

TEST_CASE("valid files of every kind, cut short and changed byte by byte") {
  fuzz("x.safetensors",
       safetensors("{\"__metadata__\":{\"k\":\"v\"}," + entry("a", "F16", "[2,2]", "[0,8]") + "," +
                       entry("b", "U8", "[1]", "[8,9]") + "}",
                   "123456789"));
  fuzz("x.npy",
       npy("{'descr': '<f2', 'fortran_order': True, 'shape': (2, 3), }     \n", "123456789012"));
  fuzz("x.gguf", padded(gguf_head(2, 3) + gguf_string("general.alignment") + little_endian(4U) +
                        little_endian(32U) + gguf_string("s") + little_endian(8U) +
                        gguf_string("text") + gguf_string("l") + little_endian(9U) +
                        little_endian(8U) + little_endian(std::uint64_t{1}) + gguf_string("e") +
                        gguf_tensor("t", {32, 2}, 39, 0) + gguf_tensor("u", {4}, 0, 64)) +
                     std::string(80, 'x'));
}

TEST_CASE("an archive that claims more than deflate can make") {
  const Scratch scratch;
  std::string bytes = test::read_file(std::string(LOWBIT_TEST_DATA_DIR) + "/io/deflated.npz");
  // The uncompressed size lies 24 bytes into each entry of the central directory, 22 into the
  // member.
  const std::size_t central = bytes.find("PK\x01\x02");
  REQUIRE(central != bytes.npos);
  bytes.replace(central + 24, 4, little_endian(0xF0000000U));
  bytes.replace(22, 4, little_endian(0xF0000000U));
  write_file(scratch / "bomb.npz", bytes);
  const std::string message = message_of(scratch / "bomb.npz");
  INFO(message);
  CHECK_FALSE(message.empty());
}

TEST_CASE("archives of arrays, cut short and changed byte by byte") {
  fuzz("x.npz", test::read_file(std::string(LOWBIT_TEST_DATA_DIR) + "/io/deflated.npz"));
}
