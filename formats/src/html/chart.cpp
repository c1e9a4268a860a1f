// SPDX-License-Identifier: MIT
// Charts as SVG. A picture is 420 units wide, so that its letters stay readable where a narrow
// screen shrinks it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "html/scale.hpp"
#include "html/style.hpp"
#include "lowbit/html.hpp"

namespace lowbit::html {
namespace {

constexpr double width = 420.0;
/// About the width of a letter of 12 pixels.
constexpr double letter = 6.7;

struct Box {
  double left = 0.0;
  double top = 0.0;
  double right = 0.0;
  double bottom = 0.0;
  [[nodiscard]] bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

std::size_t letters(std::string_view text) {
  // Bytes that continue a UTF-8 sequence are not letters of their own.
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

/// The last letters of a text: names of tensors differ at their ends.
std::string tail(std::string_view text, std::size_t most) {
  std::size_t begin = text.size();
  for (std::size_t count = 0; begin > 0; --begin) {
    if ((static_cast<unsigned char>(text[begin - 1]) & 0xC0) == 0x80) continue;
    if (++count == most) {
      --begin;
      break;
    }
  }
  return ".." + std::string(text.substr(begin));
}

std::string legend(const std::vector<std::string>& names, bool lines) {
  if (names.size() < 2) return {};
  std::string out = "<ul class=\"legend\">";
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += fmt::format(
        "<li><svg class=\"s{}\" viewBox=\"0 0 18 10\" aria-hidden=\"true\">{}</svg>{}</li>",
        i % series_colours,
        lines ? "<path class=\"mark\" d=\"M0 5H18\"/>"
              : "<rect class=\"bar\" x=\"3\" width=\"10\" height=\"10\"/>",
        escape(names[i]));
  }
  return out + "</ul>\n";
}

std::string figure(const std::string& title, const std::string& legend, double height,
                   const std::string& content, const std::string& note) {
  std::string out = fmt::format("<figure><figcaption>{}</figcaption>\n{}", escape(title), legend);
  if (content.empty()) {
    out += "<p class=\"note\">There is nothing to draw.</p>\n";
  } else {
    out += fmt::format("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
                       width, height, escape(title), content);
  }
  if (!note.empty()) out += fmt::format("<p class=\"note\">{}</p>\n", escape(note));
  return out + "</figure>\n";
}

/// The limits of an axis: those asked for, else those of the values with room for the marks.
void set_limits(PixelScale& scale, const Axis& axis, const std::vector<double>& values,
                bool from_zero) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double v : values) {
    if (!scale.has(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  if (low > high) low = high = 1.0;
  if (axis.logarithmic) {
    const double room = low == high ? 2.0 : std::pow(high / low, 0.05);
    scale.low = axis.low.value_or(low / room);
    scale.high = axis.high.value_or(high * room);
  } else {
    if (from_zero) low = std::min(low, 0.0);
    double room = 0.05 * (high - low);
    if (room == 0.0) room = high == 0.0 ? 1.0 : 0.1 * std::fabs(high);
    scale.low = axis.low.value_or(from_zero && low == 0.0 ? 0.0 : low - room);
    scale.high = axis.high.value_or(high + room);
  }
  if (!(scale.low < scale.high)) scale.high = axis.logarithmic ? 10 * scale.low : scale.low + 1.0;
}

/// Both axes with their ticks, grid and labels.
std::string axes(const Chart& chart, const PixelScale& x, const PixelScale& y,
                 const std::vector<Tick>& y_ticks) {
  std::string out;
  for (const Tick& tick : y_ticks) {
    out += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        x.from, y(tick.value), x.to, x.from - 6, y(tick.value) + 4, tick.text);
  }
  for (const Tick& tick : ticks_of(x.low, x.high, x.logarithmic, 6)) {
    out += fmt::format(
        "<path class=\"axis\" d=\"M{:.1f} {:.1f}v5\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"middle\">{}</text>\n",
        x(tick.value), y.from, x(tick.value), y.from + 18, tick.text);
  }
  out += fmt::format("<path class=\"axis\" d=\"M{:.1f} {:.1f}H{:.1f}\"/>\n", x.from, y.from, x.to);
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                     (x.from + x.to) / 2, y.from + 37, escape(chart.x.label));
  out += fmt::format("<text x=\"2\" y=\"12\">{}</text>\n", escape(chart.y.label));
  return out;
}

/// Where labels may go: the first place that meets no other label and no point.
class Labels {
 public:
  Labels(const PixelScale& x, const PixelScale& y) : x_(x), y_(y) {}
  void keep_free(double px, double py) { taken_.push_back({px - 4, py - 4, px + 4, py + 4}); }
  [[nodiscard]] std::string place(double px, double py, const std::string& text) {
    const double length = letter * static_cast<double>(letters(text));
    const Box places[] = {{px + 8, py - 8, px + 8 + length, py + 6},
                          {px - 8 - length, py - 8, px - 8, py + 6},
                          {px - length / 2, py - 22, px + length / 2, py - 8},
                          {px - length / 2, py + 8, px + length / 2, py + 22},
                          {px + 8, py + 4, px + 8 + length, py + 18},
                          {px + 8, py - 20, px + 8 + length, py - 6},
                          {px - 8 - length, py + 4, px - 8, py + 18},
                          {px - 8 - length, py - 20, px - 8, py - 6}};
    for (const Box& box : places) {
      if (box.left < x_.from || box.right > width || box.top < 14 || box.bottom > y_.from) continue;
      if (std::any_of(taken_.begin(), taken_.end(), [&](const Box& t) { return box.meets(t); })) {
        continue;
      }
      taken_.push_back(box);
      return fmt::format("<text class=\"value\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", box.left,
                         box.bottom - 3, escape(text));
    }
    return {};  // no room: the point's title still has the text
  }

