// SPDX-License-Identifier: MIT
// The HTML writer: documents stay documents whatever texts and numbers they are given, and pictures
// have their marks where the numbers say.
#include "lowbit/html.hpp"

#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "html/scale.hpp"

using namespace lowbit;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinite = std::numeric_limits<double>::infinity();
const std::string hostile =
    "</td></svg><script>alert(1)</script>\" onload='x' & \n\x1b[31m\xff\xC2\x9B";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

/// The number behind `key` of the first tag behind `from`.
double number_after(const std::string& text, const std::string& from, const std::string& key) {
  const std::size_t at = text.find(key, text.find(from));
  REQUIRE(at != text.npos);
  return std::stod(text.substr(at + key.size()));
}

/// Reads tag by tag and says what is wrong: a tag left open, closed twice, or with an attribute
/// whose quotes do not match.
std::string problem_of(const std::string& html) {
  const std::set<std::string> empty{"meta", "!DOCTYPE", "wbr"};
  std::vector<std::string> open;
  for (std::size_t i = html.find('<'); i != html.npos; i = html.find('<', i)) {
    std::size_t end = i + 1;
    bool quoted = false;
    for (; end < html.size() && (quoted || html[end] != '>'); ++end) {
      if (html[end] == '"') quoted = !quoted;
      if (!quoted && html[end] == '<') return "a tag within a tag at " + html.substr(i, 40);
    }
    if (end == html.size()) return "a tag without an end at " + html.substr(i, 40);
    std::string name = html.substr(i + 1, html.find_first_of(" >/", i + 2) - i - 1);
    if (html[i + 1] == '/') {
      name = html.substr(i + 2, end - i - 2);
      if (open.empty() || open.back() != name) return "closed without being open: " + name;
      open.pop_back();
    } else if (html[end - 1] != '/' && !empty.contains(name)) {
      open.push_back(name);
    }
    i = end;
    if (!open.empty() && open.back() == "style") i = html.find("</style>", i);
  }
  return open.empty() ? "" : "left open: " + open.back();
}

html::Chart chart_of(html::Mark mark, std::vector<html::Point> points) {
  html::Chart chart;
  chart.title = "t";
  chart.mark = mark;
  chart.series.push_back({"s", std::move(points), false});
  return chart;
}

}  // namespace

TEST_CASE("every byte is escaped or harmless") {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = html::escape(std::string(1, static_cast<char>(byte)));
    INFO(byte);
    const std::string special = "<>\"'&";
    if (special.find(static_cast<char>(byte)) != special.npos) {
      CHECK(text.front() == '&');
      CHECK(text.back() == ';');
    } else if (byte < 0x20 || byte == 0x7F || byte >= 0x80) {
      CHECK(text == "\xEF\xBF\xBD");
    } else {
      CHECK(text == std::string(1, static_cast<char>(byte)));
    }
  }
  CHECK(html::escape("<>\"'&") == "&lt;&gt;&quot;&#39;&amp;");
  CHECK(html::escape("\xC3\xA9\xE2\x82\xAC") == "\xC3\xA9\xE2\x82\xAC");
  CHECK(html::escape("\xC2\x9B") == "\xEF\xBF\xBD");  // a terminal control in two bytes
}

TEST_CASE("a page of hostile texts is a document without scripts") {
  html::Page page(hostile, hostile);
  html::BarChart bars;
  bars.title = bars.unit = bars.note = hostile;
  bars.labels = {hostile, hostile + hostile};
  bars.series = {{hostile, {1.0, not_a_number}}, {hostile, {2.0, 3.0}}};
  html::Chart chart = chart_of(html::Mark::line_points, {{1, 1, hostile}, {2, 3, hostile}});
  chart.title = chart.note = chart.x.label = chart.y.label = chart.series[0].name = hostile;
  chart.series.push_back(chart.series[0]);
  html::HeatMap map;
  map.corner = hostile;
  map.rows = map.columns = {hostile};
  map.values = {1.0};
  map.text = [](double) { return hostile; };
  page.section(hostile).text(hostile).tiles({{hostile, hostile}});
  page.beside({html::chart(chart), html::bar_chart(bars)});
  page.folded(hostile, html::table({{{hostile, true}}, {{hostile, hostile}}}));
  page.add(html::heat_map(map));
  const std::string text = page.str();
  CHECK(problem_of(text) == "");
  CHECK(!has(text, "<script"));
  CHECK(!has(text, "onload='"));
  CHECK(!has(text, "\x1b"));
  CHECK(!has(text, "http://"));
  CHECK(!has(text, "https://"));
  CHECK(!has(text, "url("));
  CHECK(has(text, "Content-Security-Policy"));
  CHECK(has(text, "prefers-color-scheme: dark"));
  CHECK(text.back() == '\n');
}

