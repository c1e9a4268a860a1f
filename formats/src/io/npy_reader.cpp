// SPDX-License-Identifier: MIT
// .npy: magic, version, header length, and a Python dictionary literal of three known keys, read by
// a parser that accepts that and nothing else (numpy.lib.format). .npz: a zip archive of them.
#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "io/error_text.hpp"
#include "io/readers.hpp"
#include "io/scratch_file.hpp"

namespace lowbit {
namespace {

constexpr std::string_view again = "write the file again with numpy.save";

/// The dictionary literal, read character by character.
class Literal {
 public:
  Literal(std::string_view text, const Place& place) : text_(text), place_(place) {}

  void expect(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) fail(fmt::format("'{}' expected in the header", c));
    ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string string() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("a quoted string expected in the header");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == text_.npos) fail("a string in the header does not end");
    const std::string_view value = text_.substr(at_ + 1, end - at_ - 1);
    if (value.find('\\') != value.npos) fail("an escape in a string of the header");
    at_ = end + 1;
    return std::string(value);
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] :
         {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    fail("True or False expected in the header");
  }
  std::vector<std::uint64_t> shape() {
    std::vector<std::uint64_t> dimensions;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::uint64_t n = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), n);
      if (error != std::errc{}) fail("a dimension that is not an integer of 0 to 2^64 - 1");
      at_ = static_cast<std::size_t>(end - text_.data());
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2
      dimensions.push_back(n);
      if (dimensions.size() > 64) fail("more than 64 dimensions");
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return dimensions;
  }
  void end() {
    skip_space();
    if (at_ != text_.size()) fail("text after the header's dictionary");
  }
  [[noreturn]] void fail(std::string_view problem) const {
    Place place = place_;
    place.offset = *place_.offset + at_;
    reject(place, problem, again);
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  std::string_view text_;
  Place place_;
  std::size_t at_ = 0;
};

const Dtype* dtype_of(std::string_view descriptor) {
  static constexpr std::pair<std::string_view, const Dtype*> known[] = {
      {"<f8", &dtype_f64}, {"<f4", &dtype_f32}, {"<f2", &dtype_f16}, {"|u1", &dtype_u8},
      {"|i1", &dtype_i8},  {"<u2", &dtype_u16}, {"<i2", &dtype_i16}, {"<u4", &dtype_u32},
      {"<i4", &dtype_i32}, {"<u8", &dtype_u64}, {"<i8", &dtype_i64}, {"|b1", &dtype_bool}};
  for (const auto& [name, dtype] : known) {
    if (name == descriptor) return dtype;
  }
  return nullptr;
}

/// One .npy image, a file or a member of an archive.
TensorInfo tensor_of(std::span<const std::byte> bytes, const std::string& name,
                     const std::string& file) {
  const Place start{file, name, 0};
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) {
    reject(start, "does not begin as a .npy file does", again);
  }
  const std::uint32_t version = byte(6);
  if (version < 1 || version > 3) {
    reject({file, name, 6}, fmt::format(".npy version {}, not 1 to 3", version), again);
  }
  const std::size_t begins = version == 1 ? 10 : 12;
  if (bytes.size() < begins)
    reject({file, name, bytes.size()}, "ends inside its header length", again);
  std::uint64_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - begins) {
    reject({file, name, 8}, fmt::format("a header of {} bytes in {}", length, bytes.size()),
           "the file is truncated: fetch it again");
  }
  Literal header({reinterpret_cast<const char*>(bytes.data()) + begins, length},
                 {file, name, begins});
  std::optional<std::string> descriptor;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::uint64_t>> shape;
  header.expect('{');
  while (!header.accept('}')) {
    const std::string key = header.string();
    header.expect(':');
    if (key == "descr" && !descriptor) {
      descriptor = header.string();
    } else if (key == "fortran_order" && !fortran_order) {
      fortran_order = header.boolean();
    } else if (key == "shape" && !shape) {
      shape = header.shape();
    } else {
      header.fail(fmt::format("an unknown or repeated key \"{}\"", printable(key)));
    }
    if (!header.accept(',')) {
      header.expect('}');
      break;
    }
  }
  header.end();
  if (!descriptor || !fortran_order || !shape)
    header.fail("the header lacks descr, fortran_order or shape");

  TensorInfo tensor;
  tensor.name = name;
  tensor.file = file;
  tensor.dtype = dtype_of(*descriptor);
  tensor.shape = *shape;
  tensor.fortran_order = *fortran_order && shape->size() > 1;
  tensor.offset = begins + length;
  const Place data{file, name, tensor.offset};
  if (tensor.dtype == nullptr) {
    reject({file, name, begins}, fmt::format("unknown dtype \"{}\"", printable(*descriptor)),
           "convert it to little-endian float64, float32, float16 or integers");
  }
  const std::optional<std::uint64_t> size = byte_size(*tensor.dtype, tensor.shape);
  if (!size) reject(data, "shape overflows 64 bits", again);
  const std::uint64_t present = bytes.size() - tensor.offset;
  if (*size != present) {
    reject(data, fmt::format("shape and dtype take {} bytes, {} follow", *size, present),
           *size > present ? "the file is truncated: fetch it again" : again);
  }
  tensor.bytes = bytes.subspan(tensor.offset);
  return tensor;
}

