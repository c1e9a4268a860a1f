# SPDX-License-Identifier: MIT
"""Formats and remedies in numpy, written from docs/formats.md and docs/transforms.md alone.

It shares nothing with the library: tests/formats/test_remedy.py compares the two. `use(cupy)` runs the same code
on a GPU. Matrices are row-major float32; a remedy's arithmetic is in float64.
"""
import numpy as np

xp = np


def use(module):
    """Which array module does the work: numpy or cupy."""
    global xp
    xp = module


# --- formats -----------------------------------------------------------------------------------


class Element:
    """Non-negative values of a float format in the order of their codes, or integers up to `top`."""

    def __init__(self, mantissa=None, least_exponent=0, top=0.0):
        self.mantissa, self.least_exponent, self.top = mantissa, least_exponent, top

    def round(self, y):
        """To the nearest value, ties to the even code, saturating; float32 in and out."""
        if self.mantissa is None:
            return xp.clip(xp.rint(y), -self.top, self.top)
        magnitude = xp.abs(y)
        if self.mantissa == 0:  # E2M0: 0 1 2 4, of codes 0 to 3; a tie of 2 and 4 has the even code 2
            values = xp.where(magnitude <= 0.5, 0, xp.where(magnitude < 1.5, 1, xp.where(magnitude <= 3, 2, 4)))
            return xp.copysign(values.astype(xp.float32), y)
        exponent = xp.maximum(xp.frexp(magnitude)[1] - 1, self.least_exponent)
        step = xp.ldexp(xp.ones_like(magnitude), exponent - self.mantissa)
        return xp.copysign(xp.minimum(xp.rint(magnitude / step) * step, xp.float32(self.top)), y)


E4M3 = Element(3, -6, 448.0)
ELEMENTS = {  # element, integer element, block size, family
    "nvfp4": (Element(1, 0, 6.0), None, 16, "nv"),
    "nvint4": (Element(top=7.0), None, 16, "nv"),
    "if4": (Element(1, 0, 6.0), Element(top=7.0), 16, "nv"),
    "if3": (Element(0, 0, 4.0), Element(top=3.0), 16, "nv"),
    "if6_e2m3": (Element(3, 0, 7.5), Element(top=31.0), 16, "nv"),
    "mxfp4": (Element(1, 0, 6.0), None, 32, "mx"),
    "mxfp8_e4m3": (Element(3, -6, 448.0), None, 32, "mx"),
}


def f32(x):
    return x.astype(xp.float32)


