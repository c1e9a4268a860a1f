# SPDX-License-Identifier: MIT
import numpy as np

from . import _lowbit
from ._arrays import as_bytes
from .errors import UsageError


def _as_floats(words, output):
    """Words as an array of the type; bfloat16 by ml_dtypes where it is installed, else as uint16."""
    if output == "bf16":
        try:
            import ml_dtypes
        except ImportError:
            return words
        return words.view(ml_dtypes.bfloat16)
    return words.view(np.float32 if output == "f32" else np.float16)


def exact_gemm(a, b, *, output="f32", nan_scale="error", tensor_scale="exact", threads=0):
    """D = A B^T of two `Quantized`, each element the exact sum rounded once, as `lowbit gemm --model exact`.

    a: M x K, b: N x K; the formats may differ. output: "f32", "f16" or "bf16" (an array of ml_dtypes.bfloat16, or of
    uint16 without that package). nan_scale: "error", "nan", or "448", which reads NaN scale bytes as the largest.
    tensor_scale: "exact", "fp32" (rounded to float32, then multiplied in float32), or "none".

    >>> import lowbit, numpy
    >>> a = lowbit.quantize(numpy.ones((2, 16), "float32"), "nvfp4")
    >>> lowbit.exact_gemm(a, a)
    array([[16., 16.],
           [16., 16.]], dtype=float32)
    """
    words = _lowbit.exact_gemm(a, b, output=output, nan_scale=nan_scale, tensor_scale=tensor_scale, threads=threads)
    return _as_floats(words, output)


def _codes(x, bits, element, what):
    """A matrix of codes [rows, K] as bytes [rows, bytes of a row], K contiguous."""
    x = np.asarray(x)
    if x.ndim != 2:
        raise UsageError(f"{what} has {x.ndim} dimensions where 2 are needed")
    itemsize = max(1, bits // 8)
    if x.dtype.itemsize != itemsize:
        raise UsageError(f"{what} is an array of {x.dtype} where {element} takes {itemsize} bytes an item")
    expected = {"f16": "float16", "bf16": "bfloat16", "tf32": "float32", "f32": "float32"}.get(element)
    if expected and x.dtype.kind not in "ui" and x.dtype.name != expected:
        raise UsageError(f"{what} is an array of {x.dtype} where {element} takes {expected}, or its bits as integers")
    return np.ascontiguousarray(x).view(np.uint8)


def mma(instruction, a, b, c=None, *, scale_a=None, scale_b=None, threads=0):
    """D = A B + C as a tensor-core instruction computes it, word for word; longer K runs it several times.

    instruction: a name of `instructions()`, with any mM and nN. a: M x K and b: K x N of its element types: float16,
    bfloat16 (ml_dtypes), float32 for TF32, or codes as unsigned integers (uint8; E2M1 two a byte along K). c: M x N
    float32 or float16, as the instruction takes it; zeros where absent. scale_a: bytes [M, K / block], scale_b:
    bytes [K / block, N], for block-scaled instructions. Returns M x N float32 or float16.
    """
    facts = _lowbit.instruction(instruction)
    left = _codes(a, facts["a_bits"], facts["a"], "a")
    right = _codes(np.asarray(b).T, facts["b_bits"], facts["b"], "b")
    k = left.shape[1] * 8 // facts["a_bits"]
    if right.shape[1] * 8 // facts["b_bits"] != k:
        raise UsageError(
            f"a has {k} elements along K, b has {right.shape[1] * 8 // facts['b_bits']}: they do not multiply"
        )
    if (facts["scale"] is None) != (scale_a is None) or (scale_a is None) != (scale_b is None):
        needed = "needs scale_a and scale_b" if facts["scale"] else "takes no scales"
        raise UsageError(f"{facts['name']} {needed}")
    words = None
    if c is not None:
        wanted = np.float32 if facts["c"] == "f32" else np.float16
        c = np.ascontiguousarray(c)
        if c.dtype != wanted or c.shape != (left.shape[0], right.shape[0]):
            raise UsageError(
                f"c is {c.dtype} {c.shape} where {facts['name']} takes {wanted.__name__} "
                f"({left.shape[0]}, {right.shape[0]})"
            )
        words = c.view(np.uint32) if wanted is np.float32 else c.view(np.uint16).astype(np.uint32)
    scales = [None, None]
    if scale_a is not None:
        scales = [as_bytes(scale_a, "scale_a"), np.ascontiguousarray(as_bytes(scale_b, "scale_b").T)]
    d = _lowbit.mma(instruction, left, right, k, words, *scales, threads)
    return _as_floats(d, facts["d"])
