#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command in several processes: texts, reports and files of 1, 2, 3 and 5 ranks against those of one process, and what is left
where a rank is killed, meets a read error or fails.

usage: mpi.py --lowbit PATH [--mpirun PATH]    exit code 77: no mpirun, or a command without MPI (--mpirun absent or empty)
"""
import argparse
import contextlib
import hashlib
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid

import tensors

FORMATS = ("nvfp4:mse", "if4:mse", "mxfp4:floor", "if6_e2m3:mse")
# More ranks than cores, as root too; and no direct copies between processes, which containers forbid.
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
               "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl": "self,vader"}
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


class Runner:
    def __init__(self, lowbit, mpirun, folder):
        self.lowbit, self.mpirun, self.folder = lowbit, mpirun, folder

    def command(self, ranks, arguments):
        start = [] if ranks is None else [self.mpirun, "--oversubscribe", "-n", str(ranks)]
        return [*start, self.lowbit, *map(str, arguments)]

    def __call__(self, ranks, *arguments):
        """The exit code, standard output, the lines of standard error that are the command's. No ranks: without mpirun."""
        done = subprocess.run(self.command(ranks, arguments), cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True,
                              timeout=300, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, [line for line in done.stderr.splitlines() if line.startswith("lowbit: ")]

    def start(self, ranks, *arguments):
        """The same, running, when all ranks have opened s.safetensors: the process, and the process number of each rank."""
        mark = f"LOWBIT_TEST_RUN={uuid.uuid4()}"
        name, _, value = mark.partition("=")
        process = subprocess.Popen(self.command(ranks, arguments), cwd=self.folder, env={**ENVIRONMENT, name: value},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        found = {}
        while time.monotonic() < end and process.poll() is None and len(found) < ranks:
            time.sleep(0.01)
            for entry in pathlib.Path("/proc").iterdir():
                try:
                    text = (entry / "environ").read_bytes().split(b"\0")
                    maps = (entry / "maps").read_text()
                    command = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
                except (OSError, UnicodeDecodeError):
                    continue
                if mark.encode() not in text or command != self.lowbit or "s.safetensors" not in maps:
                    continue
                for variable in text:
                    if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                        found[int(variable.partition(b"=")[2])] = int(entry.name)
        return process, found


def packed(dtype, values):
    if dtype == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    bits = struct.pack(f"<{len(values)}f", *values)
    return bits if dtype == "F32" else b"".join(bits[i + 2:i + 4] for i in range(0, len(bits), 4))


def inputs(folder):
    """Tensors whose rows and pieces do not divide among ranks, with values over many orders of magnitude, so that sums depend on
    their order; the largest one of each stands last but one."""
    generator = random.Random(7)
    content = {}
    for name, dtype, shape in (("a.weight", "F32", [397, 700]), ("b.weight", "F16", [130, 1024]), ("c.weight", "BF16", [165, 333]),
                               ("few.weight", "F32", [3, 100]), ("row.weight", "F32", [2, 70001])):
        values = [generator.gauss(0, 1) * 2 ** generator.gauss(0, 2.5) for _ in range(shape[0] * shape[1])]
        values[-2] = -9000.0
        content[name] = (dtype, shape, packed(dtype, values))
    content["norm"] = ("F32", [700], packed("F32", [1.0] * 700))
    content["ids"] = ("I64", [30], bytes(range(240)))
    tensors.write(folder / "mixed.safetensors", content)
    values = [1.0] * 397 * 700
    values[300 * 700 + 3] = float("nan")
    tensors.write(folder / "nan.safetensors", {"n.weight": ("F32", [397, 700], packed("F32", values)),
                                               "z.weight": ("F32", [4, 32], packed("F32", [2.0] * 128))})


def sparse(path, rows, columns=1024):
    text = f'{{"s.weight":{{"dtype":"F32","shape":[{rows},{columns}],"data_offsets":[0,{rows * columns * 4}]}}}}'.encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + rows * columns * 4)


def same(run, *arguments, ranks=(1, 2, 3, 5), code=0):
    """What is printed, and files named in `written`, do not depend on the ranks."""
    wanted = run(None, *arguments)
    check(wanted[0] == code, f"{arguments}: exit {wanted[0]}: {wanted[2]}")
    check(code != 0 or wanted[1], f"{arguments} prints nothing")
    for n in ranks:
        got = run(n, *arguments)
        check(got == wanted, f"{arguments}, {n} ranks: exit {got[0]}, {got[2]}, text {'as wanted' if got[1] == wanted[1] else 'differs'}")


def evaluation(run, folder):
    formats = [word for name in FORMATS for word in ("--format", name)]
    same(run, "eval", "mixed.safetensors", "--all", "--per-tensor", *formats)
    same(run, "eval", "mixed.safetensors", "--all", "--json", "-", *formats, ranks=(3,))
    same(run, "eval", "mixed.safetensors", "--format", "nvfp4", "--format", "q8_0", "--axis", "0", ranks=(2,))
    same(run, "eval", "mixed.safetensors", *formats, "--fail-below", "sqnr_db=90", code=1, ranks=(2,))
    # Reports go to a file of one name.
    run(None, "eval", "mixed.safetensors", "--json", "1.json", "--csv", "1.csv", *formats)
    run(3, "eval", "mixed.safetensors", "--json", "3.json", "--csv", "3.csv", *formats)
    for ending in ("json", "csv"):
        check((folder / f"1.{ending}").read_bytes() == (folder / f"3.{ending}").read_bytes(), f"the {ending} of 3 ranks differs")
    # Failures: the same line once, and the same exit code.
    same(run, "eval", "nan.safetensors", code=3, ranks=(2, 3))
    same(run, "eval", "nan.safetensors", "--nonfinite", "skip", ranks=(3,))
    same(run, "eval", "absent.safetensors", code=3, ranks=(3,))
    same(run, "eval", "mixed.safetensors", "--format", "nvfp5", code=2, ranks=(2,))
    same(run, "eval", "mixed.safetensors", "--json", "no/such/folder/r.json", code=3, ranks=(2,))
    code, out, err = run(2, "inspect", "mixed.safetensors")
    check(code == 2 and not out and len(err) == 1 and "run it without mpirun" in err[0], f"inspect in two processes: {code} {err}")


def quantization(run, folder):
    def digest(name):
        with open(folder / name, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    for options in (["nvfp4:mse"], ["if4:mse"], ["mxfp4:floor"], ["if6_e2m3:mse"], ["nvfp4", "--scale-layout", "swizzled"],
                    ["nvfp4", "--block-2d"], ["if4:mae", "--transpose"], ["mxfp8_e4m3", "--tensor", "c.weight"]):
        wanted = run(None, "quantize", "mixed.safetensors", "-o", "1.q", "--format", *options)
        check(wanted[0] == 0, f"quantize {options}: {wanted}")
        for ranks in (1, 2, 3, 5) if options == ["nvfp4:mse"] else (3,):
            got = run(ranks, "quantize", "mixed.safetensors", "-o", "n.q", "--format", *options)
            check(got == wanted and digest("n.q") == digest("1.q"), f"quantize {options}, {ranks} ranks: {got[0]}, {got[2]}")
            (folder / "n.q").unlink(missing_ok=True)
    run(None, "dequantize", "1.q", "-o", "1.d", "--dtype", "BF16")
    run(3, "dequantize", "1.q", "-o", "n.d", "--dtype", "BF16")
    check(digest("n.d") == digest("1.d"), "dequantize, 3 ranks")
    # A folder with a colon, which some MPI would take for the name of a file system.
    (folder / "ufs:x").mkdir()
    run(2, "quantize", "mixed.safetensors", "-o", "ufs:x/n.q", "--format", "nvfp4:mse")
    run(None, "quantize", "mixed.safetensors", "-o", "1.q", "--format", "nvfp4:mse")
    check((folder / "ufs:x/n.q").exists() and digest("ufs:x/n.q") == digest("1.q"), "a path with a colon")
    shutil.rmtree(folder / "ufs:x")
    for name in ("1.q", "1.d", "n.d"):
        (folder / name).unlink()
    before = sorted(folder.iterdir())
    same(run, "quantize", "nan.safetensors", "-o", "n.q", "--format", "nvfp4", code=3, ranks=(2, 3))
    same(run, "quantize", "nan.safetensors", "-o", "n.q", "--format", "mxfp4", code=3, ranks=(3,))
    same(run, "quantize", "mixed.safetensors", "-o", "no/such/folder/q", "--format", "nvfp4", code=3, ranks=(2,))

    # A disk that is full, as far as a limit of file sizes is one; mpirun does not pass on which signals are ignored.
    start = run.command(2, ["quantize", "s.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--all"])
    start[4:4] = ["sh", "-c", 'trap "" XFSZ; exec "$0" "$@"']
    done = subprocess.run(start, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, 1 << 26)))
    lines = [line for line in done.stderr.splitlines() if line.startswith("lowbit: ")]
    check(done.returncode == 3 and len(lines) == 1 and "cannot write" in lines[0], f"a full disk: exit {done.returncode}: {done.stderr}")
    check(sorted(folder.iterdir()) == before, f"a failure leaves {sorted(folder.iterdir())}")


