# SPDX-License-Identifier: MIT
"""Output files of every subcommand: an input is never replaced."""
import json
import math
import os
import pathlib
import signal
import struct
import subprocess
import time

import tensors

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "data" / "mac" / "if4_mac_public.json"


def make_inputs(folder):
    """One small file for each kind of input, in a folder of its own."""
    folder.mkdir()
    values = tensors.pack([math.sin(i) for i in range(16 * 32)])
    tensors.write(folder / "x.safetensors", {"x": ("F32", [16, 32], values)})
    tensors.write(folder / "rand.safetensors", {r: ("F32", [16, 32], tensors.pack([0.5] * 512)) for r in ("rand0", "rand1")})
    for shard in ("1", "2"):
        tensors.write(folder / f"shard{shard}.safetensors", {"t" + shard: ("F32", [16, 32], values)})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"t1": "shard1.safetensors", "t2": "shard2.safetensors"}}))
    (folder / "schedule.json").write_text("{}")
    (folder / "layers.json").write_text("[]")
    (folder / "raw.bin").write_bytes(values)
    (folder / "vectors.json").write_bytes(VECTORS.read_bytes())
    for name in ("mma", "c"):
        tensors.write(folder / f"{name}.safetensors", {"A": ("F16", [2, 2], bytes(8))})
    for name in ("cells.lib", "cells.lef", "cells.v", "rows.json", "v.beats.hex", "v.expected.hex"):
        (folder / name).write_text("input\n")


# The arguments before the output option; the output options; the inputs that none of them may name.
REQUESTS = [
    ("quantize x.safetensors --format nvfp4", ["-o", "--output"], ["x.safetensors"]),
    ("quantize x.safetensors --format nvfp4 --stochastic --random rand.safetensors", ["-o"], ["x.safetensors", "rand.safetensors"]),
    ("quantize raw.bin --dtype F32 --shape 16x32 --format nvfp4", ["-o"], ["raw.bin"]),
    ("quantize model.safetensors.index.json --format nvfp4", ["-o"], ["model.safetensors.index.json", "shard1.safetensors", "shard2.safetensors"]),
    ("dequantize q.safetensors", ["-o"], ["q.safetensors"]),
    ("eval x.safetensors q.safetensors", ["--json", "--csv", "--markdown"], ["x.safetensors", "q.safetensors"]),
    ("eval model.safetensors.index.json", ["--json", "--csv", "--markdown"], ["shard1.safetensors", "shard2.safetensors"]),
    ("gemm --a q.safetensors --b q2.safetensors --model exact", ["--out"], ["q.safetensors", "q2.safetensors"]),
    ("gemm --a q.safetensors --b q2.safetensors --model mma.Hopper.m16n8k16.f32.f16.f16.f32 --schedule schedule.json --c c.safetensors",
     ["--out"], ["q.safetensors", "schedule.json", "c.safetensors"]),
    ("mma mma.Hopper.m16n8k16.f32.f16.f16.f32 --in mma.safetensors", ["--out"], ["mma.safetensors"]),
    ("mac array --model layers.json", ["--json", "--trace", "--html"], ["layers.json"]),
    ("mac array --a q.safetensors --w q2.safetensors", ["--json", "--trace"], ["q.safetensors", "q2.safetensors"]),
    ("mac run --vectors vectors.json", ["--vcd", "--fst", "--write-vectors"], ["vectors.json"]),
    ("mac run --a q.safetensors --w q2.safetensors", ["--vcd", "--write-vectors"], ["q.safetensors", "q2.safetensors"]),
    ("mac report --sample x.safetensors --liberty cells.lib --lef cells.lef --models cells.v --rows rows.json", ["-o", "--json", "--csv", "--markdown", "--html"],
     ["x.safetensors", "cells.lib", "cells.lef", "cells.v", "rows.json"]),
]
# Two outputs that are one file.
TWICE = [
    ("eval x.safetensors --json", "--csv"),
    ("eval x.safetensors --csv", "--markdown"),
    ("mac array --layer 8,8,64 --json", "--trace"),
    ("mac run --vcd", "--write-vectors"),
    ("mac report --liberty cells.lib --json", "--csv"),
]


