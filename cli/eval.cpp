// SPDX-License-Identifier: MIT
// lowbit eval: what formats do to the weights of a model, and to the outputs of its layers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>

#include "commands.hpp"
#include "eval_summary.hpp"
#include "evaluator.hpp"
#include "faults.hpp"
#include "file_arguments.hpp"
#include "lowbit/checkpoint_eval.hpp"
#include "lowbit/error.hpp"
#include "lowbit/eval_report.hpp"
#include "lowbit/evaluate.hpp"
#include "lowbit/names.hpp"
#include "lowbit/output_file.hpp"
#include "lowbit/printable.hpp"
#include "processes.hpp"
#include "progress.hpp"
#include "selection_options.hpp"
#include "stop_signals.hpp"
#include "tensor_options.hpp"

namespace lowbit::cli {
namespace {

/// The metric of an option's value. \throws Error(usage) that lists all.
const EvalMetric& eval_metric_named(std::string_view option, std::string_view text,
                                    std::string_view name) {
  if (const EvalMetric* metric = find_eval_metric(name)) return *metric;
  std::string names;
  for (const EvalMetric& m : eval_metrics()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", m.name);
  }
  const char* form = option == "--sort" ? "a metric, which are" : "METRIC=VALUE with METRIC one of";
  throw Error(ErrorKind::usage, fmt::format("{} {}: not {} {}", option, text, form, names));
}

/// "NAME  FORMULA" lines.
std::string metric_help() {
  std::string text;
  for (const EvalMetric& metric : eval_metrics()) {
    text += fmt::format("  {:<22} {}\n", metric.name, metric.formula);
  }
  return text;
}

/// What is compared by default: the formats of the papers, at 4, 3, 6 and 8 bits.
const std::vector<std::string> default_formats{"nvfp4:static_6",   "nvfp4:mse",       "if4:mse",
                                               "if3:mse",          "if6_e2m3:mse",    "mxfp4:floor",
                                               "mxfp6_e2m3:floor", "mxfp8_e4m3:floor"};

struct Options {
  std::vector<std::string> files;
  std::vector<std::string> formats;
  std::string recipe;
  std::string reference;
  EvaluatorOptions evaluator;
  RawOptions raw;
  SelectionOptions selection;
  std::string json;
  std::string csv;
  std::string markdown;
  std::string html;
  bool per_tensor = false;
  std::string sort;
  std::size_t worst = 10;
  std::vector<std::string> fail_above;
  std::vector<std::string> fail_below;
  std::string progress = "auto";
};

struct Threshold {
  const EvalMetric* metric;
  double value;
  bool above;  ///< fails above the value, else below it
};

Threshold threshold_of(const std::string& text, bool above) {
  const char* option = above ? "--fail-above" : "--fail-below";
  const std::size_t equals = text.find('=');
  const EvalMetric& metric =
      eval_metric_named(option, text, equals == text.npos ? "" : text.substr(0, equals));
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + equals + 1, end, value);
  if (error != std::errc{} || stop != end || std::isnan(value)) {
    throw Error(ErrorKind::usage, fmt::format("{} {}: the value is not a number", option, text));
  }
  return {&metric, value, above};
}

/// Thrown out of an evaluation by Ctrl-C.
struct Interrupted {};

/// The weights of all files, evaluated one after another, until done or interrupted.
EvalReport evaluate_all(const Options& options, const std::vector<std::string>& paths,
                        std::span<const TensorFile> files) {
  const SelectionRules rules = options.selection.rules();
  EvalReport report;
  report.axis = options.selection.axis();
  report.weight_layout = options.selection.layout();
  report.files = paths;
  const Dialect& dialect = options.evaluator.chosen_dialect();
  report.dialect = dialect.name;
  int block_size = 1;
  for (const std::string& text : options.formats) {
    report.formats.push_back(format_spec_named(text, dialect));
    if (const BlockFormat* format = report.formats.back().format) {
      block_size = std::max(block_size, format->block_size);
    }
  }
  std::optional<Recipe> recipe;
  if (!options.recipe.empty()) {
    recipe = Recipe::read(options.recipe, dialect);
    report.formats.push_back({});
    report.formats.back().is_recipe = true;
  }
  report.totals.resize(report.formats.size());
  const Evaluator evaluator(options.evaluator, report.formats, recipe);
  report.has_outputs = evaluator.has_inputs();
  report.has_gains = options.evaluator.optimum;
  report.accumulate = options.evaluator.accumulate;
  report.has_kernel = !options.evaluator.output_dump.empty();
  report.transform = options.evaluator.transform;
  if (!options.html.empty()) {
    report.details.emplace();
    report.details->formats.resize(report.formats.size());
  }
  for (std::size_t i = 0; i < files.size(); ++i) refuse_quantized(files[i], paths[i], rules);

  const Selection selection = select_tensors(files, paths, rules);
  report.notes = selection.notes;
  for (const std::string& warning : padding_warnings(selection, block_size)) {
    report.notes.push_back(warning);
  }
  for (const LeftOutTensor& entry : selection.left_out) {
    report.skipped.push_back({paths[entry.file], entry.tensor->name, std::string(entry.reason)});
  }
  for (const std::string& text : evaluator.notes()) report.notes.push_back(text);
  std::uint64_t elements = 0;
  std::map<std::string, bool> names;
  for (const SelectedTensor& entry : selection.taken) {
    elements += entry.tensor->elements();
    names[entry.tensor->name] = true;
  }
  if (recipe) recipe->check(names);
  // A threshold that nothing was held to must not pass.
  const bool held = !options.fail_above.empty() || !options.fail_below.empty();
  if (selection.taken.empty() && (held || report.skipped.empty())) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no float tensor to evaluate; `lowbit inspect` lists what there is",
                            printable(paths.front())));
  }
  Progress progress(options.progress, elements);
  const auto advance = [&](std::uint64_t n) {
    progress.advance(n * processes().size());
    if (interrupted()) throw Interrupted{};
  };
  std::size_t paired = 0;
  std::size_t dumped = 0;
  try {
    for (const SelectedTensor& entry : selection.taken) {
      const std::string& file = paths[entry.file];
      try {
        EvalTensor done = evaluator.evaluate_tensor(entry, file, advance,
                                                    report.details ? &*report.details : nullptr);
        for (std::size_t k = 0; k < done.results.size(); ++k) {
          report.totals[k].errors.add(done.results[k].errors);
          if (done.results[k].gain) {
            if (!report.totals[k].gain) report.totals[k].gain.emplace();
            report.totals[k].gain->add(*done.results[k].gain);
          }
          if (!done.results[k].cost) continue;
          if (!report.totals[k].cost) report.totals[k].cost.emplace();
          report.totals[k].cost->bits += done.results[k].cost->bits;
          report.totals[k].cost->multiply_adds += done.results[k].cost->multiply_adds;
        }
        paired += done.input.empty() ? 0 : 1;
        dumped += std::any_of(done.results.begin(), done.results.end(),
                              [](const EvalResult& r) { return r.output && r.output->kernel; });
        report.tensors.push_back(std::move(done));
      } catch (const NonFiniteInput&) {
        if (!evaluator.skips_nonfinite()) throw;
        report.skipped.push_back({file, entry.tensor->name, "holds NaN or infinities"});
      }
    }
  } catch (const Interrupted&) {
    report.notes.insert(report.notes.begin(),
                        fmt::format("interrupted after {} of {} tensors", report.tensors.size(),
                                    selection.taken.size()));
    return report;
  }
  if (evaluator.has_inputs() && paired == 0) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no recorded input fits a weight; name them NAME.input or give "
                            "--activation-map",
                            printable(options.evaluator.activations)));
  }
  if (report.has_kernel && dumped == 0) {
    throw Error(ErrorKind::usage,
                fmt::format("{}: no recorded output fits a layer; name them NAME.output",
                            printable(options.evaluator.output_dump)));
  }
  if (held && report.tensors.empty()) {
    throw Error(ErrorKind::usage, "every tensor was skipped: nothing was held to the thresholds");
  }
  return report;
}

