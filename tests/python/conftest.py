# SPDX-License-Identifier: MIT
"""Fixtures: the command to compare with (environment variable LOWBIT), and small arrays that hold ties, zeros of both signs,
subnormals and a wide range of magnitudes."""
import os
import pathlib
import struct
import subprocess
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))
DATA = HERE.parent / "data"


class Command:
    def __init__(self, path):
        self.path = path

    def __call__(self, *arguments, code=0):
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout.decode()

    def fails(self, *arguments):
        """(exit code, the one line without the command's name)"""
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
        assert done.returncode != 0
        return done.returncode, done.stderr.decode().removeprefix("lowbit: ").rstrip("\n")


@pytest.fixture(scope="session")
def command():
    path = os.environ.get("LOWBIT")
    if not path:
        pytest.skip("the environment variable LOWBIT names no lowbit command to compare with")
    return Command(path)


def awkward(rows=6, columns=80, seed=0):
    """float32 [rows, columns]: normal numbers over many binades, exact ties of E2M1, zeros, subnormals, one zero block."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)) * np.exp2(rng.integers(-12, 12, (rows, columns)))
    x[0, :16] = np.array([0, 0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, -0.25, -0.75, -1.25, -1.75, -2.5, -3.5, -5, 6])
    x[1, :32] = 0
    x[2, :16] = np.array([-0.0, 1e-40, -1e-42, 1e-38] * 4)
    return x.astype(np.float32)


@pytest.fixture(scope="session")
def x():
    return awkward()


def write(path, **arrays):
    """Safetensors of NumPy arrays (uint16 as BF16)."""
    import tensors

    names = {"float32": "F32", "float64": "F64", "float16": "F16", "uint16": "BF16", "uint8": "U8", "uint32": "U32"}
    tensors.write(path, {name: (names[a.dtype.name], list(a.shape), np.ascontiguousarray(a).tobytes()) for name, a in arrays.items()})
    return path


def metadata(path):
    """The strings in the head of a safetensors file."""
    import json

    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]).get("__metadata__", {})


def read(path):
    """name -> (dtype, array of bytes or float32) of a safetensors file."""
    import json

    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    kinds = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "U16": np.uint16, "U8": np.uint8, "U32": np.uint32}
    return {
        name: np.frombuffer(data[8 + length :][slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }
