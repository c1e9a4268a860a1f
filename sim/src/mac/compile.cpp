// SPDX-License-Identifier: MIT
#include "mac/compile.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "lowbit/error.hpp"

namespace lowbit::sim {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    throw Error(ErrorKind::unavailable,
                path.string() + ": cannot be read; it belongs to lowbit's RTL");
  return {std::istreambuf_iterator<char>(in), {}};
}

/// FNV-1a of 64 bits, twice with different starts: a name in a cache, not a signature.
std::string digest(const std::vector<std::string>& parts) {
  std::array<std::uint64_t, 2> h{0xCBF29CE484222325U, 0x84222325CBF29CE4U};
  for (const std::string& part : parts) {
    for (std::uint64_t& x : h) {
      for (const char c : part) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
      x = (x ^ 0x1FF) * 0x100000001B3U;
    }
  }
  return fmt::format("{:016x}{:016x}", h[0], h[1]);
}

/// Runs a program with its output appended to `log`. \\return its exit status, 127 where it is not
/// on the path
int run(const std::vector<std::string>& words, const fs::path& folder, const fs::path& log) {
  std::vector<char*> argv;
  for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw Error(ErrorKind::internal, "no process for " + words.front());
  if (child == 0) {
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    const int in = open("/dev/null", O_RDONLY);
    if (out < 0 || in < 0 || chdir(folder.c_str()) != 0) _exit(126);
    dup2(in, 0), dup2(out, 1), dup2(out, 2);
    execvp(argv.front(), argv.data());
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// What a program prints.
std::string output_of(const std::vector<std::string>& words, const fs::path& folder) {
  const fs::path log = folder / "output.txt";
  fs::remove(log);
  const int status = run(words, folder, log);
  if (status == 127) {
    const bool verilator = words.front() == "verilator";
    throw Error(ErrorKind::unavailable,
                fmt::format("{} not found: it compiles the unit; install it (Debian package {})",
                            words.front(), verilator ? "verilator" : "g++"));
  }
  std::string text = contents(log);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.pop_back();
  if (status != 0) {
    throw Error(ErrorKind::unavailable,
                fmt::format("{} fails: {}", words.front(), text.substr(0, text.find('\n'))));
  }
  return text;
}

std::string compiler_name() {
  const char* cxx = std::getenv("CXX");
  return cxx != nullptr && *cxx != 0 ? cxx : "c++";
}

std::vector<std::string> sources(const fs::path& rtl, const MacShape& shape) {
  std::vector<std::string> files;
  const fs::path list = rtl / fmt::format("lowbit_mac_{}.f", name_of(shape.unit));
  const std::string text = contents(list);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) files.push_back((rtl / text.substr(at, end - at)).string());
    at = end + 1;
  }
  return files;
}

/// The folder of one compilation, removed with this object.
class Workplace {
 public:
  explicit Workplace(const fs::path& cache) {
    std::error_code error;
    fs::create_directories(cache, error);
    std::string name = (cache / "compile_XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      throw Error(ErrorKind::invalid_input,
                  cache.string() +
                      ": cannot be written; give another folder for compiled "
                      "units with --cache");
    }
    path_ = fs::absolute(name);
  }
  ~Workplace() {
    std::error_code error;
    if (!keep_) fs::remove_all(path_, error);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }
  void keep() { keep_ = true; }

 private:
  fs::path path_;
  bool keep_ = false;
};

void step(const std::vector<std::string>& words, Workplace& work) {
  const fs::path log = work.path() / "log.txt";
  if (const int status = run(words, work.path(), log); status != 0) {
    if (status == 127) (void)output_of(words, work.path());  // says what to install
    work.keep();
    throw Error(ErrorKind::unavailable, fmt::format("{} could not compile the unit; its log is {}",
                                                    words.front(), log.string()));
  }
}

}  // namespace

std::vector<std::string> rtl_parameters(const MacShape& shape) {
  std::vector<std::string> out{fmt::format("-GLANES={}", shape.lanes)};
  const auto add = [&](const char* name, int value) {
    out.push_back(fmt::format("-G{}={}", name, value));
  };
  if (shape.unit == MacUnit::exact || shape.unit == MacUnit::block_fp32)
    add("FORMAT", static_cast<int>(shape.format - block_formats().data()));
  if (shape.unit == MacUnit::exact) {
    add("ACC_W", accumulator_bits(shape));
    add("PIPELINE", shape.pipeline ? 1 : 0);
  }
  if (shape.unit == MacUnit::integer || shape.unit == MacUnit::lut) {
    add("BITS", shape.format->element->bits);
    add("ACC_W", accumulator_bits(shape));
  }
  if (shape.unit == MacUnit::lut) add("W_BITS", weight_bits(*shape.format));
  if (shape.unit == MacUnit::published)
    out.push_back(fmt::format("-GINTEGERS=1'b{}", shape.format->is_adaptive() ? 1 : 0));
  return out;
}

