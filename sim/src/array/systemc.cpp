// SPDX-License-Identifier: MIT
#include "lowbit/sim/array_systemc.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <systemc>

#include "array/rules.hpp"

// The SystemC library wants this entry point of every program; ours have their own main() and start
// the kernel themselves.
__attribute__((weak)) int sc_main(int /*argc*/, char* /*argv*/[]) {
  return 0;
}

namespace lowbit::sim {
namespace {

using Counter = sc_core::sc_signal<std::int64_t>;

/// One run: what the modules work on. They read each other through counters only.
struct Job {
  Job(const ArrayConfig& config, const GemmShape& shape) : plan(config, shape) {}
  TilePlan plan;
  ArrayResult result;
  std::vector<TileTiming> timings;
  bool keep_timings = false;
  ArrayData* data = nullptr;
  std::unique_ptr<ArrayGrid> grid;
  std::vector<bool> written;  ///< by tile: whether it has outputs to write
};

/// A clocked module of the machine: tick() runs once per cycle; `now` counts from the start of the
/// job.
class Module : public sc_core::sc_module {
 public:
  sc_core::sc_in<bool> clock;
  Module(const sc_core::sc_module_name& name, Job*& job) : sc_module(name), job_(job) {
    SC_HAS_PROCESS(Module);
    SC_METHOD(on_clock);
    sensitive << clock.pos();
    dont_initialize();
  }
  virtual void reset() { now_ = 0; }

 protected:
  virtual void tick() = 0;
  [[nodiscard]] std::int64_t now() const { return now_; }
  Job& job() { return *job_; }
  [[nodiscard]] const ArrayConfig& config() const { return job_->plan.config(); }

 private:
  void on_clock() {
    if (job_ == nullptr) return;
    tick();
    ++now_;
  }
  Job*& job_;
  std::int64_t now_ = 0;
};

/// The quantizer's passes over A; the loader waits for them.
class Quantizer : public Module {
 public:
  Counter& ready;
  Quantizer(const sc_core::sc_module_name& name, Job*& job, Counter& ready_out)
      : Module(name, job), ready(ready_out) {}
  void reset() override {
    Module::reset();
    left_ = quantizer_cycles(config(), job().plan.shape());
    ready.write(left_ == 0 ? 1 : 0);
  }

 protected:
  void tick() override {
    if (left_ == 0) return;
    // `ready` is seen a cycle after it is written: it goes up in the last cycle of the passes.
    if (--left_ == 0) ready.write(1);
  }

 private:
  std::int64_t left_ = 0;
};

/// Requests the operands of a tile once a half of the double buffer is free.
class Loader : public Module {
 public:
  Counter &ready, &streamed, &issued;
  Loader(const sc_core::sc_module_name& name, Job*& job, Counter& ready_in, Counter& streamed_in,
         Counter& issued_out)
      : Module(name, job), ready(ready_in), streamed(streamed_in), issued(issued_out) {}
  void reset() override {
    Module::reset();
    count_ = 0;
    issued.write(0);
  }

 protected:
  void tick() override {
    if (ready.read() == 0 || count_ >= job().plan.size()) return;
    if (count_ >= streamed.read() + 2) return;
    if (job().keep_timings) job().timings.push_back({now(), 0, 0, 0});
    issued.write(++count_);
  }

 private:
  std::int64_t count_ = 0;
};

/// One channel, in order of request; a load goes before a write of the same cycle.
class Memory : public Module {
 public:
  Counter &issued, &drained, &loaded, &written;
  Memory(const sc_core::sc_module_name& name, Job*& job, Counter& issued_in, Counter& drained_in,
         Counter& loaded_out, Counter& written_out)
      : Module(name, job),
        issued(issued_in),
        drained(drained_in),
        loaded(loaded_out),
        written(written_out) {}
  void reset() override {
    Module::reset();
    queue_.clear();
    completions_.clear();
    seen_issued_ = seen_drained_ = loads_ = writes_ = 0;
    busy_until_ = 0;
    last_done_ = -1;
    loaded.write(0);
    written.write(0);
  }

