// SPDX-License-Identifier: MIT
// lowbit_gate_sim: counts the changes of every net of a mapped netlist on a stream of beats, with
// path delays (glitches count) or without. scripts/synth/events.py writes its input and reads its
// output.
//
// The rules are those of Icarus for module paths, but a run takes seconds instead of minutes. A
// gate's new value waits for the delay of the input that changed last. When the wait ends, the
// value that the gate has by then goes out, so a pulse shorter than the delay is lost. A net counts
// once per instant. There are two values, 0 and 1. tests/cli/mac_report.py compares the counts with
// Icarus'.
//
// Input, whitespace separated; times in units of the writer's choice (10 ps, or 0.1 ps):
//   nets N  clock NET  reset NET  valid NET  half HALF_PERIOD  idle CYCLES  skip BEATS
//   gates G, then a line each:   c OUT K IN.. TABLE RISE FALL (of each input)    TABLE: 2^K digits
//                           or   f OUT D RISE FALL                              positive edge of
//                           clock
//   inputs I NET..   beats B, then B words of I digits
// Output: a line for each net, its changes after the first SKIP beats.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Path {
  std::int64_t woke = -1;  ///< when its input changed last
  int rise = 0, fall = 0;
};

struct Gate {
  int out = 0;
  bool flop = false, touched = false;
  std::uint8_t value = 0;    ///< what it has computed; its net follows after the delay
  std::uint32_t inputs = 0;  ///< their values, input i in bit i
  std::vector<std::uint8_t> table;
  std::vector<Path> paths;
};

struct Reader {
  int gate, pin;
};

class Simulation {
 public:
  explicit Simulation(std::istream& in) { read(in); }
  void run();
  void print() const {
    for (const std::int64_t n : changes_) std::printf("%lld\n", static_cast<long long>(n));
  }

 private:
  void read(std::istream& in);
  void set(int net, std::uint8_t value);
  void count();  ///< what has changed between the begin and the end of the instant
  void evaluate();
  void evaluate(int index);
  void advance(std::int64_t until);

  // Delays are far below the wheel's 2^14 units.
  static constexpr std::int64_t wheel_size = 1 << 14;
  std::vector<std::vector<int>> wheel_{static_cast<std::size_t>(wheel_size)};
  std::int64_t now_ = 0, half_ = 0;
  std::vector<Gate> gates_;
  std::vector<std::vector<Reader>> readers_;
  std::vector<std::uint8_t> values_;
  std::vector<std::int64_t> changes_;
  std::vector<std::uint8_t> moved_;  ///< nets in instant_
  std::vector<std::pair<int, std::uint8_t>>
      instant_;  ///< nets set in this instant, and their value before it
  std::vector<int> inputs_, flops_, flop_data_, touched_;
  std::vector<std::string> beats_;
  int clock_ = 0, reset_ = 0, valid_ = 0, idle_ = 0, skip_ = 0;
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "lowbit_gate_sim: %s\n", what.c_str());
  std::exit(3);
}

template <class T>
T next(std::istream& in, const char* what) {
  T value{};
  if (!(in >> value)) fail(std::string("input ends before ") + what);
  return value;
}

int keyed(std::istream& in, const char* key) {
  if (next<std::string>(in, key) != key) fail(std::string("no ") + key + " where it should be");
  return next<int>(in, key);
}

void Simulation::read(std::istream& in) {
  const auto nets = static_cast<std::size_t>(keyed(in, "nets"));
  values_.resize(nets);
  changes_.resize(nets);
  moved_.resize(nets);
  readers_.resize(nets);
  const auto net = [&](const char* what) {
    const int n = next<int>(in, what);
    if (n < 0 || static_cast<std::size_t>(n) >= nets)
      fail(std::string("a net out of range at ") + what);
    return n;
  };
  clock_ = keyed(in, "clock");
  reset_ = keyed(in, "reset");
  valid_ = keyed(in, "valid");
  half_ = keyed(in, "half");
  idle_ = keyed(in, "idle");
  skip_ = keyed(in, "skip");
  const auto delay = [&] {
    const int d = next<int>(in, "a delay");
    if (d < 0 || d >= wheel_size) fail("a delay beyond 16383 units");
    return d;
  };
  gates_.resize(static_cast<std::size_t>(keyed(in, "gates")));
  for (std::size_t g = 0; g < gates_.size(); ++g) {
    Gate& gate = gates_[g];
    gate.flop = next<std::string>(in, "a gate") == "f";
    gate.out = net("an output");
    if (gate.flop) {
      flops_.push_back(static_cast<int>(g));
      flop_data_.push_back(net("the data of a flip-flop"));
      gate.paths.resize(1);
    } else {
      gate.paths.resize(next<std::size_t>(in, "the inputs of a gate"));
      if (gate.paths.size() > 16) fail("a gate of more than 16 inputs");
      for (std::size_t i = 0; i < gate.paths.size(); ++i) {
        readers_[static_cast<std::size_t>(net("an input"))].push_back(
            {static_cast<int>(g), static_cast<int>(i)});
      }
      const auto table = next<std::string>(in, "a table");
      if (table.size() != std::size_t{1} << gate.paths.size()) fail("a table of the wrong length");
      for (const char c : table) gate.table.push_back(c == '1' ? 1 : 0);
    }
    for (Path& path : gate.paths) {
      path.rise = delay();
      path.fall = delay();
    }
  }
  inputs_.resize(static_cast<std::size_t>(keyed(in, "inputs")));
  for (int& n : inputs_) n = net("inputs");
  beats_.resize(static_cast<std::size_t>(keyed(in, "beats")));
  for (std::string& b : beats_) {
    b = next<std::string>(in, "a beat");
    if (b.size() != inputs_.size()) fail("a beat of the wrong width");
  }
}

