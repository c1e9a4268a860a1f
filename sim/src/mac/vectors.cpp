// SPDX-License-Identifier: MIT
#include "lowbit/sim/mac_vectors.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "lowbit/error.hpp"
#include "lowbit/output_file.hpp"

namespace lowbit::sim {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

[[noreturn]] void reject(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::invalid_input, path.string() + ": " + what);
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

std::uint32_t hex_word(const fs::path& path, std::string_view text, const std::string& place) {
  std::uint32_t value = 0;
  if (text.empty() || text.size() > 8) reject(path, place + ": not a 32-bit hexadecimal word");
  for (const char c : text) {
    const auto digit = hex_digit(c);
    if (!digit) reject(path, place + ": not a 32-bit hexadecimal word");
    value = value << 4 | *digit;
  }
  return value;
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) reject(path, "cannot be read; give a file of MAC vectors");
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_text(const fs::path& path, const std::string& text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

/// Hex digits of one code in JSON.
int code_digits(const MacShape& shape) {
  return shape.code_bits() <= 4 ? 1 : shape.code_bits() <= 8 ? 2 : 4;
}

std::uint32_t read_scale(const fs::path& path, const json& value, int bytes,
                         const std::string& place) {
  const auto byte = [&](const json& v) {
    if (!v.is_number_integer() || v.get<std::int64_t>() < 0 || v.get<std::int64_t>() > 255) {
      reject(path, place + ": a scale byte is an integer from 0 to 255");
    }
    return static_cast<std::uint32_t>(v.get<std::int64_t>());
  };
  if (bytes == 1) return byte(value);
  if (!value.is_array() || value.size() != static_cast<std::size_t>(bytes)) {
    reject(path, fmt::format("{}: a list of {} scale bytes is needed", place, bytes));
  }
  std::uint32_t result = 0;
  for (int i = 0; i < bytes; ++i) result |= byte(value[static_cast<std::size_t>(i)]) << (8 * i);
  return result;
}

template <typename Set>
void read_codes(const fs::path& path, const json& value, const MacShape& shape,
                const std::string& place, Set set) {
  const auto digits = static_cast<std::size_t>(code_digits(shape));
  const auto lanes = static_cast<std::size_t>(shape.lanes);
  if (!value.is_string() || value.get_ref<const std::string&>().size() != digits * lanes) {
    reject(path, fmt::format("{}: a string of {} hexadecimal digits is needed, {} per lane", place,
                             digits * lanes, digits));
  }
  const auto& text = value.get_ref<const std::string&>();
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    const std::uint32_t code =
        hex_word(path, std::string_view(text).substr(lane * digits, digits), place);
    if (code > shape.format->element->code_mask()) {
      reject(path, fmt::format("{}: lane {} holds a code of more than {} bits", place, lane,
                               shape.code_bits()));
    }
    set(static_cast<int>(lane), code);
  }
}

bool flag(const fs::path& path, const json& beat, const char* key, const std::string& place) {
  const json& v = beat.at(key);
  if (v.is_boolean()) return v.get<bool>();
  if (v.is_number_integer() && (v == 0 || v == 1)) return v == 1;
  reject(path, place + ": \"" + key + "\" is 0 or 1");
}

}  // namespace

