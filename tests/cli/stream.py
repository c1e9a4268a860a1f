#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files larger than the memory that the command may use: the largest resident memory of quantize, dequantize, eval and verify, and what
a file that becomes shorter, a full disk and a signal leave behind.

usage: stream.py --lowbit PATH [--gigabytes N]    N: size of the sparse file, 0.6 where absent
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

LIMIT_MB = 256
COLUMNS = 1024
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def header(rows, columns=COLUMNS):
    text = json.dumps({"z.weight": {"dtype": "F32", "shape": [rows, columns], "data_offsets": [0, rows * columns * 4]}}).encode()
    return struct.pack("<Q", len(text)) + text


def sparse(path, rows, in_one_row=False):
    """Zeros that take no space on the disk, and some rows that are not zero. in_one_row: the tensor has one row of all that."""
    head = header(1, rows * COLUMNS) if in_one_row else header(rows)
    with open(path, "wb") as f:
        f.write(head)
        for row in (0, rows // 3, rows - 1):
            f.seek(len(head) + row * COLUMNS * 4)
            f.write(struct.pack(f"<{COLUMNS}f", *((i * 37 % 101 - 50) / 64 for i in range(COLUMNS))))
        f.truncate(len(head) + rows * COLUMNS * 4)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    parser.add_argument("--gigabytes", type=float, default=0.6)
    arguments = parser.parse_args()
    lowbit = str(pathlib.Path(arguments.lowbit).resolve())
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        bounded(lowbit, folder, int(arguments.gigabytes * 1e9) // (COLUMNS * 4))
        if arguments.gigabytes <= 1:
            unpacked(lowbit, folder)
            broken(lowbit, folder)
    finally:
        shutil.rmtree(folder)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


def run(lowbit, folder, *command):
    """The exit code, the largest resident memory in MB, the standard error's text."""
    begin = time.monotonic()
    with open(folder / "err", "w+") as err, open(folder / "out", "w") as out:
        process = subprocess.Popen([lowbit, *map(str, command)], cwd=folder, stderr=err, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        text = err.read()
    print(f"{' '.join(map(str, command))}: {usage.ru_maxrss // 1024} MB, {time.monotonic() - begin:.1f} s, "
          f"{usage.ru_utime + usage.ru_stime:.1f} s of processor time")
    return process.returncode, usage.ru_maxrss // 1024, text


def bounded(lowbit, folder, rows):
    sparse(folder / "z.safetensors", rows)

    def fits(*command, expected=0):
        code, megabytes, err = run(lowbit, folder, *command)
        check(code == expected, f"{command}: exit {code}: {err}")
        check(megabytes <= LIMIT_MB, f"{command}: {megabytes} MB, more than {LIMIT_MB}")

    def digest(name):
        with open(folder / name, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()

    fits("quantize", "z.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--all")
    fits("quantize", "z.safetensors", "-o", "q1.safetensors", "--format", "nvfp4", "--all", "--threads", "1")
    check(digest("q.safetensors") == digest("q1.safetensors"), "the file depends on the threads")
    fits("verify", "quantize", "z.safetensors", "q.safetensors")
    # A scale byte of the last row that is not the right one: found, and its cause searched for.
    with open(folder / "q.safetensors", "r+b") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        _, end = json.loads(f.read(length))["z.weight.scales"]["data_offsets"]
        f.seek(8 + length + end - 1)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
        f.flush()
        fits("verify", "quantize", "z.safetensors", "q.safetensors", expected=1)
        text = (folder / "out").read_text()
        check("1 of " in text and f"row {rows - 1}, block {COLUMNS // 16 - 1}" in text, f"the block that differs is named: {text}")
        f.seek(8 + length + end - 1)
        f.write(byte)
    fits("dequantize", "q.safetensors", "-o", "d.safetensors")
    fits("eval", "z.safetensors", "--all", "--format", "nvfp4", "--format", "mxfp4")
    fits("eval", "z.safetensors", "--all", "--format", "fp8_tensor", "--format", "nf4", "--format", "q8_0")
    (folder / "q1.safetensors").unlink()
    checkpoint(lowbit, folder, fits)
    # Back to what was there: the values are multiples of 1/64 up to 50, and 4 bits do not hold all of them.
    with open(folder / "z.safetensors", "rb") as a, open(folder / "d.safetensors", "rb") as b:
        check(os.fstat(a.fileno()).st_size - len(header(rows)) == os.fstat(b.fileno()).st_size - (8 + struct.unpack("<Q", b.read(8))[0]), "sizes")
        for row in (0, 1, rows // 3, rows - 1):
            values = []
            for f in (a, b):
                f.seek(-(rows - row) * COLUMNS * 4, 2)
                values.append(struct.unpack(f"<{COLUMNS}f", f.read(COLUMNS * 4)))
            check(max(abs(x - y) for x, y in zip(*values)) <= 0.14, f"row {row} comes back")
    # Neighbours of a row are far from each other in the file.
    fits("quantize", "z.safetensors", "-o", "q.safetensors", "--format", "mxfp4", "--all", "--axis", "0")
    fits("verify", "quantize", "z.safetensors", "q.safetensors")
    fits("dequantize", "q.safetensors", "-o", "d.safetensors")
    # One row that is larger than the bound.
    sparse(folder / "row.safetensors", rows, in_one_row=True)
    fits("quantize", "row.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--all")
    fits("verify", "quantize", "row.safetensors", "q.safetensors")
    for name in ("q", "d", "row"):
        (folder / f"{name}.safetensors").unlink()


def checkpoint(lowbit, folder, fits):
    """A weight of a checkpoint that is larger than the bound, against its original: lowbit's own entries, whose scale bytes lie in rows,
    another convention's, and a padded one's."""
    fits("eval", "q.safetensors", "--reference", "z.safetensors", "--json", "stored.json")
    fits("eval", "z.safetensors", "--all", "--format", "nvfp4", "--json", "made.json")

    def metrics(name):
        (tensor,) = json.loads((folder / name).read_text())["tensors"]
        (result,) = tensor["results"]
        return result["metrics"] if "metrics" in result else result

    stored, made = metrics("stored.json"), metrics("made.json")
    for metric in ("rel_l2", "max_abs_error", "zeroed_share"):
        check(abs(stored[metric] - made[metric]) <= 1e-9 * abs(made[metric]), f"{metric}: {stored[metric]} stored, {made[metric]} made")
    done = subprocess.run([lowbit, "convert", "q.safetensors", "-o", "m.safetensors", "--to", "modelopt"], cwd=folder, capture_output=True,
                          text=True)
    check(done.returncode == 0, f"convert: {done.stderr}")
    fits("eval", "m.safetensors", "--reference", "z.safetensors", "--json", "stored.json")
    for metric in ("rel_l2", "max_abs_error", "zeroed_share"):
        got = metrics("stored.json")[metric]
        check(abs(got - made[metric]) <= 1e-4 * abs(made[metric]), f"{metric} of modelopt: {got} stored, {made[metric]} made")
    # Blocks are sampled all over the file, and then all are compared.
    fits("verify", "quantize", "z.safetensors", "m.safetensors", "--dialect", "canonical")
    fits("lint", "m.safetensors")
    fits("diff", "q.safetensors", "m.safetensors", expected=1)  # the tensor scale is rounded
    padded_checkpoint(folder)
    fits("verify", "quantize", "z.safetensors", "padded", "--dialect", "canonical")
    text = (folder / "out").read_text()
    check("1 of 1 weights equal" in text, f"the padded weight is equal: {text}")
    shutil.rmtree(folder / "padded")
    for name in ("m.safetensors", "stored.json", "made.json"):
        (folder / name).unlink()


def padded_checkpoint(folder):
    """The blocks of q.safetensors as fouroversix stores them, with 128 rows of zeros below."""
    with open(folder / "q.safetensors", "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        entries = json.loads(f.read(length))

        def place(name):
            begin, end = entries[f"z.weight.{name}"]["data_offsets"]
            return 8 + length + begin, end - begin

        rows = place("scales")[1] // (COLUMNS // 16)
        stored = rows + 128
        f.seek(place("amax")[0])
        small = {"metadata": ("I64", [6], struct.pack("<6q", rows, COLUMNS, stored, COLUMNS, 1, 0)), "amax": ("F32", [1], f.read(4))}
        large = {"values": ("U8", [stored, COLUMNS // 2], "values"), "scale_factors": ("F8_E4M3", [stored, COLUMNS // 16], "scales")}
        (folder / "padded").mkdir()
        (folder / "padded" / "config.json").write_text(json.dumps(
            {"quantization_config": {"quant_method": "fouroversix", "dtype": "nvfp4", "scale_rule": "static_6"}}))
        head, end = {}, 0
        for name, (dtype, shape, _) in {**small, **large}.items():
            size = math.prod(shape) * {"F32": 4, "I64": 8}.get(dtype, 1)
            head[f"z.quantized_weight_{name}"] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + size]}
            end += size
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / "padded" / "model.safetensors", "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for _, _, data in small.values():
                out.write(data)
            for _, shape, source in large.values():
                begin, left = place(source)
                f.seek(begin)
                while left:
                    left -= out.write(f.read(min(left, 1 << 20)))
                out.write(bytes(128 * shape[1]))


def unpacked(lowbit, folder):
    """A member of an archive that is larger, unpacked, than the bound."""
    rows = 80000
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {COLUMNS}), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    with zipfile.ZipFile(folder / "z.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("z.npy", "w", force_zip64=True) as member:
            member.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
            for _ in range(rows // 1000):
                member.write(bytes(1000 * COLUMNS * 4))
    code, megabytes, err = run(lowbit, folder, "quantize", "z.npz", "-o", "n.safetensors", "--format", "mxfp4", "--all")
    check(code == 0 and megabytes <= LIMIT_MB, f"an archive: exit {code}, {megabytes} MB: {err}")
    left = [p.name for p in pathlib.Path(tempfile.gettempdir()).glob(".lowbit-*")]
    check(not left, f"temporary files are left: {left}")
    for name in ("z.npz", "n.safetensors"):
        (folder / name).unlink()


def broken(lowbit, folder):
    before = sorted(p.name for p in folder.iterdir())

    def whole(what):
        check(sorted(p.name for p in folder.iterdir()) == before, f"{what} leaves {sorted(p.name for p in folder.iterdir())}")

    # The file becomes shorter while it is read.
    for command in (("quantize", "s.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--all", "--threads", "1"),
                    ("eval", "s.safetensors", "--all", "--json", "r.json")):
        sparse(folder / "s.safetensors", 400000)
        process = subprocess.Popen([lowbit, *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None and not list(folder.glob(".lowbit-*")):
            time.sleep(0.005)
        os.truncate(folder / "s.safetensors", 5000)
        err = process.communicate(timeout=120)[1]
        check(process.returncode == 3 and err.count("\n") == 1, f"{command}: a file that shrinks: exit {process.returncode}: {err}")
        check("s.safetensors: byte " in err and "cannot be read any more" in err, f"{command}: names the file: {err}")
        (folder / "s.safetensors").unlink()
        whole(f"{command[0]} of a file that shrinks")

    # A disk that is full, as far as a limit of file sizes is one.
    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    done = subprocess.run([lowbit, "quantize", "z.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--all"], cwd=folder,
                          preexec_fn=limited, capture_output=True, text=True)
    check(done.returncode == 3 and done.stderr.count("\n") == 1 and "q.safetensors: cannot write" in done.stderr,
          f"a full disk: exit {done.returncode}: {done.stderr}")
    whole("a full disk")

    # A signal.
    process = subprocess.Popen([lowbit, "quantize", "z.safetensors", "-o", "q.safetensors", "--format", "if4", "--all", "--threads", "1"],
                               cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None and not list(folder.glob(".lowbit-*")):
        time.sleep(0.005)
    process.terminate()
    check(process.wait(timeout=60) == -signal.SIGTERM, f"SIGTERM: exit {process.returncode}")
    whole("SIGTERM")


if __name__ == "__main__":
    sys.exit(main())