TEST_CASE("shades of a heat map") {
  html::HeatMap map;
  map.rows = {"a", "b", "c"};
  map.columns = {"p", "q"};
  map.values = {10, 100, 20, 200, 18, not_a_number};
  SECTION("high is bad, over all cells") {
    const std::string text = html::heat_map(map);
    CHECK(has(text, "<td class=\"h0\">10</td>"));
    CHECK(has(text, "<td class=\"h7\">200</td>"));
    CHECK(has(text, "<td class=\"h3\">100</td>"));  // 90 / 190 of 8 shades
    CHECK(has(text, "<td></td>"));
  }
  SECTION("low is bad, each column by itself") {
    map.low_is_bad = map.by_column = true;
    const std::string text = html::heat_map(map);
    CHECK(has(text, "<td class=\"h7\">10</td>"));
    CHECK(has(text, "<td class=\"h0\">20</td>"));
    CHECK(has(text, "<td class=\"h1\">18</td>"));  // 2 / 10 of 8 shades
    CHECK(has(text, "<td class=\"h7\">100</td>"));
    CHECK(has(text, "<td class=\"h0\">200</td>"));
  }
  SECTION("a small range is not stretched") {
    map.by_column = true;
    map.least_range = 40.0;
    const std::string text = html::heat_map(map);
    CHECK(has(text, "<td class=\"h2\">20</td>"));  // 10 / 40 of 8 shades
  }
  SECTION("infinities") {
    map.low_is_bad = true;
    map.values = {10, infinite, 20, -infinite, 18, 12};
    const std::string text = html::heat_map(map);
    CHECK(has(text, "<td class=\"h0\">inf</td>"));
    CHECK(has(text, "<td class=\"h7\">-inf</td>"));
    CHECK(has(text, "<td class=\"h7\">10</td>"));
  }
  map.rows[0] = "a.b/<c>";
  CHECK(has(html::heat_map(map), ">a.<wbr>b/<wbr>&lt;c&gt;</th>"));
  map.values.pop_back();
  CHECK_THROWS_AS(html::heat_map(map), std::invalid_argument);
}

TEST_CASE("ticks") {
  const auto values = [](double low, double high, bool logarithmic, int wanted) {
    std::string text;
    for (const html::Tick& tick : html::ticks_of(low, high, logarithmic, wanted))
      text += tick.text + " ";
    return text;
  };
  CHECK(values(0, 10, false, 5) == "0 2 4 6 8 10 ");
  CHECK(values(0, 1, false, 5) == "0 0.2 0.4 0.6 0.8 1 ");
  CHECK(values(-1.5, 1.5, false, 3) == "-1 0 1 ");
  CHECK(values(20.41, 20.76, false, 4) == "20.5 20.6 20.7 ");
  CHECK(values(1, 1000, true, 4) == "1 10 100 1000 ");
  CHECK(values(3, 60, true, 7) == "5 10 20 50 ");
  CHECK(values(1e-8, 1, true, 4) == "1e-08 1e-06 0.0001 0.01 1 ");
}

TEST_CASE("marks lie where the numbers say") {
  html::Chart chart =
      chart_of(html::Mark::points, {{5, 50}, {not_a_number, 1}, {0, infinite}, {10, 100}});
  chart.x.low = 0;
  chart.x.high = 10;
  chart.y.low = 0;
  chart.y.high = 100;
  const std::string text = html::chart(chart);
  CHECK(problem_of(text) == "");
  CHECK(count(text, "<circle") == 2);
  // The middle of 24..224, and half the way from the axis to the right margin.
  const double left = 6.7 * 3 + 12;
  CHECK(number_after(text, "<circle", "cy=\"") == Approx(124).margin(0.06));
  CHECK(number_after(text, "<circle", "cx=\"") == Approx((left + 406) / 2).margin(0.06));

  chart.x.logarithmic = true;
  chart.x.low = 1;
  chart.x.high = 100;
  chart.series[0].points = {{10, 50}, {0, 50}, {-1, 50}};
  const std::string logarithmic = html::chart(chart);
  CHECK(count(logarithmic, "<circle") == 1);
  CHECK(number_after(logarithmic, "<circle", "cx=\"") == Approx((left + 406) / 2).margin(0.06));
}

