#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/io: small files of each kind, written by the ecosystem's own packages, and
expected.safetensors, the values that those packages read from them.

usage: make_io_fixtures.py FOLDER      (needs numpy, ml_dtypes, safetensors, gguf)
"""
import pathlib
import struct
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(2026)
expected = {}

matrix = random.normal(size=(3, 5)).astype(np.float32)
np.save(folder / "c_order.npy", matrix)
expected["c_order"] = matrix
cube = random.normal(size=(2, 3, 4)).astype(np.float16)
np.save(folder / "fortran.npy", np.asfortranarray(cube))
expected["fortran"] = cube.astype(np.float32)
members = {"wide": random.normal(size=(4, 7)), "scalar": np.array(2.5, np.float32), "count": np.arange(6)}
np.savez(folder / "stored.npz", **members)
np.savez_compressed(folder / "deflated.npz", **members)
expected["wide"] = members["wide"].astype(np.float32)
expected["scalar"] = members["scalar"]

writer = gguf.GGUFWriter(folder / "blocks.gguf", "lowbit-test")
plain = random.normal(size=(2, 96)).astype(np.float32)
half = random.normal(size=(3, 2, 32)).astype(np.float16)
writer.add_name("lowbit fixture")
writer.add_array("test.words", ["a", "bc", ""])
writer.add_tensor("plain", plain)
writer.add_tensor("half", half)
expected["plain"], expected["half"] = plain, half.astype(np.float32)
for name, kind, size, elements in (("mxfp4", gguf.GGMLQuantizationType.MXFP4, 17, 32),
                                   ("nvfp4", gguf.GGMLQuantizationType.NVFP4, 36, 64)):
    raw = random.integers(0, 256, size=(4, 3 * size), dtype=np.uint8)
    if name == "mxfp4":
        raw[:, ::size] = random.integers(100, 150, size=(4, 3))
        raw[0, 0], raw[1, 0] = 0, 1  # subnormal scales
    writer.add_tensor(name, raw, raw_dtype=kind)
    expected[name] = gguf.quants.dequantize(raw, kind).astype(np.float32)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

save_file(expected, folder / "expected.safetensors")
