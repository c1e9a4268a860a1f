#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checkpoints that the libraries themselves wrote (tests/data/interop, by scripts/interop): lowbit reads them as those libraries
do, finds nothing wrong that is not, and converts them there and back.

usage: check.py --lowbit PATH [--live]     (--live: write MLX's and gguf's now; exit code 77 where neither package is installed)"""
import argparse
import hashlib
import importlib.util
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
import tensors  # noqa: E402

DATA = ROOT / "tests/data/interop"
ORIGINAL = DATA / "original"
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


class Command:
    def __init__(self, path):
        self.path = path

    def __call__(self, *arguments):
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr


def dequantized(lowbit, checkpoint, folder):
    """Every weight as lowbit reads it, in FP32: converted to lowbit's own file, and that dequantized."""
    code, out, err = lowbit("convert", checkpoint, "-o", folder / "own.safetensors", "--to", "lowbit")
    check(code == 0, f"convert {checkpoint}: {out}{err}")
    code, out, err = lowbit("dequantize", folder / "own.safetensors", "-o", folder / "values.safetensors")
    check(code == 0, f"dequantize {checkpoint}: {out}{err}")
    return tensors.read(folder / "values.safetensors")[0]


def same_values(lowbit, checkpoint, expected_path, folder, ulps):
    """Against the library's own dequantization. Its chain of roundings may be off by some units in the last place of FP32, or of
    BF16 where it dequantizes to BF16: `ulps` is a relative bound per weight. \\return weights compared."""
    ours = dequantized(lowbit, checkpoint, folder)
    expected, _ = tensors.read(expected_path)
    for name, (_, shape, data) in expected.items():
        check(name in ours, f"{checkpoint}: {name} was not read")
        if name not in ours:
            continue
        check(ours[name][1] == shape, f"{checkpoint}: {name}: shape {ours[name][1]}, not {shape}")
        a, b = tensors.floats(ours[name][2]), tensors.floats(data)
        bound = ulps(name)
        worst = max((abs(x - y) / abs(y) if y else abs(x)) for x, y in zip(a, b))
        check(any(b) and len(a) == len(b) and worst <= bound, f"{checkpoint}: {name}: off by {worst:.3g}, allowed {bound:.3g}")
    return len(expected)


def sqnr(lowbit, checkpoint):
    code, out, err = lowbit("eval", checkpoint, "--reference", ORIGINAL, "--json", "-")
    check(code == 0, f"eval {checkpoint}: {err}")
    if code != 0:
        return {}
    report = json.loads(out)
    return {tensor["name"]: (tensor["dtype"], tensor["results"][0]["sqnr_db"]) for tensor in report["tensors"]}


def own_sqnr(values, names):
    """The same figure from the values and the original, computed here."""
    import math
    original, _ = tensors.read(ORIGINAL / "model.safetensors")
    figures = {}
    for name in names:
        bits = struct.unpack(f"<{len(original[name][2]) // 2}H", original[name][2])
        x = struct.unpack(f"<{len(bits)}f", struct.pack(f"<{len(bits)}I", *(b << 16 for b in bits)))
        q = tensors.floats(values[name][2])
        figures[name] = 10 * math.log10(sum(v * v for v in x) / sum((v - w) ** 2 for v, w in zip(x, q)))
    return figures


def stored(lowbit, folder):
    # name, formats per layer, weights with a finding of lint, bound of the library's own rounding
    exact, bf16 = 0.0, 2.0 ** -8
    for name, formats, findings, bound in (
            ("modelopt", {"nvfp4": 7}, 0, lambda _: 2.0 ** -22),
            ("torchao", {"nvfp4": 7}, None, lambda _: 2.0 ** -22),
            # fouroversix multiplies codes and scales in FP16, which is exact for these.
            ("fouroversix", {"nvfp4": 7}, None, lambda _: 2.0 ** -22),
            ("compressed_tensors", {"nvfp4": 4, "mxfp4": 2, "mxfp8_e4m3": 1}, None,
             lambda n: bf16 if "self_attn" in n else exact)):
        where = DATA / name
        record = json.loads((where / "record.json").read_text())
        check(record["packages"] and record["sha256"], f"{name}: record.json says nothing")
        for file, digest in record["sha256"].items():
            check(hashlib.sha256((where / file).read_bytes()).hexdigest() == digest, f"{name}/{file}: not the file that was written")
        check("5 other tensors" in lowbit("inspect", where)[1], f"inspect {name}: the other tensors are not listed")
        code, out, err = lowbit("inspect", where, "--json")
        check(code == 0 and not err, f"inspect {name}: {code} {err}")
        quantized = json.loads(out)[0]["quantized"]
        counts = {f: sum(q["format"] == f for q in quantized) for f in formats}
        check(counts == formats and len(quantized) == 7, f"inspect {name}: {counts}, not {formats}")
        check(all(q["convention"] == name.replace("_", "-") for q in quantized), f"inspect {name}: conventions")
        check(same_values(lowbit, where, DATA / "expected" / f"{name}.safetensors", folder, bound) == 3, f"{name}: three weights expected")
        products(lowbit, folder, where, DATA / "expected" / f"{name}.safetensors", bound)
        code, out, _ = lowbit("lint", where, "--reference", ORIGINAL, "--json", "-")
        found = json.loads(out)["findings"]
        kinds = {f["kind"] for f in found}
        # All but Model-Optimizer leave each layer its own tensor scale; a fused kernel needs one for q, k and v.
        check(kinds == (set() if findings == 0 else {"fused_scale"}) and code == (1 if found else 0), f"lint {name}: {code} {kinds}")
        figures = sqnr(lowbit, where)
        check(len(figures) == 7 and all(12 < v < 40 for _, v in figures.values()), f"eval --reference {name}: {figures}")
        mine = own_sqnr(dequantized(lowbit, where, folder), figures)
        check(all(abs(mine[n] - figures[n][1]) < 1e-9 for n in figures), f"eval --reference {name}: not the SQNR of its values")


