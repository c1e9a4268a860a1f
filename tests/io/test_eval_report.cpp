// SPDX-License-Identifier: MIT
// The forms of an evaluation's report: complete documents, whatever the names and numbers in them.
// tests/cli holds every byte of them to approved texts.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "lowbit/eval_report.hpp"

using namespace lowbit;

namespace {

FormatSpec spec(const char* format, ScaleRule rule) {
  FormatSpec s;
  s.format = find_block_format(format);
  s.rule = rule;
  return s;
}

EvalTensor tensor(const char* file, const char* name, std::vector<std::uint64_t> shape) {
  EvalTensor t;
  t.file = file;
  t.name = name;
  t.dtype = "F32";
  t.shape = std::move(shape);
  t.results.resize(3);
  return t;
}

EvalReport report() {
  EvalReport r;
  r.dialect = "canonical";
  r.axis = -1;
  r.files = {"f", "g"};
  r.formats = {spec("nvfp4", ScaleRule::mse), spec("mxfp4", ScaleRule::floor), FormatSpec{}};
  r.totals.resize(3);
  r.tensors = {tensor("f", "a,\"b\"\n\x1b|`*", {2, 16}), tensor("g", "not \xff UTF-8", {})};
  r.skipped.push_back({"g", "i\nds", "I64 elements are not numbers to quantize"});
  return r;
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the label of a format is what --format takes") {
  CHECK(report().formats[0].label() == "nvfp4:mse");
  CHECK(report().formats[1].label() == "mxfp4:floor");
  FormatSpec s = spec("if4", ScaleRule::search);
  s.search_radius = 3;
  CHECK(s.label() == "if4:search:3");
  CHECK(FormatSpec{}.label() == "keep");
  FormatSpec recipe;
  recipe.is_recipe = true;
  CHECK(recipe.label() == "recipe");
  CHECK_FALSE(recipe.keeps());
  FormatSpec codec;
  codec.codec = find_reference_codec("q4_k");
  REQUIRE(codec.codec != nullptr);
  CHECK(codec.label() == "q4_k");
  CHECK(codec.rule_name().empty());
}

TEST_CASE("JSON is one document; what is no number is null") {
  const EvalReport r = report();
  const std::string text = as_json(r);
  CHECK(text.ends_with("}\n"));
  const nlohmann::json json = nlohmann::json::parse(text);
  CHECK(json["axis"] == -1);
  CHECK(json["files"] == nlohmann::json({"f", "g"}));
  REQUIRE(json["tensors"].size() == 2);
  CHECK(json["tensors"][0]["name"] == r.tensors[0].name);
  CHECK(json["tensors"][1]["name"] == "not \xEF\xBF\xBD UTF-8");
  CHECK(json["skipped"][0]["name"] == "i\nds");
  for (const auto& entry : {json["total"], json["tensors"][0]["results"]}) {
    REQUIRE(entry.size() == 3);
    CHECK(entry[2]["rule"].is_null());
    CHECK(entry[1]["format"] == "mxfp4");
    CHECK(entry[1]["rule"] == "floor");
    for (const Metric& metric : metrics()) {
      const double value = metric.value(r.totals[1].errors);
      const nlohmann::json& written = entry[1].at(std::string(metric.name));
      CAPTURE(metric.name, value);
      CHECK((std::isfinite(value) ? written == value : written.is_null()));
    }
  }
  // Empty statistics have numbers of both kinds, or the check above would be of one kind only.
  const auto finite = [&](const Metric& m) { return std::isfinite(m.value(r.totals[1].errors)); };
  CHECK(std::any_of(metrics().begin(), metrics().end(), finite));
  CHECK_FALSE(std::all_of(metrics().begin(), metrics().end(), finite));
}

TEST_CASE("CSV has a line per tensor and format, and quotes what would break it") {
  const std::string text = as_csv(report());
  // The first name has a line break of its own, three times.
  CHECK(lines(text) == 1 + 3 * 3 + 3);
  CHECK(has(text, "f,\"a,\"\"b\"\"\n\x1b|`*\",F32,2x16,nvfp4,mse,"));
  CHECK(has(text, ",(total),,,mxfp4,floor,"));
}

TEST_CASE("text and Markdown have no control characters of a name") {
  for (const std::string& text : {as_text(report()), as_markdown(report())}) {
    CHECK(text.ends_with("\n"));
    CHECK_FALSE(has(text, "\x1b"));
    CHECK_FALSE(has(text, "i\nds"));
    CHECK_FALSE(has(text, "\xff"));
  }
  CHECK(has(as_markdown(report()), "\\|\\`\\*"));
  CHECK(has(as_text(report()), "f: a,\"b\""));
}

TEST_CASE(
    "errors of outputs and shares of gains are in every form where inputs were recorded, and in "
    "none elsewhere") {
  EvalReport r = report();
  for (const bool recorded : {false, true}) {
    r.has_outputs = recorded;
    r.has_gains = recorded;
    r.has_kernel = recorded;
    r.accumulate = recorded ? "exact" : "";
    if (recorded) {
      r.tensors[0].results[0].output.emplace();
      r.tensors[0].results[0].output->model.emplace();
      r.tensors[0].results[0].output->kernel.emplace();
    }
    if (recorded) r.tensors[0].results[0].gain = PossibleGain{2.0, 1.0};
    for (const EvalMetric& metric : eval_metrics()) {
      if (metric.source == MetricSource::tensor) continue;
      CAPTURE(metric.name, recorded);
      CHECK(find_eval_metric(metric.name) == &metric);
      CHECK(has(as_json(r), std::string(metric.name)) == recorded);
      CHECK(has(as_csv(r), std::string(metric.name)) == recorded);
      CHECK(has(as_text(r), std::string(metric.heading)) == recorded);
      CHECK(has(as_markdown(r), std::string(metric.heading)) == recorded);
      CHECK(metric.value(r.tensors[0].results[0]).has_value() == recorded);
      CHECK_FALSE(metric.value(r.tensors[1].results[0]).has_value());
      CHECK(metric.cell(r.tensors[1].results[0]).empty());
    }
  }
  CHECK(find_eval_metric("psnr") == nullptr);
}

TEST_CASE("the share of a gain is that of squared errors, and none where nothing can be gained") {
  const EvalMetric& metric = *find_eval_metric("gain_share");
  EvalResult result;
  CHECK_FALSE(metric.value(result).has_value());
  result.errors.squared_error = 7.0;
  result.gain = PossibleGain{10.0, 6.0};
  CHECK(metric.value(result) == 0.75);
  result.gain->add({1.0, 1.0});
  CHECK(metric.value(result) == 1.0);
  CHECK(metric.cell(result) == "100.000");
  result.errors.squared_error = 12.0;
  CHECK(metric.value(result) == -0.25);
  result.gain = PossibleGain{6.0, 6.0};
  CHECK_FALSE(metric.value(result).has_value());
}

TEST_CASE(
    "an IF format is measured from static_6 of its float elements, an MX format from nothing") {
  std::size_t adaptive = 0;
  for (const BlockFormat& format : block_formats()) {
    CAPTURE(format.name);
    const BlockFormat* const base = static_base(format);
    CHECK((base == nullptr) == (format.family() != ScaleFamily::nv));
    if (base == nullptr) continue;
    CHECK(is_valid_rule(*base, ScaleRule::static_6));
    CHECK(base->block_size == format.block_size);
    CHECK(*base->element == *format.element);
    CHECK((base == &format) == !format.is_adaptive());
    adaptive += format.is_adaptive() ? 1 : 0;
  }
  CHECK(adaptive == 6);
  CHECK(static_base(*find_block_format("if4")) == find_block_format("nvfp4"));
  CHECK(static_base(*find_block_format("if4_bs8")) == find_block_format("nvfp4_bs8"));
}

TEST_CASE("parts of an output's error are averaged over the layers that have them") {
  EvalReport r = report();
  const auto with = [](double error, double norm) {
    OutputSums sums;
    sums.squared_error = error;
    sums.squared_output = norm;
    return sums;
  };
  OutputErrors& first = r.tensors[0].results[0].output.emplace();
  first.both = with(1.0, 100.0);
  first.model = ComputedErrors{with(4.0, 100.0), with(1.0, 10000.0)};
  r.tensors[1].results[0].output.emplace().both = with(300.0, 10000.0);
  std::vector<std::optional<double>> means;
  for (const OutputPart& part : output_parts()) means.push_back(r.mean_output_db(0, part));
  REQUIRE(means.size() == 7);
  CHECK(*means[2] == Approx(-10.0 * std::log10(0.02)));  // of 0.01 and 0.03: not of the sums
  CHECK(*means[3] == Approx(40.0));
  CHECK(*means[4] == Approx(-10.0 * std::log10(0.04)));
  CHECK_FALSE(means[5].has_value());
  CHECK_FALSE(means[6].has_value());
  CHECK(std::isinf(*means[0]));
  CHECK_FALSE(r.mean_output_db(1, output_parts()[2]).has_value());
}
