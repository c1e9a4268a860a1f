#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lowbit mac run: vectors, products, both backends, files that it writes, bad input and exit codes.

usage: mac.py --lowbit PATH [--systemc]   (--systemc: the build has that backend)
"""
import argparse
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import tensors

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = ROOT / "tests" / "data" / "mac"
RTL = ROOT / "mac_rtl"
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    parser.add_argument("--systemc", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def run(arguments, path=os.environ["PATH"]):
            done = subprocess.run([options.lowbit, *arguments.split()], capture_output=True, cwd=folder, timeout=300, text=True,
                                  env=dict(os.environ, PATH=path, XDG_CACHE_HOME=str(folder / "cache")))
            return done.returncode, done.stdout, done.stderr

        def good(arguments, outputs=None):
            code, out, err = run("mac run " + arguments)
            check(code == 0, f"{arguments}: exit {code}: {out}{err}")
            check(re.search(r"^mismatches +0$", out, re.M), f"{arguments}: no mismatch is said: {out}")
            for line in ("outputs checked", "beats ", "cycles ", "beats per cycle", "simulated cycles per second"):
                check(line in out, f"{arguments}: prints {line}")
            if outputs is not None:
                check(re.search(rf"^outputs checked +{outputs}$", out, re.M), f"{arguments}: {outputs} outputs: {out}")

        def bad(arguments, code, *says):
            got, out, err = run("mac run " + arguments)
            check(got == code, f"{arguments}: exit {got}, not {code}: {out}{err}")
            if code != 1:
                check(err.count("\n") == 1, f"{arguments}: one line: {err!r}")
            for text in says:
                check(text in err + out, f"{arguments}: says {text}: {out}{err}")

        backends = ["verilator"] + (["systemc"] if options.systemc else [])
        for backend in backends:
            good(f"--unit published --vectors {DATA / 'if4_mac_public.json'} --backend {backend}", 3)
            good(f"--unit exact --format nvfp4 --beats 500 --stalls 0.3 --backend {backend} --vcd {backend}.vcd")
            check((folder / f"{backend}.vcd").read_text().startswith(("$version", "$date")), f"{backend}: a waveform")
        good(f"--unit published --format nvfp4 --vectors {DATA / 'nvfp4_mac_more.json'}", 120)

        # One-beat segments, which the published unit loses without idle cycles: the results are those of
        # products that FP32 holds exactly. Lane 0 and 1: 6 * 6 * 448 * 448 each (1.0 * 448 codes 7, byte 7E).
        one = {"lanes": 16, "beats": [], "expected_acc_fp32_hex": []}
        for byte, word in ((0x38, "42900000"), (0x7F, "4b5c8000")):
            one["beats"].append({"first": 1, "a_sf": byte, "w_sf": byte, "a": "77" + 14 * "0", "w": "77" + 14 * "8"})
            one["expected_acc_fp32_hex"].append(word)
        (folder / "one.json").write_text(json.dumps(one))
        good("--unit published --format nvfp4 --vectors one.json", 2)
        good("--unit published --format nvfp4 --vectors one.json --stalls 0.9", 2)
        one["expected_acc_fp32_hex"][1] = "4b5c8001"
        (folder / "wrong.json").write_text(json.dumps(one))
        bad("--unit published --format nvfp4 --vectors wrong.json", 1, "segment 1", "4b5c8001")

        # Vectors written, and read again; the $readmemh form beside them.
        good("--unit gst --beats 100 --write-vectors gst.json --write-readmemh gst")
        segments = len(json.loads((folder / "gst.json").read_text())["expected_acc_fp32_hex"])
        good("--unit gst --vectors gst.json", segments)
        check(len((folder / "gst.expected.hex").read_text().split()) == segments, "a word a segment")
        lines = [x for x in (folder / "gst.beats.hex").read_text().splitlines() if not x.startswith("//")]
        check(all(re.fullmatch("[0-3][0-9a-f]{144}", x) for x in lines), "a word a beat")

        # The same files in somebody's testbench: a right set passes, a wrong word is found.
        if shutil.which("iverilog"):
            formats = (RTL / "lowbit_formats.sv").read_text()
            top = "lowbit_vectors_tb"
            for unit, form, lanes, bits, scale in (("published", "if4", 16, 4, 8), ("exact", "if6_e2m3", 16, 6, 8), ("exact", "mxfp8_e5m2", 16, 8, 8),
                                                   ("exact", "if4", 1, 4, 8), ("block_fp32", "nvfp4", 16, 4, 8), ("gst", "nvfp4", 64, 4, 32),
                                                   ("integer", "int8", 16, 8, 8), ("integer", "int4", 16, 4, 8), ("bf16_fma", "bf16", 4, 16, 8), ("fp8_fp32", "fp8_e4m3", 16, 8, 8),
                                                   ("lut", "int8_int4", 16, 8, 8)):
                good(f"--unit {unit} --format {form} --lanes {lanes} --beats 300 --write-readmemh rtl")
                words = (folder / "rtl.expected.hex").read_text().split()
                count = sum(not x.startswith("//") for x in (folder / "rtl.beats.hex").read_text().splitlines())
                sources = [RTL / x for x in (RTL / f"lowbit_mac_{unit}.f").read_text().split()] + [RTL / "tb/lowbit_vectors_tb.sv"]
                number = re.search(rf"localparam int {form.upper()} = (\d+);", formats)
                more = [f"-DUNIT_PARAMETERS=, .FORMAT({number.group(1)})"] if unit in ("exact", "block_fp32") else ["-DUNIT_PARAMETERS=, .BITS(4)"] if form == "int4" else []
                subprocess.run(["iverilog", "-g2012", f"-DUNIT=lowbit_mac_{unit}", *more, "-s", top, f"-P{top}.BEATS={count}", f"-P{top}.LANES={lanes}",
                                f"-P{top}.BITS={bits}", f"-P{top}.SCALE_W={scale}", f"-P{top}.SEGMENTS={len(words)}", "-o", folder / "rtl.vvp", *sources], check=True)
                for wrong in (0, 1):
                    words[4] = f"{int(words[4], 16) ^ wrong:08x}"
                    (folder / "rtl.expected.hex").write_text("\n".join(words) + "\n")
                    done = subprocess.run(["vvp", "rtl.vvp", "+prefix=rtl"], cwd=folder, capture_output=True, text=True, timeout=300)
                    says = f"{len(words)} of {len(words)} results, 1 wrong" if wrong else f"ok: {len(words)} results"
                    check(says in done.stdout, f"testbench of {unit} {form}: {says}: {done.stdout}{done.stderr}")

        # Products, every simulated format; K is no multiple of a block.
        for rows, name in ((5, "a"), (3, "w")):
            tensors.write(folder / f"{name}.safetensors", {"t": ("F32", [rows, 70], tensors.pack(
                [math.sin(i * 0.37 + rows) * (1 + i % 7) for i in range(rows * 70)]))})
        for form in ("nvfp4", "if4", "nvint4", "if3", "if6_e2m3", "if6_e3m2", "mxfp4", "mxfp8_e4m3", "mxfp8_e5m2"):
            for name in "aw":
                code, _, err = run(f"quantize {name}.safetensors -o {name}.{form}.safetensors --format {form}")
                check(code == 0, f"quantize {form}: {err}")
            good(f"--unit exact --a a.{form}.safetensors --w w.{form}.safetensors", 15)
        for unit in ("published", "block_fp32", "gst"):
            good(f"--unit {unit} --a a.nvfp4.safetensors --w w.nvfp4.safetensors", 15)
        good("--lanes 1 --format if4 --a a.if4.safetensors --w w.if4.safetensors", 15)
        good("--unit exact --beats 2000 --resets 0.02 --stalls 0.2 --count-defects")

        good("--unit integer --format int4 --beats 3000 --stalls 0.2 --resets 0.01 --count-defects")
        good("--unit bf16_fma --beats 20000 --stalls 0.2 --count-defects")
        good("--unit fp8_fp32 --beats 20000 --count-defects")
        good("--unit lut --beats 3000 --count-defects --write-vectors lut.json")
        good(f"--unit lut --vectors lut.json", len(json.loads((folder / "lut.json").read_text())["expected_acc_fp32_hex"]))
        bad("--unit integer --format bf16", 2, "integer", "bf16")
        bad("--unit lut --lanes 2", 2, "groups of four")
        bad("--unit integer --acc-width 20", 2, "takes 27; give 27 to 120")
        bad("--unit fast", 2, "published, exact, block_fp32, gst".split(",")[0], "fast")
        bad("--format if5", 2, "if5", "lowbit formats")
        bad("--unit gst --format if4", 2, "gst", "if4")
        bad("--unit block_fp32 --format mxfp4", 2, "block_fp32", "mxfp4")
        bad("--lanes 3", 2, "power of two")
        bad("--lanes 128", 2, "power of two")
        bad("--beats 0", 2, "--beats 0")
        bad("--stalls 1", 2, "0.99")
        bad("--resets -0.5", 2, "0.99")
        bad("--backend icarus", 2, "--backend icarus", "verilator or systemc")
        bad("--a a.if4.safetensors", 2, "--a and --w")
        bad("--a a.if4.safetensors --w w.nvfp4.safetensors", 2, "one format")
        bad("--a a.if4.safetensors --w missing.safetensors", 3, "missing.safetensors")
        bad("--a a.safetensors --w w.safetensors", 2, "a.safetensors", "lowbit quantize")
        if options.systemc:
            bad("--unit exact --lanes 8 --backend systemc", 5, "exact/if4/8", '-DLOWBIT_MAC_UNITS="exact:if4:8:systemc"', "exact/if4/16")
            bad("--acc-width 60 --backend systemc", 2, "--acc-width")
        # A unit that the build has not is compiled, once.
        good("--unit exact --format nvfp4 --lanes 8 --acc-width 60 --pipeline 1 --beats 3000 --fst wave.fst")
        compiled = list((folder / "cache" / "lowbit" / "units").iterdir())
        check(len(compiled) == 1 and compiled[0].suffix == ".so", f"one unit in the cache: {compiled}")
        check((folder / "wave.fst").stat().st_size > 500 and "lowbit_mac_exact.out_acc_o[59:0]" in (folder / "wave.fst.gtkw").read_text(), "a waveform and its view")
        before = compiled[0].stat().st_mtime_ns
        good("--units exact --formats nvfp4 --lanes 8 --acc-width 60 --pipeline 1 --beats 3000 --fst wave2.fst")
        check([x.stat().st_mtime_ns for x in compiled[0].parent.iterdir()] == [before], "the second run takes it from there")
        bad("--acc-width 53", 2, "one beat of 16 lanes of if4 takes 54", "54 to 120")
        bad("--unit gst --pipeline 1", 2, "gst", "pipeline")
        bad("--vcd a.vcd --fst b.fst", 2, "--vcd and --fst")
        code, out, err = run("mac run --lanes 4", path=str(folder))
        check(code == 5 and err.count("\n") == 1 and "verilator not found" in err, f"without Verilator: {code} {err!r}")
        bad("--vcd none/x.vcd", 3, "none/x.vcd")
        bad("--vectors missing.json", 3, "missing.json")
        for text, says in (("{}", '"lanes"'), ("[1", "not a JSON object"), (json.dumps({**one, "lanes": 8}), "8 hexadecimal digits"),
                           (json.dumps({**one, "expected_acc_fp32_hex": []}), "nothing would be checked"),
                           (json.dumps({**one, "beats": one["beats"] + 2 * one["beats"][:1]}), "more segments")):
            (folder / "bad.json").write_text(text)
            bad("--unit published --vectors bad.json", 3, "bad.json", says)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


raise SystemExit(main())