def same_file(lowbit, folder, check):
    folder = folder / "same_file"
    make_inputs(folder)
    for name in ("q", "q2"):
        code, _, err = lowbit("quantize", folder / "x.safetensors", "-o", folder / f"{name}.safetensors", "--format", "if4")
        check(code == 0, f"quantize: {err}")
    os.symlink("x.safetensors", folder / "symbolic")
    os.link(folder / "x.safetensors", folder / "hard")
    (folder / "below").mkdir()
    os.symlink("..", folder / "below" / "up")
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}

    def refused(text, part):
        arguments = [a.replace("//", f"{folder}/") for a in text.split()]
        done = lowbit(*arguments, folder=folder)
        code, err = done[0], done[2]
        check(code == 2 and err.count("\n") == 1 and "is the same file as" in err and part in err, f"`{text}`: {code} {err.strip()}")
        after = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
        check(after == before, f"`{text}` changed {[n for n in {*before, *after} if before.get(n) != after.get(n)]}")

    for request, options, inputs in REQUESTS:
        for option in options:
            for name in inputs:
                refused(f"{request} {option} {name}", name)
    for request, option in TWICE:
        refused(f"{request} new.out {option} new.out", "new.out")
        refused(f"{request} new.out {option} {folder}/below/../new.out", "new.out")
    # One file has many names.
    for name in ("./x.safetensors", "below/../x.safetensors", "below/up/x.safetensors", "symbolic", "hard", "//x.safetensors"):
        refused(f"quantize x.safetensors --format nvfp4 -o {name}", "x.safetensors")
        refused(f"quantize {name} --format nvfp4 -o x.safetensors", "x.safetensors")
        refused(f"eval {name} --csv hard", "hard")
    # Files that the command names itself.
    refused("mac run --vectors vectors.json --write-vectors v.beats.hex --write-readmemh v", "v.beats.hex")
    os.link(folder / "vectors.json", folder / "w.expected.hex")
    before["w.expected.hex"] = before["vectors.json"]
    refused("mac run --vectors vectors.json --write-readmemh w", "w.expected.hex")
    # Beside an input is not in its place, and what an earlier run wrote is replaced.
    for _ in range(2):
        code, _, err = lowbit("quantize", "x.safetensors", "--format", "nvfp4", "-o", "y.safetensors", folder=folder)
        check(code == 0, f"an output beside its input: {err}")
    code, out, err = lowbit("eval", "x.safetensors", "--json", "-", "--csv", "y.csv", folder=folder)
    check(code == 0 and out.startswith("{"), f"- is standard output: {err}")


def stopped(lowbit, folder, check):
    """A signal that ends the command leaves no temporary file behind."""
    folder = folder / "stopped"
    folder.mkdir()
    # Zeros that take no space on the disk, and seconds to evaluate.
    rows = 1 << 16
    header = json.dumps({"z": {"dtype": "F32", "shape": [rows, 4096], "data_offsets": [0, rows * 4096 * 4]}}).encode()
    with open(folder / "z.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header)
        f.truncate(8 + len(header) + rows * 4096 * 4)
    (folder / "r.json").write_text("of an earlier run\n")

    def start(ignored=None):
        running = subprocess.Popen([lowbit.path, "eval", "z.safetensors", "--json", "r.json", "--csv", "r.csv"], cwd=folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: ignored and signal.signal(ignored, signal.SIG_IGN))
        end = time.monotonic() + 60
        while time.monotonic() < end and running.poll() is None and len(list(folder.iterdir())) < 4:
            time.sleep(0.01)
        check(running.poll() is None and len(list(folder.iterdir())) == 4, "eval has its two temporary files")
        return running

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        running = start()
        running.send_signal(number)
        check(running.wait(timeout=60) == -number, f"eval dies of {number.name}: {running.returncode}")
        check(sorted(p.name for p in folder.iterdir()) == ["r.json", "z.safetensors"], f"{number.name} leaves {sorted(p.name for p in folder.iterdir())}")
        check((folder / "r.json").read_text() == "of an earlier run\n", f"{number.name} leaves the earlier output as it was")
    running = start(ignored=signal.SIGHUP)
    running.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    check(running.poll() is None, "SIGHUP that the caller ignores stays ignored, as under nohup")
    running.terminate()
    check(running.wait(timeout=60) == -signal.SIGTERM and len(list(folder.iterdir())) == 2, "SIGTERM after an ignored SIGHUP")
    (folder / "z.safetensors").unlink()