/// The weights of a quantized checkpoint against those that it was made from.
EvalReport evaluate_stored(const Options& options) {
  if (options.files.size() != 1) {
    throw Error(ErrorKind::usage, "--reference: one checkpoint at a time is scored");
  }
  if (!options.formats.empty() || !options.recipe.empty() ||
      !options.evaluator.activations.empty() || !options.evaluator.accumulate.empty() ||
      !options.evaluator.output_dump.empty() || options.raw.layout()) {
    throw Error(ErrorKind::usage,
                "--reference scores weights as they are stored; it takes no --format, --recipe, "
                "--activations or --dtype");
  }
  const Checkpoint checkpoint = Checkpoint::open(options.files.front());
  const Checkpoint original = Checkpoint::open(options.reference);
  refuse_faults(checkpoint);
  refuse_faults(original);
  std::uint64_t elements = 0;
  for (const QuantizedTensor& tensor : checkpoint.quantized()) {
    elements += std::uint64_t{tensor.rows} * tensor.columns;
  }
  Progress progress(options.progress, elements);
  return evaluate_checkpoint(checkpoint, original, options.selection.rules().names,
                             [&](std::uint64_t n) { progress.advance(n); });
}

/// Where a report goes: a file, opened before the work so that a bad name costs none of it, or
/// stdout for "-"; nothing where no path was given.
class Delivery {
 public:
  explicit Delivery(const std::string& path) : to_stdout_(path == "-") {
    if (!path.empty() && !to_stdout_ && is_first_process()) file_.emplace(path);
  }
  /// \param to_files  whether files are written, too
  template <typename Form>
  void deliver(const EvalReport& report, const Form& form, bool to_files) {
    if (to_stdout_) fmt::print("{}", form(report));
    if (!file_ || !to_files) return;
    file_->write(form(report));
    file_->commit();
  }

