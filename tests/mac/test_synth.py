#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The synthesis flow on the exact IF4 core: it stays within its bar, the netlist computes what the
RTL computes, and unusable Liberty files are refused with one line and exit code 3.

Exit code 77 (skipped) where a tool or the library is missing."""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
SYNTH = os.path.join(ROOT, "scripts", "synth")
sys.path.insert(0, SYNTH)
sys.dont_write_bytecode = True
from netlist import Netlist  # noqa: E402

LIBERTY = "/usr/share/qflow/tech/osu018/osu018_stdcells.lib"


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def number(name):
    """Of a block format in the RTL."""
    with open(os.path.join(ROOT, "mac_rtl", "lowbit_formats.sv"), encoding="utf-8") as f:
        return re.search(rf"localparam int {name} = (\d+);", f.read()).group(1)


def synthesize(work, *arguments):
    return subprocess.run([sys.executable, os.path.join(SYNTH, "synth.py"), "--out", work, *arguments],
                          capture_output=True, text=True, check=False)


def outputs(work, name, files, defines, netlist, beats):
    """(valid_o, acc_o) after each clock of a simulation."""
    ports = {n: len(b) for n, (_, b) in netlist.ports.items()}
    lines = ["`timescale 1ns/10ps", "module tb;"]
    lines += [f"  {'reg' if d == 'input' else 'wire'} [{len(b) - 1}:0] {n};" for n, (d, b) in netlist.ports.items()]
    lines += ["  lowbit_mac_exact_core dut(" + ", ".join(f".{n}({n})" for n in ports) + ");", "  initial begin",
              "    clk_i = 0; rst_ni = 0; valid_i = 0; first_i = 0; last_i = 0; a_scale_i = 0; w_scale_i = 0; a_codes_i = 0; w_codes_i = 0;",
              "    repeat (10) begin #10 clk_i = 1; #10 clk_i = 0; end", "    rst_ni = 1;"]
    for valid, first, last, a_scale, w_scale, a, w in beats:
        lines.append(f"    valid_i = {valid}; first_i = {first}; last_i = {last}; a_scale_i = {a_scale}; w_scale_i = {w_scale};"
                     f" a_codes_i = 64'h{a:x}; w_codes_i = 64'h{w:x};"
                     " #10 clk_i = 1; #10 clk_i = 0; if (valid_o) $display(\"%h\", acc_o);")
    lines += ["  end", "endmodule"]
    bench = os.path.join(work, name + ".sv")
    with open(bench, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    subprocess.run(["iverilog", "-g2012", "-gno-specify", "-s", "tb", *defines, "-o", bench + "vp", bench, *files],
                   check=True, capture_output=True)
    return subprocess.run(["vvp", "-n", bench + "vp"], check=True, capture_output=True, text=True).stdout.split()


def main():
    for tool in ("yosys", "sta", "iverilog"):
        if not shutil.which(tool):
            print(tool, "not found: skipped")
            return 77
    if not os.path.exists(LIBERTY):
        print(LIBERTY, "not found: skipped")
        return 77
    with tempfile.TemporaryDirectory() as work:
        with open(LIBERTY, encoding="utf-8") as f:
            text = f.read()
        no_flop = re.sub(r"\bff\s*\(", "fff (", text)
        no_timing = re.sub(r"\btiming\s*\(", "tuning (", text)
        for name, bad, words in (("truncated", text[:len(text) // 2], "truncated"), ("no flip-flop", no_flop, "no flip-flop"),
                                 ("no timing", no_timing, "timing"), ("not Liberty", "hello", "no library")):
            path = os.path.join(work, "bad.lib")
            with open(path, "w", encoding="utf-8") as f:
                f.write(bad)
            done = synthesize(os.path.join(work, "bad"), "--liberty", path)
            check(done.returncode == 3 and words in done.stderr and done.stderr.count("\n") == 1, f"Liberty refused: {name}")

        out = os.path.join(work, "if4")
        done = synthesize(out, "-p", f"FORMAT={number('IF4')}", "-p", "FLAGS=0", "--recipe", "speed", "-p", "PIPELINE=1", "-p", "LEVELS=2")
        check(done.returncode == 0, "the flow runs " + done.stderr)
        result = json.loads(done.stdout)
        print(result)
        check(result["nand2"] <= 9500 and result["fmax_mhz"] >= 250, "IF4, pipelined: at most 9,500 NAND2 at 250 MHz")

        netlist = Netlist(os.path.join(out, "netlist.v"))
        rng = random.Random(7)
        beats = []
        for _ in range(400):
            beats.append((rng.random() < 0.8, rng.random() < 0.2, rng.random() < 0.3, rng.getrandbits(8), rng.getrandbits(8),
                          rng.getrandbits(64), rng.getrandbits(64)))
        beats = [tuple(int(x) for x in b) for b in beats] + [(0, 0, 0, 0, 0, 0, 0)] * 10
        rtl = os.path.join(ROOT, "mac_rtl")
        with open(os.path.join(rtl, "lowbit_mac_exact_core.f"), encoding="utf-8") as f:
            sources = [os.path.join(rtl, l.strip()) for l in f if l.strip()]
        # Icarus sets parameters of the top module only: a copy of the core with the other default.
        core = os.path.join(work, "core.sv")
        with open(sources[-1], encoding="utf-8") as f:
            body = f.read()
        with open(core, "w", encoding="utf-8") as f:
            f.write(body.replace("parameter int PIPELINE = 0", "parameter int PIPELINE = 1"))
        expected = outputs(work, "rtl", sources[:-1] + [core], [], netlist, beats)
        got = outputs(work, "gates", [os.path.join(out, "netlist.v"), LIBERTY.replace(".lib", ".v")], [], netlist, beats)
        check(len(expected) > 50 and expected == got, f"netlist equals RTL on {len(expected)} results")
    return 0


if __name__ == "__main__":
    sys.exit(main())
