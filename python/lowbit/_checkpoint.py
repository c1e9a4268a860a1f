# SPDX-License-Identifier: MIT
from . import _lowbit
from ._arrays import as_array, as_bytes


class Finding(dict):
    """One thing that is wrong: kind, file, tensor, text. Printed, it is the line of `lowbit lint`."""

    def __str__(self):
        return self["line"]


def lint(path, reference=None):
    """What is wrong, or looks wrong, with a quantized checkpoint, as `lowbit lint` finds it.

    path: a folder as Hugging Face lays it out, *.index.json, or a file. reference: the weights before quantization, which also
    shows wrong orders of codes and scales, and inverted tensor scales. Returns a list of `Finding`, empty where all is well.
    """
    return [Finding(finding) for finding in _lowbit.lint(path, reference)]


def inspect(path):
    """What a checkpoint or tensor file holds, as `lowbit inspect --json` gives it.

    A dictionary: quantized (weights in blocks: name, convention, format, shape, layout, bytes, entries), tensors (all of the
    files: name, dtype, shape, bytes, offset, file) and faults (a line for each thing that is missing or contradicts itself).
    """
    return _lowbit.inspect(path)


def encode(x, codec, *, dtype=None):
    """The bytes of x in a reference codec of `codecs()`, as "q4_k" or "nf4": uint8 [bytes], as their program lays them out.

    x: finite floats; its rows run along the last dimension. dtype: what an array of unsigned integers holds, as "BF16".
    """
    array, name = as_array(x, dtype)
    return _lowbit.encode(array, name, codec)


def decode(data, codec, shape):
    """The float32 matrix [rows, columns] that a reference codec's bytes stand for.

    >>> import lowbit, numpy
    >>> x = numpy.linspace(-1, 1, 64, dtype="float32").reshape(2, 32)
    >>> data = lowbit.encode(x, "q8_0")
    >>> float(abs(lowbit.decode(data, "q8_0", x.shape) - x).max()) < 0.005
    True
    """
    rows, columns = shape
    return _lowbit.decode(as_bytes(data, "data"), codec, rows, columns)
