// SPDX-License-Identifier: MIT
// Which tensors are weights, and the matrix that each layout makes of them.
#include <fstream>
#include <map>

#include "catch.hpp"
#include "lowbit/error.hpp"
#include "lowbit/selection.hpp"
#include "scratch.hpp"

using namespace lowbit;

namespace {

using Shape = std::vector<std::uint64_t>;

struct Entry {
  std::string name;
  Shape shape;
  const Dtype* dtype = &dtype_f32;
};

TensorFile file_of(const test::Scratch& scratch, const std::vector<Entry>& entries,
                   const std::map<std::string, std::string>& metadata = {},
                   const std::string& name = "f.safetensors") {
  std::vector<std::vector<std::byte>> bytes;
  std::vector<OutputTensor> tensors;
  for (const Entry& e : entries) bytes.emplace_back(byte_size(*e.dtype, e.shape).value());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    tensors.push_back({entries[i].name, entries[i].dtype, entries[i].shape, bytes[i]});
  }
  write_safetensors(scratch / name, tensors, metadata);
  return TensorFile::open(scratch / name);
}

Selection select(const TensorFile& file, const SelectionRules& rules = {}) {
  const std::vector<std::string> paths{"f.safetensors"};
  return select_tensors({&file, 1}, paths, rules);
}

std::vector<std::string> names_of(const Selection& selection) {
  std::vector<std::string> names;
  for (const SelectedTensor& t : selection.taken) names.push_back(t.tensor->name);
  return names;
}

std::string reason_of(const Selection& selection, const std::string& name) {
  for (const LeftOutTensor& t : selection.left_out) {
    if (t.tensor->name == name) return std::string(t.reason);
  }
  return "taken or absent";
}

}  // namespace

TEST_CASE("each layout makes the matrix of outputs x inputs") {
  struct Case {
    WeightLayout layout;
    std::vector<std::size_t> shape;
    std::size_t rows;
    std::size_t columns;
    std::size_t inner;
  };
  using enum WeightLayout;
  const std::vector<Case> cases{// 1x1, 3x3, depthwise, inputs that no 16 divides, 1D kernels
                                {oihw, {48, 32, 1, 1}, 48, 32, 1},
                                {oihw, {48, 32, 3, 3}, 48, 288, 1},
                                {oihw, {48, 1, 3, 3}, 48, 9, 1},
                                {oihw, {8, 5, 3, 3}, 8, 45, 1},
                                {oihw, {8, 5, 7}, 8, 35, 1},
                                {ohwi, {48, 1, 1, 32}, 48, 32, 1},
                                {ohwi, {48, 3, 3, 32}, 48, 288, 1},
                                {ohwi, {1, 3, 3, 48}, 1, 432, 1},
                                {ohwi, {8, 3, 3, 5}, 8, 45, 1},
                                {ohwi, {8, 7, 5}, 8, 35, 1},
                                {hwio, {1, 1, 32, 48}, 48, 32, 48},
                                {hwio, {3, 3, 32, 48}, 48, 288, 48},
                                {hwio, {3, 3, 48, 1}, 1, 432, 1},
                                {hwio, {3, 3, 5, 8}, 8, 45, 8},
                                {hwio, {7, 5, 8}, 8, 35, 8},
                                {oi, {48, 32}, 48, 32, 1},
                                {oi, {48, 32, 1, 1}, 48, 32, 1},
                                {oi, {8, 5}, 8, 5, 1},
                                {oi, {8, 5, 7}, 8, 35, 1},
                                {io, {32, 48}, 48, 32, 48},
                                {io, {5, 8}, 8, 5, 8},
                                {io, {2, 32, 48}, 96, 32, 48},
                                {last, {48, 32}, 48, 32, 1},
                                {last, {48, 32, 1, 1}, 1536, 1, 1},
                                {last, {2, 48, 32}, 96, 32, 1},
                                {oihw, {7}, 1, 7, 1},
                                {io, {7}, 1, 7, 1},
                                {hwio, {}, 1, 1, 1}};
  for (const Case& c : cases) {
    INFO(name_of(c.layout) << " of rank " << c.shape.size());
    const AxisView view = view_of(c.shape, c.layout);
    CHECK(view.rows() == c.rows);
    CHECK(view.length == c.columns);
    CHECK(view.inner == c.inner);
  }
  // The elements themselves: row o of hwio holds every h, w, i of output o.
  const AxisView view = view_of(std::vector<std::size_t>{1, 2, 2, 3}, hwio);
  std::vector<float> stored(12);
  for (std::size_t i = 0; i < 12; ++i) stored[i] = static_cast<float>(i);
  std::vector<float> matrix(12);
  gather_rows(stored, view, matrix);
  CHECK(matrix == std::vector<float>{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11});
  CHECK_THROWS_AS(view_of(std::vector<std::size_t>{~std::size_t{0}, 2, 2}, oihw), Error);
  CHECK_THROWS_AS(view_of(std::vector<std::size_t>{2, 2, ~std::size_t{0}}, hwio), Error);
}