struct ZipCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct ZipFileCloser {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

/// Members beyond so many bytes in all are unpacked to the disk.
constexpr std::uint64_t unpacked_in_memory = std::uint64_t{64} << 20;

/// Unpacks a member. \param take  called with its bytes, one after another
template <typename Take>
void unpack(zip_file_t* member, Place place, std::uint64_t size, const Take& take) {
  std::vector<std::byte> part(std::min<std::uint64_t>(size, std::uint64_t{1} << 20));
  std::uint64_t done = 0;
  while (done < size) {
    const zip_int64_t n =
        zip_fread(member, part.data(), std::min<std::uint64_t>(part.size(), size - done));
    if (n <= 0) break;
    take(std::span<const std::byte>(part).first(static_cast<std::size_t>(n)));
    done += static_cast<std::uint64_t>(n);
  }
  // Reading past the end makes libzip compare the checksum.
  char beyond = 0;
  if (done == size && zip_fread(member, &beyond, 1) == 0) return;
  place.offset = done;
  reject(place, "its packed bytes are damaged", "fetch the file again");
}

std::span<const std::byte> unpack_to_memory(TensorFile::Contents& contents, zip_file_t* member,
                                            const Place& place, std::uint64_t size) {
  std::vector<std::byte>& bytes = contents.unpacked.emplace_back();
  bytes.reserve(size);
  unpack(member, place, size, [&](std::span<const std::byte> part) {
    bytes.insert(bytes.end(), part.begin(), part.end());
  });
  return bytes;
}

std::span<const std::byte> unpack_to_disk(TensorFile::Contents& contents, zip_file_t* member,
                                          const Place& place, std::uint64_t size) {
  ScratchFile scratch{std::string(place.file)};
  unpack(member, place, size, [&](std::span<const std::byte> part) { scratch.write(part); });
  return contents.scratch.emplace_back(scratch.map())->bytes();
}

}  // namespace

void read_npy(TensorFile::Contents& contents, const MappedFile& file) {
  const std::string name = std::filesystem::path(file.name()).stem().string();
  contents.tensors.push_back(tensor_of(file.bytes(), name, file.name()));
}

void read_npz(TensorFile::Contents& contents, const MappedFile& file) {
  // libzip takes an empty file for an empty archive; 22 bytes are the least that one has.
  if (file.bytes().size() < 22) {
    reject({file.name(), {}, file.bytes().size()}, "not a readable zip archive: too short",
           "the file is truncated: fetch it again");
  }
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source =
      zip_source_buffer_create(file.bytes().data(), file.bytes().size(), 0, &error);
  std::unique_ptr<zip_t, ZipCloser> archive;
  if (source != nullptr)
    archive.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (archive == nullptr) {
    if (source != nullptr) zip_source_free(source);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    reject({file.name(), {}, 0}, fmt::format("not a readable zip archive: {}", why),
           "the file is truncated or damaged: fetch it again");
  }
  zip_error_fini(&error);
  std::uint64_t unpacked = 0;
  const zip_int64_t members = zip_get_num_entries(archive.get(), 0);
  for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(members); ++i) {
    zip_stat_t stat;
    const bool known = zip_stat_index(archive.get(), i, 0, &stat) == 0 &&
                       (stat.valid & ZIP_STAT_NAME) != 0 && (stat.valid & ZIP_STAT_SIZE) != 0 &&
                       (stat.valid & ZIP_STAT_COMP_SIZE) != 0;
    if (!known)
      reject({file.name(), {}, 0}, fmt::format("member {} has no name or size", i), again);
    std::string name = stat.name;
    if (!name.ends_with(".npy")) {
      reject({file.name(), name, 0}, "a member of the archive that is not a .npy file", again);
    }
    name.resize(name.size() - 4);
    // Deflate makes at most 1032 bytes of one; a claim beyond it would only exhaust memory.
    if (stat.size / 1100 > stat.comp_size + 64) {
      reject({file.name(), name, 0},
             fmt::format("{} bytes cannot unpack to {}", stat.comp_size, stat.size), again);
    }
    const std::unique_ptr<zip_file_t, ZipFileCloser> member(zip_fopen_index(archive.get(), i, 0));
    if (member == nullptr) {
      reject({file.name(), name, 0},
             fmt::format("cannot be unpacked: {}", zip_strerror(archive.get())),
             "store it unencrypted, plain or deflated");
    }
    unpacked += stat.size;
    const bool in_memory = unpacked <= unpacked_in_memory;
    const auto bytes =
        in_memory ? unpack_to_memory(contents, member.get(), {file.name(), name}, stat.size)
                  : unpack_to_disk(contents, member.get(), {file.name(), name}, stat.size);
    contents.tensors.push_back(tensor_of(bytes, name, file.name()));
  }
}

}  // namespace lowbit