void Simulation::set(int net, std::uint8_t value) {
  const auto n = static_cast<std::size_t>(net);
  if (values_[n] == value) return;
  if (!moved_[n]) instant_.emplace_back(net, values_[n]);
  moved_[n] = 1;
  values_[n] = value;
  for (const Reader& r : readers_[n]) {
    Gate& gate = gates_[static_cast<std::size_t>(r.gate)];
    gate.inputs ^= 1U << r.pin;
    gate.paths[static_cast<std::size_t>(r.pin)].woke = now_;
    if (!gate.touched) touched_.push_back(r.gate);
    gate.touched = true;
  }
}

void Simulation::count() {
  for (const auto& [net, before] : instant_) {
    const auto n = static_cast<std::size_t>(net);
    changes_[n] += values_[n] != before ? 1 : 0;
    moved_[n] = 0;
  }
  instant_.clear();
}

void Simulation::evaluate() {
  for (const int index : touched_) evaluate(index);
  touched_.clear();
}

void Simulation::evaluate(int index) {
  Gate& gate = gates_[static_cast<std::size_t>(index)];
  gate.touched = false;
  const std::uint8_t value = gate.table[gate.inputs];
  if (value == gate.value) return;
  gate.value = value;
  // Of the inputs that changed last, the fastest path.
  std::int64_t delay = wheel_size;
  for (const Path& path : gate.paths) {
    if (path.woke == now_) delay = std::min<std::int64_t>(delay, value ? path.rise : path.fall);
  }
  wheel_[static_cast<std::size_t>((now_ + delay) % wheel_size)].push_back(index);
}

void Simulation::advance(std::int64_t until) {
  for (; now_ < until; ++now_) {
    auto& due = wheel_[static_cast<std::size_t>(now_ % wheel_size)];
    // All nets of an instant change before any gate looks at them. A path without delay adds to the
    // list that is being gone through.
    evaluate();
    for (std::size_t i = 0; i < due.size();) {
      for (; i < due.size(); ++i) {
        const Gate& gate = gates_[static_cast<std::size_t>(due[i])];
        set(gate.out, gate.value);
      }
      evaluate();
    }
    due.clear();
    count();
  }
}

void Simulation::run() {
  for (std::size_t g = 0; g < gates_.size(); ++g) {
    Gate& gate = gates_[g];
    if (gate.flop || gate.table[0] == 0) continue;
    gate.value = 1;
    wheel_[0].push_back(static_cast<int>(g));
  }
  const auto cycle = [&](std::int64_t begun) {
    advance(begun + half_);
    set(clock_, 1);
    // All flip-flops sample before any changes; a clock edge is their paths' input.
    for (std::size_t f = 0; f < flops_.size(); ++f) {
      Gate& gate = gates_[static_cast<std::size_t>(flops_[f])];
      const std::uint8_t value = values_[static_cast<std::size_t>(flop_data_[f])];
      if (value == gate.value) continue;
      gate.value = value;
      const int delay = value ? gate.paths[0].rise : gate.paths[0].fall;
      wheel_[static_cast<std::size_t>((now_ + delay) % wheel_size)].push_back(flops_[f]);
    }
    advance(begun + 2 * half_);
    set(clock_, 0);
  };
  const auto drive = [&](const std::string& beat) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) set(inputs_[i], beat[i] == '1' ? 1 : 0);
  };
  if (!beats_.empty()) drive(beats_[0]);
  for (int i = 0; i < idle_; ++i) cycle(now_);
  set(reset_, 1);
  set(valid_, 1);
  for (std::size_t b = 0; b < beats_.size(); ++b) {
    const std::int64_t begun = now_;
    drive(beats_[b]);
    if (b == static_cast<std::size_t>(skip_)) {
      // As a trace that begins here: it has the values at the end of this instant.
      advance(begun + 1);
      changes_.assign(changes_.size(), 0);
    }
    cycle(begun);
  }
  advance(now_ + 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) fail("usage: lowbit_gate_sim FILE (scripts/synth/events.py writes it)");
  if (std::strcmp(argv[1], "--version") == 0) {
    // The hash of this source: builds of it in other folders or by other compilers count the same.
    std::puts("lowbit_gate_sim " LOWBIT_GATE_SIM_SOURCE);
    return 0;
  }
  std::ifstream in(argv[1]);
  if (!in) fail(std::string(argv[1]) + ": cannot be opened");
  Simulation simulation(in);
  simulation.run();
  simulation.print();
  return 0;
}