TEST_CASE("names of layouts read back") {
  for (const WeightLayout layout : weight_layouts()) {
    CHECK(find_weight_layout(name_of(layout)) == layout);
  }
  CHECK(weight_layouts().size() == 7);
  CHECK_FALSE(find_weight_layout("OI"));
}

TEST_CASE("auto decides by rank, kernel width and metadata") {
  const auto resolved = [](Shape shape, std::map<std::string, std::string> metadata = {}) {
    TensorInfo tensor;
    tensor.name = "w";
    tensor.dtype = &dtype_f32;
    tensor.shape = std::move(shape);
    return resolve_layout(WeightLayout::automatic, tensor, metadata);
  };
  CHECK(resolved({4, 4, 3, 3}) == WeightLayout::oihw);
  CHECK(resolved({4, 4, 3, 3, 3}) == WeightLayout::oihw);
  CHECK(resolved({4, 4, 15}) == WeightLayout::oihw);
  CHECK(resolved({4, 4, 16}) == WeightLayout::last);
  CHECK(resolved({4, 3}) == WeightLayout::last);
  CHECK(resolved({4, 3}, {{"w.weight_layout", "io"}}) == WeightLayout::io);
  CHECK(resolved({4, 4, 3, 3}, {{"w.weight_layout", "last"}}) == WeightLayout::last);
  CHECK(resolved({4, 3}, {{"v.weight_layout", "io"}}) == WeightLayout::last);
  CHECK_THROWS_AS(resolved({4, 3}, {{"w.weight_layout", "auto"}}), Error);
  CHECK_THROWS_AS(resolved({4, 3}, {{"w.weight_layout", "x"}}), Error);
  TensorInfo tensor;
  tensor.shape = {4, 4, 3, 3};
  CHECK(resolve_layout(WeightLayout::last, tensor, {{".weight_layout", "io"}}) ==
        WeightLayout::last);
}

TEST_CASE("weights of layers are taken, the rest is left out with a reason") {
  const test::Scratch scratch;
  const TensorFile file = file_of(scratch, {{"encoder.query.weight", {64, 64}},
                                            {"encoder.output.dense.weight", {64, 64}},
                                            {"conv.weight", {32, 16, 3, 3}},
                                            {"conv1d.weight", {32, 16, 3}},
                                            {"depthwise.weight", {128, 1, 3, 3}},
                                            {"edge.weight", {64, 16}},
                                            {"lm_head.weight", {100, 64}},
                                            {"embeddings.word_embeddings.weight", {100, 64}},
                                            {"wte.weight", {100, 64}},
                                            {"encoder.LayerNorm.weight", {64, 64}},
                                            {"final_layernorm.weight", {64}},
                                            {"encoder.query.bias", {64, 64}},
                                            {"encoder.query.input", {64, 64}},
                                            {"q.output", {64, 64}},
                                            {"output", {64, 64}},
                                            {"wpe.weight", {100, 64}},
                                            {"layer.bn1.weight", {64, 64}},
                                            {"narrow.weight", {100, 15}},
                                            {"few.weight", {31, 33}},
                                            {"one.weight", {1, 2048}},
                                            {"two.weight", {2, 512}},
                                            {"ids", {64, 64}, &dtype_i64},
                                            {"empty.weight", {0, 64}}});
  const Selection s = select(file);
  CHECK(names_of(s) == std::vector<std::string>{"conv.weight", "conv1d.weight", "edge.weight",
                                                "encoder.output.dense.weight",
                                                "encoder.query.weight", "lm_head.weight", "output",
                                                "two.weight"});
  CHECK(s.notes.empty());
  CHECK(s.taken.size() + s.left_out.size() == 23);
  CHECK(s.taken[0].view.length == 144);
  CHECK(s.taken[1].view.length == 48);
  CHECK(reason_of(s, "wte.weight").find("embedding") != std::string::npos);
  CHECK(reason_of(s, "wpe.weight").find("embedding") != std::string::npos);
  CHECK(reason_of(s, "q.output").find("activation") != std::string::npos);
  CHECK(reason_of(s, "layer.bn1.weight").find("normalization") != std::string::npos);
  CHECK(reason_of(s, "embeddings.word_embeddings.weight").find("embedding") != std::string::npos);
  CHECK(reason_of(s, "encoder.LayerNorm.weight").find("normalization") != std::string::npos);
  CHECK(reason_of(s, "final_layernorm.weight").find("vector") != std::string::npos);
  CHECK(reason_of(s, "encoder.query.bias").find("bias") != std::string::npos);
  CHECK(reason_of(s, "encoder.query.input").find("activation") != std::string::npos);
  CHECK(reason_of(s, "depthwise.weight").find("fewer") != std::string::npos);
  CHECK(reason_of(s, "narrow.weight").find("fewer") != std::string::npos);
  CHECK(reason_of(s, "few.weight").find("fewer") != std::string::npos);
  CHECK(reason_of(s, "one.weight").find("fewer") != std::string::npos);
  CHECK(reason_of(s, "ids").find("not numbers") != std::string::npos);
  CHECK(reason_of(s, "empty.weight") == "no elements");

  SECTION("a named tensor is taken whatever it is") {
    SelectionRules rules;
    const std::vector<std::string> include{"Norm", "ids"};
    rules.names = NamePatterns(include, {});
    const Selection named = select(file, rules);
    CHECK(names_of(named) == std::vector<std::string>{"encoder.LayerNorm.weight"});
    CHECK(reason_of(named, "ids").find("not numbers") != std::string::npos);
    CHECK(named.left_out.size() == 1);
  }
  SECTION("an exclusion is listed") {
    SelectionRules rules;
    const std::vector<std::string> exclude{"^conv"};
    rules.names = NamePatterns({}, exclude);
    const Selection less = select(file, rules);
    CHECK(less.taken.size() == 6);
    CHECK(reason_of(less, "conv.weight") == "excluded by name");
  }
  SECTION("all") {
    SelectionRules rules;
    rules.all = true;
    CHECK(select(file, rules).taken.size() == 21);
  }
  SECTION("an axis wins over the layout, and what it makes of the shape decides") {
    SelectionRules rules;
    rules.axis = 0;
    const Selection across = select(file, rules);
    CHECK(reason_of(across, "narrow.weight") == "taken or absent");
    CHECK(across.taken[0].view.length == 32);
    rules.axis = 2;
    CHECK_THROWS_AS(select(file, rules), Error);
  }
}