MacVectors read_mac_vectors(const fs::path& path, MacShape shape) {
  const json file = json::parse(read_text(path), nullptr, false);
  if (file.is_discarded() || !file.is_object())
    reject(path, "not a JSON object; see docs/mac.md, Vectors");
  for (const char* key : {"lanes", "beats", "expected_acc_fp32_hex"}) {
    if (!file.contains(key))
      reject(path, fmt::format("lacks \"{}\"; see docs/mac.md, Vectors", key));
  }
  const json& lanes = file["lanes"];
  const json& beats = file["beats"];
  const json& expected = file["expected_acc_fp32_hex"];
  if (!lanes.is_number_integer() || lanes < 1 || lanes > 64 ||
      (lanes.get<int>() & (lanes.get<int>() - 1)) != 0) {
    reject(path, "\"lanes\" is a power of two from 1 to 64");
  }
  if (!beats.is_array() || !expected.is_array())
    reject(path, "\"beats\" and \"expected_acc_fp32_hex\" are lists");
  shape.lanes = lanes.get<int>();
  if (shape.unit == MacUnit::gst && shape.lanes != 64) reject(path, "unit gst has 64 lanes");

  bool explicit_last = false;
  for (const json& beat : beats)
    explicit_last = explicit_last || (beat.is_object() && beat.contains("last"));
  if (expected.empty())
    reject(path, "\"expected_acc_fp32_hex\" is empty: nothing would be checked");
  bool flushing = false;
  MacVectors vectors{BeatStream(shape), {}};
  for (std::size_t i = 0; i < beats.size(); ++i) {
    const std::string place = fmt::format("beat {}", i);
    const json& beat = beats[i];
    if (!beat.is_object()) reject(path, place + ": not an object");
    for (const char* key : {"first", "a_sf", "w_sf", "a", "w"}) {
      if (!beat.contains(key)) reject(path, fmt::format("{}: lacks \"{}\"", place, key));
    }
    const bool first = flag(path, beat, "first", place);
    if (vectors.stream.segments() == expected.size()) {
      // All results are in: what follows is the segment that the published unit is flushed with,
      // and no other, or results would be missing from the file unnoticed.
      if (explicit_last || (first && flushing))
        reject(path, place + ": more segments than expected results");
      flushing = true;
      continue;
    }
    bool last = false;
    if (explicit_last) {
      last = beat.contains("last") && flag(path, beat, "last", place);
    } else {
      const bool end = i + 1 == beats.size();
      if (!end && !beats[i + 1].is_object())
        reject(path, fmt::format("beat {}: not an object", i + 1));
      if (!end && !beats[i + 1].contains("first"))
        reject(path, fmt::format("beat {}: lacks \"first\"", i + 1));
      last = end || flag(path, beats[i + 1], "first", fmt::format("beat {}", i + 1));
    }
    vectors.stream.push(first, last, read_scale(path, beat["a_sf"], shape.scale_bytes(), place),
                        read_scale(path, beat["w_sf"], shape.scale_bytes(), place));
    read_codes(path, beat["a"], shape, place,
               [&](int lane, unsigned c) { vectors.stream.set_a(lane, c); });
    read_codes(path, beat["w"], shape, place,
               [&](int lane, unsigned c) { vectors.stream.set_w(lane, c); });
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string place = fmt::format("expected result {}", i);
    if (!expected[i].is_string()) reject(path, place + ": not a string");
    vectors.expected.push_back(hex_word(path, expected[i].get<std::string>(), place));
  }
  if (vectors.stream.segments() != vectors.expected.size()) {
    reject(path, fmt::format("{} segments and {} expected results", vectors.stream.segments(),
                             vectors.expected.size()));
  }
  return vectors;
}

void write_mac_vectors(const fs::path& path, const MacVectors& vectors) {
  const BeatStream& s = vectors.stream;
  const MacShape& shape = s.shape();
  const auto codes = [&](auto code) {
    std::string text;
    for (int lane = 0; lane < shape.lanes; ++lane)
      text += fmt::format("{:0{}X}", code(lane), code_digits(shape));
    return text;
  };
  const auto scale = [&](std::uint32_t bytes) -> json {
    if (shape.scale_bytes() == 1) return bytes;
    json list = json::array();
    for (int i = 0; i < shape.scale_bytes(); ++i) list.push_back((bytes >> (8 * i)) & 0xFF);
    return list;
  };
  json file{{"unit", name_of(shape.unit)}, {"format", shape.format->name}, {"lanes", shape.lanes}};
  json& beats = file["beats"] = json::array();
  for (std::size_t i = 0; i < s.size(); ++i) {
    beats.push_back({{"first", s.first(i) ? 1 : 0},
                     {"last", s.last(i) ? 1 : 0},
                     {"a_sf", scale(s.a_scale(i))},
                     {"w_sf", scale(s.w_scale(i))},
                     {"a", codes([&](int lane) { return s.a_code(i, lane); })},
                     {"w", codes([&](int lane) { return s.w_code(i, lane); })}});
  }
  json& expected = file["expected_acc_fp32_hex"] = json::array();
  for (const std::uint32_t word : vectors.expected) expected.push_back(fmt::format("{:08x}", word));
  write_text(path, file.dump() + "\n");
}