TEST_CASE("lines break where a point is missing, and steps are level") {
  const std::string line =
      html::chart(chart_of(html::Mark::line, {{0, 0}, {1, 1}, {2, not_a_number}, {3, 1}}));
  const std::string path = line.substr(line.find("class=\"mark\" d=\""));
  CHECK(count(path.substr(0, path.find("/>")), "M") == 2);
  CHECK(count(path.substr(0, path.find("<title")), "L") == 1);
  const std::string steps = html::chart(chart_of(html::Mark::steps, {{0, 1}, {1, 2}, {2, 0}}));
  const std::string outline = steps.substr(steps.find("class=\"mark\" d=\""));
  CHECK(count(outline.substr(0, outline.find("<title")), "H") == 2);
}

TEST_CASE("charts without points, and with one, are drawn or said to be empty") {
  for (const html::Mark mark :
       {html::Mark::line, html::Mark::points, html::Mark::line_points, html::Mark::steps}) {
    for (const bool logarithmic : {false, true}) {
      html::Chart chart = chart_of(mark, {});
      chart.x.logarithmic = chart.y.logarithmic = logarithmic;
      CHECK(has(html::chart(chart), "nothing to draw"));
      for (const double v : {0.0, 1.0, -3.0, 1e300, 1e-300}) {
        chart.series[0].points = {{v, v, "p"}};
        const std::string text = html::chart(chart);
        CHECK(problem_of(text) == "");
        CHECK(!has(text, "nan"));
        CHECK(!has(text, "inf"));
        CHECK(has(text, "nothing to draw") == (logarithmic && v <= 0.0));
      }
    }
  }
  CHECK(has(html::bar_chart({}), "nothing to draw"));
}

TEST_CASE("labels of points do not lie on each other") {
  std::vector<html::Point> points;
  for (int i = 0; i < 12; ++i)
    points.push_back({4.0 + 0.01 * i, 20.0 + 0.01 * (i % 3), "nvfp4:static_6"});
  html::Chart chart = chart_of(html::Mark::points, points);
  chart.series[0].hollow = true;
  chart.x.low = 3;
  chart.x.high = 9;
  chart.y.low = 10;
  chart.y.high = 40;
  const std::string text = html::chart(chart);
  const std::size_t shown = count(text, "class=\"value\"");
  CHECK(shown >= 1);
  CHECK(count(text, "class=\"ring\"") == 12);
  CHECK(shown < 12);                                   // there is no room for all
  CHECK(count(text, "<title>nvfp4:static_6:") == 12);  // and none is lost
}

TEST_CASE("bars are as long as their values") {
  html::BarChart bars;
  bars.labels = {"a", "b"};
  bars.series = {{"p", {10.0, 5.0}}, {"q", {2.5, not_a_number}}};
  std::string text = html::bar_chart(bars);
  CHECK(problem_of(text) == "");
  const double full = number_after(text, "bar s0", "width=\"");
  CHECK(number_after(text, "bar s1", "width=\"") == Approx(full / 4).margin(0.06));
  CHECK(count(text, "class=\"bar s") == 3);
  bars.stacked = true;
  bars.series[1].values = {10.0, 5.0};
  text = html::bar_chart(bars);
  const double x0 = number_after(text, "bar s0", "x=\"");
  const double w0 = number_after(text, "bar s0", "width=\"");
  CHECK(number_after(text, "bar s1", "x=\"") == Approx(x0 + w0).margin(0.11));
  CHECK(has(text, ">20</text>"));
  bars.series[1].values = {-1.0, 5.0};
  CHECK_THROWS_AS(html::bar_chart(bars), std::invalid_argument);
  bars.stacked = false;
  text = html::bar_chart(bars);
  CHECK(number_after(text, "bar s1", "x=\"") < number_after(text, "bar s0", "x=\""));
  bars.series[1].values.pop_back();
  CHECK_THROWS_AS(html::bar_chart(bars), std::invalid_argument);
}
