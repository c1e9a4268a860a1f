# SPDX-License-Identifier: MIT
from . import _lowbit
from ._arrays import as_array, as_bytes, as_float32
from .errors import UsageError


def quantize(
    x,
    format,
    *,
    rule=None,
    dialect="canonical",
    axis=-1,
    transpose=False,
    block_2d=False,
    hadamard=False,
    amax=None,
    scale_max=None,
    nonfinite="error",
    rounding="nearest",
    random0=None,
    random1=None,
    importance=None,
    threads=0,
    dtype=None,
):
    """Quantizes an array to a block format, as `lowbit quantize` does.

    x: floats of any shape; float64 is rounded once to float32. Its rows run along `axis`.
    format: a name of `formats()`, with a rule or without, as "nvfp4:mse" or "nvfp4:search:3". rule: the same, apart.
    importance: a weight for each column, at least 0, in the errors that the rules optimal and search compare.
    dialect: whose arithmetic, a name of `dialects()`.
    transpose: quantize the transposed matrix. block_2d: one scale for each square block.
    hadamard: the 16-point random Hadamard transform first. amax: the tensor's, instead of measuring it.
    scale_max: the largest block scale, 448 or 256 (of amdfp4 114688 or 65536). nonfinite: "error", "saturate" or "propagate".
    rounding: "nearest", "stochastic" or "stochastic_unbiased", which need random0 (and random1 where the rule
    has two candidates): one number in [0, 1) for each element of the padded matrix.
    threads: 0 for all; the result does not depend on it. dtype: what an array of unsigned integers holds, as "BF16".
    Raises UsageError and InvalidInputError.

    >>> import lowbit, numpy
    >>> q = lowbit.quantize(numpy.array([[0.5, 1, 2, 3, 4, 6, -6, 0] * 2], "float32"), "nvfp4")
    >>> q.values
    array([[ 33,  84, 118,  15,  33,  84, 118,  15]], dtype=uint8)
    >>> q.scales, q.amax
    (array([[126]], dtype=uint8), 6.0)
    """
    array, name = as_array(x, dtype)
    return _lowbit.quantize(
        array,
        format,
        rule=rule or "",
        dialect=dialect,
        axis=axis,
        transpose=transpose,
        block_2d=block_2d,
        hadamard=hadamard,
        amax=amax,
        scale_max=scale_max,
        nonfinite=nonfinite,
        rounding=rounding,
        random0=as_float32(random0),
        random1=as_float32(random1),
        importance=as_float32(importance),
        dtype=name,
        threads=threads,
    )


def quantized(
    values, scales, amax=None, *, tensor_scale=None, tensor_scale_kind="multiplier", format, rule=None, dialect="canonical",
    columns=None, scale_max=None, block_2d=False,
):
    """Codes and scale bytes that another program made, as a `Quantized`.

    values: bytes [rows, bytes of a row], scales: bytes [rows, blocks of a row], laid out as `Quantized` has them. amax: the
    tensor's, or tensor_scale: the number that elements are multiplied by (amax / C), or divided by with tensor_scale_kind
    "divisor" (C / amax). MX formats have neither. columns: where the last block is padded.
    Raises UsageError for parts that do not fit together.

    >>> import lowbit, numpy
    >>> q = lowbit.quantized(numpy.full((1, 8), 0x77, "uint8"), numpy.array([[126]], "uint8"), 6.0, format="nvfp4")
    >>> q.dequantize()[0, :2]
    array([6., 6.], dtype=float32)
    """
    if amax is not None and tensor_scale is not None:
        raise UsageError("give amax or tensor_scale, not both")
    number, kind = (tensor_scale, tensor_scale_kind) if tensor_scale is not None else (amax, "amax")
    return _lowbit.assemble(
        as_bytes(values, "values"), as_bytes(scales, "scales"), 1.0 if number is None else float(number), kind, format=format,
        rule=rule or "", dialect=dialect, columns=columns, scale_max=scale_max, block_2d=block_2d,
    )


def load(path, name=None):
    """Reads a tensor of a file that `lowbit quantize` or `Quantized.save` wrote.

    name: which tensor, where the file holds several; a dictionary of all is `{n: load(path, n) for n in tensor_names(path)}`.
    """
    return _lowbit.load(path, name or "")


def tensor_names(path):
    """The block-quantized tensors of a file."""
    return _lowbit.names_in(path)
