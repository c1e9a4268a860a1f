#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes formats/src/arithmetic/rcp_approx_table.inc from the recorded results of an H200's rcp.approx.

usage: make_rcp_approx_table.py h200_approx.npz > formats/src/arithmetic/rcp_approx_table.inc

The reciprocal is a quadratic in the 16 low bits of the significand, one polynomial per each of the 128
intervals that the 7 high bits name (the scheme of Oberman and Siu, "A high-performance area-efficient
multifunction interpolator", 2005). Its square drops the partial products below column 17. For each
interval the script finds the only coefficients that give all 65536 recorded results, and stops where
there are none. Needs NumPy.
"""
import sys

import numpy as np

SEGMENT_BITS = 7
LOW = np.arange(1 << 16, dtype=np.int64)
DROPPED_COLUMNS = 17
BIAS = 4046  # in units of 2^-40: what makes up for the dropped columns, the same in all intervals


def truncated_square():
    """x^2 without the partial products of the columns below DROPPED_COLUMNS, in units of 2^17."""
    bits = [(LOW >> i) & 1 for i in range(16)]
    total = np.zeros_like(LOW)
    for i in range(16):
        if 2 * i >= DROPPED_COLUMNS:
            total += bits[i] << (2 * i)
        for j in range(i + 1, 16):
            if i + j + 1 >= DROPPED_COLUMNS:
                total += (bits[i] & bits[j]) << (i + j + 1)
    return total >> DROPPED_COLUMNS


def recorded(path):
    """rcp.approx of every significand in [1, 2), in units of 2^-24."""
    difference = np.load(path)["rcp_binade_i8"].astype(np.int64)
    significand = np.arange(1 << 23, dtype=np.int64) + (1 << 23)
    rounded = ((1 << 47) + significand // 2) // significand
    result = rounded + difference
    result[0] = 1 << 24  # 1/1, whose unit is twice as large
    return result


def coefficients(results, square):
    """(c0, c1, c2) with results == (c0 * 2^14 + BIAS + c1 * low + 2 * c2 * square) >> 16."""
    fit = np.polyfit(LOW / 65536.0, results.astype(float), 2)
    for c2 in range(int(fit[0]) - 8, int(fit[0]) + 9):
        slope = np.polyfit(LOW.astype(float), results - c2 * square / 32768.0, 1)[0] * 65536
        for c1 in range(2 * (int(slope) // 2) - 8, int(slope) + 9, 2):
            rest = c1 * LOW + 2 * c2 * square
            low, high = (results * 65536 - rest).max(), ((results + 1) * 65536 - rest).min()
            c0 = -((BIAS - low) // (1 << 14))
            if (c0 << 14) + BIAS < high:
                return int(c0), c1, c2
    raise SystemExit("no coefficients give the recorded results")


def main():
    results, square = recorded(sys.argv[1]), truncated_square()
    print("// Written by scripts/make_rcp_approx_table.py.")
    print("// {c0 in units of 2^-26, c1 in units of 2^-24, c2 in units of 2^-24} of the 128 intervals of [1, 2).")
    for segment in range(1 << SEGMENT_BITS):
        part = results[segment << 16 : (segment + 1) << 16]
        print("{%d, %d, %d}," % coefficients(part, square))


if __name__ == "__main__":
    main()
