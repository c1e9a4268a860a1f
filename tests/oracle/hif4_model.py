# SPDX-License-Identifier: MIT
"""HiF4 in numpy, written from docs/formats.md, section 12; it shares no code with lowbit. Products are exact in binary64."""
import numpy as np


def significant(x, digits):
    """x >= 0 to that many significant binary digits, half to even."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(mantissa, digits)), exponent - digits)


def quantize(x):
    """\\param x  binary32 [rows, columns], NaN and infinities among them. \\return stored bytes [rows, 35 per block], scale bytes"""
    rows, columns = x.shape
    blocks = -(-columns // 64)
    padded = np.zeros((rows, blocks * 64))
    padded[:, :columns] = x
    padded = padded.reshape(rows * blocks, 64)
    bad = ~np.isfinite(padded).all(axis=1)
    padded[bad] = 0
    a = np.abs(padded)
    wanted = significant(a.max(axis=1) * significant(np.float64(1) / 7, 8), 8)
    s = significant(np.clip(wanted, 2.0**-48, 49152.0), 3)
    mantissa, exponent = np.frexp(s)
    scales = ((exponent - 1 + 48) * 4 + (mantissa * 8 - 4)).astype(int)
    scaled = a * significant(1 / s, 8)[:, None]
    second = scaled.reshape(-1, 8, 8).max(axis=2) >= 4
    scaled = scaled / np.repeat(2.0**second, 8, axis=1)
    third = scaled.reshape(-1, 16, 4).max(axis=2) >= 2
    scaled = scaled / np.repeat(2.0**third, 4, axis=1)
    codes = np.minimum(np.floor(4 * scaled + 0.5), 7).astype(int) + 8 * (padded < 0)
    levels = (second << np.arange(8)).sum(axis=1) + (third << np.arange(8, 24)).sum(axis=1)
    levels = levels[:, None] >> np.array([0, 8, 16]) & 0xFF
    stored = np.concatenate([levels, codes[:, 0::2] + 16 * codes[:, 1::2]], axis=1)
    stored[bad] = 0
    scales[bad] = 0xFF
    return stored.reshape(rows, blocks * 35).astype(np.uint8), scales.reshape(rows, blocks).astype(np.uint8)