def hurt(run, folder, command, output, harm):
    """What two ranks say when `harm` has done its work: the exit code, standard output and standard error. A fast machine may be done
    before the harm comes; then the command succeeds, and is run again."""
    for _ in range(8):
        process, found = run.start(2, *command)
        if len(found) == 2:
            with contextlib.suppress(ProcessLookupError):
                harm(process, found)
        out, err = process.communicate(timeout=120)
        if process.returncode != 0:
            break
        (folder / output).unlink(missing_ok=True)
    return process.returncode, out, err


def verification(run, folder):
    """Dumps that agree, one block that differs in the part of the last rank, every block, and a search."""
    run(None, "quantize", "mixed.safetensors", "-o", "v.safetensors", "--format", "if4:mse")
    same(run, "verify", "quantize", "mixed.safetensors", "v.safetensors", ranks=(1, 2, 3))
    same(run, "verify", "quantize", "mixed.safetensors", "v.safetensors", "--dialect", "auto", "--tensor", "c.weight", ranks=(3,))
    same(run, "verify", "quantize", "mixed.safetensors", "v.safetensors", "--rule", "mae", code=1, ranks=(3,))
    content, metadata = tensors.read(folder / "v.safetensors")
    dtype, shape, scales = content["a.weight.scales"]
    content["a.weight.scales"] = (dtype, shape, scales[:-1] + bytes([scales[-1] ^ 1]))
    tensors.write(folder / "v.safetensors", content, metadata)
    same(run, "verify", "quantize", "mixed.safetensors", "v.safetensors", code=1, ranks=(2, 3, 5))
    same(run, "verify", "quantize", "mixed.safetensors", "v.safetensors", "--json", "-", code=1, ranks=(3,))
    (folder / "v.safetensors").unlink()
    interop = pathlib.Path(__file__).resolve().parent.parent / "data" / "interop"
    same(run, "verify", "quantize", str(interop / "original"), str(interop / "modelopt"), ranks=(3,))