def products(lowbit, folder, checkpoint, expected_path, ulps):
    """gemm takes a weight of a checkpoint as it is stored: times the identity it gives what the library dequantizes."""
    expected, _ = tensors.read(expected_path)
    for name, (_, (rows, columns), data) in expected.items():
        identity = tensors.pack([float(i % (columns + 1) == 0) for i in range(columns * columns)])
        tensors.write(folder / "one.safetensors", {"one": ("F32", [columns, columns], identity)})
        command = ["gemm", "--a", folder / "one.safetensors", "--b", checkpoint, "--b-tensor", name, "--model", "exact", "--out", folder / "d.safetensors"]
        code, out, err = lowbit(*command)
        check(code == 0, f"gemm {checkpoint} {name}: {out}{err}")
        if code != 0:
            continue
        d, wanted = tensors.floats(tensors.read(folder / "d.safetensors")[0]["D"][2]), tensors.floats(data)
        worst = max(abs(d[c * rows + r] - wanted[r * columns + c]) / (abs(wanted[r * columns + c]) or 1) for r in range(rows) for c in range(columns))
        check(any(d) and worst <= ulps(name), f"gemm {checkpoint} {name}: off by {worst:.3g}")
        code, out, err = lowbit("verify", *command[:-2], "--output", folder / "d.safetensors")
        check(code == 0 and "mismatches    0" in out, f"verify gemm {checkpoint} {name}: {out}{err}")


def operands(lowbit, folder):
    """Weights of checkpoints as operands: under an instruction, with orders that the file does not declare, damaged and ambiguous ones."""
    q = "model.layers.0.self_attn.q_proj."
    instruction = "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3"
    lowbit("convert", DATA / "modelopt", "-o", folder / "own.safetensors", "--to", "lowbit")

    def product(a, b, model, *more):
        code, out, err = lowbit("gemm", "--a", a, "--a-tensor", q + "weight", "--b", b, "--b-tensor", q + "weight", "--model", model, "--out", folder / "d.safetensors", *more)
        check(code == 0, f"gemm {a} {b} {more}: {out}{err}")
        return tensors.read(folder / "d.safetensors")[0]["D"] if code == 0 else None

    for model in ("exact", instruction):
        wanted = product(folder / "own.safetensors", folder / "own.safetensors", model)
        check(product(DATA / "modelopt", DATA / "modelopt/model.safetensors", model) == wanted, f"a folder and a file under {model}")
    # Plain weights of a folder.
    product(ORIGINAL, DATA / "torchao", "exact")
    entries, metadata = tensors.read(DATA / "modelopt/model.safetensors")
    dtype, shape, data = entries[q + "weight"]
    entries[q + "weight"] = (dtype, shape, bytes((b << 4 | b >> 4) & 0xFF for b in data))
    # The other weights' faults do not matter to this one.
    del entries["model.layers.0.self_attn.k_proj.weight_scale_2"]
    tensors.write(folder / "swapped.safetensors", entries, metadata)
    swapped = folder / "swapped.safetensors"
    check(product(swapped, DATA / "modelopt", instruction) != wanted, "swapped nibbles give the same product")
    check(product(swapped, DATA / "modelopt", instruction, "--a-layout", "high_first") == wanted, "--a-layout high_first")
    for words, code, part in ((["--a", swapped, "--a-tensor", "model.layers.0.self_attn.k_proj.weight"], 3, "has a second scale"),
                              (["--a", swapped, "--a-tensor", "nothing"], 3, "has a second scale"),
                              (["--a", DATA / "modelopt", "--a-tensor", "nothing"], 2, 'no tensor "nothing"'),
                              (["--a", DATA / "modelopt"], 2, "7 tensors in blocks in it; name one with --a-tensor"),
                              (["--a", DATA / "modelopt", "--a-tensor", q + "weight", "--a-layout", "128x4"], 2, "scale bytes")):
        got, _, err = lowbit("gemm", *words, "--b", folder / "own.safetensors", "--b-tensor", q + "weight", "--model", "exact", "--out", folder / "never.safetensors")
        check(got == code and part in err and err.count("\n") == 1, f"gemm {words}: {got} {err}")
    check(not (folder / "never.safetensors").exists(), "a refused gemm wrote a file")


