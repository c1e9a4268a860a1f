#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Timing diagrams of the stream interface, one per unit, drawn from a simulation in Icarus: docs/mac_timing/UNIT.json
(WaveJSON) and UNIT.svg (by the PyPI package wavedrom, where it is installed). Two segments, of two beats and of one, with a
pause of the source between them; the sink lets the first result wait for two clocks.

usage: scripts/mac_timing.py [--check]    --check: writes nothing; exit code 1 where a committed diagram differs"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
RTL = os.path.join(ROOT, "mac_rtl")
OUT = os.path.join(ROOT, "docs", "mac_timing")
# unit: lanes, bits of a scale port
UNITS = {"exact": (16, 8), "published": (16, 8), "block_fp32": (16, 8), "gst": (64, 32)}
# (valid, first, last, name) by clock
BEATS = [(0, 0, 0, ""), (1, 1, 0, "A0"), (1, 0, 1, "A1"), (0, 0, 0, ""), (1, 1, 1, "B0")]


def bench(unit, lanes, scale, clocks):
    drive = "".join(f"      {i}: begin valid = {v}; first = {f}; last = {l}; end\n" for i, (v, f, l, _) in enumerate(BEATS))
    return f"""`timescale 1ns/1ns
module bench; reg clk = 0, rst = 0, valid = 0, first = 0, last = 0, ready = 0; wire in_ready, out_valid; wire [31:0] fp32; integer i, seen = 0;
  lowbit_mac_{unit} #(.LANES({lanes})) dut(.clk_i(clk), .rst_ni(rst), .in_valid_i(valid), .in_ready_o(in_ready), .in_first_i(first), .in_last_i(last),
    .a_scale_i({{{scale // 8}{{8'h38}}}}), .w_scale_i({{{scale // 8}{{8'h38}}}}), .a_codes_i({{{lanes}{{4'h2}}}}), .w_codes_i({{{lanes}{{4'h2}}}}),
    .out_valid_o(out_valid), .out_ready_i(ready), .out_fp32_o(fp32));
  initial begin
    repeat (3) begin #5 clk = 1; #5 clk = 0; end
    rst = 1;
    for (i = 0; i < {clocks}; i = i + 1) begin
      case (i)
{drive}      default: begin valid = 0; first = 0; last = 0; end
      endcase
      if (out_valid) seen = seen + 1;
      ready = !out_valid || seen > 2;
      #1 $display("%b %b %b %b %b %b %h", valid, in_ready, first, last, out_valid, ready, fp32);
      #4 clk = 1; #5 clk = 0;
    end
  end
endmodule
"""


def simulate(unit, clocks=20):
    lanes, scale = UNITS[unit]
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "bench.sv")
        with open(path, "w", encoding="utf-8") as f:
            f.write(bench(unit, lanes, scale, clocks))
        with open(os.path.join(RTL, f"lowbit_mac_{unit}.f"), encoding="utf-8") as f:
            files = [os.path.join(RTL, l.strip()) for l in f if l.strip()]
        subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", path + "vp", *files, path], check=True)
        lines = subprocess.run(["vvp", "-n", path + "vp"], check=True, capture_output=True, text=True).stdout.splitlines()
    return [l.split() for l in lines]


def wave(values):
    """0, 1 and names as a WaveJSON wave and its data; '' is undefined."""
    out, data, before = "", [], None
    for v in values:
        if v == before:
            out += "."
        elif v in ("0", "1"):
            out += v
        else:
            out += "=" if v else "x"
            data += [v] if v else []
        before = v
    return out, data


def diagram(unit):
    rows = simulate(unit)
    last = next(i for i, r in enumerate(rows) if r[0] == "1" and r[3] == "1")
    result = next(i for i, r in enumerate(rows) if r[4] == "1")
    end = max(i for i, r in enumerate(rows) if r[4] == "1") + 2
    rows = rows[:end]
    names = [BEATS[i][3] if i < len(BEATS) else "" for i in range(end)]
    results, number = [], 0
    for i, r in enumerate(rows):
        results.append("AB"[number] if r[4] == "1" else "")
        number += r[4] == "1" and r[5] == "1"
    signals = [("in_valid_i", [r[0] for r in rows]), ("in_ready_o", [r[1] for r in rows]),
               ("in_first_i", [r[2] if r[0] == "1" else "" for r in rows]), ("in_last_i", [r[3] if r[0] == "1" else "" for r in rows]),
               ("scales, codes", names), None, ("out_valid_o", [r[4] for r in rows]), ("out_ready_i", [r[5] for r in rows]), ("out_fp32_o", results)]
    out = [{"name": "clk_i", "wave": "p" + "." * (end - 1)}]
    for s in signals:
        if s is None:
            out.append({})
            continue
        w, data = wave(s[1])
        out.append({"name": s[0], "wave": w, **({"data": data} if data else {})})
    return {"signal": out, "head": {"text": f"lowbit_mac_{unit}: L = {result - last} clocks from the last beat of A to its result"}, "config": {"hscale": 1}}


def check():
    differs = 0
    for unit in UNITS:
        with open(os.path.join(OUT, unit + ".json"), encoding="utf-8") as f:
            same = json.load(f) == diagram(unit)
        print(f"{unit}: {'ok' if same else 'FAILED: docs/mac_timing/' + unit + '.json is not what the unit does'}")
        differs += not same
    return 1 if differs else 0


def main():
    if not shutil.which("iverilog"):
        print("iverilog not found: skipped")
        return 77
    if sys.argv[1:] == ["--check"]:
        return check()
    os.makedirs(OUT, exist_ok=True)
    try:
        import wavedrom
    except ImportError:
        wavedrom = None
        print("mac_timing.py: no package wavedrom (pip install wavedrom): WaveJSON only", file=sys.stderr)
    for unit in UNITS:
        text = json.dumps(diagram(unit), indent=1)
        with open(os.path.join(OUT, unit + ".json"), "w", encoding="utf-8") as f:
            f.write(text + "\n")
        if wavedrom:
            wavedrom.render(text).saveas(os.path.join(OUT, unit + ".svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
