// SPDX-License-Identifier: MIT
// Reference codecs: a matrix to the bytes of a published format and back.
#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include "arrays.hpp"
#include "float_environment.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/printable.hpp"
#include "lowbit/reference_codec.hpp"
#include "module.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace lowbit::python {
namespace {

const ReferenceCodec& codec_named(const std::string& name) {
  if (const ReferenceCodec* codec = find_reference_codec(in_lower_case(name))) return *codec;
  std::vector<std::string_view> known;
  for (const ReferenceCodec* codec : reference_codecs()) known.push_back(codec->name());
  const std::vector<std::string> nearest = nearest_names(name, known, 3);
  throw Error(ErrorKind::usage,
              fmt::format("unknown codec '{:.60}'; nearest: {}, {}, {}", printable(name),
                          nearest.at(0), nearest.at(1), nearest.at(2)));
}

nb::list codecs() {
  nb::list all;
  for (const ReferenceCodec* codec : reference_codecs()) {
    nb::dict d;
    d["name"] = std::string(codec->name());
    d["summary"] = std::string(codec->summary());
    all.append(d);
  }
  return all;
}

nb::object encode(const AnyArray& x, const std::string& dtype, const std::string& name) {
  const TensorInfo tensor = tensor_of(x, dtype);
  const ReferenceCodec& codec = codec_named(name);
  std::vector<std::uint8_t> bytes;
  {
    const Computing computing;
    const std::vector<std::size_t> shape(tensor.shape.begin(), tensor.shape.end());
    const AxisView view = view_along(shape, -1);
    const std::vector<float> values = read_matrix(tensor, view, NonFinite::error);
    bytes.resize(codec.bytes(view.rows(), view.length));
    codec.encode(values, view.rows(), view.length, bytes);
  }
  const std::size_t size = bytes.size();
  return numpy_from(std::move(bytes), {size});
}

nb::object decode(const Bytes& bytes, const std::string& name, std::size_t rows,
                  std::size_t columns) {
  const ReferenceCodec& codec = codec_named(name);
  // As many elements as bytes could hold, so that their number cannot overflow.
  const std::size_t most = 8 * bytes.size();
  const bool is_possible = rows == 0 || (rows <= most && columns <= most / rows);
  if (!is_possible || codec.bytes(rows, columns) != bytes.size()) {
    throw Error(ErrorKind::usage, fmt::format("{} bytes are not those of {} x {} elements in {}",
                                              bytes.size(), rows, columns, codec.name()));
  }
  std::vector<float> values(rows * columns);
  {
    const Computing computing;
    codec.decode({bytes.data(), bytes.size()}, rows, columns, values);
  }
  return numpy_from(std::move(values), {rows, columns});
}

}  // namespace

void add_codec(nb::module_& m) {
  m.def("codecs", &codecs, nb::sig("def codecs() -> list[dict[str, typing.Any]]"),
        "Every reference codec: name, summary.");
  m.def("encode", &encode, "x"_a, "dtype"_a, "codec"_a,
        nb::sig("def encode(x: object, dtype: str, codec: str) -> "
                "numpy.typing.NDArray[numpy.uint8]"));
  m.def("decode", &decode, "bytes"_a, "codec"_a, "rows"_a, "columns"_a,
        nb::sig("def decode(bytes: object, codec: str, rows: int, columns: int) -> "
                "numpy.typing.NDArray[numpy.float32]"));
}

}  // namespace lowbit::python