 private:
  const PixelScale& x_;
  const PixelScale& y_;
  std::vector<Box> taken_;
};

std::string path_of(const Series& series, Mark mark, const PixelScale& x, const PixelScale& y) {
  std::string path;
  bool drawing = false;
  for (const Point& p : series.points) {
    if (!x.has(p.x) || !y.has(p.y)) {
      drawing = false;
      continue;
    }
    const double py = std::clamp(y(p.y), y.to, y.from);
    if (drawing && mark == Mark::steps) path += fmt::format("H{:.1f}", x(p.x));
    path += fmt::format("{}{:.1f} {:.1f}", drawing ? "L" : "M", x(p.x), py);
    drawing = true;
  }
  return path;
}

}  // namespace

std::string chart(const Chart& chart) {
  constexpr double height = 270.0;
  std::vector<double> xs;
  std::vector<double> ys;
  std::vector<std::string> names;
  PixelScale x{0, 1, 0, width - 14, chart.x.logarithmic};
  PixelScale y{0, 1, height - 46, 24, chart.y.logarithmic};
  for (const Series& series : chart.series) {
    names.push_back(series.name);
    for (const Point& p : series.points) {
      if (!x.has(p.x) || !y.has(p.y)) continue;
      xs.push_back(p.x);
      ys.push_back(p.y);
    }
  }
  const std::string key = legend(names, chart.mark != Mark::points);
  if (xs.empty()) return figure(chart.title, key, height, "", chart.note);
  set_limits(x, chart.x, xs, false);
  set_limits(y, chart.y, ys, chart.mark == Mark::steps);
  const std::vector<Tick> y_ticks = ticks_of(y.low, y.high, y.logarithmic, 5);
  std::size_t longest = 1;
  for (const Tick& tick : y_ticks) longest = std::max(longest, tick.text.size());
  x.from = letter * static_cast<double>(longest) + 12;

  std::string out = axes(chart, x, y, y_ticks);
  Labels labels(x, y);
  for (const Series& series : chart.series) {
    for (const Point& p : series.points) {
      if (x.has(p.x) && y.has(p.y)) labels.keep_free(x(p.x), y(p.y));
    }
  }
  std::string texts;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const Series& series = chart.series[i];
    // Marks of a crowded line would hide it; a ring leaves room for a dot inside.
    const double radius = series.hollow ? 6.0 : series.points.size() > 24 ? 2.5 : 4.0;
    out += fmt::format("<g class=\"s{}\">", i % series_colours);
    if (chart.mark != Mark::points) {
      out += fmt::format("<path class=\"mark\" d=\"{}\"><title>{}</title></path>",
                         path_of(series, chart.mark, x, y), escape(series.name));
    }
    for (const Point& p : series.points) {
      if (!x.has(p.x) || !y.has(p.y)) continue;
      if (chart.mark == Mark::points || chart.mark == Mark::line_points) {
        const std::string& name = p.label.empty() ? series.name : p.label;
        out += fmt::format(
            "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\"><title>{}: {:.6g}, "
            "{:.6g}</title></circle>",
            series.hollow ? "ring" : "dot", x(p.x), y(p.y), radius, escape(name), p.x, p.y);
      }
      if (!p.label.empty()) texts += labels.place(x(p.x), y(p.y), p.label);
    }
    out += "</g>\n";
  }
  return figure(chart.title, key, height, out + texts, chart.note);
}