TEST_CASE("an axis needs no layout") {
  const test::Scratch scratch;
  const TensorFile file =
      file_of(scratch, {{"a.weight", {64, 64}}}, {{"a.weight.weight_layout", "sideways"}});
  CHECK_THROWS_AS(select(file), Error);
  SelectionRules rules;
  rules.axis = 0;
  CHECK(select(file, rules).taken.size() == 1);
}

TEST_CASE("a file without weights, or with one tensor, is taken as a whole") {
  const test::Scratch scratch;
  const TensorFile none =
      file_of(scratch, {{"a", {8, 8}}, {"b.bias", {8}}, {"n", {4}, &dtype_i64}});
  const Selection s = select(none);
  CHECK(names_of(s) == std::vector<std::string>{"a", "b.bias"});
  REQUIRE(s.notes.size() == 1);
  CHECK(s.notes[0] ==
        "f.safetensors: nothing looks like a weight, so all 2 float tensors are taken");
  CHECK(s.left_out.size() == 1);

  const TensorFile one = file_of(scratch, {{"x.bias", {8}}}, {}, "one.safetensors");
  CHECK(select(one).notes.at(0).find("one tensor") != std::string::npos);
  const TensorFile weight = file_of(scratch, {{"x.weight", {64, 64}}}, {}, "w.safetensors");
  CHECK(select(weight).taken.size() == 1);
  CHECK(select(weight).notes.empty());

  // Without numbers to quantize there is nothing to say.
  const TensorFile ids = file_of(scratch, {{"n", {4}, &dtype_i64}}, {}, "ids.safetensors");
  CHECK(select(ids).taken.empty());
  CHECK(select(ids).notes.empty());

  // What was excluded does not come back.
  SelectionRules rules;
  const std::vector<std::string> exclude{"bias"};
  rules.names = NamePatterns({}, exclude);
  CHECK(names_of(select(none, rules)) == std::vector<std::string>{"a"});
}

