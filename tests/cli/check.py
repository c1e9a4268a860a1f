#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the lowbit command and checks what it prints, writes and returns.

usage: check.py --lowbit PATH [--approve] [--only TEXT]

--approve rewrites tests/cli/approved/*.txt from what the command prints now.
"""
import argparse
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import names
import outputs
import pages
import progress
import remedies
import sums
import tensors
import verify
import weights

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
SAMPLE = str(DATA / "minilm_sample.safetensors")
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


class Command:
    def __init__(self, path, folder):
        self.path, self.folder = path, folder

    def __call__(self, *arguments, stdin=None, folder=None):
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, cwd=folder or self.folder,
                              timeout=300, stdin=stdin or subprocess.DEVNULL)
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def normalised(text, folder, path):
    text = text.replace(str(folder), "TMP").replace(str(DATA), "DATA").replace(path, "lowbit")
    text = re.sub(r"--threads UINT=\d+ *", "--threads UINT=N  ", text)
    return re.sub(r'"lowbit": "[\d.]+"|lowbit\.version = [\d.]+', "VERSION", text)


def inputs(folder):
    """Small files made here, the same every time."""
    values = [math.sin(i * 0.7) * (1 + i % 13) for i in range(6 * 40)]
    tensors.write(folder / "small.safetensors", {
        "a.weight": ("F32", [6, 40], tensors.pack(values)),
        "cube": ("F32", [2, 3, 16], tensors.pack(values[:96])),
        "bias": ("F32", [5], tensors.pack(values[:5])),
        "scalar": ("F32", [], tensors.pack([3.0])),
        "zeros": ("F32", [2, 16], bytes(128)),
        "ids": ("I64", [2], bytes(16)),
        "none": ("F32", [0, 4], b""),
        "bytes": ("F8_E4M3", [16], bytes(range(16, 32))),
    }, {"note": "two\nlines"})
    tensors.write(folder / "nan.safetensors", {"n": ("F32", [2, 16], tensors.pack([1.0] * 20 + [math.nan] + [2.0] * 11))})
    (folder / "raw.bin").write_bytes(tensors.pack(values[:64]))
    (folder / "cut.safetensors").write_bytes((folder / "small.safetensors").read_bytes()[:-1])
    tensors.write(folder / "random.safetensors", {"rand0": ("F32", [6, 48], tensors.pack([i % 97 / 97 for i in range(288)])),
                                                  "rand1": ("F32", [6, 48], tensors.pack([i % 89 / 89 for i in range(288)]))})


# name, arguments, exit code. {s} is the shipped sample; files lie in the folder the command runs in.
APPROVED = [
    ("formats", "formats", 0),
    ("formats_json", "formats --json", 0),
    ("formats_if3", "formats if3", 0),
    ("formats_e4m3", "formats e4m3", 0),
    ("formats_e8m0_json", "formats e2m1 --json", 0),
    ("formats_mxint8", "formats mxint8", 0),
    ("inspect", "inspect small.safetensors", 0),
    ("inspect_json", "inspect small.safetensors --json", 0),
    ("inspect_raw", "inspect raw.bin --dtype f32 --shape 4x16", 0),
    ("eval_sample", "eval {s} --progress never", 0),
    ("eval_text", "eval small.safetensors raw.bin --format nvfp4 --format mxint8:even --include a.weight|cube --exclude cube "
     "--threads 1 --dtype F32 --shape 4x16", 3),
    ("eval_summary", "eval small.safetensors --format nvfp4:mse --format q8_0 --exclude bias --worst 3", 0),
    ("eval_small", "eval small.safetensors --format nvfp4:mse --format if3 --format mxint8:even --threads 3 --per-tensor", 0),
    ("eval_axis0", "eval small.safetensors --include weight|cube --format nvfp4:mse --axis 0 --per-tensor", 0),
    ("eval_axis1_json", "eval small.safetensors --include cube --format nvfp4:abs_max --axis 1 --json -", 0),
    ("eval_csv", "eval small.safetensors --include weight|zeros --format mxfp8_e5m2 --format if6_e3m2:mae --csv -", 0),
    ("eval_markdown", "eval small.safetensors --include weight|ids --format nvint4 --markdown -", 0),
    ("eval_raw", "eval raw.bin --dtype F32 --shape 4,16 --format nvfp4 --scale-max 256 --per-tensor", 0),
    ("eval_saturate", "eval nan.safetensors --format nvfp4 --nonfinite saturate", 0),
    ("eval_fail_above", "eval small.safetensors --include a.weight --format nvfp4 --fail-above sqnr_db=5", 1),
    ("eval_fail_below", "eval small.safetensors --include a.weight --format nvfp4 --fail-below sqnr_db=90", 1),
    ("eval_fail_neither", "eval small.safetensors --include a.weight --format nvfp4 --fail-above mse=1e9 --fail-below cosine=0.5", 0),
    ("eval_nothing", "eval small.safetensors --include nobody --format nvfp4", 2),
    ("eval_nothing_held", "eval small.safetensors --include ids --fail-below sqnr_db=20", 2),
    ("eval_help", "eval --help", 0),
    ("plan_help", "plan --help", 0),
    ("plan_small", "plan small.safetensors --budget 6 --format nvfp4 --format mxfp8_e4m3 --exclude bytes", 0),
    ("quantize_help", "quantize --help", 0),
    ("dequantize_help", "dequantize --help", 0),
    ("inspect_help", "inspect --help", 0),
    ("no_subcommand", "", 2),
    ("unknown_subcommand", "evaluate x", 2),
    ("unknown_option", "eval small.safetensors --frobnicate", 2),
    ("unknown_format", "eval small.safetensors --format nvfp5", 2),
    ("unknown_format_name", "formats nvfp5", 2),
    ("unlistable_format", "formats f32", 2),
    ("unknown_rule", "eval small.safetensors --format if4:static_6", 2),
    ("mx_with_mse", "quantize small.safetensors -o o --format mxfp4 --rule mse", 2),
    ("unknown_dialect", "eval small.safetensors --dialect nobody", 2),
    ("unknown_metric", "eval small.safetensors --fail-above psnr=1", 2),
    ("threshold_no_number", "eval small.safetensors --fail-above mse=low", 2),
    ("bad_regex", "eval small.safetensors --include (", 2),
    ("two_to_stdout", "eval small.safetensors --csv - --json -", 2),
    ("bad_progress", "eval small.safetensors --progress sometimes", 2),
    ("dtype_alone", "eval raw.bin --dtype F32", 2),
    ("bad_shape", "eval raw.bin --dtype F32 --shape 4x", 2),
    ("bad_scale_max", "quantize small.safetensors -o o --format nvfp4 --scale-max 300", 2),
    ("mx_scale_max", "quantize small.safetensors -o o --format mxfp4 --scale-max 448", 2),
    ("bad_layout", "quantize small.safetensors -o o --format nvfp4 --scale-layout diagonal", 2),
    ("bad_amax", "quantize small.safetensors -o o --format nvfp4 --amax -1 --tensor a.weight", 2),
    ("no_output", "quantize small.safetensors --format nvfp4", 2),
    ("no_such_tensor", "quantize small.safetensors -o o --format nvfp4 --tensor b", 2),
    ("integer_tensor", "quantize small.safetensors -o o --format nvfp4 --tensor ids", 2),
    ("stochastic_alone", "quantize small.safetensors -o o --format nvfp4 --stochastic", 2),
    ("stochastic_twice", "quantize small.safetensors -o o --format nvfp4 --stochastic --stochastic-unbiased", 2),
    ("random_alone", "quantize small.safetensors -o o --format nvfp4 --random random.safetensors", 2),
    ("random_for_many", "quantize small.safetensors -o o --format nvfp4 --stochastic --random random.safetensors", 2),
    ("random_size", "quantize small.safetensors -o o --format nvfp4 --tensor cube --stochastic --random random.safetensors", 2),
    ("random_without", "quantize small.safetensors -o o --format nvfp4 --tensor a.weight --stochastic --random raw.bin", 3),
    ("hadamard_columns", "quantize small.safetensors -o o --format nvfp4 --tensor a.weight --rht", 2),
    ("absent_file", "eval absent.safetensors", 3),
    ("folder", "eval .", 3),
    ("cut_file", "inspect cut.safetensors", 3),
    ("not_a_tensor_file", "inspect raw.bin", 3),
    ("raw_size", "eval raw.bin --dtype F32 --shape 5x16", 3),
    ("dequantize_dtype", "dequantize small.safetensors -o o --dtype F64", 2),
    ("axis_absent", "eval small.safetensors --include weight --axis 2", 3),
    ("axis_absent_quantize", "quantize small.safetensors -o o --format nvfp4 --axis 1", 3),
    ("nan", "eval nan.safetensors --format nvfp4", 3),
    ("nan_report", "eval nan.safetensors --format nvfp4 --json r.json --csv r.csv", 3),
    ("nan_quantize", "quantize nan.safetensors -o o --format nvfp4", 3),
    ("unwritable", "quantize small.safetensors -o no/such/folder/o --format nvfp4", 3),
    ("unwritable_report", "eval small.safetensors --format nvfp4 --include bias --json no/such/folder/o", 3),
    ("output_is_folder", "quantize small.safetensors -o . --format nvfp4", 3),
    ("dequantize_plain", "dequantize small.safetensors -o o", 3),
]


def approvals(lowbit, folder, approve, only):
    before = sorted(p.name for p in folder.iterdir())
    for name, text, expected in APPROVED:
        if only and only not in name:
            continue
        arguments = [a.replace("{s}", SAMPLE) for a in text.split()]
        code, out, err = lowbit(*arguments)
        check(code == expected, f"{name}: `lowbit {text}` returned {code}, not {expected}: {err.strip()}")
        if expected >= 2:
            check(err.count("\n") == 1, f"{name}: not one line on stderr: {err!r}")
        if name == "eval_text":
            # Two files, of which the first is no raw file of that size; the rest is checked elsewhere.
            check("take 256 bytes" in err, name)
            continue
        if "--help` says how" in err:
            continue  # CLI11's own words, which change with its version
        got = normalised(f"exit {code}\n{out}" + (f"--- stderr\n{err}" if err else ""), folder, lowbit.path)
        if name.endswith("_help"):
            # The options and the text that is ours; the layout is CLI11's.
            footer = got[got.index("Metrics"):] if "Metrics" in got else ""
            got = " ".join(sorted(set(re.findall(r"--[a-z0-9-]+", got)))) + "\n" + footer
        baseline = HERE / "approved" / f"{name}.txt"
        if approve:
            baseline.write_text(got)
        elif not baseline.exists() or baseline.read_text() != got:
            check(False, f"{name}: differs from {baseline.name}")
            print(got)
    check(sorted(p.name for p in folder.iterdir()) == before, "a refused command left a file behind")


def evaluation(lowbit, folder):
    """What the sample must show, and that neither threads nor the form of the output changes a number."""
    code, out, _ = lowbit("eval", SAMPLE, "--format", "nvfp4:static_6", "--format", "nvfp4:mse", "--format", "if4:mse",
                          "--format", "mxfp4:floor", "--json", "-", "--threads", "1")
    report = json.loads(out)
    nv, four_six, if4, mx = (row["sqnr_db"] for row in report["total"])
    check(20.2 < nv < 20.8 and four_six > nv + 0.3 and if4 > four_six and mx < nv, f"SQNR {nv} {four_six} {if4} {mx}")
    again = lowbit("eval", SAMPLE, "--format", "nvfp4:static_6", "--format", "nvfp4:mse", "--format", "if4:mse",
                   "--format", "mxfp4:floor", "--json", folder / "e.json", "--csv", folder / "e.csv", "--threads", "5")
    check(code == 0 and again[0] == 0, "eval of the sample")
    check((folder / "e.json").read_text() == out, "the numbers depend on the threads")
    page = (HERE.parent.parent / "docs" / "eval.md").read_text().replace("\\|", "|")
    for metric in report["metrics"]:
        check(f"| `{metric['name']}` | `{metric['formula']}` |" in page, f"docs/eval.md lacks the formula of {metric['name']}")
    rows = (folder / "e.csv").read_text().splitlines()
    check(len(rows) == 1 + 4 * (len(report["tensors"]) + 1), "CSV rows")
    last = dict(zip(rows[0].split(","), rows[-1].split(",")))
    for metric in (m["name"] for m in report["metrics"]):
        check(float(last[metric]) == report["total"][-1][metric], f"CSV and JSON differ in {metric}")


def round_trips(lowbit, folder):
    """quantize and dequantize give back names, shapes and what was not quantized."""
    source, _ = tensors.read(folder / "small.safetensors")
    for options in ([], ["--axis", "0"], ["--axis", "-1", "--scale-layout", "swizzled"], ["--transpose"], ["--block-2d"]):
        includes = [] if "0" not in options else ["--exclude", "scalar"]
        code, _, err = lowbit("quantize", "small.safetensors", "-o", "q.safetensors", "--format", "nvfp6_e2m3", *options, *includes)
        check(code == 0, f"quantize {options}: {err}")
        code, _, err = lowbit("dequantize", "q.safetensors", "-o", "d.safetensors")
        check(code == 0, f"dequantize {options}: {err}")
        back, _ = tensors.read(folder / "d.safetensors")
        check(set(back) == set(source), f"names after {options}: {sorted(back)}")
        for name, (dtype, shape, data) in source.items():
            check(back[name][1] == shape, f"shape of {name} after {options}")
            if dtype == "F32":
                worst = max((abs(x - y) for x, y in zip(tensors.floats(data), tensors.floats(back[name][2]))), default=0)
                check(worst < 1.0, f"{name} after {options} is {worst} away")
            elif dtype != "F8_E4M3":
                check(back[name] == (dtype, shape, data), f"{name} changed")
    lowbit("quantize", "small.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--tensor", "a.weight")
    quantized, metadata = tensors.read(folder / "q.safetensors")
    check({n: v[:2] for n, v in quantized.items()} == {"a.weight.values": ("U8", [6, 24]), "a.weight.scales": ("U8", [6, 3]),
                                                       "a.weight.amax": ("F32", [1])}, "layout of a quantized tensor")
    check(metadata["a.weight.format"] == "nvfp4" and metadata["a.weight.shape"] == "[6,40]", "metadata")
    # The last block has 8 elements; its padding is code 0.
    check(all(quantized["a.weight.values"][2][24 * r + 20:24 * r + 24] == bytes(4) for r in range(6)), "padding")
    for dtype, size in (("F16", 2), ("bf16", 2), ("F32", 4)):
        code, _, err = lowbit("dequantize", "q.safetensors", "-o", "d.safetensors", "--dtype", dtype)
        back, _ = tensors.read(folder / "d.safetensors")
        check(code == 0 and back["a.weight"][0] == dtype.upper() and len(back["a.weight"][2]) == 240 * size, f"{dtype}: {err}")
    code, _, err = lowbit("quantize", "small.safetensors", "-o", "q.safetensors", "--format", "if4", "--tensor", "a.weight",
                          "--stochastic", "--random", "random.safetensors")
    check(code == 0, f"stochastic: {err}")
    for policy, expected in (("propagate", "767f"), ("saturate", "767e")):
        code, _, err = lowbit("quantize", "nan.safetensors", "-o", "n.safetensors", "--format", "nvfp4", "--nonfinite", policy)
        scales = tensors.read(folder / "n.safetensors")[0]["n.scales"][2].hex()
        check(code == 0 and scales == expected, f"--nonfinite {policy}: {scales} {err}")
    # A damaged scale entry, a lie about the shape, an unknown format.
    quantized, metadata = tensors.read(folder / "q.safetensors")
    for key, value in (("format", "nvfp5"), ("shape", "[7,7]"), ("shape", "x"), ("axis", "9"), ("columns", "10000000000"),
                       ("rows", "-1"), ("encode_constant", "nan"), ("dialect", "nobody")):
        tensors.write(folder / "bad.safetensors", quantized, {**metadata, "a.weight." + key: value})
        (folder / "d.safetensors").unlink(missing_ok=True)
        code, _, err = lowbit("dequantize", "bad.safetensors", "-o", "d.safetensors")
        check(code == 3 and err.count("\n") == 1 and "bad.safetensors" in err and "a.weight" in err, f"{key}={value}: {code} {err}")
        check(not (folder / "d.safetensors").exists(), f"{key}={value} left an output")


def compare(lowbit, folder, source, prefix, key, options):
    """One captured configuration against the command. \\return whether it was byte for byte the same."""
    form, rule, _ = key.split("@")[0].split(".")
    code, _, err = lowbit("quantize", source, "-o", "q.safetensors", "--tensor", "input", "--format", form, "--rule", rule, *options)
    if code != 0:
        check(False, f"{source} {key}: {err}")
        return False
    captured, _ = tensors.read(source)
    quantized, _ = tensors.read(folder / "q.safetensors")
    return all(quantized["input." + part][2] == captured[f"{prefix}.{part}"][2] for part in ("values", "scales", "amax"))


def shipped_golden(lowbit, folder):
    """Sixteen rows of a captured result; --amax stands for the rows that are not there."""
    source = DATA / "cli" / "golden_rows.safetensors"
    captured, metadata = tensors.read(source)
    keys = sorted({name.rsplit(".", 1)[0] for name in captured if name.endswith(".values")})
    check(len(keys) == 6, f"shipped configurations: {keys}")
    for key in keys:
        options = ["--dialect", metadata[key]]
        if not key.startswith("mx"):
            options += ["--amax", repr(tensors.floats(captured[key + ".amax"][2])[0])]
        if key.endswith(".2d"):
            options += ["--block-2d"]
        if key.endswith(".rht"):
            options += ["--rht"]
        check(compare(lowbit, folder, source, key, key, options), f"{key}: bytes differ from the captured ones")


DIALECTS = {"pytorch.cpu": "fos_pytorch", "pytorch.cuda": "fos_pytorch_cuda", "triton.cuda": "fos_triton"}


def whole_golden(lowbit, folder, golden):
    """Every captured configuration of pytorch.cpu and triton.cuda through the command."""
    total = same = 0
    for source in sorted((golden / "fouroversix").glob("*.safetensors")):
        captured, metadata = tensors.read(source)
        for key, backend in json.loads(metadata["backend"]).items():
            variant = key.split(".")[2]
            options = ["--dialect", DIALECTS[backend]]
            options += {"1d": [], "2d": ["--block-2d"], "rht": ["--rht"], "t": ["--transpose"], "stochastic": ["--stochastic"],
                        "stochastic_unbiased": ["--stochastic-unbiased"]}[variant]
            if variant.startswith("stochastic"):
                tensors.write(folder / "r.safetensors", {r: captured[f"{key}.{r}"] for r in ("rand0", "rand1") if f"{key}.{r}" in captured})
                options += ["--random", "r.safetensors"]
            total += 1
            equal = compare(lowbit, folder, source, key, key, options)
            same += equal
            if not equal:
                print(f"not the same bytes: {source.name} {key} ({backend})")
            if key == "nvfp4.mse.1d" and source.stem == "normal_bf16":
                check(equal, f"{source.name} {key}")
                lowbit("dequantize", "q.safetensors", "-o", "d.safetensors")
                back, _ = tensors.read(folder / "d.safetensors")
                check(back["input"][2] == captured[key + ".dequant"][2], "dequantized bytes")
    print(f"captured configurations: {same} of {total} byte for byte the same")
    check(same > 0.8 * total, "most captured configurations differ")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    parser.add_argument("--approve", action="store_true")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        lowbit = Command(str(pathlib.Path(arguments.lowbit).resolve()), folder)
        inputs(folder)
        approvals(lowbit, folder, arguments.approve, arguments.only)
        if not arguments.only:
            evaluation(lowbit, folder)
            round_trips(lowbit, folder)
            shipped_golden(lowbit, folder)
            weights.run(lowbit, folder, check, SAMPLE)
            sums.run(lowbit, folder, check, SAMPLE)
            remedies.run(lowbit, folder, check, SAMPLE)
            pages.run(lowbit, folder, check)
            outputs.same_file(lowbit, folder, check)
            outputs.stopped(lowbit, folder, check)
            names.run(lowbit, check, folder)
            progress.run(lowbit, check, folder)
            verify.propagated(lowbit, folder, check)
            verify.recorded(lowbit, folder, check)
            verify.malformed(lowbit, folder, check)
            verify.old_files(lowbit, folder, check)
            verify.faults(lowbit, folder, check)
            verify.searched(lowbit, folder, check)
            verify.explained(lowbit, folder, check)
            verify.distinguished(lowbit, folder, check)
            verify.vectors(lowbit, folder, check)
            golden = os.environ.get("LOWBIT_GOLDEN_DIR")
            if golden:
                whole_golden(lowbit, folder, pathlib.Path(golden).resolve())
    print(f"{len(failures)} failures" if failures else "all checks passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