def verification(lowbit, folder, original, dump, *more):
    """Exit code, text, and the JSON report (None where there is none) of verify quantize."""
    report = folder / "verified.json"
    report.unlink(missing_ok=True)
    code, out, err = lowbit("verify", "quantize", original, dump, "--json", report, *more)
    return code, out + err, json.loads(report.read_text()) if report.exists() else None


def verified(lowbit, folder):
    """Each weight of a checkpoint that a library wrote is what lowbit makes of the original in a dialect of that library."""
    for name, explained in (("modelopt", {"nvfp4": (7, "static_6", "modelopt")}), ("torchao", {"nvfp4": (7, "static_6", "torchao")}),
                            ("fouroversix", {"nvfp4": (7, "mse", "fos_pytorch")}),
                            ("compressed_tensors", {"nvfp4": (4, "static_6", "compressed_tensors"), "mxfp4": (2, "even", "compressed_tensors"),
                                                    "mxfp8_e4m3": (1, "even", "compressed_tensors_mxfp8")})):
        code, text, report = verification(lowbit, folder, ORIGINAL, DATA / name)
        check(code == 0 and report["equal"] and report["left_out"] == [] and text.endswith("7 of 7 weights equal\n"), f"verify {name}: {code} {text}")
        check([line.split(":")[0] for line in text.splitlines()[:7]] == [t["name"] for t in report["tensors"]], f"verify {name}: a line per tensor: {text}")
        found = {f["format"]: f for f in report["formats"]}
        for form, (count, rule, dialect) in explained.items():
            entry = found.get(form, {"weights": 0, "equal_weights": 0, "explained_by": []})
            check(entry["weights"] == entry["equal_weights"] == count and {"rule": rule, "scale_max": None, "dialect": dialect} in entry["explained_by"],
                  f"verify {name}: {form} is not explained by {rule} {dialect}: {entry}")
        check(set(found) == set(explained), f"verify {name}: formats {set(found)}")
        # A single file, and every dialect: those of the library are among them.
        file = DATA / name / "model.safetensors"
        if name != "fouroversix":  # whose config.json says the rule
            wide = verification(lowbit, folder, ORIGINAL / "model.safetensors", file, "--dialect", "auto")
            check(wide[0] == 0 and all(len(f["explained_by"]) >= len(found[f["format"]]["explained_by"]) for f in wide[2]["formats"]), f"verify {name} auto: {wide[1]}")
    # gpt-oss: the codes are those of compressed-tensors; its experts are held transposed.
    name = "model.layers.0.mlp.experts.gate_up_proj"
    original, _ = tensors.read(ORIGINAL / "model.safetensors")
    data = b"".join(b"".join(original[f"model.layers.0.mlp.{layer}_proj.weight"][2][(o * 64 + i) * 2:][:2] for i in range(64) for o in range(96)) for layer in ("gate", "up"))
    tensors.write(folder / "turned.safetensors", {name: ("BF16", [2, 64, 96], data)})
    code, text, report = verification(lowbit, folder, folder / "turned.safetensors", DATA / "gpt_oss")
    check(code == 0 and "1 of 1 weights equal" in text and {"rule": "even", "scale_max": None, "dialect": "compressed_tensors"} in report["formats"][0]["explained_by"], f"verify gpt-oss: {code} {text}")


