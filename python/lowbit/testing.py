# SPDX-License-Identifier: MIT
"""Assertions for the tests of kernels. A failure's text says what `lowbit verify` says: which block or word differs first,
and why.

>>> import lowbit, lowbit.testing, numpy
>>> x = numpy.linspace(-4, 4, 64, dtype="float32").reshape(2, 32)
>>> kernel = lowbit.quantize(x, "nvfp4:mse")        # the output of yours
>>> lowbit.testing.assert_quantized_equal(x, kernel.values, kernel.scales, kernel.amax, format="nvfp4:mse")
"""

import numpy as np

from . import _lowbit
from ._arrays import as_array
from ._gemm import _codes
from ._lowbit import Quantized
from ._quantize import quantized
from ._verify import verify_quantize
from .errors import MismatchError, UsageError

__all__ = ["assert_gemm_equal", "assert_quantized_equal"]


def assert_quantized_equal(
    x,
    values,
    scales,
    amax=None,
    *,
    tensor_scale=None,
    tensor_scale_kind="multiplier",
    format,
    rule=None,
    dialect="canonical",
    columns=None,
    scale_max=None,
    block_2d=False,
    nonfinite="error",
    amax_given=False,
    dtype=None,
):
    """Raises MismatchError (an AssertionError) unless codes, scale bytes and amax are those that x quantizes to.

    x: the input, rows along the blocks. values, scales: bytes [rows, ...] as `Quantized` lays them out. amax: the tensor's, or
    tensor_scale: the number that elements are multiplied by, or divided by with tensor_scale_kind "divisor"; compared bit for
    bit. amax_given: amax was given to the kernel, and is given to the comparison instead of being measured. dialect: whose
    arithmetic is expected, a name of `lowbit.dialects()`.
    """
    __tracebackhide__ = True
    array, _ = as_array(x, dtype)
    if columns is None and array.ndim == 2:
        columns = array.shape[1]
    dump = quantized(
        values, scales, amax, tensor_scale=tensor_scale, tensor_scale_kind=tensor_scale_kind, format=format, rule=rule,
        dialect=dialect, columns=columns, scale_max=scale_max, block_2d=block_2d,
    )
    report = verify_quantize(x, dump, dialect=dialect, nonfinite=nonfinite, amax_given=amax_given, dtype=dtype)
    if not report:
        raise MismatchError(report.text)


def _operand(x, model, side):
    if isinstance(x, Quantized):
        return x
    if model == "exact":
        raise UsageError(f"{side}: the exact model takes block-quantized operands (lowbit.quantize)")
    facts = _lowbit.instruction(model)
    return _codes(x, facts[f"{side}_bits"], facts[side], side)


def assert_gemm_equal(a, b, d, *, model="exact", diagnosis=True, threads=0):
    """Raises MismatchError (an AssertionError) unless D is A B^T word for word under the model.

    a: M x K, b: N x K (a weight): `Quantized`, or arrays of the instruction's element types. d: M x N float32, float16 or
    bfloat16 (ml_dtypes; or uint16). model: "exact", or an instruction of `lowbit.instructions()`, run along K in order into
    one accumulator. diagnosis: also try the usual mistakes of layout, scale and arithmetic. NaN equals NaN.

    >>> import lowbit, lowbit.testing, numpy
    >>> a = lowbit.quantize(numpy.ones((2, 16), "float32"), "nvfp4")
    >>> lowbit.testing.assert_gemm_equal(a, a, numpy.full((2, 2), 16, "float32"))
    """
    __tracebackhide__ = True
    if type(d).__module__.partition(".")[0] == "torch":
        array, name = as_array(d)
        d = np.asarray(array) if not name else np.asarray(array).view(np.uint16)
    d = np.asarray(d)
    output = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "uint16": "bf16"}.get(d.dtype.name)
    if output is None or d.ndim != 2:
        raise UsageError(f"d is {d.dtype} {d.shape}; a matrix of float32, float16 or bfloat16 is needed")
    d = np.ascontiguousarray(d)
    words = d.view(np.uint32) if output == "f32" else d.view(np.uint16).astype(np.uint32)
    text = _lowbit.verify_gemm(
        _operand(a, model, "a"), _operand(b, model, "b"), words, output, model, diagnosis, threads
    )
    if text:
        raise MismatchError(text.rstrip("\n"))