 private:
  bool to_stdout_;
  std::optional<OutputFile> file_;
};

/// Says what is beyond a threshold, and how many tensors were held to them. \return whether
/// anything is.
bool exceeds(const EvalReport& report, std::span<const Threshold> thresholds) {
  if (thresholds.empty()) return false;
  std::size_t count = 0;
  std::size_t held = 0;
  const auto look = [&](const std::string& where, const FormatSpec& format,
                        const EvalResult& result) {
    bool has_value = false;
    for (const Threshold& t : thresholds) {
      const std::optional<double> value = t.metric->value(result);
      if (!value) continue;
      has_value = true;
      // A NaN is beyond every threshold.
      if (t.above ? *value <= t.value : *value >= t.value) continue;
      if (++count <= 20) {
        fmt::print(stderr, "lowbit: {} {}: {} {} is {} {}\n", printable(where), format.label(),
                   t.metric->name, *value, t.above ? "above" : "below", t.value);
      }
    }
    return has_value;
  };
  for (const EvalTensor& tensor : report.tensors) {
    bool has_value = false;
    for (std::size_t k = 0; k < report.formats.size(); ++k) {
      has_value |= look(fmt::format("{}: {}", tensor.file, tensor.name), report.formats[k],
                        tensor.results[k]);
    }
    held += has_value ? 1 : 0;
  }
  for (std::size_t k = 0; k < report.formats.size(); ++k) {
    look("total", report.formats[k], report.totals[k]);
  }
  if (count > 20) fmt::print(stderr, "lowbit: {} more beyond their thresholds\n", count - 20);
  fmt::print(stderr, "lowbit: {} of {} tensors were held to {} threshold{}\n", held,
             report.tensors.size(), thresholds.size(), thresholds.size() == 1 ? "" : "s");
  if (held == 0) throw Error(ErrorKind::usage, "no tensor has the metric of a threshold");
  return count != 0;
}

/// \throws Error(usage) where tensors are to be sorted by what nobody asked for.
void check_sort(const EvalMetric& metric, const Options& options) {
  const EvaluatorOptions& o = options.evaluator;
  const auto need = [&](MetricSource source, bool is_there, const char* option) {
    if (metric.source != source || is_there) return;
    throw Error(ErrorKind::usage, fmt::format("--sort {} needs {}", options.sort, option));
  };
  need(MetricSource::gain, o.optimum, "--optimum");
  need(MetricSource::output, !o.activations.empty(), "--activations");
  need(MetricSource::model, !o.accumulate.empty(), "--accumulate");
  need(MetricSource::kernel, !o.output_dump.empty(), "--output-dump");
}

