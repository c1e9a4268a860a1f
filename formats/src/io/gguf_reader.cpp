// SPDX-License-Identifier: MIT
// GGUF versions 2 and 3, little-endian: counts, key/value pairs, tensor records, then the data at
// multiples of general.alignment. Dimensions are stored fastest first.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "io/error_text.hpp"
#include "io/gguf_types.hpp"
#include "io/readers.hpp"

namespace lowbit {
namespace {

constexpr std::string_view truncated = "the file is truncated or damaged: fetch it again";
constexpr std::string_view again = "write the file again";

/// Value types of the key/value pairs, in the order of their numbers.
enum class ValueType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64
};
constexpr std::uint64_t value_bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/// Reads on from the start of the file; every step is checked against its end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  [[nodiscard]] std::uint64_t at() const { return at_; }
  [[nodiscard]] std::uint64_t left() const { return bytes_.size() - at_; }
  const std::byte* take(std::uint64_t count, std::string_view what) {
    if (count > left()) {
      reject({file_, tensor, at_}, fmt::format("ends inside {} of {} bytes", what, count),
             truncated);
    }
    const std::byte* taken = bytes_.data() + at_;
    at_ += count;
    return taken;
  }
  template <typename T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof value, what), sizeof value);
    return value;
  }
  std::string string(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    const std::byte* text = take(length, what);
    return {reinterpret_cast<const char*>(text), length};
  }
  /// A count of things that take at least `least` bytes each.
  template <typename T>
  T count(std::string_view what, std::uint64_t least) {
    const std::uint64_t begins = at_;
    const auto n = number<T>(what);
    if (n > left() / least) {
      reject({file_, tensor, begins}, fmt::format("{}: {} cannot fit in the file", what, n),
             truncated);
    }
    return n;
  }

  std::string tensor;  ///< the tensor in hand, for messages

 private:
  std::span<const std::byte> bytes_;
  const std::string& file_;
  std::uint64_t at_ = 0;
};

void skip_value(Cursor& cursor, ValueType type, const std::string& file, int depth) {
  if (type == ValueType::string) {
    cursor.string("a string");
  } else if (type == ValueType::array) {
    if (depth == 4) reject({file, {}, cursor.at()}, "arrays nested deeper than 4 levels", again);
    const std::uint64_t begins = cursor.at();
    const auto inner = cursor.number<std::uint32_t>("an array type");
    if (inner > static_cast<std::uint32_t>(ValueType::f64)) {
      reject({file, {}, begins}, fmt::format("unknown value type {}", inner), again);
    }
    const std::uint64_t least = std::max<std::uint64_t>(value_bytes[inner], 1);
    const auto count = cursor.count<std::uint64_t>("an array length", least);
    if (value_bytes[inner] != 0) {
      cursor.take(count * value_bytes[inner], "an array");
    } else {
      for (std::uint64_t i = 0; i < count; ++i)
        skip_value(cursor, ValueType{inner}, file, depth + 1);
    }
  } else {
    cursor.take(value_bytes[static_cast<std::uint32_t>(type)], "a value");
  }
}

struct Record {
  TensorInfo tensor;
  std::uint64_t record_at;
  std::uint64_t relative;
  std::uint64_t size;
};

Record read_record(Cursor& cursor, const std::string& file) {
  Record record{{}, cursor.at(), 0, 0};
  TensorInfo& tensor = record.tensor;
  tensor.file = file;
  tensor.name = cursor.string("a tensor name");
  cursor.tensor = tensor.name;
  const auto dimensions = cursor.number<std::uint32_t>("a dimension count");
  // ggml has 4; a few more do no harm, many are an attack.
  if (dimensions > 8) {
    reject({file, tensor.name, cursor.at() - 4},
           fmt::format("{} dimensions, more than 8", dimensions), again);
  }
  for (std::uint32_t d = 0; d < dimensions; ++d) {
    tensor.shape.push_back(cursor.number<std::uint64_t>("a dimension"));
  }
  const auto type = cursor.number<std::uint32_t>("a type");
  const Place place{file, tensor.name, cursor.at() - 4};
  tensor.dtype = dtype_of_ggml(type);
  if (tensor.dtype == nullptr) {
    reject(place, fmt::format("unknown ggml type {}", type), "convert the tensor");
  }
  const auto unit = static_cast<std::uint64_t>(tensor.dtype->block_elements);
  if (!tensor.shape.empty() && tensor.shape.front() % unit != 0) {
    reject(place,
           fmt::format("rows of {} elements, not a multiple of {}", tensor.shape.front(), unit),
           again);
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  const std::optional<std::uint64_t> size = byte_size(*tensor.dtype, tensor.shape);
  if (!size) reject(place, "shape overflows 64 bits", again);
  record.size = *size;
  record.relative = cursor.number<std::uint64_t>("an offset");
  cursor.tensor.clear();
  return record;
}

}  // namespace