std::string bar_chart(const BarChart& chart) {
  std::vector<std::string> names;
  std::size_t longest = 1;
  double low = 0.0;
  double high = 0.0;
  for (const std::string& label : chart.labels) longest = std::max(longest, letters(label));
  for (const BarChart::Series& series : chart.series) {
    if (series.values.size() != chart.labels.size()) {
      throw std::invalid_argument("a bar chart has one value for each label and series");
    }
    names.push_back(series.name);
  }
  for (std::size_t r = 0; r < chart.labels.size(); ++r) {
    double sum = 0.0;
    for (const BarChart::Series& series : chart.series) {
      const double v = series.values[r];
      if (!std::isfinite(v)) continue;
      if (chart.stacked && v < 0.0) throw std::invalid_argument("stacked values are at least 0");
      sum += v;
      low = std::min(low, v);
      high = std::max(high, chart.stacked ? sum : v);
    }
  }
  const std::string key = legend(names, false);
  if (chart.labels.empty() || low == high) return figure(chart.title, key, 40, "", chart.note);

  constexpr double bar = 16.0;
  const std::size_t bars = chart.stacked ? 1 : std::max<std::size_t>(1, chart.series.size());
  const double row = bar * static_cast<double>(bars) + 10;
  const double height = row * static_cast<double>(chart.labels.size()) + 44;
  // Longer labels than this many letters are cut; their titles have them whole.
  constexpr std::size_t most = 22;
  const double left = letter * static_cast<double>(std::min(longest, most)) + 10;
  PixelScale x{low, high, left + (low < 0.0 ? 48 : 0), width - 60, false};
  std::string out;
  for (const Tick& tick : ticks_of(low, high, false, 5)) {
    out += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} 4V{:.1f}\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
        "text-anchor=\"middle\">{}</text>\n",
        x(tick.value), height - 40, x(tick.value), height - 24, tick.text);
  }
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                     (x.from + x.to) / 2, height - 6, escape(chart.unit));
  for (std::size_t r = 0; r < chart.labels.size(); ++r) {
    const double top = 6 + row * static_cast<double>(r);
    const std::string& label = chart.labels[r];
    const std::string shown = letters(label) <= most ? label : tail(label, most - 1);
    out += fmt::format(
        "<text class=\"value\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}<title>{}</title>"
        "</text>\n",
        left - 6, top + row / 2 - 1, escape(shown), escape(label));
    double start = 0.0;
    double sum = 0.0;
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
      const double v = chart.series[i].values[r];
      if (!std::isfinite(v)) continue;
      const double from = x(chart.stacked ? start : std::min(v, 0.0));
      const double to = x(chart.stacked ? start + v : std::max(v, 0.0));
      const double y = chart.stacked ? top : top + bar * static_cast<double>(i);
      out += fmt::format(
          "<rect class=\"bar s{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:g}\">"
          "<title>{} {}: {:.6g}</title></rect>\n",
          i % series_colours, from, y, std::max(to - from, 0.5), bar - 2, escape(label),
          escape(chart.series[i].name), v);
      if (!chart.stacked) {
        out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"{}>{:.4g}</text>\n",
                           v < 0.0 ? from - 4 : to + 4, y + bar - 4,
                           v < 0.0 ? " text-anchor=\"end\"" : "", v);
      }
      start += v;
      sum += v;
    }
    if (chart.stacked) {
      out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{:.4g}</text>\n", x(sum) + 4,
                         top + bar - 4, sum);
    }
  }
  return figure(chart.title, key, height, out, chart.note);
}

}  // namespace lowbit::html
