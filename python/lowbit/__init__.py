# SPDX-License-Identifier: MIT
"""Low-bit block-scaled number formats (NVFP4, Four Over Six, IF4, MX), bit for bit.

>>> import lowbit, numpy
>>> q = lowbit.quantize(numpy.linspace(-1, 1, 32, dtype="float32").reshape(2, 16), "nvfp4:mse")
>>> q.values.shape, q.scales.shape
((2, 8), (2, 1))
>>> float(abs(q.dequantize()).max())
1.0

Arrays may be of NumPy, also with the element types of ml_dtypes, of any library that speaks DLPack
(PyTorch: without a copy on the CPU; from a GPU the object's own method copies it to main memory), or
buffers. Float environment: each call computes with subnormals and round-to-nearest, whatever the process has set, and
restores what it found. All functions may be called from several threads, and release the GIL.
"""

from ._checkpoint import Finding, decode, encode, inspect, lint
from ._evaluate import Evaluation, evaluate
from ._gemm import exact_gemm, mma
from ._lowbit import Quantized, codecs, dialects, formats, instructions, metrics, version
from ._quantize import load, quantize, quantized, tensor_names
from ._verify import Report, explain, verify_quantize
from .errors import Error, InternalError, InvalidInputError, MismatchError, UnavailableError, UsageError

__version__ = version()

__all__ = [
    "Error",
    "Evaluation",
    "Finding",
    "InternalError",
    "InvalidInputError",
    "MismatchError",
    "Quantized",
    "Report",
    "UnavailableError",
    "UsageError",
    "__version__",
    "codecs",
    "decode",
    "dialects",
    "encode",
    "evaluate",
    "exact_gemm",
    "explain",
    "formats",
    "inspect",
    "instructions",
    "lint",
    "load",
    "metrics",
    "mma",
    "quantize",
    "quantized",
    "tensor_names",
    "verify_quantize",
]
