# SPDX-License-Identifier: MIT
"""Memory of quantize and dequantize: no copy of the elements where rows already lie as they are wanted."""
import json
import os
import struct
import subprocess


def copies(lowbit, folder, check):
    """Along another axis, or transposed, the elements are moved once: 4 bytes per element more than without."""
    rows, columns = 4096, 4096
    header = json.dumps({"z": {"dtype": "F16", "shape": [rows, columns], "data_offsets": [0, rows * columns * 2]}}).encode()
    with open(folder / "z.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
        f.truncate(8 + len(header) + rows * columns * 2)

    def peak(*arguments):
        running = subprocess.Popen([lowbit.path, *arguments], cwd=folder)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        check(running.returncode == 0, f"{arguments} returned {running.returncode}")
        return used.ru_maxrss * 1024 / (rows * columns)

    plain = peak("quantize", "z.safetensors", "-o", "z.q.safetensors", "--format", "nvfp4")
    moved = peak("quantize", "z.safetensors", "-o", "z.t.safetensors", "--format", "nvfp4", "--axis", "0")
    check(plain < moved - 3, f"quantize takes {plain:.2f} bytes per element, and {moved:.2f} along another axis")
    plain = peak("dequantize", "z.q.safetensors", "-o", "z.d.safetensors")
    moved = peak("dequantize", "z.t.safetensors", "-o", "z.d.safetensors")
    check(plain < moved - 3, f"dequantize takes {plain:.2f} bytes per element, and {moved:.2f} along another axis")
    for name in ("z", "z.q", "z.t", "z.d"):
        (folder / f"{name}.safetensors").unlink()