def broken(run, folder, command, output):
    """A rank that is killed, and one that meets a read error."""
    before = sorted(p.name for p in folder.iterdir())
    for number in (0, 1):
        code, out, err = hurt(run, folder, command, output,
                              lambda process, found, rank=number: os.kill(found[rank], signal.SIGKILL))
        check(code != 0, f"{command[0]}: rank {number} killed: exit {code}")
        check(not out and not [line for line in err.splitlines() if line.startswith("lowbit: ")] and "signal 9" in err,
              f"{command[0]}: rank {number} killed: {out} {err}")
        left = {p.name for p in folder.iterdir()} - set(before)
        check(output not in left and len(left) <= (1 if number == 0 else 0) and all(name.startswith(".lowbit-") for name in left),
              f"{command[0]}: rank {number} killed leaves {left}")
        for name in left:
            (folder / name).unlink()
    # A part that only the second rank reads is gone: the last twenty pieces. A try that comes too late finds the file whole again.
    size = (folder / "s.safetensors").stat().st_size

    def cut(process, found):
        os.truncate(folder / "s.safetensors", size - 20 * 2**18)
        process.wait(timeout=120)
        os.truncate(folder / "s.safetensors", size)

    code, out, err = hurt(run, folder, command, output, cut)
    lines = [line for line in err.splitlines() if line.startswith("lowbit: ")]
    check(code == 3 and not out, f"{command[0]}: a read error: exit {code}: {out}")
    check(len(lines) == 1 and "s.safetensors: byte " in lines[0] and "cannot be read any more" in lines[0],
          f"{command[0]}: a read error: {err}")
    check(sorted(p.name for p in folder.iterdir()) == before, f"{command[0]}: a read error leaves {sorted(folder.iterdir())}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    parser.add_argument("--mpirun", default="")
    arguments = parser.parse_args()
    if not arguments.mpirun:
        print("skipped: the command is built without MPI, or there is no mpirun")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp())
    run = Runner(str(pathlib.Path(arguments.lowbit).resolve()), arguments.mpirun, folder)
    try:
        inputs(folder)
        evaluation(run, folder)
        sparse(folder / "s.safetensors", 400000)
        broken(run, folder, ("eval", "s.safetensors", "--all", "--json", "r.json", "--threads", "1"), "r.json")
        quantization(run, folder)
        verification(run, folder)
        broken(run, folder, ("quantize", "s.safetensors", "-o", "q.safetensors", "--format", "if4", "--all", "--threads", "1"),
               "q.safetensors")
    finally:
        shutil.rmtree(folder)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