class Scales:
    """What is decided for the blocks of a matrix, and how elements are encoded under it."""

    def __init__(self, fmt, amax, constant, scale, integer):
        self.fmt, self.amax, self.constant, self.scale, self.integer = fmt, amax, constant, scale, integer

    def encode(self, x, column=None):
        """(q, dequantized) of blocks [rows, blocks, size], or of one column [rows] of them."""
        element, integer_element, size, family = ELEMENTS[self.fmt]
        if column is None:
            amax, scale, flag = self.amax[:, :, None], self.scale[:, :, None], self.integer
            flag = None if flag is None else flag[:, :, None]
        else:
            amax, scale = self.amax[:, 0], self.scale[:, column // size]
            flag = None if self.integer is None else self.integer[:, column // size]
        if family == "mx":
            q = element.round(x / scale)
            return q, f32(q * scale)
        s_tensor = f32(self.constant / xp.where(amax == 0, 1, amax))
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = f32(1 / f32(f32(1 / s_tensor) * scale))
        inverse = xp.where((scale == 0) | (amax == 0), xp.float32(0), inverse)
        y = f32(x * inverse)
        q = element.round(y)
        unit = 1.0
        if integer_element is not None:
            ratio = integer_element.top / element.top
            q_integer = integer_element.round(f32(y * xp.float32(ratio)))
            q = xp.where(flag, q_integer, q)
            unit = xp.where(flag, 1.0 / ratio, 1.0)
        exact = q.astype(xp.float64) * scale * amax / float(self.constant) * unit
        return q, f32(exact)


def blocks_of(x, size):
    rows, columns = x.shape
    pad = -columns % size
    if pad:
        x = xp.concatenate([x, xp.zeros((rows, pad), xp.float32)], 1)
    return x.reshape(rows, -1, size)


def choose_scales(fmt, rule, x, amax=None, importance=None):
    """The scales of a matrix under a rule. amax: of the tensor, or one per row [rows, 1]."""
    element, integer_element, size, family = ELEMENTS[fmt]
    blocks = blocks_of(x, size)
    b = xp.abs(blocks).max(2)
    if family == "mx":
        if rule == "floor":
            e = xp.frexp(b)[1] - 1 - (8 if fmt == "mxfp8_e4m3" else 2)
        else:  # rceil: the least e with b <= top * 2^e
            fraction, e = xp.frexp(f32(b))
            top_fraction, top_e = np.frexp(np.float32(element.top))
            e = e - top_e + (fraction > xp.float32(top_fraction))
        scale = xp.ldexp(xp.ones_like(b), xp.clip(xp.where(b == 0, -127, e), -127, 127))
        return Scales(fmt, xp.ones_like(b), 1.0, scale, None)
    if amax is None:
        amax = xp.abs(x).max()
    amax = xp.broadcast_to(f32(xp.asarray(amax)).reshape(-1, 1), (x.shape[0], 1))
    competes = fmt == "nvfp4" and rule in ("mse", "mae", "abs_max")
    constant = np.float32(element.top * (256 if competes else 448))
    s_tensor = f32(constant / xp.where(amax == 0, 1, amax))
    h = f32(f32(b / xp.float32(element.top)) * s_tensor)
    scale = xp.where(amax == 0, xp.float32(0), E4M3.round(h))
    no, yes = xp.zeros(scale.shape, bool), xp.ones(scale.shape, bool)
    adaptive = integer_element is not None
    base = Scales(fmt, amax, constant, scale, no if adaptive else None)
    if rule == "static_6":
        return base
    if rule.startswith("search"):
        return search(base, blocks, int(rule.split(":")[1]), importance)
    if adaptive:
        other = Scales(fmt, amax, constant, scale, yes)
    else:
        other = Scales(fmt, amax, constant, E4M3.round(f32(h * xp.float32(1.5))), None)

    def error(scales):
        q, _ = scales.encode(blocks)
        value = f32(f32(f32(q * scales.scale[:, :, None]) * amax[:, :, None]))
        if scales.integer is not None and scales is other:
            value = f32(value * xp.float32(element.top / integer_element.top))
        d = f32(f32(value / constant) - blocks)
        total = xp.zeros(scale.shape, xp.float32)
        for i in range(size):  # in order, each sum rounded
            a = xp.abs(d[:, :, i])
            total = xp.maximum(total, a) if rule == "abs_max" else total + (f32(a * a) if rule == "mse" else a)
        return total

    wins = error(other) < error(base)
    if adaptive:
        return Scales(fmt, amax, constant, scale, wins)
    return Scales(fmt, amax, constant, xp.where(wins, other.scale, scale), None)


def e4m3_value(byte):
    exponent, mantissa = byte >> 3, byte & 7
    return f32(xp.where(exponent == 0, mantissa * 2.0 ** -9, (8 + mantissa) * xp.exp2((exponent - 10).astype(xp.float64))))


def e4m3_byte(scale):
    exponent = xp.maximum(xp.frexp(scale)[1] - 1, -6)
    mantissa = xp.rint(scale / xp.ldexp(xp.ones_like(scale), exponent - 3)).astype(xp.int64)
    return xp.where(mantissa < 8, mantissa, (exponent + 7) * 8 + mantissa - 8)


def search(base, blocks, radius, importance):
    """search:K in float64 instead of exact rationals: ties to the byte of static_6, then float, then smaller."""
    weights = 1.0 if importance is None else blocks_of(f32(xp.asarray(importance)).reshape(1, -1), blocks.shape[2])
    start = e4m3_byte(base.scale)
    best = Scales(base.fmt, base.amax, base.constant, base.scale, base.integer)
    least = xp.full(start.shape, xp.inf)
    order = [0] + [d for d in range(-radius, radius + 1) if d]
    for d in order:
        byte = start + d
        scale = e4m3_value(xp.clip(byte, 0, 126))
        for flag in ([None] if base.integer is None else [False, True]):
            integer = None if flag is None else xp.full(start.shape, flag)
            trial = Scales(base.fmt, base.amax, base.constant, scale, integer)
            error = (weights * (trial.encode(blocks)[1].astype(xp.float64) - blocks) ** 2).sum(2)
            wins = (error < least) & (byte >= 1) & (byte <= 126)
            least = xp.where(wins, error, least)
            best.scale = xp.where(wins, scale, best.scale)
            if flag is not None:
                best.integer = xp.where(wins, integer, best.integer)
    return best


def quantize(fmt, rule, x, amax=None, importance=None):
    """The matrix through a format and back. A weighted search weights columns by importance."""
    if fmt == "keep":
        return x
    scales = choose_scales(fmt, rule, x, amax, importance)
    return scales.encode(blocks_of(x, ELEMENTS[fmt][2]))[1].reshape(x.shape[0], -1)[:, : x.shape[1]]


# --- remedies ----------------------------------------------------------------------------------


def splitmix64(z):
    mask = (1 << 64) - 1
    z = (z + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return z ^ z >> 31


def paley(q):
    chi = np.array([0] + [1 if pow(a, (q - 1) // 2, q) == 1 else -1 for a in range(1, q)])
    s = np.zeros((q + 1, q + 1))
    s[0, 1:], s[1:, 0] = 1, -1
    for i in range(q):
        for j in range(q):
            s[1 + i, 1 + j] = chi[(j - i) % q]
    return np.eye(q + 1) + s


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))


def rotation(n, seed=1):
    """T of hadamard:N, float64."""
    h, two = np.ones((1, 1)), n
    if n & (n - 1):
        for p in range(4, n + 1, 4):
            two = n // p
            if n % p == 0 and two & (two - 1) == 0 and is_prime(p - 1):
                h = paley(p - 1)
                break
        else:
            raise ValueError(f"no Hadamard matrix of {n}")
    for _ in range(two.bit_length() - 1):
        h = np.kron(h, np.array([[1, 1], [1, -1]]))
    signs = np.array([1.0 if splitmix64((seed << 32) + i) >> 63 == 0 else -1.0 for i in range(n)])
    return xp.asarray(signs[:, None] * h / np.sqrt(n))


def published_rotation():
    signs = np.array([1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1.0])
    h = np.array([[(-1.0) ** bin(i & j).count("1") for j in range(16)] for i in range(16)])
    return xp.asarray(signs[:, None] * h / 4)


def rotate(x, t):
    n = t.shape[0]
    return f32((x.astype(xp.float64).reshape(x.shape[0], -1, n) @ t).reshape(x.shape))


def smooth_scales(w, x, alpha=0.5):
    a = xp.abs(x).max(0).astype(xp.float64)
    m = xp.maximum(xp.abs(w).max(0).astype(xp.float64), 1e-5)
    s = xp.maximum(a ** alpha / m ** (1 - alpha), 1e-5)
    return xp.where(a == 0, 1.0, s)


def awq_scales(w, x, through):
    mean = xp.abs(x).astype(xp.float64).mean(0)
    # |D X^T|^2 = tr(D H D^T): the squared error of X W^T needs X only as H = X^T X.
    h = x.astype(xp.float64).T @ x.astype(xp.float64)
    best = None
    for i in range(20):
        s = xp.maximum(mean ** (i / 20), 1e-4)
        s = s / xp.sqrt(s.max() * s.min())
        d = through(f32(w * s)) / s - w
        error = float(((d @ h) * d).sum())
        if best is None or error < best[0]:
            best = (error, s)
    return best[1]


def sort_order(norms):
    return xp.argsort(-norms, kind="stable") if xp is np else xp.asarray(np.argsort(-norms.get(), kind="stable"))


def bf16(x):
    bits = f32(x).view(xp.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & xp.uint32(0xFFFF0000)).view(xp.float32)


def svd_branch(w, rank):
    u = xp.linalg.svd(w.astype(xp.float64), full_matrices=False)[0][:, :rank]
    top = xp.argmax(xp.abs(u), 0)
    u = u * xp.sign(u[top, xp.arange(rank)])
    return bf16(u), bf16(u.T @ w)


def gptq(fmt, rule, w, x, act_order=False, amax=None):
    """The dequantized weights. amax: of the tensor, or one per row where tensors of one input are stacked."""
    scales = choose_scales(fmt, rule, w, amax)
    h = x.astype(xp.float64)
    h = h.T @ h / len(x)
    columns = len(h)
    diagonal = xp.diag(h).copy()
    dead = diagonal == 0
    h[dead, dead] = 1
    order = sort_order(diagonal) if act_order else xp.arange(columns)
    h[xp.arange(columns), xp.arange(columns)] += 0.01 * xp.diag(h).mean()
    h = h[order][:, order]
    c = xp.linalg.cholesky(xp.linalg.inv(h)).T
    work = xp.where(dead, 0.0, w.astype(xp.float64))[:, order]
    out = xp.zeros_like(w)
    places = [int(j) for j in order]
    lazy = 64  # updates of later columns are gathered; float64 hardly notices
    for first in range(0, columns, lazy):
        last = min(first + lazy, columns)
        errors = xp.zeros((len(w), last - first))
        for j in range(first, last):
            q = scales.encode(f32(work[:, j]), places[j])[1]
            out[:, places[j]] = q
            e = (work[:, j] - q) / c[j, j]
            errors[:, j - first] = e
            work[:, j + 1:last] -= e[:, None] * c[j, j + 1:last]
        work[:, last:] -= errors @ c[first:last, last:]
    return out