TEST_CASE("quantized checkpoints are told from plain ones") {
  const test::Scratch scratch;
  int n = 0;
  const auto convention = [&](const std::vector<Entry>& entries) {
    const TensorFile file =
        file_of(scratch, entries, {}, "q" + std::to_string(n++) + ".safetensors");
    return std::string(quantized_convention(file.tensors()));
  };
  CHECK(convention({{"a.weight_packed", {4, 8}, &dtype_u8}, {"a.weight_scale", {4, 1}}}) ==
        "compressed-tensors");
  CHECK(convention({{"a.weight", {4, 8}, &dtype_u8},
                    {"a.weight_scale", {4, 1}, &dtype_f8_e4m3},
                    {"a.weight_scale_2", {}}}) == "modelopt");
  // MXFP8 has the same names in both; NVFP4 beside it has not.
  CHECK(convention({{"a.weight", {4, 32}, &dtype_f8_e4m3},
                    {"a.weight_scale", {4, 1}, &dtype_u8},
                    {"b.weight_packed", {4, 8}, &dtype_u8},
                    {"b.weight_scale", {4, 1}, &dtype_f8_e4m3}}) == "compressed-tensors");
  CHECK(convention({{"a.weight", {4, 32}, &dtype_f8_e4m3},
                    {"a.weight_scale", {4, 1}, &dtype_u8},
                    {"b.weight", {4, 8}, &dtype_u8},
                    {"b.weight_scale", {4, 1}, &dtype_f8_e4m3}}) == "modelopt");
  CHECK(convention({{"a.weight", {4, 8}, &dtype_f8_e4m3}, {"a.weight_scale", {4, 1}}}) ==
        "FP8 or packed weights with weight_scale");
  CHECK(convention({{"a.weight", {4, 8}, &dtype_f8_e4m3}, {"a.weight_scale_inv", {4, 1}}}) ==
        "FP8 with weight_scale_inv");
  CHECK(convention({{"m.gate_up_proj_blocks", {4, 8}, &dtype_u8},
                    {"m.gate_up_proj_scales", {4, 1}, &dtype_u8}}) == "gpt-oss");
  CHECK(convention({{"a.qweight", {4, 8}, &dtype_i32}, {"a.scales", {4, 1}}}) == "GPTQ or AWQ");
  CHECK(convention({{"a.weight.absmax", {4}}, {"a.weight", {4, 1}, &dtype_u8}}) == "bitsandbytes");
  CHECK(convention(
            {{"a.values", {4, 8}, &dtype_u8}, {"a.scales", {4, 1}, &dtype_u8}, {"a.amax", {1}}}) ==
        "lowbit");
  // Plain ones with look-alike names.
  CHECK(convention({{"a.weight", {4, 8}}, {"a.weight_scale", {4, 1}}}).empty());
  CHECK(convention({{"x_blocks", {4, 8}}, {"y_scales", {4, 1}}}).empty());
  CHECK(convention({{"a.scales", {4, 8}}, {"a.weight", {4, 1}}}).empty());
  CHECK(convention({{"a.weight", {4, 8}, &dtype_f8_e4m3}}).empty());
}

TEST_CASE("a folder is a model") {
  const test::Scratch scratch;
  CHECK_THROWS_AS(model_files(scratch.path()), Error);
  const auto touch = [&](const std::string& name) { std::ofstream(scratch / name) << "x"; };
  touch("model-2.safetensors");
  touch("model-1.safetensors");
  touch("notes.txt");
  CHECK(model_files(scratch.path()) ==
        std::vector{scratch / "model-1.safetensors", scratch / "model-2.safetensors"});
  touch("model.safetensors.index.json");
  CHECK(model_files(scratch.path()) == std::vector{scratch / "model.safetensors.index.json"});
  CHECK(model_files(scratch / "notes.txt") == std::vector{scratch / "notes.txt"});
  CHECK(model_files(scratch / "absent") == std::vector{scratch / "absent"});
}

TEST_CASE("padding of rows to whole blocks") {
  CHECK(padding_share({48, 32, 1}, 16) == 0.0);
  CHECK(padding_share({48, 27, 1}, 16) == 5.0 / 27);
  CHECK(padding_share({48, 1, 1}, 16) == 15.0);
  CHECK(padding_share({48, 33, 1}, 32) == 31.0 / 33);
}

TEST_CASE("padding of over 5 % is named, two tensors by name") {
  const test::Scratch scratch;
  // 15 of 305 are 4.9 %, 15 of 273 are 5.5 %.
  const TensorFile two = file_of(scratch, {{"a.weight", {64, 305}}, {"b.weight", {64, 273}}});
  const std::string line = ".weight: rows of 273 fill blocks of 16 with padding: 5 % more bits";
  CHECK(padding_warnings(select(two), 16) == std::vector<std::string>{"b" + line});
  const TensorFile four = file_of(scratch,
                                  {{"a.weight", {64, 273}},
                                   {"b.weight", {64, 273}},
                                   {"c.weight", {64, 273}},
                                   {"d.weight", {64, 273}}},
                                  {}, "four.safetensors");
  CHECK(padding_warnings(select(four), 16) ==
        std::vector<std::string>{"a" + line, "b" + line, "2 more tensors are padded by over 5 %"});
}