 protected:
  void tick() override {
    while (seen_issued_ < issued.read()) {
      queue_.push_back({false, job().plan.tile(seen_issued_++).load_bytes});
    }
    while (seen_drained_ < drained.read()) {
      const std::int64_t bytes = job().plan.tile(seen_drained_++).write_bytes;
      if (bytes > 0) {
        queue_.push_back({true, bytes});
      } else {
        ++writes_;  // partial sums stay in the accumulators
      }
    }
    if (now() >= busy_until_ && !queue_.empty()) {
      const Request request = queue_.front();
      queue_.pop_front();
      busy_until_ = now() + transfer_cycles(config(), request.bytes);
      if (request.write) {
        job().result.bytes_written += static_cast<double>(request.bytes);
        completions_.push_back({busy_until_ - 1, true});
      } else {
        job().result.bytes_read += static_cast<double>(request.bytes);
        const std::int64_t done =
            request.bytes == 0 ? now() : busy_until_ + config().memory_latency;
        last_done_ = std::max(last_done_, done);
        completions_.push_back({last_done_, false});
      }
    }
    for (auto it = completions_.begin(); it != completions_.end();) {
      if (it->first > now()) {
        ++it;
        continue;
      }
      if (it->second) {
        ++writes_;
      } else {
        if (job().keep_timings) job().timings[static_cast<std::size_t>(loads_)].loaded = now();
        ++loads_;
      }
      it = completions_.erase(it);
    }
    loaded.write(loads_);
    written.write(writes_);
  }

 private:
  struct Request {
    bool write;
    std::int64_t bytes;
  };
  std::deque<Request> queue_;
  std::deque<std::pair<std::int64_t, bool>> completions_;
  std::int64_t seen_issued_ = 0, seen_drained_ = 0, loads_ = 0, writes_ = 0;
  std::int64_t busy_until_ = 0, last_done_ = -1;
};

/// The units: streams the beats of loaded tiles, and releases the results after the last beat.
class Array : public Module {
 public:
  Counter &loaded, &streamed, &drained;
  Array(const sc_core::sc_module_name& name, Job*& job, Counter& loaded_in, Counter& streamed_out,
        Counter& drained_out)
      : Module(name, job), loaded(loaded_in), streamed(streamed_out), drained(drained_out) {}
  void reset() override {
    Module::reset();
    next_ = streamed_count_ = drained_count_ = 0;
    may_start_ = 0;
    beat_ = -1;
    drains_.clear();
    streamed.write(0);
    drained.write(0);
  }

 protected:
  void tick() override {
    if (beat_ < 0 && next_ < job().plan.size()) {
      if (now() < may_start_) {
        ++job().result.wait_interval;
      } else if (loaded.read() <= next_) {
        if (next_ > 0 || now() >= job().result.quantizer_cycles) ++job().result.wait_memory;
      } else {
        tile_ = job().plan.tile(next_);
        origin_ = job().plan.origin(next_);
        if (job().keep_timings) job().timings[static_cast<std::size_t>(next_)].started = now();
        ++next_;
        beat_ = 0;
        may_start_ = now() + tile_.interval;
      }
    }
    EdgeBeat edge;
    if (beat_ >= 0) {
      edge = edge_beat();
      ++job().result.beats;
      if (++beat_ == tile_.beats) {
        beat_ = -1;
        streamed.write(++streamed_count_);
        drains_.push_back(now() + drain_latency(config()));
      }
    }
    if (!drains_.empty() && drains_.front() == now()) {
      drains_.pop_front();
      if (job().keep_timings) {
        job().timings[static_cast<std::size_t>(drained_count_)].drained = now();
      }
      drained.write(++drained_count_);
    }
    if (job().grid) {
      outputs_.clear();
      job().grid->step(edge, outputs_);
      for (const GridOutput& output : outputs_) collect(output);
      if (job().data->observer) job().data->observer(edge, outputs_);
    }
  }

