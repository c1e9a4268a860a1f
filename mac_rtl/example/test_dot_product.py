# SPDX-License-Identifier: MIT
"""cocotb bench of the exact unit in NVFP4: random dot products with stalls on both sides, held to exact integers.

Run by scripts/mac_example.sh, or by hand as docs/mac.md shows."""
import random
import struct
from collections import deque
from fractions import Fraction

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

LANES = 16
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def element(code):
    return Fraction(E2M1[code & 7]) * (-1 if code & 8 else 1)


def scale(byte):
    """E4M3 with subnormals; 0x7F reads as 448."""
    field, mantissa = byte >> 3 & 15, byte & 7
    if byte & 127 == 127:
        return Fraction(448)
    return Fraction(8 + mantissa, 8) * Fraction(2) ** (field - 7) if field else Fraction(mantissa, 8) * Fraction(2) ** -6


def random_segment(random_):
    beats = []
    for _ in range(random_.randint(1, 6)):
        a, w = ([random_.randrange(16) for _ in range(LANES)] for _ in "aw")
        beats.append((random_.randrange(127), random_.randrange(127), a, w))
    return beats


def exact(beats):
    """The accumulator: the dot product in units of 2^-20 (docs/mac.md)."""
    value = sum(scale(sa) * scale(sw) * sum(element(x) * element(y) for x, y in zip(a, w)) for sa, sw, a, w in beats)
    assert (value * 2**20).denominator == 1
    return int(value * 2**20)


def word(codes):
    return sum(code << 4 * lane for lane, code in enumerate(codes))


def number(signal):
    """The value of a port, in cocotb 1 and 2."""
    return int(signal.value)


@cocotb.test()
async def dot_products(dut):
    random_ = random.Random(20261129)
    segments = [random_segment(random_) for _ in range(200)]
    beats = [(s[0], s[1], s[2], s[3], i == 0, i == len(segment) - 1) for segment in segments for i, s in enumerate(segment)]
    waiting, width = deque(exact(s) for s in segments), len(dut.out_acc_o)
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    dut.rst_ni.value = 0
    dut.in_valid_i.value = 0
    dut.out_ready_i.value = 0
    for _ in range(3):
        await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    at, offered, clocks = 0, False, 0
    while waiting:
        await FallingEdge(dut.clk_i)
        # A beat that was not taken stays; else the next one, or a pause.
        if not offered and at < len(beats) and random_.random() < 0.7:
            sa, sw, a, w, first, last = beats[at]
            dut.a_scale_i.value, dut.w_scale_i.value = sa, sw
            dut.a_codes_i.value, dut.w_codes_i.value = word(a), word(w)
            dut.in_first_i.value, dut.in_last_i.value = int(first), int(last)
            offered = True
        dut.in_valid_i.value = int(offered)
        ready = int(random_.random() < 0.5)
        dut.out_ready_i.value = ready
        # What the edge takes is decided by the signals before it.
        taken = offered and number(dut.in_ready_o) == 1
        given = ready and number(dut.out_valid_o) == 1
        if given:
            acc, want = number(dut.out_acc_o), waiting.popleft()
            acc -= (acc >> (width - 1)) << width
            assert acc == want, f"accumulator {acc}, expected {want}"
            # Rounded once: acc * 2^-20 is below 2^53 here, so binary64 has it exactly and FP32 rounds it to nearest even.
            fp32 = struct.unpack(">I", struct.pack(">f", float(Fraction(want, 2**20))))[0]
            assert abs(want) < 2**53 and number(dut.out_fp32_o) == (0 if want == 0 else fp32)
            assert number(dut.out_flags_o) == 0
        await RisingEdge(dut.clk_i)
        if taken:
            at, offered = at + 1, False
        clocks += 1
        assert clocks < 20000, "the unit stopped"
    dut._log.info("%d dot products, %d clocks", len(segments), clocks)
