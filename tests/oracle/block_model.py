# SPDX-License-Identifier: MIT
"""Block quantization in numpy, written from docs/formats.md and the axes of docs/dialects.md; it shares no code with lowbit.

Each written operation is one binary32 operation of numpy (to nearest even, subnormal numbers kept). rcp.approx and div.full
are operations of hardware: quantize() raises NotModelled where an axis needs them.
"""
import numpy as np

F = np.float32


class NotModelled(Exception):
    """An axis value that this model leaves out."""


def float_table(exponent_bits, mantissa_bits, bias, last):
    """Magnitudes of the codes 0 to `last`."""
    codes = np.arange(last + 1)
    e, m = codes >> mantissa_bits, codes & ((1 << mantissa_bits) - 1)
    return np.where(e == 0, m * 2.0 ** (1 - bias - mantissa_bits), (1 + m / 2.0**mantissa_bits) * 2.0 ** (e - bias))


class Element:
    """An element format: magnitudes in the order of codes, the sign's bit, and how integers are written."""

    def __init__(self, bits, magnitudes, mantissa_bits=0, nan=None, coding="sign"):
        self.bits, self.magnitudes, self.mantissa_bits, self.nan, self.coding = bits, np.array(magnitudes, float), mantissa_bits, nan, coding
        self.sign = 1 << (bits - 1)
        self.largest = self.magnitudes[-1]

    def value(self, codes):
        codes = codes.astype(int)
        if self.coding == "twos_complement":
            return np.where(codes >= self.sign, codes - 2 * self.sign, codes).astype(float)
        table = np.full(self.sign, np.nan)
        table[: len(self.magnitudes)] = self.magnitudes
        return table[codes & (self.sign - 1)] * np.where(codes & self.sign, -1.0, 1.0)

    def write(self, index, negative):
        """The code of the magnitude with that index and sign."""
        if self.coding == "sign":
            return (index | np.where(negative, self.sign, 0)).astype(np.uint8)
        if self.coding == "sign_of_integer":
            return (index | np.where(negative & (index > 0), self.sign, 0)).astype(np.uint8)
        return np.where(negative, -index & (2 * self.sign - 1), index).astype(np.uint8)

    @property
    def is_integer(self):
        return self.coding != "sign"


E2M1 = Element(4, float_table(2, 1, 1, 7), 1)
E2M0 = Element(3, float_table(2, 0, 1, 3), 0)
E2M3 = Element(6, float_table(2, 3, 1, 31), 3)
E3M2 = Element(6, float_table(3, 2, 3, 31), 2)
E4M3 = Element(8, float_table(4, 3, 7, 126), 3, nan=0x7F)
E5M2 = Element(8, float_table(5, 2, 15, 0x7B), 2, nan=0x7F)
INT3 = Element(3, range(4), coding="twos_complement")
INT4 = Element(4, range(8), coding="twos_complement")
INT6 = Element(6, range(32), coding="sign_of_integer")
INT8 = Element(8, range(128), coding="twos_complement")


class Scale:
    """The scales of NV and IF: magnitudes in the order of bytes, then NaN. two: M where two scales compete."""

    def __init__(self, magnitudes, two):
        self.magnitudes, self.two = np.array(magnitudes, float), two
        self.last = len(self.magnitudes) - 1
        self.nan = self.last + 1
        self.largest = self.magnitudes[-1]
        self.subnormal, self.normal = F(self.magnitudes[1]), F(self.magnitudes[8])
        # Halfway to the next one, had there been one.
        self.end = F(self.largest + (self.largest - self.magnitudes[-2]) / 2)

    def value(self, scales):
        table = np.append(self.magnitudes, np.nan)
        if self.nan == 0xFF:
            return table[scales.astype(int)]
        return table[scales.astype(int) & 0x7F] * np.where(scales & 0x80, -1.0, 1.0)


OF_E4M3 = Scale(E4M3.magnitudes, 256)
OF_UE5M3 = Scale(float_table(5, 3, 15, 0xFE), 65536)


class Format:
    """A block format. exponent: integer elements count in units of 2^this."""

    def __init__(self, element, integer=None, mx=False, size=16, exponent=0, scale=OF_E4M3):
        self.element, self.integer, self.mx, self.size, self.exponent, self.scale = element, integer, mx, size, exponent, scale


FORMATS = {
    "nvfp4": Format(E2M1), "nvfp4_bs8": Format(E2M1, size=8), "nvfp3": Format(E2M0), "nvfp3_bs8": Format(E2M0, size=8),
    "nvfp6_e2m3": Format(E2M3), "nvfp6_e3m2": Format(E3M2), "nvint3": Format(INT3), "nvint3_bs8": Format(INT3, size=8),
    "nvint4": Format(INT4), "nvint4_bs8": Format(INT4, size=8), "nvint6": Format(INT6), "if3": Format(E2M0, INT3),
    "if3_bs8": Format(E2M0, INT3, size=8), "if4": Format(E2M1, INT4), "if4_bs8": Format(E2M1, INT4, size=8),
    "if6_e2m3": Format(E2M3, INT6), "if6_e3m2": Format(E3M2, INT6), "mxfp3": Format(E2M0, mx=True, size=32),
    "mxfp4": Format(E2M1, mx=True, size=32), "mxfp6_e2m3": Format(E2M3, mx=True, size=32), "mxfp6_e3m2": Format(E3M2, mx=True, size=32),
    "mxfp8_e4m3": Format(E4M3, mx=True, size=32), "mxfp8_e5m2": Format(E5M2, mx=True, size=32),
    "mxint8": Format(INT8, mx=True, size=32, exponent=-6), "mxfp4_bs16": Format(E2M1, mx=True, size=16),
    "amdfp4": Format(E2M1, scale=OF_UE5M3),
}
CANONICAL = {
    "amax_range": "power_of_two", "nonfinite": "nan_block", "tensor_scale": "quotient", "tensor_scale_edge": "zero",
    "block_scale": "quotient_times_scale", "selected_scale": "as_block_scale", "scale_floor": "none", "zero_scale": "kept",
    "scale_rounding": "nearest_even", "scale_overflow": "saturate", "scale_nan": "positive", "element_scale": "reciprocal_of_product",
    "empty_scale": "zero", "subnormals": "kept", "mx_scale": "exact", "mx_even_bits": "element", "mx_range": "finite",
    "mx_infinity": "fields", "mx_nan": "nan_byte", "mx_empty": "zero", "mx_element_scale": "exact", "element_ties": "even",
    "e2m0_ties": "even", "negative_zero": "kept", "element_overflow": "saturate", "nan_element": "largest", "subnormal_carry": "carried",
    "int3_coding": "twos_complement", "integer_unit": "exact_ratio", "stochastic": "exact", "error_value": "amax_over_constant",
    "error_order": "sequential", "error_fusion": "none", "constant_division": "divide", "divided_candidates": "none",
}