void run(Options& options) {
  std::vector<Threshold> thresholds;
  for (const std::string& text : options.fail_above) thresholds.push_back(threshold_of(text, true));
  for (const std::string& text : options.fail_below) {
    thresholds.push_back(threshold_of(text, false));
  }
  SummaryOptions summary;
  summary.sort = &eval_metric_named("--sort", options.sort,
                                    !options.sort.empty()                   ? options.sort
                                    : options.evaluator.activations.empty() ? "sqnr_db"
                                                                            : "output_sqnr_db");
  summary.worst = options.worst;
  check_sort(*summary.sort, options);
  const bool is_stored = !options.reference.empty();
  if (is_stored && options.evaluator.optimum) {
    throw Error(ErrorKind::usage, "--optimum is for weights to quantize, not with --reference");
  }
  if (options.formats.empty() && options.recipe.empty() && !is_stored) {
    options.formats = default_formats;
  }
  if (is_stored && !options.evaluator.transform.empty()) {
    throw Error(ErrorKind::usage, "--transform is for weights to quantize, not with --reference");
  }
  const int to_stdout = (options.json == "-") + (options.csv == "-") + (options.markdown == "-") +
                        (options.html == "-");
  if (to_stdout > 1) {
    throw Error(ErrorKind::usage, "only one of --json, --csv, --markdown and --html can go to -");
  }

  std::vector<std::string> paths;
  if (!is_stored) paths = expanded_paths(options.files);
  std::vector<TensorFile> files;
  for (const std::string& path : paths) {
    files.push_back(TensorFile::open(path, options.raw.layout()));
  }
  Delivery text(to_stdout == 0 ? "-" : "");
  Delivery json(options.json);
  Delivery csv(options.csv);
  Delivery markdown(options.markdown);
  Delivery html(options.html);
  // mpirun stops all of several processes.
  if (processes().size() == 1) finish_on_interrupt();
  EvalReport report = is_stored ? evaluate_stored(options) : evaluate_all(options, paths, files);
  if (!options.sort.empty()) {
    std::vector<EvalTensor> sorted;
    for (const std::size_t i : worst_first(report, *summary.sort)) {
      sorted.push_back(std::move(report.tensors[i]));
    }
    report.tensors = std::move(sorted);
  }
  const bool complete = !interrupted();
  if (options.per_tensor) {
    text.deliver(report, as_text, complete);
  } else {
    text.deliver(
        report, [&](const EvalReport& r) { return as_summary(r, summary); }, complete);
  }
  json.deliver(report, as_json, complete);
  csv.deliver(report, as_csv, complete);
  markdown.deliver(report, as_markdown, complete);
  html.deliver(report, as_html, complete);
  if (!complete) {
    std::fflush(stdout);
    die_of_interrupt();
  }
  if (exceeds(report, thresholds)) throw CLI::RuntimeError(static_cast<int>(ErrorKind::mismatch));
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("eval", "Errors of weights and layer outputs under formats");
  const auto options = std::make_shared<Options>();
  FileArguments files(*command);
  files
      .reads(command->add_option("FILE", options->files,
                                 "safetensors (or *.index.json, or a folder of them), .npy, .npz, "
                                 "GGUF, raw"))
      ->required();
  command
      ->add_option("--format,--formats", options->formats,
                   "A block format and its scale rule, or a reference codec (repeatable, or with "
                   "commas)")
      ->type_name("F[:RULE]")
      ->delimiter(',')
      ->allow_extra_args(false);
  files
      .reads(
          command->add_option("--recipe", options->recipe, "Each tensor's own format, of a plan"))
      ->type_name("FILE");
  files
      .reads(
          command->add_option("--reference", options->reference,
                              "Score a quantized checkpoint against the weights that it was made "
                              "from, dequantized by its own convention"))
      ->type_name("PATH");
  options->selection.add_to(*command);
  options->evaluator.add_to(*command, files);
  options->raw.add_to(*command);
  files.writes(command->add_option("--json", options->json, "Write JSON, - for stdout"))
      ->type_name("PATH");
  files.writes(command->add_option("--csv", options->csv, "Write CSV, - for stdout"))
      ->type_name("PATH");
  files
      .writes(command->add_option("--markdown", options->markdown, "Write Markdown, - for stdout"))
      ->type_name("PATH");
  files
      .writes(
          command->add_option("--html", options->html,
                              "Write a page with charts, - for stdout; reads each tensor whole"))
      ->type_name("PATH");
  command
      ->add_option("--transform", options->evaluator.transform,
                   "Remedies before and while weights are quantized, with commas between")
      ->type_name("LIST");
  command
      ->add_option("--accumulate", options->evaluator.accumulate,
                   "How layer outputs are summed: an instruction of `lowbit mma --list`, or a MAC "
                   "unit (exact, published, block_fp32, gst)")
      ->type_name("MODEL");
  files
      .reads(command->add_option("--output-dump", options->evaluator.output_dump,
                                 "Outputs that a kernel computed: NAME.output for NAME.weight"))
      ->type_name("FILE");
  command->add_flag("--optimum", options->evaluator.optimum,
                    "Also which share each rule gets of what the best scale of every block gains "
                    "over static_6");
  command->add_flag("--per-tensor", options->per_tensor, "Every tensor instead of the summary");
  command->add_option("--sort", options->sort, "By which metric tensors are ordered, worst first")
      ->type_name("METRIC");
  command->add_option("--worst", options->worst, "How many tensors the summary shows")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--fail-above", options->fail_above,
                   "Exit 1 where a tensor's or the total's metric is larger (repeatable)")
      ->type_name("METRIC=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--fail-below", options->fail_below, "Exit 1 where one is smaller (repeatable)")
      ->type_name("METRIC=VALUE")
      ->allow_extra_args(false);
  command->add_option("--progress", options->progress, "A bar on a terminal: auto or never")
      ->type_name("MODE")
      ->capture_default_str();
  add_quiet(*command);
  std::string defaults;
  for (const std::string& format : default_formats) defaults += " " + format;
  std::string codecs;
  for (const ReferenceCodec* codec : reference_codecs()) {
    codecs += fmt::format("\n  {:<13}{}", codec->name(), codec->summary());
  }
  command->footer("Which tensors:\n" + std::string(selection_help()) +
                  "\nMetrics, with x the original and q the dequantized value of n elements:\n" +
                  metric_help() + "\nFormats where none is given:" + defaults +
                  "\nReference codecs:" + codecs + "\nRemedies for --transform:\n" +
                  std::string(remedy_help()));
  command->callback([options] { run(*options); });
}

}  // namespace lowbit::cli