namespace {

/// Digits of one operand's codes in a $readmemh line.
std::size_t memory_digits(const MacShape& shape) {
  return (static_cast<std::size_t>(shape.lanes * shape.code_bits()) + 3) / 4;
}

std::string memory_codes(const MacShape& shape, const std::uint64_t* words) {
  std::string text;
  for (std::size_t digit = memory_digits(shape); digit-- > 0;) {
    text += fmt::format("{:x}", (words[digit / 16] >> (digit % 16 * 4)) & 0xF);
  }
  return text;
}

}  // namespace

void write_readmemh(const fs::path& prefix, const MacVectors& vectors) {
  const BeatStream& s = vectors.stream;
  const MacShape& shape = s.shape();
  std::string beats =
      fmt::format("// control, scales of A and W, codes of A and W: unit {}, format {}, {} lanes\n",
                  name_of(shape.unit), shape.format->name, shape.lanes);
  for (std::size_t i = 0; i < s.size(); ++i) {
    beats +=
        fmt::format("{:x}{:0{}x}{:0{}x}{}{}\n", (s.first(i) ? 1 : 0) + (s.last(i) ? 2 : 0),
                    s.a_scale(i), 2 * shape.scale_bytes(), s.w_scale(i), 2 * shape.scale_bytes(),
                    memory_codes(shape, s.a_codes(i)), memory_codes(shape, s.w_codes(i)));
  }
  std::string expected;
  for (const std::uint32_t word : vectors.expected) expected += fmt::format("{:08x}\n", word);
  write_text(prefix.string() + ".beats.hex", beats);
  write_text(prefix.string() + ".expected.hex", expected);
}

MacVectors read_readmemh(const fs::path& prefix, const MacShape& shape) {
  MacVectors vectors{BeatStream(shape), {}};
  const std::size_t scale = 2 * static_cast<std::size_t>(shape.scale_bytes());
  const std::size_t codes = memory_digits(shape);
  const auto each_line = [](const fs::path& path, auto handle) {
    const std::string text = read_text(path);
    std::size_t line = 1;
    for (std::size_t at = 0; at < text.size(); ++line) {
      std::size_t end = text.find('\n', at);
      if (end == std::string::npos) end = text.size();
      std::string_view content = std::string_view(text).substr(at, end - at);
      if (const std::size_t comment = content.find("//"); comment != std::string_view::npos) {
        content = content.substr(0, comment);
      }
      while (!content.empty() && (content.back() == ' ' || content.back() == '\r'))
        content.remove_suffix(1);
      if (!content.empty()) handle(content, fmt::format("line {}", line));
      at = end + 1;
    }
  };
  const fs::path beats = prefix.string() + ".beats.hex";
  each_line(beats, [&](std::string_view text, const std::string& place) {
    if (text.size() != 1 + 2 * scale + 2 * codes) {
      reject(beats, fmt::format("{}: {} digits where {} are needed", place, text.size(),
                                1 + 2 * scale + 2 * codes));
    }
    const std::uint32_t control = hex_word(beats, text.substr(0, 1), place);
    vectors.stream.push((control & 1) != 0, (control & 2) != 0,
                        hex_word(beats, text.substr(1, scale), place),
                        hex_word(beats, text.substr(1 + scale, scale), place));
    for (const bool is_a : {true, false}) {
      const std::string_view digits = text.substr(1 + 2 * scale + (is_a ? 0 : codes), codes);
      const auto bit = [&](int i) {
        const auto digit = hex_digit(digits[codes - 1 - static_cast<std::size_t>(i) / 4]);
        if (!digit) reject(beats, place + ": not hexadecimal");
        return *digit >> (i % 4) & 1;
      };
      for (int lane = 0; lane < shape.lanes; ++lane) {
        unsigned code = 0;
        for (int b = 0; b < shape.code_bits(); ++b) code |= bit(lane * shape.code_bits() + b) << b;
        is_a ? vectors.stream.set_a(lane, code) : vectors.stream.set_w(lane, code);
      }
    }
  });
  const fs::path expected = prefix.string() + ".expected.hex";
  each_line(expected, [&](std::string_view text, const std::string& place) {
    vectors.expected.push_back(hex_word(expected, text, place));
  });
  return vectors;
}

}  // namespace lowbit::sim