def verified_faults(lowbit, folder):
    """Faults planted in checkpoints that libraries wrote: each names its weight and its cause; the others stay equal."""
    attention = "model.layers.0.self_attn."
    q, o = attention + "q_proj.", attention + "o_proj."

    def damaged(name, change):
        bad = folder / f"bad_{name}"
        bad.mkdir(exist_ok=True)
        (bad / "config.json").write_bytes((DATA / name / "config.json").read_bytes())
        entries, metadata = tensors.read(DATA / name / "model.safetensors")
        change(entries)
        tensors.write(bad / "model.safetensors", entries, metadata)
        return bad

    def mapped(key, function):
        def change(entries):
            dtype, shape, data = entries[key]
            entries[key] = (dtype, shape, function(data))
        return change

    def scaled(*keys):
        def change(entries):
            for key in keys:
                mapped(key, lambda data: struct.pack("<f", 1.25 * struct.unpack("<f", data)[0]))(entries)
        return change

    swap = lambda data: bytes((b << 4 | b >> 4) & 255 for b in data)
    flush = lambda data: bytes((0 if b & 15 == 8 else b & 15) | (0 if b >> 4 == 8 else b >> 4) << 4 for b in data)

    def tiles(data):
        """128 x 4 scale bytes of fouroversix, written row by row where its metadata say tiles."""
        return bytes(data[r % 32 * 16 + r // 32 * 4 + b] for r in range(128) for b in range(4))

    fused = [attention + f"{layer}_proj.weight_scale_2" for layer in "qkv"]
    for name, change, causes in (
            ("modelopt", mapped(q + "weight", swap), {q + "weight": ["nibble_order"]}),
            ("modelopt", mapped(q + "weight", flush), {q + "weight": ["negative_zero"]}),
            ("modelopt", scaled(o + "weight_scale_2"), {o + "weight": ["stale_amax"]}),
            ("modelopt", scaled(*fused), {attention + f"{layer}_proj.weight": ["stale_amax"] for layer in "qkv"}),
            ("compressed_tensors", mapped("model.layers.0.mlp.up_proj.weight_packed", swap), {"model.layers.0.mlp.up_proj.weight": ["nibble_order"]}),
            ("torchao", mapped(o + "_weight_qdata", lambda d: swap(flush(d))), {o + "weight": ["nibble_order", "negative_zero"]}),
            ("fouroversix", mapped(o + "quantized_weight_scale_factors", tiles), {o + "weight": ["scale_layout"]})):
        bad = damaged(name, change)
        code, text, report = verification(lowbit, folder, ORIGINAL, bad)
        found = {t["name"]: [c["cause"] for c in t["causes"]] for t in report["tensors"] if not t["equal"]}
        check(code == 1 and found == causes and f"{7 - len(causes)} of 7 weights equal" in text, f"verify {name}: {found} instead of {causes}, exit {code}: {text}")
    bad = damaged("modelopt", mapped(q + "weight", swap))
    for more, code, part in ((["--layout", "high_first", "--tensor", q + "weight"], 0, "1 of 1 weights equal"), (["--layout", "high_first"], 1, "1 of 7 weights equal"),
                             (["--tensor", o + "weight"], 0, "1 of 1 weights equal"), (["--tensor", "nothing"], 2, 'no weight "nothing"'),
                             (["--dialect", "mlx"], 1, "0 of 7 weights equal"), (["--rule", "mse"], 2, "--rule needs --format"), (["--format", "nvfp4:mse"], 1, "nvfp4: 0 of 7 weights equal"),
                             (["--nonfinite", "saturate"], 2, "are for dumps of one tensor")):
        got = verification(lowbit, folder, ORIGINAL, bad, *more)
        check(got[0] == code and part in got[1], f"verify with {more}: {got[0]} {got[1]}")
    # A fault of the checkpoint is a line and exit code 3; the other weights are compared.
    code, text, report = verification(lowbit, folder, ORIGINAL, damaged("modelopt", lambda e: e.pop(q + "weight_scale_2")))
    check(code == 3 and "6 of 6 weights equal" in text and text.count("lowbit: ") == 1 and "has a second scale" in text, f"verify with a fault: {code} {text}")
    # A byte that nothing explains: the weight is held to the arithmetic of the convention's library.
    def wrong_byte(e):
        dtype, shape, data = e["model.layers.0.self_attn.o_proj.weight_scale"]
        e["model.layers.0.self_attn.o_proj.weight_scale"] = (dtype, shape, data[:5] + bytes([data[5] ^ 0x10]) + data[6:])

    code, text, report = verification(lowbit, folder, ORIGINAL, damaged("modelopt", wrong_byte), "--tensor", "model.layers.0.self_attn.o_proj.weight")
    check(code == 1 and report["tensors"][0]["compared_with"]["dialect"] == "modelopt" and "1 of 256 blocks differ" in text, f"verify with a wrong byte: {code} {text}")
    # An original without one of the weights.
    original, metadata = tensors.read(ORIGINAL / "model.safetensors")
    del original[q + "weight"]
    tensors.write(folder / "less.safetensors", original, metadata)
    code, text, report = verification(lowbit, folder, folder / "less.safetensors", DATA / "torchao")
    check(code == 1 and "6 of 7 weights equal; 1 not compared" in text and report["left_out"][0]["name"] == q + "weight" and not report["equal"], f"verify with less: {code} {text}")
    # Another library's arithmetic in the convention of Model-Optimizer: where q_proj tells them apart, the others are held to it too.
    for rule in ("static_6", "mse"):
        code, out, err = lowbit("quantize", ORIGINAL / "model.safetensors", "-o", folder / "own.safetensors", "--format", f"nvfp4:{rule}", "--dialect", "canonical")
        check(code == 0, f"quantize: {err}")
        lowbit("convert", folder / "own.safetensors", "-o", folder / f"{rule}.safetensors", "--to", "modelopt")
    code, text, report = verification(lowbit, folder, ORIGINAL, folder / "static_6.safetensors")
    check(code == 0 and {"rule": "static_6", "scale_max": None, "dialect": "canonical"} in report["formats"][0]["explained_by"], f"another library's arithmetic: {code} {text}")
    entries, metadata = tensors.read(folder / "static_6.safetensors")
    other, _ = tensors.read(folder / "mse.safetensors")
    entries |= {key: value for key, value in other.items() if ".mlp." in key}
    tensors.write(folder / "both.safetensors", entries, metadata)
    code, text, report = verification(lowbit, folder, ORIGINAL, folder / "both.safetensors")
    check(code == 1 and "but not all by one combination" in text and "7 of 7 weights equal" in text and not report["equal"], f"two rules: {code} {text}")


def experts(lowbit, folder):
    """gpt-oss stores [experts, outputs, inputs] where the model, and transformers, hold [experts, inputs, outputs]."""
    where, expected_path = DATA / "gpt_oss", DATA / "expected/gpt_oss.safetensors"
    ours = dequantized(lowbit, where, folder)
    for name, (_, (count, inputs, outputs), data) in tensors.read(expected_path)[0].items():
        check(ours[name][1] == [count, outputs, inputs], f"gpt-oss: shape {ours[name][1]}")
        a, b = tensors.floats(ours[name][2]), tensors.floats(data)
        turned = all(a[(e * outputs + o) * inputs + i] == b[(e * inputs + i) * outputs + o]
                     for e in range(count) for o in range(outputs) for i in range(inputs))
        check(turned and any(b), "gpt-oss: not the values of transformers")
    code, out, err = lowbit("eval", where, "--reference", expected_path, "--json", "-")
    check(code == 0 and json.loads(out)["tensors"][0]["results"][0]["rel_l2"] == 0, f"eval --reference of gpt-oss: {code} {err}")
    check(lowbit("lint", where, "--reference", expected_path)[0] == 0, "lint of gpt-oss")


def conversions(lowbit, folder):
    def convert(source, to, target):
        code, out, err = lowbit("convert", source, "-o", folder / target, "--to", to, "--reference", ORIGINAL)
        check(code == 0, f"convert {source} to {to}: {out}{err}")
        return out

    def diff(a, b):
        return lowbit("diff", a, b)

    # Both keep a multiplier: swizzled torchao becomes linear Model-Optimizer without a change.
    out = convert(DATA / "torchao", "modelopt", "ao_as_mo")
    check("7 weights, 7 exactly" in out and "lost" not in out, f"torchao to modelopt: {out}")
    code, out, _ = diff(DATA / "torchao", folder / "ao_as_mo")
    check(code == 0 and "the same numbers, low_first,swizzled" in out, f"diff torchao: {code} {out}")
    check(lowbit("lint", folder / "ao_as_mo", "--reference", ORIGINAL)[1].count("scale_layout") == 0, "lint of the converted torchao")
    # fouroversix pads and swizzles; lowbit's own file holds its amax, and the blocks without the padding.
    out = convert(DATA / "fouroversix", "lowbit", "fos.safetensors")
    check("7 weights, 7 exactly" in out and diff(DATA / "fouroversix", folder / "fos.safetensors")[0] == 0, f"fouroversix to lowbit: {out}")
    # There and back through lowbit's own file.
    convert(DATA / "modelopt", "lowbit", "mo.safetensors")
    out = convert(folder / "mo.safetensors", "modelopt", "mo_back")
    check(diff(DATA / "modelopt", folder / "mo_back")[0] == 0, "modelopt through lowbit and back differs")
    # A reciprocal is rounded: it says so, weight by weight, and with what effect.
    out = convert(DATA / "modelopt", "compressed-tensors", "mo_as_ct")
    lost = [line for line in out.splitlines() if line.startswith("lost: ") and "tensor scale as a divisor is rounded" in line]
    check(len(lost) >= 3 and all("relative error" in line and "SQNR" in line for line in lost), f"modelopt to compressed-tensors: {out}")
    code, out, _ = diff(DATA / "modelopt", folder / "mo_as_ct")
    check(code == 1 and "tensor scales stand for" in out and "blocks differ" not in out, f"diff modelopt, compressed-tensors: {code} {out}")
    check(lowbit("inspect", folder / "mo_as_ct")[0] == 0, "the converted compressed-tensors folder has faults")
    # MLX has no tensor scale: scale bytes are rounded.
    out = convert(DATA / "modelopt", "mlx", "mo_as_mlx")
    check("mlx has no tensor scale" in out and "7 weights, 0 exactly" in out, f"modelopt to mlx: {out}")
    out = convert(DATA / "compressed_tensors", "mlx", "ct_as_mlx")
    check("7 weights, 3 exactly" in out, f"compressed-tensors to mlx: {out}")
    # ggml has rows of 64 in NVFP4; down_proj has 96.
    out = convert(DATA / "modelopt", "gguf", "mo.gguf")
    check("gguf needs rows of a multiple of 64, not 96" in out and "7 weights, 7 exactly" in out, f"modelopt to gguf: {out}")
    # The original is no quantized checkpoint, and a target is one of five.
    check(lowbit("convert", ORIGINAL, "-o", folder / "x", "--to", "mlx")[0] == 2, "the original was converted")
    check(lowbit("convert", DATA / "modelopt", "-o", folder / "x", "--to", "gpt-oss")[0] == 2, "gpt-oss as a target")
    before = (DATA / "modelopt/model.safetensors").read_bytes()
    check(lowbit("convert", DATA / "modelopt", "-o", DATA / "modelopt", "--to", "mlx")[0] == 2, "an input was named as the output")
    check((DATA / "modelopt/model.safetensors").read_bytes() == before, "an input was overwritten")


def faults(lowbit, folder):
    """What people meet, planted in a real checkpoint."""
    entries, metadata = tensors.read(DATA / "modelopt/model.safetensors")
    q = "model.layers.0.self_attn.q_proj."

    def written(change):
        changed = dict(entries)
        change(changed)
        tensors.write(folder / "bad.safetensors", changed, metadata)
        return folder / "bad.safetensors"

    def drop(key):
        return lambda e: e.pop(q + key)

    def swap_nibbles(e):
        dtype, shape, data = e[q + "weight"]
        e[q + "weight"] = (dtype, shape, bytes((b << 4 | b >> 4) & 0xFF for b in data))

    def invert(e):
        dtype, shape, data = e[q + "weight_scale_2"]
        e[q + "weight_scale_2"] = (dtype, shape, struct.pack("<f", 1 / struct.unpack("<f", data)[0]))

    def nan(e):
        dtype, shape, data = e[q + "weight_scale"]
        e[q + "weight_scale"] = (dtype, shape, b"\x7f" + data[1:])

    def half(e):
        dtype, shape, data = e[q + "weight_scale"]
        e[q + "weight_scale"] = (dtype, [shape[0], shape[1] // 2], data[:len(data) // 2])

    for change, kind, is_fault in ((drop("weight_scale_2"), "missing_tensor_scale", True), (drop("weight_scale"), "missing_scales", True),
                                   (drop("weight"), "missing_codes", True), (half, "scale_shape", True), (swap_nibbles, "nibble_order", False),
                                   (invert, "inverted_tensor_scale", False), (nan, "nan_scale", False)):
        bad = written(change)
        code, out, _ = lowbit("lint", bad, "--reference", ORIGINAL, "--json", "-")
        kinds = [f["kind"] for f in json.loads(out)["findings"] if f["kind"] != "fused_scale"]
        check(code == 1 and kind in kinds, f"lint: {kind} is {kinds}")
        code, _, err = lowbit("inspect", bad)
        check(code == (3 if is_fault else 0), f"inspect with {kind}: {code} {err}")
        if is_fault:
            check(all(line.startswith("lowbit: ") for line in err.splitlines()) and err, f"inspect with {kind}: {err}")
            check(lowbit("convert", bad, "-o", folder / "never.safetensors", "--to", "mlx")[0] == 3, f"convert with {kind}")
            check(not (folder / "never.safetensors").exists(), f"convert with {kind} wrote a file")
            check(lowbit("eval", bad, "--reference", ORIGINAL)[0] == 3, f"eval with {kind}")
    # Faults of one file count, whatever file comes after it.
    bad, good = written(drop("weight_scale_2")), DATA / "modelopt/model.safetensors"
    check(lowbit("inspect", bad, good)[0] == 3 and lowbit("inspect", good, bad)[0] == 3, "inspect of two files, one with a fault")
    written(nan)
    # Weights in blocks that lowbit does not read are filtered by name too.
    affine = lambda name: {f"{name}.weight": ("U32", [4, 8], bytes(128)), f"{name}.scales": ("U8", [4, 4], bytes(16)), f"{name}.biases": ("BF16", [4, 2], bytes(16))}
    tensors.write(folder / "affine.safetensors", {**affine("first"), **affine("second"), "first.own.weight": ("U32", [4, 8], bytes(128)), "first.own.scales": ("U8", [4, 4], bytes(16))}, {})
    for filtered, names in (([], {"first", "second"}), (["--include", "first"], {"first"})):
        code, out, err = lowbit("inspect", folder / "affine.safetensors", *filtered)
        foreign = {line.split(".weight: ")[0].strip() for line in out.splitlines() if ".weight: " in line}
        check(code == 0 and foreign == names, f"inspect {filtered} of affine weights: {code} {out}{err}")
    data = (DATA / "modelopt/model.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(data[:-1])
    check(lowbit("lint", DATA / "modelopt", "--reference", folder / "bad.safetensors")[0] == 1, "a reference without that weight")
    for command in (["inspect"], ["lint"]):
        code, _, err = lowbit(*command, folder / "cut.safetensors")
        check(code == 3 and err.count("\n") == 1, f"{command} of a file cut short: {code} {err}")
    # Without --reference a quantized checkpoint is not scored; with it, a swapped scale is ranked first.
    check(lowbit("eval", DATA / "modelopt")[0] == 2, "eval of a quantized checkpoint without --reference")
    code, out, _ = lowbit("eval", written(swap_nibbles), "--reference", ORIGINAL, "--json", "-", "--sort", "sqnr_db")
    check(code == 0 and json.loads(out)["tensors"][0]["name"] == q + "weight", "the damaged weight is not ranked first")


def plans(lowbit, folder):
    """Two scale bytes of one weight exchanged: eval ranks the weight first, plan takes it from the original and the others as they are stored."""
    v = "model.layers.0.self_attn.v_proj.weight"
    for convention, budget in (("modelopt", "6"), ("compressed_tensors", "6.5")):
        where = folder / f"planned_{convention}"
        where.mkdir()
        for path in (DATA / convention).iterdir():
            (where / path.name).write_bytes(path.read_bytes())
        entries, metadata = tensors.read(where / "model.safetensors")
        dtype, shape, data = entries[v + "_scale"]
        row = 48 * shape[1]
        changed = bytearray(data)
        changed[row + 1], changed[row + 3] = data[row + 3], data[row + 1]
        check(bytes(changed) != data, "the test's scale bytes differ")
        plan = ["plan", where, "--reference", ORIGINAL, "--budget", budget, "-o", folder / "stored.json"]
        for swapped in (False, True):
            if swapped:
                entries[v + "_scale"] = (dtype, shape, bytes(changed))
                tensors.write(where / "model.safetensors", entries, metadata)
            code, out, err = lowbit(*plan)
            recipe = json.loads((folder / "stored.json").read_text())
            kept = {layer["name"] for layer in recipe["layers"] if layer["format"] == "keep"}
            scored = json.loads(lowbit("eval", where, "--reference", ORIGINAL, "--json", "-", "--sort", "sqnr_db")[1])["tensors"]
            check(code == 0 and len(recipe["layers"]) == len(scored) == 7 and recipe["bits_per_element"] <= float(budget), f"plan of {convention}: {code} {err}")
            check((scored[0]["name"] == v) == swapped and (kept == {v}) == swapped, f"{convention}, swapped {swapped}: {scored[0]['name']}, kept {kept}")
            check(recipe["reference"] == str(ORIGINAL), "the recipe names the original")
            of = {t["name"]: t for t in scored}
            for layer in recipe["layers"]:
                stored, keep = layer["choices"]
                t = of[layer["name"]]
                result = t["results"][0]
                check(stored["format"] == "stored" and math.isclose(stored["error"], result["rel_l2"] ** 2, rel_tol=1e-12)
                      and math.isclose(stored["bits"], result["bits_per_element"] * layer["elements"], rel_tol=1e-12), f"{layer['name']}: {stored} {result}")
                check((keep["format"], keep["error"], keep["bits"]) == ("keep", 0, 16 * layer["elements"]), f"{layer['name']}: {keep}")
    mixed = lowbit(*plan[:-1], "-", "--formats", "stored,nvfp4:mse,mxfp8_e4m3:floor", "--include", "self_attn")
    recipe = json.loads(mixed[1])
    check(mixed[0] == 0 and {layer["name"]: layer["format"] for layer in recipe["layers"]}[v] == "mxfp8_e4m3:floor" and len(recipe["layers"]) == 4,
          f"formats of the original beside what is stored: {recipe['layers']}")
    turned = json.loads(lowbit(*plan[:-1], "-", "--formats", "mxfp8_e4m3:floor,nvfp4:mse,stored", "--include", "self_attn")[1])
    choices = [[{c["format"]: c for c in layer["choices"]} for layer in r["layers"]] for r in (recipe, turned)]
    check(choices[0] == choices[1] and len(turned["layers"][0]["choices"]) == 3, "the order of formats changes a choice")
    plain = json.loads(lowbit("plan", ORIGINAL, "--budget", "16", "-o", "-", "--formats", "mxfp8_e4m3:floor,nvfp4:mse", "--include", "self_attn.*weight")[1])
    own = [{c["format"]: c for c in layer["choices"]} for layer in plain["layers"]]
    check(own == [{f: c for f, c in layer.items() if f != "stored"} for layer in choices[0]], "formats of the original are those of its own plan")
    # A scale byte that is NaN has no error to weigh.
    entries[v + "_scale"] = (dtype, shape, b"\x7f" + data[1:])
    tensors.write(where / "model.safetensors", entries, metadata)
    lowbit(*plan)
    check({layer["name"]: layer["format"] for layer in json.loads((folder / "stored.json").read_text())["layers"]}[v] == "keep", "NaN is kept out")
    for words, expected, part in ((["plan", ORIGINAL, "--budget", "6", "--format", "stored"], 2, "give --reference"),
                                  ([*plan, "--activations", ORIGINAL / "model.safetensors"], 2, "neither --activations"),
                                  (["plan", where, where, *plan[2:]], 2, "one checkpoint"), (["plan", where, "--reference", folder / "absent", *plan[4:]], 3, "absent"),
                                  ([*plan, "--include", "lm_head"], 2, "none of the"), (["plan", ORIGINAL, *plan[2:]], 2, "no weights in blocks"),
                                  (["quantize", ORIGINAL / "model.safetensors", "-o", folder / "never.safetensors", "--recipe", folder / "stored.json"], 2, "checkpoint stores"),
                                  (["plan", where, "--budget", "6"], 2, "quantized already")):
        code, _, err = lowbit(*words)
        check(code == expected and err.count("\n") == 1 and part in err, f"{words}: {code} {err}")


def shards(lowbit, folder):
    """A folder of two shards, whole, cut short, contradicting itself: one line per fault, exit code 3; what is left is worked on."""
    entries, metadata = tensors.read(DATA / "modelopt/model.safetensors")
    where = folder / "sharded"
    where.mkdir()
    (where / "config.json").write_bytes((DATA / "modelopt/config.json").read_bytes())
    first = {key: value for key, value in entries.items() if ".mlp." in key}
    second = {key: value for key, value in entries.items() if key not in first}
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"metadata": {}, "weight_map": {key: names[key not in first] for key in entries}}

    def lay_out(a, b, cut=0):
        tensors.write(where / names[0], a, metadata)
        tensors.write(where / names[1], b, metadata)
        (where / "model.safetensors.index.json").write_text(json.dumps(index))
        if cut:
            data = (where / names[1]).read_bytes()
            (where / names[1]).write_bytes(data[:len(data) - cut])

    def expect(what, weights, parts, kinds):
        """Every command says the faults, a line each; lint lists them and goes on."""
        for path in (where, where / "model.safetensors.index.json"):
            for command in (["inspect", path], ["verify", "quantize", ORIGINAL, path], ["convert", path, "-o", folder / "never", "--to", "mlx"],
                            ["eval", path, "--reference", ORIGINAL], ["diff", path, DATA / "modelopt"]):
                code, out, err = lowbit(*command)
                lines = err.splitlines()
                check(code == 3 and len(lines) == len(parts) and all(any(p in line for line in lines) for p in parts), f"{command[0]} {what}: {code} {err}")
                if command[0] == "verify":
                    check(f"{weights} of {weights} weights equal" in out, f"verify {what}: {out}")
            code, out, _ = lowbit("lint", path, "--reference", ORIGINAL, "--json", "-")
            report = json.loads(out)
            check(code == (1 if kinds else 0) and sorted(f["kind"] for f in report["findings"]) == kinds and report["weights"] == weights, f"lint {what}: {code} {out}")
        check(not (folder / "never").exists(), f"convert {what} wrote a folder")

    lay_out(first, second)
    check(lowbit("diff", where, DATA / "modelopt")[0] == 0 and lowbit("lint", where, "--reference", ORIGINAL)[0] == 0, "a folder of two shards")
    check("7 of 7 weights equal" in lowbit("verify", "quantize", ORIGINAL, where / "model.safetensors.index.json")[1], "an index")
    lay_out(first, second, cut=1)
    expect("with a shard cut short", 3, [names[1]], ["unreadable"])
    # A shard cut short, and a mistake in the one that is whole.
    q = "model.layers.0.mlp.down_proj."
    dtype, shape, data = first[q + "weight_scale"]
    lay_out({**first, q + "weight_scale": (dtype, [shape[0] // 2, shape[1]], data[:len(data) // 2])}, second, cut=1000)
    expect("with two faults", 2, [names[1], "half the size"], ["scale_shape", "unreadable"])
    # The index names a shard that is not there, or a tensor that its shard does not have.
    lay_out(first, second)
    (where / names[1]).unlink()
    expect("without a shard", 3, [names[1]], ["unreadable"])
    lay_out(first, {key: value for key, value in second.items() if not key.endswith("q_proj.weight_scale_2")})
    for command in (["inspect"], ["lint"]):
        code, out, err = lowbit(*command, where)
        check(code == (3 if command == ["inspect"] else 1) and "q_proj.weight_scale_2" in out + err, f"{command} of an index that names too much: {code} {err}")


def live(lowbit, folder):
    """MLX and gguf, where they are installed: written now, read now."""
    done = 0
    for package, script, file in (("mlx", "write_mlx.py", ""), ("gguf", "write_gguf.py", "model.gguf")):
        if importlib.util.find_spec(package) is None or (package == "gguf" and importlib.util.find_spec("safetensors") is None):
            print(f"skipped: {package} is not installed")
            continue
        out = folder / package
        subprocess.run([sys.executable, ROOT / "scripts/interop" / script, ORIGINAL / "model.safetensors", out], check=True, timeout=300)
        (out / "expected.safetensors").rename(folder / f"{package}_expected.safetensors")
        # Powers of two times codes are exact; MLX's nvfp4 has no tensor scale.
        check(same_values(lowbit, out / file, folder / f"{package}_expected.safetensors", folder, lambda _: 0.0) == 7, f"{package}: weights")
        products(lowbit, folder, out / file, folder / f"{package}_expected.safetensors", lambda _: 0.0)
        code, text, _ = verification(lowbit, folder, ORIGINAL, out / file)
        check(code == 0 and text.endswith("7 of 7 weights equal\n"), f"verify quantize of {package}: {code} {text}")
        code, text, _ = lowbit("lint", out / file, "--reference", ORIGINAL)
        check(code == 0, f"lint of {package}: {text}")
        check(len(sqnr(lowbit, out / file)) == 7, f"eval --reference of {package}")
        code, text, err = lowbit("convert", out / file, "-o", folder / f"{package}_as_ct", "--to", "compressed-tensors")
        check(code == 0 and "7 weights, 7 exactly" in text, f"convert {package}: {text}{err}")
        check(lowbit("inspect", folder / f"{package}_as_ct")[0] == 0, f"{package} converted to compressed-tensors has faults")
        done += 1
    return done


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    parser.add_argument("--live", action="store_true")
    arguments = parser.parse_args()
    lowbit = Command(str(pathlib.Path(arguments.lowbit).resolve()))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if arguments.live:
            if live(lowbit, folder) == 0:
                return 77
        else:
            stored(lowbit, folder)
            operands(lowbit, folder)
            verified(lowbit, folder)
            verified_faults(lowbit, folder)
            experts(lowbit, folder)
            conversions(lowbit, folder)
            faults(lowbit, folder)
            plans(lowbit, folder)
            shards(lowbit, folder)
    print(f"{len(failures)} failures" if failures else "all checks passed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
