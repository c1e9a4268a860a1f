// SPDX-License-Identifier: MIT
/// \file
/// Self-contained HTML pages: one document with its style and its pictures (inline SVG) inside. A
/// page needs no script, no network and no fonts beyond the reader's own, follows the reader's
/// light or dark scheme, and is readable from 400 pixels of width on. Every text that is passed in
/// is escaped here; callers pass plain text and never markup, except to Page::add(), which takes
/// what the other functions return. Thread-safe; nothing depends on the locale or the clock.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::html {

/// The text for use between tags and in quoted attributes: & < > " ' become entities, control
/// characters and bytes that are not UTF-8 become U+FFFD. Not cut.
[[nodiscard]] std::string escape(std::string_view text);

/// A table of texts, all escaped.
struct Table {
  /// One column.
  struct Column {
    std::string heading;     ///< of the column
    bool is_number = false;  ///< to the right, in digits of equal width
  };
  std::vector<Column> columns;                 ///< from left to right
  std::vector<std::vector<std::string>> rows;  ///< each with one text per column
};
/// Scrolls sideways by itself where the page is too narrow.
[[nodiscard]] std::string table(const Table& table);

/// A table whose cells are shaded by their value.
struct HeatMap {
  std::string corner;                ///< heading of the column of row names
  std::vector<std::string> rows;     ///< names
  std::vector<std::string> columns;  ///< names
  std::vector<double> values;        ///< rows * columns of them, row by row; NaN: an empty cell
  bool low_is_bad = false;           ///< as with SQNR; else high values are bad
  bool by_column = false;            ///< whether each column has a range of its own
  double least_range = 0.0;          ///< a range below this is not stretched to all shades
  std::function<std::string(double)> text{};  ///< of a cell; 4 significant digits where absent
};
/// The worse, the stronger the shade. The value is written in every cell, and infinite values have
/// the shade of the end that they lie beyond. \throws std::invalid_argument for a wrong number of
/// values.
[[nodiscard]] std::string heat_map(const HeatMap& map);

/// A point of a chart.
struct Point {
  double x = 0.0;       ///< along the horizontal axis
  double y = 0.0;       ///< along the vertical axis
  std::string label{};  ///< written beside the point where not empty
};
/// How the points of a series are drawn.
enum class Mark : unsigned char {
  line,         ///< joined by straight lines
  points,       ///< a scatter plot
  line_points,  ///< both
  steps,        ///< a histogram's outline: each y holds from its x to the next one's
};
/// Points of one colour; charts with several have a legend.
struct Series {
  std::string name;  ///< in the legend
  std::vector<Point>
      points;           ///< points with a NaN, or not above 0 on a logarithmic axis, are left out
  bool hollow = false;  ///< points as rings, so that those of another series show inside
};
/// One axis of a chart.
struct Axis {
  std::string label;             ///< with the unit
  bool logarithmic = false;      ///< powers of ten at equal distances
  std::optional<double> low{};   ///< that of the points where absent
  std::optional<double> high{};  ///< that of the points where absent
};
/// Series over two axes.
struct Chart {
  std::string title;           ///< above the picture, and its name for screen readers
  Axis x;                      ///< horizontal
  Axis y;                      ///< vertical
  Mark mark = Mark::line;      ///< of all series
  std::vector<Series> series;  ///< at most 8 colours; more repeat them
  std::string note{};          ///< below the picture
};
/// A figure with an SVG picture, 500 pixels wide at most. Without a point it says so in words.
[[nodiscard]] std::string chart(const Chart& chart);

/// Horizontal bars, one row of them per label.
struct BarChart {
  /// Values of one colour.
  struct Series {
    std::string name;            ///< in the legend
    std::vector<double> values;  ///< one per label; NaN draws nothing
  };
  std::string title;                ///< as in Chart
  std::string unit;                 ///< below the axis
  std::vector<std::string> labels;  ///< of the rows
  std::vector<Series> series;       ///< side by side, or stacked
  bool stacked = false;             ///< the values of a row add up to one bar
  std::string note{};               ///< below the picture
};
/// As chart(). Values may be negative unless they are stacked. \throws std::invalid_argument where
/// a series has another number of values than there are labels.
[[nodiscard]] std::string bar_chart(const BarChart& chart);

/// Markup behind a heading that opens it.
[[nodiscard]] std::string folded(std::string_view summary, std::string_view markup);

/// One document, from top to bottom.
class Page {
 public:
  /// \param title  of the document and its first heading
  /// \param subtitle  one line below, may be empty
  explicit Page(std::string_view title, std::string_view subtitle = "");
  /// A heading of the second level.
  Page& section(std::string_view heading);
  /// A paragraph of plain text.
  Page& text(std::string_view paragraph);
  /// Figures and numbers that stand out: a value and what it is.
  Page& tiles(const std::vector<std::pair<std::string, std::string>>& value_and_name);
  /// What a function of this header returned.
  Page& add(std::string_view markup);
  /// Several of them side by side where the page is wide enough.
  Page& beside(const std::vector<std::string>& markup);
  /// As folded().
  Page& folded(std::string_view summary, std::string_view markup);
  /// The whole document; ends with a line break.
  [[nodiscard]] std::string str() const;

 private:
  std::string title_;
  std::string body_;
};

}  // namespace lowbit::html
