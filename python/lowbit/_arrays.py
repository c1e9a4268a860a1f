# SPDX-License-Identifier: MIT
"""What users pass as arrays, made ready for the binding: in main memory, native byte order, and narrow
floats that NumPy does not know as unsigned integers of the same bits, with the name of their type."""

import numpy as np

from .errors import UsageError

# ml_dtypes and torch names of the types that the library reads (dtypes() of lowbit/dtype.hpp).
_NARROW = {
    "bfloat16": ("BF16", np.uint16),
    "float8_e4m3fn": ("F8_E4M3", np.uint8),
    "float8_e5m2": ("F8_E5M2", np.uint8),
    "float8_e8m0fnu": ("F8_E8M0", np.uint8),
}


def _from_numpy(x):
    if x.dtype.name in _NARROW:
        name, bits = _NARROW[x.dtype.name]
        return x.view(bits), name
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    if x.dtype.kind not in "fui":
        raise UsageError(f"an array of {x.dtype} does not hold floating-point numbers")
    if x.dtype.kind == "f" and x.dtype.itemsize not in (2, 4, 8):
        raise UsageError(f"an array of {x.dtype} is wider than float64; convert it first")
    # DLPack cannot say "read-only" or hold addresses that are no multiples of the element size.
    if not x.flags.aligned:
        x = x.copy()
    return x, ""


def _from_torch(x):
    x = x.detach()
    if x.device.type != "cpu":
        x = x.cpu()
    name = str(x.dtype).rpartition(".")[2]
    if name in _NARROW:
        import torch

        dtype, bits = _NARROW[name]
        return x.contiguous().view(torch.int16 if bits is np.uint16 else torch.uint8), dtype
    return x, ""


def as_array(x, dtype=None):
    """(array, dtype name) for the binding. `dtype` says what unsigned integers hold, as "BF16"."""
    if isinstance(x, np.ndarray):
        x, name = _from_numpy(x)
    elif type(x).__module__.partition(".")[0] == "torch":
        x, name = _from_torch(x)
    elif hasattr(x, "__dlpack__"):
        device = x.__dlpack_device__()[0] if hasattr(x, "__dlpack_device__") else 1
        if int(device) != 1:  # kDLCPU
            raise UsageError("the array is not in main memory; copy it there first (jax.device_get, x.get(), ...)")
        name = ""
    else:
        try:
            x = np.asarray(memoryview(x))
        except TypeError:
            x = np.asarray(x)
        x, name = _from_numpy(x)
    if dtype is None:
        return x, name
    if name and dtype.upper() != name:
        raise UsageError(f"dtype='{dtype}' contradicts the array, whose elements are {name}")
    return x, dtype.upper()


def as_float32(x):
    """Random numbers and C operands: float32 in row order, copied where they are not."""
    return None if x is None else np.ascontiguousarray(x, dtype=np.float32)


def as_bytes(x, what):
    """Codes and scale bytes: uint8, also from 8-bit types of ml_dtypes and torch, in row order."""
    if type(x).__module__.partition(".")[0] == "torch":
        import torch

        x = x.detach().cpu().contiguous()
        x = x.view(torch.uint8).numpy() if x.element_size() == 1 else x.numpy()
    x = np.asarray(x)
    if x.dtype.itemsize != 1 or x.dtype.kind == "b":
        raise UsageError(f"{what} is an array of {x.dtype}; bytes are needed, as uint8")
    return np.ascontiguousarray(x).view(np.uint8)