 private:
  [[nodiscard]] EdgeBeat edge_beat() const {
    EdgeBeat edge{true, beat_ == 0, beat_ + 1 == tile_.beats, origin_.row, origin_.column, beat_};
    if (config().dataflow == Dataflow::weight_stationary) {
      edge.k = origin_.row;
      edge.m = beat_;
    }
    return edge;
  }
  void collect(const GridOutput& output) {
    const GemmShape& shape = job().plan.shape();
    if (output.m >= shape.m || output.n >= shape.n) return;
    ExactValue& sum = job().data->outputs[static_cast<std::size_t>(output.m * shape.n + output.n)];
    if (config().dataflow == Dataflow::output_stationary || sum.denominator == 0) {
      sum = output.value;
      return;
    }
    // Partial sums of one unit of measure: integers add.
    sum.integer += output.value.integer;
    sum.number_class = sum.integer.is_zero() ? NumberClass::zero : NumberClass::finite;
    sum.negative = sum.integer.is_negative();
  }

  std::int64_t next_ = 0, streamed_count_ = 0, drained_count_ = 0, may_start_ = 0, beat_ = -1;
  ArrayTile tile_{};
  TilePlan::Origin origin_{0, 0};
  std::deque<std::int64_t> drains_;
  std::vector<GridOutput> outputs_;
};

/// The machine is elaborated once and then reset for each job, because SystemC allows no new module
/// after the first start.
class Machine : public sc_core::sc_module {
 public:
  explicit Machine(const sc_core::sc_module_name& name)
      : sc_module(name),
        // The first edge comes after time 0, so that every job is reset before it.
        clock_("clock", sc_core::sc_time(1, sc_core::SC_NS), 0.5,
               sc_core::sc_time(1, sc_core::SC_NS)),
        quantizer_("quantizer", job_, ready_),
        loader_("loader", job_, ready_, streamed_, issued_),
        memory_("memory", job_, issued_, drained_, loaded_, written_),
        array_("array", job_, loaded_, streamed_, drained_) {
    for (Module* module : modules_) module->clock(clock_);
    SC_HAS_PROCESS(Machine);
    SC_METHOD(watch);
    sensitive << written_ << drained_;
    dont_initialize();
  }

  void run(Job& job) {
    job_ = &job;
    for (Module* module : modules_) module->reset();
    cycles_ = 0;
    start_ = sc_core::sc_time_stamp();
    sc_core::sc_start(sc_core::SC_ZERO_TIME);  // lets the counters take their reset values
    done_ = false;
    while (!done_) sc_core::sc_start();
    job_ = nullptr;
    job.result.cycles = cycles_;
  }

 private:
  void watch() {
    if (job_ == nullptr || written_.read() < job_->plan.size()) return;
    if (drained_.read() < job_->plan.size() || done_) return;
    done_ = true;
    // The counters changed in the last cycle; it counts.
    cycles_ =
        static_cast<std::int64_t>((sc_core::sc_time_stamp() - start_).to_seconds() * 1e9 + 0.5);
    sc_core::sc_pause();
  }

  Job* job_ = nullptr;
  sc_core::sc_clock clock_;
  Counter ready_, issued_, loaded_, streamed_, drained_, written_;
  Quantizer quantizer_;
  Loader loader_;
  Memory memory_;
  Array array_;
  Module* modules_[4] = {&quantizer_, &loader_, &memory_, &array_};
  std::int64_t cycles_ = 0;
  sc_core::sc_time start_;
  bool done_ = true;
};

}  // namespace

ArrayResult step_layer(const ArrayConfig& config, const GemmShape& shape, ArrayData* data,
                       std::vector<TileTiming>* trace) {
  Job job(config, shape);
  job.keep_timings = trace != nullptr;
  job.result.tiles = job.plan.size();
  job.result.quantizer_cycles = quantizer_cycles(config, shape);
  if (data != nullptr) {
    job.data = data;
    job.grid = std::make_unique<ArrayGrid>(config, *data->a, *data->w);
    ExactValue none;
    none.denominator = 0;  // marks a sum that has not begun
    data->outputs.assign(static_cast<std::size_t>(shape.m * shape.n), none);
  }
  static Machine machine("lowbit_array");
  machine.run(job);
  finish(config, shape, job.result);
  if (trace != nullptr) *trace = std::move(job.timings);
  return job.result;
}

}  // namespace lowbit::sim
