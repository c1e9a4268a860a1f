#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cores of the integer baselines (INT8, INT4; table lookup with weights of 4, 2 and 1 bits, one and two columns) in Icarus
against Python's integers: every pair of codes, extremes in all lanes, segments with bubbles, without `first`, cut short,
and wrapping accumulators."""
import os
import random
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RTL = os.path.normpath(os.path.join(HERE, "..", "..", "mac_rtl"))
LANES = 16


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def signed(code, bits):
    return code - (1 << bits) if code >> (bits - 1) else code


def beats_of(bits, random_):
    """(valid, first, last, a, w): all pairs of codes over the lanes, extremes in all lanes, then random segments."""
    pairs = [(a, w) for a in range(1 << bits) for w in range(1 << bits)]
    random_.shuffle(pairs)
    out = []
    for at in range(0, len(pairs), LANES):
        a, w = zip(*pairs[at:at + LANES])
        out.append((1, 1, 1, a, w))
    low, high = 1 << (bits - 1), (1 << (bits - 1)) - 1
    for a, w in ((low, low), (low, high), (high, low), (high, high)):
        out += [(1, i == 0, i == 39, (a,) * LANES, (w,) * LANES) for i in range(40)]
    last = True
    for _ in range(3000):
        valid = random_.random() < 0.8
        # A segment that `first` cuts short, or that begins without it after `last`.
        first = (random_.random() < 0.9) if last else random_.random() < 0.05
        end = random_.random() < 0.2
        a, w = (tuple(random_.randrange(1 << bits) for _ in range(LANES)) for _ in "aw")
        out.append((int(valid), int(first), int(end), a, w))
        if valid:
            last = end
    return out


def expected(beats, bits, width, weight_bits):
    """Sums of the segments; a weight is the low bits of its code."""
    low = (1 << weight_bits) - 1
    results, acc, open_ = [], 0, False
    for valid, first, last, a, w in beats:
        if not valid:
            continue
        if first or not open_:
            acc = 0
        acc += sum(signed(x, bits) * signed(y & low, weight_bits) for x, y in zip(a, w))
        open_ = not last
        if last:
            results.append(acc % (1 << width))
    return results


def simulated(core, parameters, bits, width, beats, work, columns=1):
    """What the core gives; of two columns the second has the first one's weights in the opposite order of lanes."""
    def word(codes):
        return sum(c << bits * i for i, c in enumerate(codes))

    n, m = bits * LANES, bits * LANES * columns
    with open(os.path.join(work, "beats.hex"), "w", encoding="utf-8") as f:
        for valid, first, last, a, w in beats:
            weights = word(w) | (word(w[::-1]) << n if columns == 2 else 0)
            f.write(f"{((valid << 2 | first << 1 | last) << n + m | word(a) << m | weights):x}\n")
    bench = os.path.join(work, "bench.sv")
    with open(bench, "w", encoding="utf-8") as f:
        f.write(f"""module bench; reg clk = 0, rst = 0; reg [{n + m + 2}:0] beats [0:{len(beats) - 1}], b = 0; wire v; wire [{columns * width - 1}:0] acc; integer i;
  {core} #({parameters}.ACC_W({width})) dut(.clk_i(clk), .rst_ni(rst), .valid_i(b[{n + m + 2}]), .first_i(b[{n + m + 1}]), .last_i(b[{n + m}]),
    .a_scale_i(8'hFF), .w_scale_i(8'h7F), .a_codes_i(b[{m}+:{n}]), .w_codes_i(b[0+:{m}]), .valid_o(v), .acc_o(acc));
  initial begin $readmemh("{work}/beats.hex", beats); repeat (3) begin #5 clk = 1; #5 clk = 0; end rst = 1;
    for (i = 0; i < {len(beats) + 4}; i = i + 1) begin b = i < {len(beats)} ? beats[i] : 0; #5 clk = 1; #5 clk = 0; if (v) $display("%h", acc); end end
endmodule
""")
    subprocess.run(["iverilog", "-g2012", "-o", bench + "vp", bench, *(os.path.join(RTL, line.strip()) for line in open(os.path.join(RTL, core + ".f"), encoding="utf-8"))], check=True)
    words = [int(x, 16) for x in subprocess.run(["vvp", "-n", bench + "vp"], check=True, capture_output=True, text=True).stdout.split()]
    return [[x >> width * c & (1 << width) - 1 for x in words] for c in range(columns)]


def main():
    if not shutil.which("iverilog"):
        print("iverilog not found: skipped")
        return 77
    random_ = random.Random(8)
    for bits, weight_bits, width, columns in ((4, 4, 32, 1), (4, 4, 16, 1), (8, 8, 32, 1), (8, 8, 20, 1), (8, 4, 32, 1), (8, 2, 20, 2), (8, 1, 32, 1), (4, 4, 32, 2)):
        lut = weight_bits < bits or columns > 1
        beats = beats_of(bits, random_)
        want = [expected([(v, f, l, a, w[::-1] if c else w) for v, f, l, a, w in beats], bits, width, weight_bits) for c in range(columns)]
        core = "lowbit_mac_lut_core" if lut else "lowbit_mac_integer_core"
        parameters = f".BITS({bits}), " + (f".W_BITS({weight_bits}), .COLUMNS({columns}), " if lut else "")
        with tempfile.TemporaryDirectory() as work:
            got = simulated(core, parameters, bits, width, beats, work, columns)
        wrong = sum(x != y for g, t in zip(got, want) for x, y in zip(g, t))
        check([len(g) for g in got] == [len(t) for t in want] and wrong == 0,
              f"{core}: INT{bits} x INT{weight_bits}, {width} bits, {columns} columns: {len(want[0])} sums, all {1 << 2 * bits} pairs of codes ({wrong} wrong)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