def rounded_to(x, dtype):
    """x in the type of the input, as binary32."""
    x = np.asarray(x, F)
    if dtype == "f16":
        return x.astype(np.float16).astype(F)
    if dtype == "f32":
        return x
    bits = x.view(np.uint32)
    up = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return np.where(np.isnan(x), x, up.astype(np.uint32).view(F))


def nearest(magnitudes, y, ties="even"):
    """The index of the magnitude nearest to |y|; the largest beyond it."""
    a = np.abs(y.astype(float))
    low = np.clip(np.searchsorted(magnitudes, a, side="right") - 1, 0, len(magnitudes) - 1)
    high = np.minimum(low + 1, len(magnitudes) - 1)
    middle = (magnitudes[low] + magnitudes[high]) / 2
    tie = {"even": low % 2 == 1, "toward_zero": False, "away": True}[ties]
    return np.where((a > middle) | ((a == middle) & tie), high, low)


class Tensor:
    """One quantization: constants of the tensor, then blocks as rows of a matrix."""

    def __init__(self, x, name, rule, axes, square=False, dtype="f32", scale_max=None, amax=None, random=None):
        self.f, self.rule, self.dtype, self.random = FORMATS[name], rule, dtype, random
        self.axes = {**CANONICAL, **axes}
        self.selects = rule in ("mse", "mae", "abs_max")
        self.square = square
        self.shape = x.shape
        size = self.f.size
        self.tall = size if square else 1
        rows, columns = (-(-x.shape[0] // self.tall) * self.tall, -(-x.shape[1] // size) * size)
        padded = np.zeros((rows, columns), F)
        padded[: x.shape[0], : x.shape[1]] = x
        real = np.zeros((rows, columns), bool)
        real[: x.shape[0], : x.shape[1]] = True
        self.grid = (rows // self.tall, columns // size)
        self.x, self.real = self.cut(padded), self.cut(real)
        self.blocks = self.x.copy()
        self.is_bad = np.zeros(len(self.x), bool)
        if self["nonfinite"] == "nan_block":
            self.is_bad = ~np.isfinite(self.x).all(axis=1)
            self.x[self.is_bad] = 0
        if not self.f.mx:
            self.constants(x, scale_max, amax)

    def __getitem__(self, axis):
        return self.axes[axis]

    def cut(self, m):
        """A matrix into blocks, a row each, elements row by row."""
        size = self.f.size
        return m.reshape(self.grid[0], self.tall, self.grid[1], size).swapaxes(1, 2).reshape(-1, self.tall * size)

    def join(self, blocks):
        size = self.f.size
        whole = blocks.reshape(self.grid[0], self.grid[1], self.tall, size).swapaxes(1, 2).reshape(-1, self.grid[1] * size)
        return whole[: self.shape[0]]

    def constants(self, x, scale_max, amax):
        f = self.f
        magnitudes = f.element.magnitudes
        self.q = F(magnitudes[-2] if self.rule == "static_4" else magnitudes[-1])
        four_over_six = self.selects and f.integer is None
        self.m = F(scale_max or (f.scale.two if four_over_six else f.scale.largest))
        self.c = F(self.q * self.m)
        policy = self["nonfinite"]
        if amax is None:
            a = np.abs(x)
            if policy in ("nan_block", "computed_finite_amax"):
                a = a[np.isfinite(a)]
            elif policy in ("computed_skipping_nan", "computed_skipping_nan_unless_all"):
                a = a[~np.isnan(a)]
            amax = a.max() if a.size else 0
        self.amax = F(amax)
        self.k = 0
        a = self.amax
        if self["amax_range"] == "power_of_two" and a > 0 and (a < 2.0**-32 or a > 2.0**32):
            self.k = int(np.floor(np.log2(float(a))))
            self.k -= 2.0**self.k > float(a)
            self.x = (self.x.astype(float) * 2.0**-self.k).astype(F)
            a = F(float(a) * 2.0**-self.k)
        self.a = a
        self.tensor_scales()
        if f.integer is not None:
            unit = f.element.largest / f.integer.largest
            self.expand, self.shrink = F(unit), F(1 / unit)
            if self["integer_unit"] == "published" and f.element is E2M3:
                self.expand = F(0.2419355)

    def flush(self, v):
        v = np.asarray(v, F)
        return np.where(np.abs(v) < F(2.0**-126), np.copysign(F(0), v), v) if self["subnormals"] == "flushed" else v

    def mul(self, a, b):
        return self.flush(self.flush(a) * self.flush(b))

    def div(self, a, b):
        return self.flush(self.flush(a) / self.flush(b))

    def tensor_scales(self):
        kind, edge, one = self["tensor_scale"], self["tensor_scale_edge"], F(1)
        if kind == "one":
            self.s = self.d = one
            self.amax = self.a = self.c
            return
        a = np.maximum(self.a, F(2.0**-126)) if edge == "one" else self.a
        if edge == "at_least_1e_30":
            a = F(0) if np.isnan(a) else np.minimum(a, np.finfo(F).max)
        a = self.flush(a) if self["subnormals"] == "flushed" else a
        if kind == "quotient":
            s = self.c / a
        elif kind == "reciprocal_product":
            s = one / a * self.c
        elif kind == "typed_reciprocal_product":
            s = rounded_to(rounded_to(one / a, self.dtype) * self.c, self.dtype)
        elif kind == "normalized":
            n = a * (one / F(6))
            s = F(self.c / F(6)) / (one if n <= 2.0**-24 else n)
        else:
            self.d = a / self.c if kind == "amax_quotient" else a * (one / self.c)
            s = one / self.d
        self.s = F(s)
        if kind not in ("amax_quotient", "amax_product"):
            self.d = F(one / self.s)
        largest = np.finfo(F).max
        if edge == "zero" and self.a == 0:
            self.s, self.d = F(0), F(np.inf)
        elif edge.startswith("bounded"):
            if edge == "bounded_one" and self.a == 0:
                self.s = one
            if self.s > largest:
                self.s = largest
            if self.s == 0:
                self.s = one
            self.d = F(0) if edge == "bounded_zero" and self.a == 0 else one / self.s
        elif edge == "one" and not np.isfinite(self.s):
            self.s = self.d = one
        elif edge == "at_least_1e_30" and self.d < F(1e-30):
            self.s, self.d = one / F(1e-30), F(1e-30)

    def maxima(self):
        """b of every block."""
        a = np.abs(self.x)
        policy = self["nonfinite"]
        if policy in ("nan_block", "computed"):
            return a.max(axis=1)
        b = np.fmax.reduce(a, axis=1, initial=F(0))
        if policy in ("computed_skipping_nan_in_blocks", "computed_skipping_nan_unless_all"):
            b = np.where(np.isnan(a).all(axis=1), F(np.nan), b)
        return b

    # Block scales of NV and IF.

    def scale_before(self, b):
        kind, q, one = self["block_scale"], self.q, F(1)
        if self.selects and self["selected_scale"] == "quotient_times_scale":
            kind = "quotient_times_scale"
        c = one / q
        if kind == "quotient_times_scale":
            return self.mul(self.div(b, q), self.s)
        if kind == "times_scale_over_q":
            return self.mul(b, self.mul(self.s, c))
        if kind == "scale_times_product":
            return self.mul(self.s, self.mul(b, c))
        if kind == "over_product":
            return self.div(b, self.mul(q, self.d))
        if kind == "over_decode_scale":
            return self.div(self.div(b, q), self.d)
        if kind == "over_decode_scale_over_q":
            return self.div(self.div(b, self.d), q)
        if kind == "product_over_decode_scale":
            return self.div(self.mul(b, c), self.d)
        if kind == "typed_quotient_times_scale":
            return self.s * rounded_to(b / q, self.dtype)
        if kind in ("normalized", "normalized_product"):
            v, a = (b / q, self.a / q) if kind == "normalized" else (b * c, self.a * c)
            return np.where(v == 0, one, v) * self.m / a
        if kind == "scaled_elements":
            t = np.abs(self.x / self.d)
            return np.fmax.reduce(t, axis=1, initial=F(0)) / q
        raise NotModelled(kind)

    def rounded_scale(self, h):
        """Bytes without what the edges change."""
        rounding = self["scale_rounding"]
        scale = self.f.scale
        magnitudes = scale.magnitudes
        a = np.where(np.isnan(h), 0, h).astype(F)
        if rounding == "half_up":
            bits = np.minimum(a, F(scale.largest)).view(np.uint32).astype(np.int64)
            byte = ((bits >> 20) + (bits >> 19 & 1) - (int(np.log2(scale.normal)) + 126 << 3)).clip(0)
            byte = np.where(a < scale.normal, np.minimum(np.floor(np.minimum(a, 1) / scale.subnormal + F(0.5)), 7), byte)
            # Half of the last step below the top binade.
            return np.where(a >= scale.magnitudes[scale.last - 6] * (31 / 32), scale.last, byte).astype(np.uint8)
        byte = np.where(a < 0, 0, nearest(magnitudes, a))
        beyond = h > scale.end
        if rounding == "up":
            byte = np.minimum(byte + (magnitudes[byte] < a), scale.last)
        elif rounding == "down":
            byte = byte - (magnitudes[byte] > a)
        overflow = self["scale_overflow"]
        nan = {"saturate": scale.nan, "nan": scale.nan, "saturate_nan_zero": 0}[overflow]
        byte = np.where(np.isnan(h), nan, byte)
        return np.where(beyond & (overflow == "nan"), scale.nan, byte).astype(np.uint8)

    def scale_bytes(self, h, b):
        floor, zero = self["scale_floor"], self["zero_scale"]
        is_zero = h == 0
        if zero == "one":
            h = np.where(is_zero, F(1), h)
        scale = self.f.scale
        least = {"none": None, "smallest_subnormal": scale.subnormal, "smallest_normal": scale.normal}[floor]
        if least is not None:
            h = np.where(h < least, least, h)
        byte = self.rounded_scale(h)
        if zero == "one_eighth":
            byte = np.where(byte == 0, 0x20, byte)
        if zero == "smallest":
            byte = np.where((byte == 0) & ~is_zero, 1, byte)
        is_input = np.isnan(self.a) | np.isnan(b)
        sign = 0 if scale.nan == 0xFF else 0x80
        nan = {"positive": scale.nan, "negative": scale.nan | sign, "made_negative": np.where(np.isnan(h) & ~is_input, scale.nan | sign, scale.nan),
               "signed_largest": np.where(is_input, scale.last, scale.last | sign), "largest": scale.last,
               "least": 8 if floor == "smallest_normal" else 1}[self["scale_nan"]]
        return np.where(byte == scale.nan, nan, byte).astype(np.uint8)

    def scaled(self, h, s, b):
        """y of every element."""
        x, one, column = self.x, F(1), lambda v: np.broadcast_to(np.asarray(v, F), s.shape)[:, None]
        kind, empty = self["element_scale"], self["empty_scale"]
        if kind == "divided_by_product":
            y = x / column(s * self.d)
        elif kind == "divided_by_quotient":
            y = x / column(s / self.s)
        elif kind == "typed_division":
            y = rounded_to(x / column(s), self.dtype) * self.s
        elif kind in ("reciprocal_of_product", "scale_quotient", "bf16_quotient", "divided_twice"):
            product = self.mul(s, self.d)
            if kind == "reciprocal_of_product":
                inverse = self.div(one, product)
            elif kind == "scale_quotient":
                inverse = self.div(self.s, s)
            elif kind == "divided_twice":
                inverse = one / s
            else:
                inverse = rounded_to(np.fmin(self.s / s, F(float.fromhex("0x1.fep127"))), "bf16")
            largest = np.finfo(F).max
            if empty in ("bounded", "bounded_unless_empty"):
                inverse = np.where(inverse <= largest, inverse, largest)
            if empty == "bounded_keeping_nan":
                inverse = np.where(inverse > largest, largest, inverse)
            # Where the multiplier is the reciprocal of a product, that product decides.
            by_product = kind == "reciprocal_of_product" and empty in ("signed_zero", "hundred_millionth")
            at = (s * self.d == 0) if by_product else (s == 0)
            if by_product and self.s == 0:
                at = ~np.isnan(s)
            instead = {"signed_zero": F(0), "zero": F(0), "hundred_millionth": F(1e-8), "bounded_unless_empty": np.where(b != 0, inverse, 0),
                       "computed_unless_empty": np.where(b != 0, inverse, 0), "computed_unless_h_zero": np.where(h != 0, inverse, 0)}.get(empty, inverse)
            inverse = np.where(at, instead, inverse).astype(F)
            y = self.mul(x / self.d if kind == "divided_twice" else x, column(inverse))
        else:
            raise NotModelled(kind)
        return np.where(column(s) == 0, F(0), y) if empty == "zero" else y

    # Elements.

    def code(self, y, element, s, candidate=0):
        """Codes, the sign of zeros and NaN included."""
        ties, magnitudes = self["element_ties"], element.magnitudes
        negative = np.signbit(y)
        plain = np.nan_to_num(y, nan=0.0, posinf=np.inf, neginf=-np.inf)
        if self.random is not None and self["stochastic"] == "jitter":
            a = np.abs(plain)
            step = np.where(a < 2, F(0.5), np.where(a < 4, F(1), F(2))) if element is E2M1 else F(element.magnitudes[1])
            if element not in (E2M1, INT4):
                raise NotModelled("stochastic=jitter of other elements")
            steps = np.rint(a / step + (self.random[candidate] - F(0.5)))
            index = nearest(magnitudes, np.abs(steps * step))
            negative = negative ^ np.signbit(steps) | (plain == 0)
        elif self.random is not None:
            index = self.stochastic(np.abs(plain.astype(float)), element, self.random[candidate])
        elif ties in ("even", "toward_zero", "away"):
            index = nearest(magnitudes, plain, ties)
        elif ties == "least_scaled_difference":
            values = element.value(np.arange(1 << element.bits)).astype(F)
            d = np.abs(plain[..., None] - values)
            codes = np.where(np.isnan(d), np.inf, d).argmin(axis=-1)
            index, negative = codes & (element.sign - 1), codes >= element.sign
        elif ties == "least_difference":
            values = element.value(np.arange(1 << element.bits)).astype(F)
            d = np.abs(values * self.step[:, None, None] - self.x[..., None])
            codes = np.where(np.isnan(d), np.inf, d).argmin(axis=-1)
            index, negative = codes & (element.sign - 1), codes >= element.sign
        elif ties in ("away_typed", "even_typed"):
            index = self.typed(plain, element, ties)
        elif ties == "truncated":
            a = np.abs(plain.astype(float))
            with np.errstate(divide="ignore"):
                binade = np.floor(np.log2(a).astype(F))
            step = 2.0 ** (np.maximum(np.where(np.isfinite(binade), binade, -500), self.least_exponent(element)) - element.mantissa_bits)
            index = nearest(magnitudes, np.where(np.isinf(a), magnitudes[-1], np.floor(a / step) * step))
        else:
            raise NotModelled(ties)
        code = element.write(index, negative)
        zero = y == 0
        if not element.is_integer:
            kept = self["negative_zero"]
            if kept == "dropped" and self.random is None:
                code = np.where(zero, 0, code)
            elif kept == "all_dropped":
                code = np.where(code == element.sign, 0, code)
            elif kept == "zero_is_negative":
                code = np.where(zero, element.sign, code)
        if element is E2M0 and self["e2m0_ties"] == "down":
            code = np.where(np.abs(y) == 1.5, element.write(np.ones(y.shape, int), negative), code)
        if element in (E2M3, E3M2) and self["subnormal_carry"] == "clamped_fp6":
            first = 1 << element.mantissa_bits
            code = np.where((index == first) & (np.abs(y) < magnitudes[first]), element.write(index - 1, negative), code)
        if element is E2M1 and self["element_overflow"] == "wrap_e2m1":
            code = np.where(np.abs(y) >= 7, 8, code)
        if element is INT3 and self["int3_coding"] == "sign_magnitude":
            code = np.where((code & 4) != 0, 4 | (-code & 3), code)
        if element is E4M3 and self["element_overflow"] == "nan":
            code = np.where(np.isinf(y), np.where(negative, 0xFF, 0x7F), code)
        if np.isnan(y).any():
            if self["nonfinite"] == "nan_block" and self["nan_element"] == "largest":
                raise NotModelled("NaN elements of finite numbers under nan_block")
            # least_difference compares x, not y: no difference to a NaN is the least, so the first code stays.
            if ties != "least_difference" or self.random is not None:
                code = np.where(np.isnan(y), self.nan_code(element, y, s), code)
        return code.astype(np.uint8)

    def typed(self, y, element, ties):
        """Half is added in the type of the input, to y in steps of the binade that log2 in that type names."""
        a = np.abs(y)
        binade = np.floor(rounded_to(np.log2(a.astype(float)).astype(F), self.dtype))
        exponent = np.maximum(np.where(np.isfinite(binade), binade, -500), self.least_exponent(element)) - element.mantissa_bits
        steps = (a.astype(float) * 2.0**-exponent).astype(F)
        n = np.floor(rounded_to(steps + F(0.5), self.dtype))
        if ties == "even_typed":
            n = n - (np.fmod(rounded_to(steps - F(0.5), self.dtype), F(2)) == 0)
        return nearest(element.magnitudes, np.where(np.isinf(a), element.largest, np.where(a == 0, 0, n * 2.0**exponent)))

    @staticmethod
    def least_exponent(element):
        """Of normal numbers."""
        return int(np.log2(element.magnitudes[1])) + element.mantissa_bits

    def nan_code(self, element, y, s):
        kind, last = self["nan_element"], len(element.magnitudes) - 1
        if element.is_integer and kind == "largest":
            return 0
        if kind == "largest":
            return last if element.nan is None else 0x7E if element is E5M2 else element.nan
        if kind in ("zero", "largest_finite", "negative_zero", "least"):
            return {"zero": 0, "largest_finite": last, "negative_zero": element.sign, "least": last | element.sign}[kind]
        if kind == "negative_nan_or_zero":
            return 0 if element.nan is None else element.nan | element.sign
        if kind in ("bf16_all_ones", "bf16_positive"):
            return 0 if element is not E2M1 else 11 if kind == "bf16_all_ones" else 3
        if kind == "negative_largest" and element in (E2M1, INT4):
            return element.write(np.array(last), np.array(True))
        every = last if element.nan is None else element.sign - 1
        if kind == "signed_largest":
            return every | np.where(np.signbit(y), element.sign, 0)
        if kind == "fields_cuda":
            return 4 if element is E2M1 else every
        if kind == "fields_x86" and element is not E2M1:
            return every | np.where(np.signbit(y), element.sign, 0)
        if kind == "fields_x86" and self.f.mx:
            return 3 if self.rule == "rceil" else np.where(np.signbit(y), 12, 4)
        if kind == "fields_x86":
            under_nan = np.isnan(s)[:, None]
            sign = np.where((self.bytes & 0x80 != 0) & (self.f.scale.nan != 0xFF), 8, 0)[:, None]
            return np.where(np.isnan(self.a), 3, np.where(under_nan, 4 | sign, 11))
        if kind == "negative_largest":
            return last
        raise NotModelled(f"nan_element={kind}")

    def stochastic(self, a, element, u):
        if self["stochastic"] == "eight_bits" and element is E2M1:
            step = lambda t: np.where(t < 2, 0.5, np.where(t < 4, 1.0, 2.0))
            t = (a + np.floor(u * F(256)) / 256 * step(a)).astype(F)  # exact in double, then rounded once
            return nearest(element.magnitudes, np.floor(t / step(t)) * step(t))
        m = element.magnitudes
        low = np.clip(np.searchsorted(m, a, side="right") - 1, 0, len(m) - 1)
        high = np.minimum(low + 1, len(m) - 1)
        gap = np.where(high > low, m[high] - m[low], 1)
        return np.where(u.astype(float) * gap < a - m[low], high, low)

    def value(self, codes, element):
        if element is INT3 and self["int3_coding"] == "sign_magnitude":
            codes = np.where(codes & 4, -(codes & 3) & 7, codes)
        return element.value(np.asarray(codes))

    # Selection.

    def error(self, codes, element, s, b, integer):
        kind, one, column = self["error_value"], F(1), lambda v: np.asarray(v, F)[:, None]
        q = self.value(codes, element).astype(F)
        if self["element_overflow"] == "wrap_e2m1" and element is E2M1:
            q = np.where(np.abs(self.y) >= 7, np.copysign(F(8), self.y), q)
        if kind == "scaled_half":
            d = (q * column(s)).astype(np.float16).astype(F) - self.x * self.s
        else:
            if kind == "amax_over_constant":
                v = q * column(s) * self.a
                if integer:
                    v = v * self.expand
                is_if4 = self.f.integer is not None and self.f.element is E2M1
                divided = self["divided_candidates"]
                divides = self["constant_division"] == "divide" or (divided != "none" and self.f.integer is None) or (
                    divided == "four_over_six_and_if4" and is_if4)
                if not divides and self["error_fusion"] == "difference":
                    wide = np.longdouble  # the product is exact in it, and the difference but for bits far below
                    d = (v.astype(wide) * wide(one / self.c) - self.x.astype(wide)).astype(F)
                else:
                    d = (v / self.c if divides else v * (one / self.c)) - self.x
            elif kind == "decode_scale":
                d = q * column(s) * (one / self.s) - self.x
            else:
                raise NotModelled(kind)
        d = np.where(self.real, d, F(0))
        if self.rule == "abs_max":
            return np.abs(d).max(axis=1)
        if self.rule == "mse" and self["error_fusion"] == "square":
            return self.fused(d)
        return self.total(d * d if self.rule == "mse" else np.abs(d))

    def fused(self, d):
        """Squares by multiply-adds: the rows of a block, then halves of the rows."""
        size, rows = self.f.size, []
        for first in range(0, d.shape[1], size):
            e = np.zeros(len(d), F)
            for i in range(first, first + size):
                wide = d[:, i].astype(np.longdouble)
                e = (wide * wide + e.astype(np.longdouble)).astype(F)
            rows.append(e)
        return self.halves(rows)

    def total(self, e):
        order, count = self["error_order"], e.shape[1]
        run = lambda parts: np.add.reduce([np.zeros(len(e), F)], axis=0) if not parts else self.running(parts)
        columns = [e[:, i] for i in range(count)]
        if order == "sequential" or (order == "rows_then_halves" and not self.square):
            return run(columns)
        if order == "lanes_8" and count <= 16:
            return run([columns[k] + columns[k + 8] for k in range(8)]) if count == 16 else run(columns)
        if order == "halves_of_8" and count == 16:
            return run(columns[:8]) + run(columns[8:])
        if order == "neighbour_tree" and count <= 32:
            return self.neighbours(columns)
        if order == "runs_then_halves" and not self.square:
            length = 4 if self.dtype == "f32" else 8
            return self.halves([run(columns[i : i + length]) for i in range(0, count, length)])
        if order == "rows_then_halves":
            size = self.f.size
            return self.halves([run(columns[i : i + size]) for i in range(0, count, size)])
        raise NotModelled(f"error_order={order}")

    @staticmethod
    def running(parts):
        e = np.zeros(parts[0].shape, F)
        for p in parts:
            e = e + p
        return e

    @staticmethod
    def neighbours(parts):
        while len(parts) > 1:
            parts = [parts[i] + parts[i + 1] for i in range(0, len(parts), 2)]
        return parts[0]

    @staticmethod
    def halves(parts):
        while len(parts) > 1:
            n = len(parts) // 2
            parts = [parts[i] + parts[i + n] for i in range(n)]
        return parts[0]

    # MX.

    def mx_bytes(self, b):
        f = self.f
        unit = 2.0**f.exponent
        largest = f.element.largest * unit
        emax = int(np.floor(np.log2(largest)))
        if self.rule == "static_4":
            largest = f.element.magnitudes[-2] * unit
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = np.where(b > 0, np.frexp(np.where(b > 0, b, F(1)).astype(float))[1] - 1, -127)
            exponent = np.where(np.isinf(b), 128, exponent)
        power = b.astype(float) == 2.0 ** exponent.astype(float)
        kind, rule = self["mx_scale"], self.rule
        up = rule in ("rceil", "static_6", "static_4")
        if kind in ("divided", "reciprocal", "divided_down"):
            quotient = b * (F(1) / F(largest)) if kind == "reciprocal" else b / F(largest)
            bits = quotient.view(np.uint32)
            field = (bits >> 23 & 0xFF).astype(int) + (kind != "divided_down") * ((bits & 0x7FFFFF) != 0)
            e = field - 127
        elif kind in ("least_reciprocal", "least_typed"):
            quotient = b * (F(1) / F(largest)) if kind == "least_reciprocal" else rounded_to(b / F(largest), self.dtype)
            m, e = np.frexp(quotient.astype(float))
            e = np.where(quotient == 0, -149, np.where(np.isinf(quotient), 128, e - (m == 0.5)))
        elif kind in ("log2_divided", "log2_reciprocal") and up:
            quotient = b * (F(1) / F(largest)) if kind == "log2_reciprocal" else b / F(largest)
            e = self.whole(np.ceil(np.log2(quotient.astype(float)).astype(F)))
        elif kind in ("log2_floor", "log2_floor_typed") and rule == "floor":
            log = np.log2(b.astype(float)).astype(F)
            e = self.whole(np.floor(rounded_to(log, self.dtype) if kind == "log2_floor_typed" else log) - F(emax))
        elif kind == "log2_typed":
            quotient = rounded_to(b / F(largest), self.dtype)
            if self["mx_range"] == "from_1e_10":
                quotient = np.maximum(quotient, rounded_to(F(1e-10), self.dtype))
            e = self.whole(np.ceil(rounded_to(np.log2(quotient.astype(float)).astype(F), self.dtype)))
        elif kind == "log2_full_division" and up:
            raise NotModelled(kind)
        elif rule == "floor":
            e = exponent - emax
        elif rule == "ceil":
            e = exponent - emax + (~power & (b > 0) & np.isfinite(b))
        elif up:
            e = exponent - int(np.floor(np.log2(largest)))
            e = e + (b.astype(float) > largest * 2.0**e.astype(float))
            e = np.where(np.isinf(b), 127, e)
        else:
            m = -f.exponent if f.element.is_integer else f.element.mantissa_bits
            m = 1 if self["mx_even_bits"] == "one" else m
            if self["mx_range"].startswith("typed") and self.dtype == "f16":
                raise NotModelled("the rule even on the bits of F16")
            bits = b.view(np.uint32) + np.uint32(1 << (22 - m))
            e = (bits >> 23 & 0xFF).astype(int) - 127 - emax
        self.e = e
        if self["mx_range"] == "wrapped":
            byte = (e + 127) & 0xFF
        else:
            least, most = {"one_to_254": (-126, 127), "one_to_252": (-127, 125)}.get(self["mx_range"], (-127, 127))
            byte = np.clip(e, least, most) + 127
        if self["mx_range"].startswith("typed"):
            if kind != "exact":
                raise NotModelled("typed exponents of rounded quotients")
            power = rounded_to((2.0 ** np.clip(e, -127, 200).astype(float)).astype(F), self.dtype)
            self.power = np.where(e + emax >= 128, F(np.inf), power)
            byte = np.where(np.isinf(self.power), 127 if self["mx_range"] == "typed_x86" else 126, byte)
            byte = np.where(self.power == 0, 127, byte)
        # A finite amax that the rule even rounds up to infinity counts as infinite.
        nan = np.isnan(b)
        infinite = np.isinf(b) | (~nan & (e + emax == 128) & (rule == "even") & (self["mx_infinity"] == "largest"))
        instead = {"fields": byte, "largest": 254, "largest_flushed": 254, "smallest": 0, "divided": 0, "divided_nan_byte": 255, "nan_byte": 255}
        byte = np.where(nan, 255, byte)
        if kind in ("divided", "reciprocal", "divided_down"):
            byte = field & 0xFF  # as it is: that of infinity is 255, one more for NaN is 0
        if self["mx_infinity"] != "fields":
            byte = np.where(infinite, instead[self["mx_infinity"]], byte)
        if self["mx_nan"] != "nan_byte":
            byte = np.where(nan, 0, byte)
        byte = np.where((b == 0) & (self["mx_empty"] == "zero"), 0, byte)
        byte = np.where((b == 0) & (self["mx_empty"] == "one"), 127, byte)
        return np.where((b == 0) & (self["mx_empty"] == "minus_largest_exponent"), 127 - emax, byte).astype(np.uint8)

    @staticmethod
    def whole(e):
        return np.clip(e, -300, 300).astype(int)

    def mx_scaled(self, byte, b):
        kind, unit = self["mx_element_scale"], 2.0**-self.f.exponent
        e = byte.astype(int) - 127
        multiplier = 2.0**-e * unit
        bad = ~np.isfinite(b)
        if kind == "normal_divisor":
            multiplier = np.where(byte == 0, unit if self.rule == "rceil" else 2.0**126 * unit, multiplier)
        elif kind in ("zero_where_byte_is_zero", "signed_zero_where_byte_is_zero"):
            multiplier = np.where(byte == 0, 0.0, multiplier)
        elif kind == "unclamped":
            if self["mx_scale"] not in ("least_typed", "least_reciprocal", "exact"):
                raise NotModelled("unclamped exponents of a rounded quotient's field")
            multiplier = np.where((b != 0) & ~bad & (byte != 127), 2.0 ** -self.e.astype(float) * unit, multiplier)
        elif kind == "four_thirds":
            divisor = np.where(e < -126, F(0), (2.0**e / 0.75).astype(F))
        elif kind == "unclamped_reciprocal":
            power = np.where(np.isinf(b), 0.0, 2.0 ** self.e.astype(float)).astype(F)
            multiplier = (F(1) / power).astype(float)
        elif kind == "cuda_exp2":
            below = F(2.0**-127 - 2.0**-149)
        elif kind != "exact":
            raise NotModelled(kind)
        if bad.any() and self["nonfinite"] != "nan_block":
            if self["mx_infinity"] == "largest_flushed":
                multiplier = np.where(np.isinf(b), 0.0, multiplier)
        if self.random is not None and self["nonfinite"] == "nan_block":
            return self.x.astype(float) * multiplier[:, None]  # compared exactly
        y = (self.x.astype(float) * multiplier[:, None]).astype(F)
        if self["nonfinite"] != "nan_block" and self["mx_range"] != "wrapped":
            by_infinity = kind == "signed_zero_where_byte_is_zero" or (kind == "normal_divisor" and self.rule != "rceil")
            # An operation makes the NaN of infinity by infinity: a negative one. Other NaN here are positive.
            quotient = np.where(np.isinf(self.x), -F(np.nan), self.x * F(0)) if by_infinity else np.full(self.x.shape, F(np.nan))
            y = np.where((byte == 255)[:, None], quotient, y)
        if kind == "zero_where_byte_is_zero":
            y = np.where(byte[:, None] == 0, F(0), y)
        if kind == "four_thirds":
            y = self.x / divisor[:, None]
        if kind == "cuda_exp2":
            y = np.where(byte[:, None] == 0, self.x / below, y)
        if self["mx_range"].startswith("typed"):
            y = np.where(np.isnan(b)[:, None], y, self.x / np.where(self.power == 0, F(1), self.power)[:, None])
        divided = np.isinf(b) & (self["mx_infinity"] in ("divided", "divided_nan_byte")) | np.isnan(b) & (self["mx_nan"] == "divided")
        if self["nonfinite"] != "nan_block":
            y = np.where(divided[:, None], self.x / b[:, None], y)
        cleared = self["mx_empty"] in ("zero", "minus_largest_exponent")
        return np.where((b[:, None] == 0) & cleared, F(0), y)

    def run(self):
        """(codes of real columns and padding, scale bytes, decisions): a row for each row."""
        f, b = self.f, self.maxima()
        decisions = np.zeros(len(b), np.uint8)
        if f.mx:
            self.bytes = scales = self.mx_bytes(b)
            self.step = (2.0 ** (scales.astype(float) - 127)).astype(F)
            codes = self.code(self.mx_scaled(scales, b), f.element, np.zeros(len(b), F))
        else:
            scales, codes, decisions = self.nv(b, decisions)
        nan = 0xFF if f.mx else f.scale.nan
        scales = np.where(self.is_bad, nan, scales)
        codes = np.where(self.is_bad[:, None] | ~self.real, 0, codes)
        decisions = np.where(self.is_bad, 0, decisions)
        each = lambda v: self.join(np.repeat(v[:, None], self.tall * f.size, axis=1))[:, :: f.size]
        return self.join(codes), each(scales), each(decisions)

    def nv(self, b, decisions):
        f = self.f
        h = self.scale_before(b)
        self.bytes = scales = self.scale_bytes(h, b)
        self.step = s = f.scale.value(scales).astype(F)
        self.y = y = self.scaled(h, s, b)
        codes = self.code(y, f.element, s)
        if not self.selects:
            return scales, codes, decisions
        first = self.error(codes, f.element, s, b, False)
        if f.integer is not None:
            self.y = y * self.shrink
            other = self.code(self.y, f.integer, s, 1)
            second = self.error(other, f.integer, s, b, True)
            others, kinds = scales | 0x80, (3, 4)
        else:
            if self["selected_scale"] == "normalized_candidates":
                raise NotModelled("normalized_candidates")
            h = h * F(f.element.largest / f.element.magnitudes[-2])
            self.bytes = others = self.scale_bytes(h, b)
            self.step = t = f.scale.value(others).astype(F)
            self.y = self.scaled(h, t, b)
            other = self.code(self.y, f.element, t, 1)
            second = self.error(other, f.element, t, b, False)
            kinds = (1, 2)
        take = second < first
        return np.where(take, others, scales), np.where(take[:, None], other, codes), np.where(take, kinds[1], kinds[0])

    def dequantized(self, codes, scale):
        """The values of one row of codes under a scale byte."""
        f, kind = self.f, self["dequantization"]
        if kind == "exact" and (self["dequantized_zero"] == "positive" or self["int3_coding"] == "sign_magnitude"):
            raise NotModelled("exact dequantization beside another axis of it")
        is_integer = f.integer is not None and scale & 0x80
        exact = self.value(codes, f.integer if is_integer else f.element) * 2.0**f.exponent
        q = exact.astype(F)
        with np.errstate(all="ignore"):
            if f.mx:
                e = int(scale) - 127
                if scale == 255:
                    v = np.full(q.shape, np.nan, F)
                elif kind == "via_half":
                    v = (q.astype(np.float16) * np.float16(2.0**e)).astype(F)
                elif kind == "bf16_scale_quotient":
                    v = rounded_to((exact * 2.0**e).astype(F), "bf16")
                elif kind == "bf16_full_division":
                    v = rounded_to((exact * F(F(2.0**e) * F(4) / F(3))).astype(F), "bf16")
                else:
                    v = (exact * 2.0**e).astype(F)
            else:
                v = self.nv_values(exact, q, F(f.scale.value(np.asarray(scale & 0x7F if f.integer is not None else scale))), kind, is_integer)
        return np.where(v == 0, F(0), v) if self["dequantized_zero"] == "positive" else v

    def nv_values(self, exact, q, s, kind, is_integer):
        one = F(1)
        if kind == "exact":
            # q, s and A have at most 24, 4 and 24 bits; their product is divided once in extended precision.
            unit = self.f.element.largest / self.f.integer.largest if is_integer else 1.0
            wide = np.longdouble
            return (exact.astype(wide) * wide(s) * wide(self.amax) * wide(unit) / wide(self.c)).astype(F)
        if kind == "via_half":
            h = (np.float16(1) * (q * (self.expand if is_integer else one)).astype(np.float16) * np.float16(s)).astype(np.float16).astype(F)
            v = h * self.amax
            return v * (one / self.c) if self["constant_division"] == "reciprocal" else v / self.c
        if kind == "decode_product":
            return q * (s * self.d)
        if kind == "amax_product":
            return q * (s * (self.amax / self.c))
        if kind == "scale_quotient":
            return q * (s / self.s)
        if kind == "bf16_scale_quotient":
            return rounded_to(q * (s / self.s), "bf16")
        if kind == "decode_product_or_one":
            v = s * self.d
            return q * (one if not v >= F(1e-5) else v)
        if kind == "decode_product_finite":
            v = s * self.d
            return q * (v if np.isfinite(v) else one)
        raise NotModelled(kind)


def quantize(x, name, rule, axes=None, **more):
    """\\param x  binary32 [rows, columns] \\param axes  {axis: value}, canonical's where absent. \\return codes, scale bytes, decisions, A"""
    with np.errstate(all="ignore"):
        t = Tensor(np.asarray(x, F), name, rule, axes or {}, **more)
        codes, scales, decisions = t.run()
    return codes, scales, decisions, F(1) if t.f.mx else t.amax


def packed(codes, name):
    """Codes as they are stored: two 4-bit codes a byte, the even column in the low nibble."""
    if FORMATS[name].element.bits != 4:
        return codes
    return (codes[:, 0::2] | codes[:, 1::2] << 4).astype(np.uint8)
