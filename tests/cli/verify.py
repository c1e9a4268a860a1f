# SPDX-License-Identifier: MIT
"""lowbit verify quantize: what a quantized file says about itself, and the first block that differs."""
import math

import tensors


def changed(path, out, entry, at, byte):
    """A copy of the file with one byte of one entry replaced."""
    held, metadata = tensors.read(path)
    dtype, shape, data = held[entry]
    held[entry] = (dtype, shape, data[:at] + bytes([byte]) + data[at + 1:])
    tensors.write(out, held, metadata)


def propagated(lowbit, folder, check):
    """The first differing block is one that holds NaN: it has no candidates to show."""
    for name, rows, columns, options in (("row", 2, 32, []), ("square", 16, 32, ["--block-2d"])):
        values = [1.0 + i % 7 for i in range(rows * columns)]
        values[5] = math.nan
        tensors.write(folder / "v.safetensors", {"n": ("F32", [rows, columns], tensors.pack(values))})
        for form, scale_name in (("nvfp4", "e4m3"), ("mxfp4", "e8m0")):
            what = f"{name} {form}"
            code, _, err = lowbit("quantize", "v.safetensors", "-o", "v.q.safetensors", "--format", form, "--nonfinite", "propagate", *options)
            check(code == 0, f"{what}: {err}")
            good = tensors.read(folder / "v.q.safetensors")[0]
            for entry, at, byte, parts in (
                    ("n.scales", 0, 0x38, ["the dump has 0x38"]),
                    ("n.values", 1, 0x07, ["column 2: x 0x1.8p+1, code 0x0, the dump has 0x7"])):
                changed(folder / "v.q.safetensors", folder / "bad.safetensors", entry, at, byte)
                code, out, err = lowbit("verify", "quantize", "v.safetensors", "bad.safetensors", "--nonfinite", "propagate")
                check(code == 1, f"{what} {entry}: {code} {err}")
                for part in ["1 of", "first difference: row 0, block 0", f"the block holds NaN or infinity: its scale byte is the NaN of {scale_name}",
                             f"scale byte 0x{good['n.scales'][2][0]:02x}", *parts]:
                    check(part in out, f"{what} {entry} says '{part}': {out}")
