// SPDX-License-Identifier: MIT
#include "array_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lowbit/html.hpp"

namespace lowbit::cli {
namespace {

std::string joule(double pj) {
  return with_prefix(pj * 1e-12, "J");
}

double peak_gmac_s(const sim::ArrayConfig& a) {
  return 1e-3 * a.rows * a.columns * a.lanes * a.clock_mhz;
}

/// MACs per byte that the layer moves to and from memory.
double intensity(const sim::ArrayResult& r) {
  return r.macs / (r.bytes_read + r.bytes_written);
}

/// GMAC/s against MAC per byte: the roof of memory and of the array, and every layer below it.
std::string roofline(const ArrayRun& run) {
  const double peak = peak_gmac_s(run.config);
  const double ridge = peak / run.config.bandwidth_gb_s;
  html::Chart chart{fmt::format("Roofline, {}", run.format),
                    {"MAC per byte of memory traffic", true},
                    {"GMAC/s", true},
                    html::Mark::line_points,
                    {}};
  html::Series layers{"layers", {}};
  double low = ridge / 10;
  double high = ridge * 10;
  for (const auto& [shape, r] : run.layers) {
    const double seconds = static_cast<double>(r.cycles) / (run.config.clock_mhz * 1e6);
    layers.points.push_back({intensity(r), r.macs / seconds * 1e-9, shape.name});
    low = std::min(low, intensity(r) / 2);
    high = std::max(high, intensity(r) * 2);
  }
  // A line through the layers would say nothing: each is a series of its own point.
  chart.series.push_back(
      {"roof", {{low, run.config.bandwidth_gb_s * low}, {ridge, peak}, {high, peak}}});
  for (const html::Point& p : layers.points) chart.series.push_back({p.label, {p}});
  chart.note = fmt::format(
      "The roof: {:.4g} GB/s of memory up to {:.4g} MAC per byte, then the array's {:.4g} GMAC/s.",
      run.config.bandwidth_gb_s, ridge, peak);
  return html::chart(chart);
}

/// Cycles of each layer, in percent: taking beats, waiting for memory, for drain or weights, for
/// the quantizer, and the rest (filling and emptying the array, the last writes).
std::string cycles_chart(const ArrayRun& run) {
  html::BarChart chart{
      fmt::format("Where the cycles go, {}", run.format), "% of the layer's cycles", {}, {}, true};
  const char* names[] = {"beats", "memory", "drain or weights", "quantizer", "fill and empty"};
  for (const char* name : names) chart.series.push_back({name, {}});
  for (const auto& [shape, r] : run.layers) {
    chart.labels.push_back(shape.name);
    const std::int64_t parts[] = {r.beats, r.wait_memory, r.wait_interval, r.quantizer_cycles};
    std::int64_t rest = r.cycles;
    for (std::size_t i = 0; i < 4; ++i) {
      rest -= parts[i];
      chart.series[i].values.push_back(100.0 * static_cast<double>(parts[i]) /
                                       static_cast<double>(r.cycles));
    }
    chart.series[4].values.push_back(100.0 * static_cast<double>(std::max<std::int64_t>(rest, 0)) /
                                     static_cast<double>(r.cycles));
  }
  return html::bar_chart(chart);
}

std::string utilisation_chart(const std::vector<ArrayRun>& runs) {
  html::BarChart chart{"Utilisation", "% of the MACs that the array could have done", {}, {}};
  for (const auto& [shape, r] : runs.front().layers) chart.labels.push_back(shape.name);
  for (const ArrayRun& run : runs) {
    html::BarChart::Series series{run.format, {}};
    for (const auto& [shape, r] : run.layers) series.values.push_back(100 * r.utilisation);
    chart.series.push_back(std::move(series));
  }
  return html::bar_chart(chart);
}

double largest_layer(const ArrayRun& run) {
  double largest = 0;
  for (const auto& [shape, r] : run.layers)
    largest = std::max(largest, r.energy_pj * static_cast<double>(shape.count));
  return largest;
}

/// Energy of each run by where it goes; of one run, of each layer.
std::string energy_chart(const std::vector<ArrayRun>& runs) {
  // Joules, or millijoules where the largest bar is below one.
  const double largest =
      runs.size() > 1 ? runs.front().total.energy_pj : largest_layer(runs.front());
  const bool small = largest < 1e12;
  const double unit = small ? 1e-9 : 1e-12;
  html::BarChart chart{
      "Energy", small ? "mJ" : "J", {}, {{"units", {}}, {"buffers", {}}, {"memory", {}}}, true};
  const auto add = [&](const std::string& label, const sim::ArrayResult& r, double count) {
    chart.labels.push_back(label);
    chart.series[0].values.push_back(r.energy_units_pj * count * unit);
    chart.series[1].values.push_back(r.energy_buffers_pj * count * unit);
    chart.series[2].values.push_back(r.energy_memory_pj * count * unit);
  };
  if (runs.size() > 1) {
    for (const ArrayRun& run : runs) add(run.format, run.total, 1);
  } else {
    for (const auto& [shape, r] : runs.front().layers)
      add(shape.name, r, static_cast<double>(shape.count));
  }
  return html::bar_chart(chart);
}

html::Table layer_table(const ArrayRun& run) {
  html::Table t{{{"layer"},
                 {"M", true},
                 {"N", true},
                 {"K", true},
                 {"count", true},
                 {"cycles each", true},
                 {"utilisation, %", true},
                 {"bound"},
                 {"MAC per byte", true},
                 {"energy", true}},
                {}};
  for (const auto& [shape, r] : run.layers) {
    t.rows.push_back({shape.name, std::to_string(shape.m), std::to_string(shape.n),
                      std::to_string(shape.k), std::to_string(shape.count),
                      std::to_string(r.cycles), fmt::format("{:.2f}", 100 * r.utilisation),
                      std::string(name_of(r.bound)), fmt::format("{:.4g}", intensity(r)),
                      joule(r.energy_pj * static_cast<double>(shape.count))});
  }
  return t;
}

html::Table total_table(const std::vector<ArrayRun>& runs) {
  html::Table t{{{"format"},
                 {"MHz", true},
                 {"time", true},
                 {"utilisation, %", true},
                 {"rate", true},
                 {"energy", true},
                 {"units", true},
                 {"buffers", true},
                 {"memory", true},
                 {"pJ/MAC", true},
                 {"energy x", true}},
                {}};
  for (const ArrayRun& run : runs) {
    const sim::ArrayResult& s = run.total;
    t.rows.push_back({run.format, fmt::format("{:.4g}", run.config.clock_mhz),
                      with_prefix(run.seconds(), "s"), fmt::format("{:.2f}", 100 * s.utilisation),
                      with_prefix(s.macs / run.seconds(), "MAC/s"), joule(s.energy_pj),
                      joule(s.energy_units_pj), joule(s.energy_buffers_pj),
                      joule(s.energy_memory_pj), fmt::format("{:.4g}", s.energy_pj / s.macs),
                      fmt::format("{:.3f}", s.energy_pj / runs.front().total.energy_pj)});
  }
  return t;
}

}  // namespace

std::string array_page(const std::vector<ArrayRun>& runs) {
  const ArrayRun& first = runs.front();
  html::Page page("lowbit mac array", array_heading(first));
  page.tiles({{with_prefix(first.seconds(), "s"), "time"},
              {fmt::format("{:.2f} %", 100 * first.total.utilisation), "utilisation"},
              {with_prefix(first.total.macs / first.seconds(), "MAC/s"), "rate"},
              {joule(first.total.energy_pj), "energy"}});
  if (runs.size() > 1) page.section("Formats side by side").add(html::table(total_table(runs)));
  page.beside({utilisation_chart(runs), energy_chart(runs)});
  for (const ArrayRun& run : runs) {
    page.section(run.format).text(array_heading(run));
    page.beside({roofline(run), cycles_chart(run)});
    page.folded("Layers", html::table(layer_table(run)));
  }
  return page.str();
}

}  // namespace lowbit::cli