void read_gguf(TensorFile::Contents& contents, const MappedFile& file) {
  Cursor cursor(file.bytes(), file.name());
  cursor.take(4, "the magic number");
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version < 2 || version > 3) {
    reject(
        {file.name(), {}, 4},
        fmt::format("GGUF version {}, not 2 or 3{}", version,
                    version == 0x02000000 || version == 0x03000000 ? " (a big-endian file)" : ""),
        "convert the file");
  }
  const auto tensor_count = cursor.count<std::uint64_t>("the tensor count", 24);
  const auto pair_count = cursor.count<std::uint64_t>("the key/value count", 13);
  std::uint64_t alignment = 32;
  std::set<std::string> keys;
  for (std::uint64_t i = 0; i < pair_count; ++i) {
    const std::uint64_t begins = cursor.at();
    const std::string key = cursor.string("a key");
    if (!keys.insert(key).second) {
      reject({file.name(), {}, begins}, fmt::format("the key \"{}\" occurs twice", printable(key)),
             again);
    }
    const auto type = cursor.number<std::uint32_t>("a value type");
    if (type > static_cast<std::uint32_t>(ValueType::f64)) {
      reject({file.name(), {}, cursor.at() - 4}, fmt::format("unknown value type {}", type), again);
    }
    if (ValueType{type} == ValueType::string) {
      contents.metadata.emplace(key, cursor.string("a string"));
    } else if (key == "general.alignment") {
      const std::uint64_t value_at = cursor.at();
      alignment =
          ValueType{type} == ValueType::u32 ? cursor.number<std::uint32_t>("the alignment") : 0;
      if (!std::has_single_bit(alignment)) {
        reject({file.name(), {}, value_at}, "general.alignment is not a power of two of type u32",
               again);
      }
    } else {
      skip_value(cursor, ValueType{type}, file.name(), 0);
    }
  }
  std::vector<Record> records;
  for (std::uint64_t i = 0; i < tensor_count; ++i)
    records.push_back(read_record(cursor, file.name()));

  const std::uint64_t data_begins = (cursor.at() + alignment - 1) / alignment * alignment;
  const std::uint64_t data_size =
      data_begins > file.bytes().size() ? 0 : file.bytes().size() - data_begins;
  for (Record& record : records) {
    const Place place{file.name(), record.tensor.name, record.record_at};
    if (record.relative % alignment != 0) {
      reject(place, fmt::format("offset {} is not a multiple of {}", record.relative, alignment),
             again);
    }
    if (record.size > data_size || record.relative > data_size - record.size) {
      reject(place,
             fmt::format("its {} bytes at {} leave the {} bytes of data", record.size,
                         record.relative, data_size),
             truncated);
    }
    record.tensor.offset = data_begins + record.relative;
    if (record.size != 0)
      record.tensor.bytes = file.bytes().subspan(record.tensor.offset, record.size);
  }
  std::vector<const Record*> order;
  for (const Record& record : records) {
    if (record.size != 0) order.push_back(&record);
  }
  std::sort(order.begin(), order.end(),
            [](const Record* a, const Record* b) { return a->relative < b->relative; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->relative < order[i - 1]->relative + order[i - 1]->size) {
      reject({file.name(), order[i]->tensor.name, order[i]->record_at},
             "its bytes overlap those of another tensor", again);
    }
  }
  for (Record& record : records) contents.tensors.push_back(std::move(record.tensor));
}

}  // namespace lowbit