fs::path compiled_unit(const MacShape& shape, MacTrace trace, const MacCompiler& compiler) {
  check_mac_shape(shape);
  Workplace work(compiler.cache);
  const std::string verilator = output_of({"verilator", "--version"}, work.path());
  const std::string cxx = compiler_name();
  const std::vector<std::string> parameters = rtl_parameters(shape);
  const std::vector<std::string> files = sources(compiler.rtl, shape);
  const std::vector<std::string> own{(compiler.rtl / "lowbit_unit.cpp").string(),
                                     (compiler.rtl / "lowbit_unit_pins.h").string()};
  std::vector<std::string> parts{verilator, output_of({cxx, "--version"}, work.path()),
                                 fmt::format("trace {}", static_cast<int>(trace))};
  parts.insert(parts.end(), parameters.begin(), parameters.end());
  for (const auto* list : {&files, &own}) {
    for (const std::string& file : *list) parts.push_back(contents(file));
  }
  const fs::path library =
      fs::absolute(compiler.cache) / fmt::format("{}_{}_{}_{}.so", name_of(shape.unit),
                                                 shape.format->name, shape.lanes, digest(parts));
  if (fs::exists(library)) return library;

  const fs::path root = output_of({"verilator", "--getenv", "VERILATOR_ROOT"}, work.path());
  const fs::path include = root / "include";
  std::vector<std::string> words{"verilator",    "--cc",
                                 "-O3",          "--x-assign",
                                 "fast",         "--x-initial",
                                 "fast",         "--noassert",
                                 "--Mdir",       (work.path() / "v").string(),
                                 "--prefix",     "Vlowbit_unit",
                                 "--top-module", fmt::format("lowbit_mac_{}", name_of(shape.unit))};
  if (trace == MacTrace::vcd) words.emplace_back("--trace");
  if (trace == MacTrace::fst) words.emplace_back("--trace-fst");
  words.insert(words.end(), parameters.begin(), parameters.end());
  for (const std::string& file : files) words.push_back(fs::absolute(file).string());
  step(words, work);

  // One source for one compilation: Verilator's files, its runtime, and the functions over its
  // class.
  std::vector<std::string> generated;
  for (const auto& entry : fs::directory_iterator(work.path() / "v"))
    if (entry.path().extension() == ".cpp") generated.push_back(entry.path().filename().string());
  std::ranges::sort(generated);
  std::string text = "#include \"Vlowbit_unit.h\"\n";
  for (const std::string& file : generated) text += "#include \"" + file + "\"\n";
  text += "#include \"" + fs::absolute(own[0]).string() + "\"\n";
  std::ofstream(work.path() / "v" / "unit.cpp") << text;

  const bool traced = trace != MacTrace::none;
  words = {cxx, "-std=c++20", "-O2", "-w", "-fPIC", "-shared", "-DVL_TIME_CONTEXT", "-DVERILATOR=1",
           "-DVM_COVERAGE=0", "-DVM_SC=0", fmt::format("-DVM_TRACE={}", traced ? 1 : 0),
           fmt::format("-DVM_TRACE_VCD={}", trace == MacTrace::vcd ? 1 : 0),
           fmt::format("-DVM_TRACE_FST={}", trace == MacTrace::fst ? 1 : 0),
           fmt::format("-DLOWBIT_TRACE={}", static_cast<int>(trace)),
           fmt::format("-DLOWBIT_ACC={}", shape.has_accumulator() ? 1 : 0),
           // Two units in one process keep their own runtime.
           "-fvisibility=hidden", "-Wl,-Bsymbolic", "-I", (work.path() / "v").string(), "-I",
           include.string(), "-I", (include / "vltstd").string(), "-o",
           (work.path() / "unit.so").string(), (work.path() / "v" / "unit.cpp").string(),
           (include / "verilated.cpp").string(), (include / "verilated_threads.cpp").string()};
  if (trace == MacTrace::vcd) words.push_back((include / "verilated_vcd_c.cpp").string());
  if (trace == MacTrace::fst) words.push_back((include / "verilated_fst_c.cpp").string());
  words.emplace_back("-lpthread");
  if (trace == MacTrace::fst) words.emplace_back("-lz");
  step(words, work);
  fs::rename(work.path() / "unit.so", library);
  return library;
}

void write_wave_view(const fs::path& view, const fs::path& wave, const MacShape& shape) {
  std::ofstream out(view);
  const std::string top = fmt::format("TOP.unit.lowbit_mac_{}.", name_of(shape.unit));
  const auto bus = [](const char* name, int bits) {
    return bits > 1 ? fmt::format("{}[{}:0]", name, bits - 1) : std::string(name);
  };
  const int codes = shape.lanes * shape.code_bits();
  const int scales = 8 * shape.scale_bytes();
  out << "[*] Saved view of lowbit mac run --fst: gtkwave THIS_FILE\n[dumpfile] \""
      << fs::absolute(wave).string() << "\"\n[timestart] 0\n[sst_expanded] 1\n";
  const auto group = [&](const char* title, const std::vector<std::string>& names) {
    out << "@200\n-" << title << "\n@22\n";
    for (const std::string& n : names) out << top << n << '\n';
  };
  group("clock and reset", {"clk_i", "rst_ni"});
  group("operands",
        {"in_valid_i", "in_ready_o", "in_first_i", "in_last_i", bus("a_scale_i", scales),
         bus("w_scale_i", scales), bus("a_codes_i", codes), bus("w_codes_i", codes)});
  std::vector<std::string> results{"out_valid_o", "out_ready_i", bus("out_fp32_o", 32),
                                   bus("out_flags_o", 2)};
  if (shape.has_accumulator()) results.push_back(bus("out_acc_o", accumulator_bits(shape)));
  group("results", results);
  group("core", {"core_valid", "core_first", "core_last", "result_valid"});
  if (!out.flush())
    throw Error(ErrorKind::invalid_input,
                view.string() + ": cannot be written; check the folder and its rights");
}

}  // namespace lowbit::sim
