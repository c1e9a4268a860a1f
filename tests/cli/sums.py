# SPDX-License-Identifier: MIT
"""eval --accumulate and --output-dump: figures computed here from codes, scale bytes and IEEE arithmetic, for a part of the
recorded MiniLM layer."""
import json
import math
import struct

import tensors

WEIGHT = "encoder.layer.3.attention.self.query.weight"
OUTPUTS, TOKENS, K = 48, 16, 384
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def fp32(x):
    """To FP32, to nearest even (struct rounds so)."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def e4m3(byte):
    exponent, mantissa = byte >> 3 & 15, byte & 7
    return math.ldexp(mantissa, -9) if exponent == 0 else math.ldexp(8 + mantissa, exponent - 10)


class Quantized:
    """A file of `lowbit quantize --format nvfp4`: rows of (scale, 16 elements), and the tensor scale amax / 2688."""

    def __init__(self, path, name):
        entries, _ = tensors.read(path)
        values, scales = entries[name + ".values"][2], entries[name + ".scales"][2]
        rows = len(values) * 2 // K
        codes = [c for byte in values for c in (byte & 15, byte >> 4)]
        elements = [-E2M1[c & 7] if c & 8 else E2M1[c & 7] for c in codes]
        self.blocks = [[(e4m3(scales[r * 24 + b]), elements[r * K + b * 16:r * K + b * 16 + 16]) for b in range(24)] for r in range(rows)]
        self.scale = tensors.floats(entries[name + ".amax"][2])[0] / 2688

    def values(self):
        return [[fp32(s * e * self.scale) for s, block in row for e in block] for row in self.blocks]


def products(x, w):
    return [[math.fsum(a * b for a, b in zip(t, o)) for o in w] for t in x]


def decibels(z, y):
    error = math.fsum((a - b) ** 2 for r, s in zip(z, y) for a, b in zip(r, s))
    return math.inf if error == 0 else 10 * math.log10(math.fsum(b * b for r in y for b in r) / error)


def run(lowbit, folder, check, sample):
    folder = folder / "sums"
    folder.mkdir()
    entries, _ = tensors.read(sample)
    w = tensors.floats(entries[WEIGHT][2])[:OUTPUTS * K]
    x = tensors.floats(entries[WEIGHT.replace(".weight", ".input")][2])[:TOKENS * K]
    tensors.write(folder / "w.safetensors", {"q.weight": ("F32", [OUTPUTS, K], tensors.pack(w))})
    tensors.write(folder / "x.safetensors", {"q.input": ("F32", [TOKENS, K], tensors.pack(x))})
    for name, tensor in (("w", "q.weight"), ("x", "q.input")):
        code, _, err = lowbit("quantize", f"{name}.safetensors", "-o", f"{name}q.safetensors", "--format", "nvfp4", "--tensor", tensor, folder=folder)
        check(code == 0, f"quantize {tensor}: {err}")
    wq, xq = Quantized(folder / "wq.safetensors", "q.weight"), Quantized(folder / "xq.safetensors", "q.input")
    y = products([x[t * K:t * K + K] for t in range(TOKENS)], [w[o * K:o * K + K] for o in range(OUTPUTS)])
    both = products(xq.values(), wq.values())

    def beats(add):
        """One sum a block, in order, added as `add` says; then both tensor scales."""
        out = []
        for t in xq.blocks:
            out.append([])
            for o in wq.blocks:
                sums = 0.0
                for (s, a), (r, b) in zip(t, o):
                    sums = add(sums, s * r * sum(i * j for i, j in zip(a, b)))
                out[-1].append(fp32(sums * xq.scale * wq.scale))
        return out

    def evaluated(*arguments, format="nvfp4"):
        code, out, err = lowbit("eval", "w.safetensors", "--activations", "x.safetensors", "--format", format, *arguments, "--json", "-", folder=folder)
        check(code == 0, f"eval {arguments}: {err}")
        return json.loads(out)["tensors"][0]["results"][0]["output"]

    rows = lambda values, n: [values[r * K:r * K + K] for r in range(n)]
    alone = {"weights_only": products(rows(x, TOKENS), wq.values()), "inputs_only": products(xq.values(), rows(w, OUTPUTS)), "both": both}
    found = evaluated()
    check(all(abs(found[part]["sqnr_db"] - decibels(z, y)) < 1e-6 for part, z in alone.items()), f"weights, inputs and both: {found}")
    tensors.write(folder / "beside.safetensors", {"q.weight": ("F32", [OUTPUTS, K], tensors.pack(w)), "z": ("F32", [TOKENS, K], tensors.pack(x))})
    code, out, err = lowbit("eval", "w.safetensors", "--activations", "beside.safetensors", "--format", "nvfp4", "--json", "-", folder=folder)
    check(code == 0 and json.loads(out)["tensors"][0]["results"][0]["output"] == found, f"the only tensor of a weight's width beside itself: {err}")
    plain, weighted = (evaluated(*more, format="nvfp4:search:1") for more in ((), ("--importance", "x.safetensors")))
    check(plain["inputs_only"] == weighted["inputs_only"] and plain["weights_only"] != weighted["weights_only"],
          "the importance of columns counts for weights alone")

    # A block's sum has few bits, so its FP32 rounding is exact; the additions are what rounds.
    wanted = {"exact": beats(lambda a, b: a + b), "block_fp32": beats(lambda a, b: fp32(a + fp32(b)))}
    for unit, z in wanted.items():
        found = evaluated("--accumulate", unit)
        check(abs(found["both"]["sqnr_db"] - decibels(both, y)) < 1e-6, f"{unit}: both {found['both']}")
        check(abs(found["model"]["sqnr_db"] - decibels(z, y)) < 1e-6, f"{unit}: model {found['model']['sqnr_db']}, here {decibels(z, y)}")
        check(abs(found["accumulation"]["sqnr_db"] - decibels(z, both)) < 0.02, f"{unit}: sums {found['accumulation']['sqnr_db']}, here {decibels(z, both)}")
        check("kernel" not in found, "no kernel without a dump")
    check(decibels(wanted["block_fp32"], both) > 100, "FP32 sums lose little")

    # A kernel that sums in BF16: its loss is in the column of its sums, and in the total.
    def bf16(v):
        bits = struct.unpack("<I", struct.pack("<f", v))[0]
        return struct.unpack("<f", struct.pack("<I", bits + 0x7FFF + (bits >> 16 & 1) & 0xFFFF0000))[0]
    rough = beats(lambda a, b: bf16(a + b))
    tensors.write(folder / "d.safetensors", {"q.output": ("F32", [TOKENS, OUTPUTS], tensors.pack([v for row in rough for v in row]))})
    found = evaluated("--output-dump", "d.safetensors")
    check(abs(found["kernel"]["sqnr_db"] - decibels(rough, y)) < 1e-6 and abs(found["kernel_sums"]["sqnr_db"] - decibels(rough, both)) < 1e-4,
          f"a kernel's dump: {found['kernel']} {found['kernel_sums']}, here {decibels(rough, y)} {decibels(rough, both)}")
    tensors.write(folder / "unnamed.safetensors", {"z": ("F32", [TOKENS, OUTPUTS], tensors.pack([v for row in rough for v in row]))})
    check(evaluated("--output-dump", "unnamed.safetensors") == found, "the only dump of a layer's width, under any name")
    tensors.write(folder / "two.safetensors", {n: ("F32", [TOKENS, OUTPUTS], tensors.pack([v for row in rough for v in row])) for n in "yz"})
    code, _, err = lowbit("eval", "w.safetensors", "--activations", "x.safetensors", "--format", "nvfp4", "--output-dump", "two.safetensors", folder=folder)
    check(code == 2 and "no recorded output fits" in err, f"two dumps of a width: {code} {err}")
    check(found["kernel_sums"]["sqnr_db"] < 50 and "model" not in found, f"BF16 sums show: {found}")

    # An instruction: word for word what `lowbit gemm` computes, so the dump of the one has the figures of the other.
    model = "mma.Hopper.m16n8k16.f32.f16.f16.f32"
    code, _, err = lowbit("gemm", "--a", "xq.safetensors", "--b", "wq.safetensors", "--model", model, "--out", "g.safetensors", folder=folder)
    check(code == 0, f"gemm: {err}")
    d = tensors.read(folder / "g.safetensors")[0]["D"]
    tensors.write(folder / "g.safetensors", {"q.output": d})
    found = evaluated("--accumulate", model, "--output-dump", "g.safetensors")
    check(found["model"] == found["kernel"] and found["accumulation"] == found["kernel_sums"], f"{model} and gemm: {found}")
    check(found["accumulation"] != evaluated("--accumulate", "exact")["accumulation"], "its sums are not exact")

    arguments = ["eval", "w.safetensors", "--activations", "x.safetensors", "--format", "nvfp4", "--format", "if4", "--format", "q8_0", "--accumulate",
                 "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3", "--output-dump", "d.safetensors"]
    code, out, err = lowbit(*arguments, folder=folder)
    lines = out.splitlines()
    check(code == 0 and max(map(len, lines)) <= 100 and len(lines) <= 40, f"the summary: {out} {err}")
    heads, cells = lines[1], {line.split()[0]: line.split() for line in lines[2:5]}
    check(all(h in heads for h in ("W dB", "X dB", "both dB", "sums dB", "model dB", "kernel dB")), f"columns of the split: {heads}")
    check(cells["if4:mse"][-3] == "-" and cells["q8_0"][-3] == "-" and cells["nvfp4:static_6"][-3] != "-", f"what the model cannot take: {out}")
    check("note: no sums of if4: the model cannot take them" in out, f"a note says why: {out}")
    code, out, _ = lowbit(*arguments, "--csv", "-", folder=folder)
    check(code == 0 and "output_model_sqnr_db,output_kernel_sqnr_db" in out.splitlines()[0], "columns of the CSV")
    code, _, err = lowbit(*arguments, "--fail-below", "output_kernel_sqnr_db=90", folder=folder)
    check(code == 1 and "output_kernel_sqnr_db" in err, "a threshold of the kernel")
    remedied = evaluated("--output-dump", "d.safetensors", "--transform", "hadamard")
    check(abs(remedied["kernel"]["sqnr_db"] - decibels(rough, y)) < 1e-6, "a kernel's total does not depend on remedies")
    # Errors of weights and of inputs are nearly independent, so their squares add up; the dump was not made of rotated operands.
    parts = {part: remedied[part]["rel_l2"] ** 2 for part in ("weights_only", "inputs_only", "both")}
    check(abs(parts["both"] / (parts["weights_only"] + parts["inputs_only"]) - 1) < 0.15, f"parts of a remedied layer: {parts}")
    check(remedied["kernel_sums"]["sqnr_db"] < remedied["kernel"]["sqnr_db"] < found["kernel_sums"]["sqnr_db"], f"sums of rotated operands: {remedied}")

    tensors.write(folder / "short.safetensors", {"q.output": ("F32", [TOKENS - 1, OUTPUTS], tensors.pack([0.0] * (TOKENS - 1) * OUTPUTS))})
    tensors.write(folder / "wide.safetensors", {"q.output": ("F32", [TOKENS, OUTPUTS + 1], tensors.pack([0.0] * TOKENS * (OUTPUTS + 1)))})
    tensors.write(folder / "other.safetensors", {"z": ("F32", [TOKENS, 7], tensors.pack([0.0] * TOKENS * 7))})
    base = ["eval", "w.safetensors", "--format", "nvfp4"]
    inputs = ["--activations", "x.safetensors"]
    for more, expected, part in (
            (["--accumulate", "exact"], 2, "needs --activations"), (["--output-dump", "d.safetensors"], 2, "needs --activations"),
            ([*inputs, "--accumulate", "nobody"], 2, "not one of the MAC units"), ([*inputs, "--accumulate", "published", "--format", "if4:mse", "--transform", "hadamard"], 2, "no --transform"),
            ([*inputs, "--output-dump", "short.safetensors"], 3, "cannot be the output"), ([*inputs, "--output-dump", "wide.safetensors"], 3, "cannot be the output"),
            ([*inputs, "--output-dump", "other.safetensors"], 2, "no recorded output fits"),
            ([*inputs, "--output-dump", "absent.safetensors"], 3, "absent.safetensors"), ([*inputs, "--sort", "output_model_sqnr_db"], 2, "needs --accumulate"),
            ([*inputs, "--sort", "output_kernel_sqnr_db"], 2, "needs --output-dump"), ([*inputs, "--accumulate", "integer"], 2, "not one of the MAC units")):
        code, _, err = lowbit(*base, *more, folder=folder)
        check(code == expected and err.count("\n") == 1 and part in err, f"{more}: {code} {err}")
    code, _, err = lowbit("eval", "w.safetensors", "--format", "mxfp4", *inputs, "--accumulate", "gst", folder=folder)
    check(code == 2 and err.count("\n") == 1 and "takes no format" in err, f"no format at all: {err}")
