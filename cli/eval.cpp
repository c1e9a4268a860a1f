// SPDX-License-Identifier: MIT
// lowbit eval: what block formats do to the tensors of a file.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <memory>
#include <thread>

#include "commands.hpp"
#include "eval_report.hpp"
#include "file_arguments.hpp"
#include "lowbit/error.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"
#include "progress.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

/// What is compared by default: the formats of the papers, at 4, 3, 6 and 8 bits.
const std::vector<std::string> default_formats{"nvfp4:static_6",   "nvfp4:mse",       "if4:mse",
                                               "if3:mse",          "if6_e2m3:mse",    "mxfp4:floor",
                                               "mxfp6_e2m3:floor", "mxfp8_e4m3:floor"};

struct Options {
  std::vector<std::string> files;
  std::vector<std::string> formats;
  std::string dialect = "canonical";
  RawOptions raw;
  NameFilter filter;
  int axis = -1;
  std::string scale_max;
  std::string nonfinite = "error";
  std::string json;
  std::string csv;
  std::string markdown;
  std::vector<std::string> fail_above;
  std::vector<std::string> fail_below;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  std::string progress = "auto";
};

struct Threshold {
  const Metric* metric;
  double value;
  bool above;  ///< fails above the value, else below it
};

Threshold threshold_of(const std::string& text, bool above) {
  const char* option = above ? "--fail-above" : "--fail-below";
  const std::size_t equals = text.find('=');
  const Metric* metric = find_metric(text.substr(0, equals));
  if (equals == text.npos || metric == nullptr) {
    std::string names;
    for (const Metric& m : metrics())
      names += fmt::format("{}{}", names.empty() ? "" : ", ", m.name);
    throw Error(ErrorKind::usage,
                fmt::format("{} {}: not METRIC=VALUE with METRIC one of {}", option, text, names));
  }
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + equals + 1, end, value);
  if (error != std::errc{} || stop != end || std::isnan(value)) {
    throw Error(ErrorKind::usage, fmt::format("{} {}: the value is not a number", option, text));
  }
  return {metric, value, above};
}

EvalFormat format_of(const std::string& text, const Dialect& dialect) {
  const FormatChoice choice = format_choice_named(text, {}, &dialect);
  return {choice.format, choice.rule.value_or(default_rule(*choice.format, &dialect))};
}

/// The tensors of all files, evaluated one after another.
EvalReport evaluate_all(Options& options, std::span<const TensorFile> files) {
  EvalReport report{std::string(dialect_named(options.dialect).name),
                    options.axis,
                    options.files,
                    {},
                    {},
                    {},
                    {}};
  for (const std::string& text : options.formats)
    report.formats.push_back(format_of(text, dialect_named(options.dialect)));
  report.totals.resize(report.formats.size());
  std::vector<QuantizeOptions> requests;
  for (const EvalFormat& format : report.formats) {
    QuantizeOptions request;
    request.format = format.format;
    request.rule = format.rule;
    request.dialect = &dialect_named(options.dialect);
    request.nonfinite = nonfinite_named(options.nonfinite);
    if (request.nonfinite == NonFinite::propagate) {
      throw Error(ErrorKind::usage,
                  "--nonfinite propagate: NaN has no error to report; choose error or saturate");
    }
    if (!options.scale_max.empty() && format.format->family() == ScaleFamily::nv) {
      request.scale_max = scale_max_named(options.scale_max, *request.format);
    }
    requests.push_back(request);
  }

  std::vector<std::pair<const TensorInfo*, std::string>> work;
  std::uint64_t elements = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (const TensorInfo& tensor : files[i].tensors()) {
      if (!options.filter.accepts(tensor.name)) continue;
      const std::string& file = options.files[i];
      if (!tensor.dtype->is_float()) {
        report.skipped.push_back(
            {file, tensor.name,
             fmt::format("{} elements are not numbers to quantize", tensor.dtype->name)});
      } else if (tensor.elements() == 0) {
        report.skipped.push_back({file, tensor.name, "no elements"});
      } else {
        work.emplace_back(&tensor, file);
        elements += tensor.elements();
      }
    }
  }
  // A threshold that nothing was held to must not pass.
  const bool held = !options.fail_above.empty() || !options.fail_below.empty();
  if (work.empty() && (held || report.skipped.empty())) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no float tensor to evaluate; `lowbit inspect` lists what there is",
                            printable(options.files.front())));
  }
  Progress progress(options.progress, elements);
  const EvaluateOptions how{options.axis, options.threads,
                            [&](std::uint64_t n) { progress.advance(n); }};
  for (const auto& [tensor, file] : work) {
    EvalTensor entry{file, tensor->name, std::string(tensor->dtype->name), tensor->shape,
                     evaluate(*tensor, requests, how)};
    for (std::size_t k = 0; k < requests.size(); ++k) report.totals[k].add(entry.results[k]);
    report.tensors.push_back(std::move(entry));
  }
  return report;
}

