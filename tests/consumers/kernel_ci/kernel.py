# SPDX-License-Identifier: MIT
"""A kernel as a project might have one: NVFP4 with a static scale, in NumPy. It shares no code with lowbit."""
import numpy as np

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def e4m3_values():
    codes = np.arange(127)
    exponent, mantissa = codes >> 3, codes & 7
    return np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0)).astype(np.float32)


def nearest_even(table, x):
    """Index of the table's value nearest to x >= 0; of two as near, the even one. Saturates."""
    above = np.clip(np.searchsorted(table, x), 1, len(table) - 1)
    low, high = x - table[above - 1], table[above] - x
    return np.where(low < high, above - 1, np.where(low > high, above, above - above % 2)).astype(np.uint8)


def quantize(x):
    """x: float32 [rows, K], K a multiple of 16. (codes [rows, K / 2], scale bytes [rows, K / 16], amax)"""
    f = np.float32
    amax = np.abs(x).max()
    encode = f(2688) / amax  # 6 * 448
    blocks = x.reshape(len(x), -1, 16)
    scales = nearest_even(e4m3_values(), np.abs(blocks).max(-1) / f(6) * encode)
    decoded = (f(1) / encode) * e4m3_values()[scales]
    with np.errstate(divide="ignore"):
        inverse = np.where(decoded == 0, f(0), f(1) / decoded)
    codes = nearest_even(E2M1, np.abs(blocks * inverse[..., None])) | np.where(np.signbit(blocks), 8, 0).astype(np.uint8)
    codes[scales == 0] = 0
    codes = codes.reshape(x.shape)
    return codes[:, ::2] | codes[:, 1::2] << 4, scales, amax
