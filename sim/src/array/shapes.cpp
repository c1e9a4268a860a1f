// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lowbit/error.hpp"
#include "lowbit/sim/array.hpp"

namespace lowbit::sim {

std::vector<GemmShape> read_model_shapes(const std::string& path, std::int64_t tokens) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ErrorKind::invalid_input, fmt::format("{}: cannot be opened", path));
  const auto document = nlohmann::json::parse(in, nullptr, false);
  if (document.is_discarded()) {
    throw Error(ErrorKind::invalid_input, fmt::format("{}: not JSON", path));
  }
  if (!document.is_object() || !document.contains("gemms") || !document["gemms"].is_array() ||
      document["gemms"].empty()) {
    throw Error(
        ErrorKind::invalid_input,
        fmt::format("{}: expected an object with a list \"gemms\" that is not empty", path));
  }
  constexpr std::int64_t largest = (std::int64_t{1} << 31) - 1;
  std::vector<GemmShape> shapes;
  for (const auto& gemm : document["gemms"]) {
    const auto number = [&](const char* key, std::int64_t otherwise) {
      if (gemm.is_object() && !gemm.contains(key) && otherwise > 0) return otherwise;
      if (!gemm.is_object() || !gemm.contains(key) || !gemm[key].is_number_integer() ||
          gemm[key].template get<std::int64_t>() < 1 ||
          gemm[key].template get<std::int64_t>() > largest) {
        throw Error(ErrorKind::invalid_input,
                    fmt::format("{}: gemms[{}]: \"{}\" must be an integer in 1..2^31 - 1", path,
                                shapes.size(), key));
      }
      return gemm[key].template get<std::int64_t>();
    };
    GemmShape shape;
    shape.n = number("n", 0);
    shape.k = number("k", 0);
    // Rows are tokens, unless the GEMM says otherwise (the head is often run for one token only).
    shape.m = number("m", tokens);
    shape.count = number("count", 1);
    if (gemm.contains("name") && gemm["name"].is_string()) shape.name = gemm["name"];
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

std::string chrome_trace(const TilePlan& plan, const std::vector<TileTiming>& timings) {
  auto events = nlohmann::ordered_json::array();
  const auto event = [&](const char* name, int track, std::size_t tile, std::int64_t from,
                         std::int64_t to) {
    events.push_back({{"name", fmt::format("{} {}", name, tile)},
                      {"cat", name},
                      {"ph", "X"},
                      {"ts", from},
                      {"dur", to - from},
                      {"pid", 0},
                      {"tid", track}});
  };
  const char* tracks[] = {"load", "stream", "drain"};
  for (int i = 0; i < 3; ++i) {
    events.push_back({{"name", "thread_name"},
                      {"ph", "M"},
                      {"pid", 0},
                      {"tid", i},
                      {"args", {{"name", tracks[i]}}}});
  }
  for (std::size_t i = 0; i < timings.size(); ++i) {
    const TileTiming& t = timings[i];
    const std::int64_t streamed = t.started + plan.tile(static_cast<std::int64_t>(i)).beats;
    event("load", 0, i, t.issued, t.loaded + 1);
    event("stream", 1, i, t.started, streamed);
    event("drain", 2, i, streamed, t.drained + 1);
  }
  nlohmann::ordered_json document;
  document["displayTimeUnit"] = "ns";
  document["traceEvents"] = std::move(events);
  return document.dump();
}

}  // namespace lowbit::sim