/// Where a report goes: a file, opened before the work so that a bad name costs none of it, or
/// stdout for "-"; nothing where no path was given.
class Delivery {
 public:
  explicit Delivery(const std::string& path) : to_stdout_(path == "-") {
    if (!path.empty() && !to_stdout_) file_.emplace(path);
  }
  template <typename Form>
  void deliver(const EvalReport& report, const Form& form) {
    if (to_stdout_) fmt::print("{}", form(report));
    if (!file_) return;
    file_->write(form(report));
    file_->commit();
  }

 private:
  bool to_stdout_;
  std::optional<OutputFile> file_;
};

/// Says what is beyond a threshold. \return whether anything is.
bool exceeds(const EvalReport& report, std::span<const Threshold> thresholds) {
  std::size_t count = 0;
  const auto look = [&](const std::string& where, const EvalFormat& format,
                        const ErrorStatistics& statistics) {
    for (const Threshold& t : thresholds) {
      const double value = t.metric->value(statistics);
      // A NaN is beyond every threshold.
      if (t.above ? value <= t.value : value >= t.value) continue;
      if (++count <= 20) {
        fmt::print(stderr, "lowbit: {} {}: {} {} is {} {}\n", printable(where), format.label(),
                   t.metric->name, value, t.above ? "above" : "below", t.value);
      }
    }
  };
  for (const EvalTensor& tensor : report.tensors) {
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      look(fmt::format("{}: {}", tensor.file, tensor.name), report.formats[k], tensor.results[k]);
    }
  }
  for (std::size_t k = 0; k < report.formats.size(); ++k)
    look("total", report.formats[k], report.totals[k]);
  if (count > 20) fmt::print(stderr, "lowbit: {} more beyond their thresholds\n", count - 20);
  return count != 0;
}

void run(Options& options) {
  options.filter.compile();
  std::vector<Threshold> thresholds;
  for (const std::string& text : options.fail_above) thresholds.push_back(threshold_of(text, true));
  for (const std::string& text : options.fail_below)
    thresholds.push_back(threshold_of(text, false));
  if (options.formats.empty()) options.formats = default_formats;
  if (options.threads == 0) throw Error(ErrorKind::usage, "--threads 0: at least one is needed");
  const int to_stdout = (options.json == "-") + (options.csv == "-") + (options.markdown == "-");
  if (to_stdout > 1)
    throw Error(ErrorKind::usage, "only one of --json, --csv and --markdown can go to -");

  std::vector<TensorFile> files;
  for (const std::string& path : options.files)
    files.push_back(TensorFile::open(path, options.raw.layout()));
  Delivery text(to_stdout == 0 ? "-" : "");
  Delivery json(options.json);
  Delivery csv(options.csv);
  Delivery markdown(options.markdown);
  const EvalReport report = evaluate_all(options, files);
  text.deliver(report, as_text);
  json.deliver(report, as_json);
  csv.deliver(report, as_csv);
  markdown.deliver(report, as_markdown);
  if (exceeds(report, thresholds)) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* command = app.add_subcommand("eval", "Error statistics of tensors under block formats");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option("FILE", options->files,
                                 "safetensors (or *.index.json), .npy, .npz, GGUF, raw"))
      ->required();
  command
      ->add_option("--format", options->formats, "A block format and its scale rule (repeatable)")
      ->type_name("F[:RULE]")
      ->allow_extra_args(false);
  command->add_option("--dialect", options->dialect, "Whose arithmetic")
      ->type_name("D")
      ->capture_default_str();
  options->filter.add_to(*command);
  command->add_option("--axis", options->axis, "Dimension along which blocks run; -1 is the last")
      ->capture_default_str();
  command->add_option("--scale-max", options->scale_max, "Largest E4M3 scale: 448 or 256")
      ->type_name("M");
  command->add_option("--nonfinite", options->nonfinite, "NaN and infinities: error or saturate")
      ->type_name("POLICY")
      ->capture_default_str();
  options->raw.add_to(*command);
  files.writes(command->add_option("--json", options->json, "Write JSON, - for stdout"))
      ->type_name("PATH");
  files.writes(command->add_option("--csv", options->csv, "Write CSV, - for stdout"))
      ->type_name("PATH");
  files
      .writes(command->add_option("--markdown", options->markdown, "Write Markdown, - for stdout"))
      ->type_name("PATH");
  command
      ->add_option("--fail-above", options->fail_above,
                   "Exit 1 where a tensor's or the total's metric is larger (repeatable)")
      ->type_name("METRIC=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--fail-below", options->fail_below, "Exit 1 where one is smaller (repeatable)")
      ->type_name("METRIC=VALUE")
      ->allow_extra_args(false);
  command->add_option("--threads", options->threads, "Threads; the numbers do not depend on it")
      ->capture_default_str();
  command->add_option("--progress", options->progress, "A bar on a terminal: auto or never")
      ->type_name("MODE")
      ->capture_default_str();
  std::string defaults;
  for (const std::string& format : default_formats) defaults += " " + format;
  command->footer("Metrics, with x the original and q the dequantized value of n elements:\n" +
                  metric_help() + "\nFormats where none is given:" + defaults);
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
