# SPDX-License-Identifier: MIT
"""quantize --transform: what the file holds is what eval --transform measured, computed here from the file alone."""
import json
import math
import struct

import tensors
from sums import K, OUTPUTS, TOKENS, WEIGHT, decibels, fp32, products


def bf16s(data):
    return [struct.unpack("<f", struct.pack("<I", h << 16))[0] for h in struct.unpack(f"<{len(data) // 2}H", data)]


def rows(values, columns):
    return [list(values[i:i + columns]) for i in range(0, len(values), columns)]


class Written:
    """A file of quantize --transform, with its weights dequantized by the command."""

    def __init__(self, lowbit, folder, check, transform, *more):
        code, _, self.err = lowbit("quantize", "w.safetensors", "-o", "q.safetensors", "--format", "nvfp4", "--transform", transform, *more, folder=folder)
        check(code == 0, f"quantize --transform {transform}: {self.err}")
        self.entries, self.metadata = tensors.read(folder / "q.safetensors")
        self.steps = json.loads(self.metadata["q.weight.transforms"])
        code, _, self.notes = lowbit("dequantize", "q.safetensors", "-o", "d.safetensors", folder=folder)
        check(code == 0, f"dequantize after {transform}: {self.notes}")
        back, _ = tensors.read(folder / "d.safetensors")
        self.weights = rows(tensors.floats(back["q.weight"][2]), K)

    def learned(self, index):
        return tensors.floats(self.entries[f"q.weight.transform.{index}"][2])


def run(lowbit, folder, check, sample):
    folder = folder / "remedies"
    folder.mkdir()
    entries, _ = tensors.read(sample)
    w = tensors.floats(entries[WEIGHT][2])[:OUTPUTS * K]
    x = tensors.floats(entries[WEIGHT.replace(".weight", ".input")][2])[:TOKENS * K]
    tensors.write(folder / "w.safetensors", {"q.weight": ("F32", [OUTPUTS, K], tensors.pack(w)), "norm": ("F32", [4], bytes(16))})
    tensors.write(folder / "x.safetensors", {"q.input": ("F32", [TOKENS, K], tensors.pack(x))})
    w, x = rows(w, K), rows(x, K)
    y = products(x, w)
    inputs = ["--activations", "x.safetensors"]

    def evaluated(transform):
        code, out, err = lowbit("eval", "w.safetensors", *inputs, "--include", "weight", "--format", "nvfp4", "--transform", transform, "--json", "-", folder=folder)
        check(code == 0, f"eval --transform {transform}: {err}")
        return json.loads(out)["tensors"][0]["results"][0]

    def same(got, wanted, text):
        check(abs(got - wanted) < 1e-5, f"{text}: {got} by eval, {wanted} from the file")

    # A search under a remedy is weighted by the importance of columns, too.
    scales = []
    for more in ([], ["--importance", "x.safetensors"]):
        code, _, err = lowbit("quantize", "w.safetensors", "-o", "weighted.safetensors", "--format", "nvfp4:search:2", "--transform", "svd:4", *more, folder=folder)
        check(code == 0, f"quantize --transform svd {more}: {err}")
        scales.append(tensors.read(folder / "weighted.safetensors")[0]["q.weight.scales"][2])
    check(scales[0] != scales[1], "--importance with --transform")

    # SmoothQuant: factors by the definition of docs/transforms.md; the layer's output from weights over factors.
    q = Written(lowbit, folder, check, "smooth", *inputs)
    s = q.learned(0)
    wanted = [math.sqrt(max(abs(t[j]) for t in x)) / math.sqrt(max(abs(o[j]) for o in w)) for j in range(K)]
    check(max(abs(a / b - 1) for a, b in zip(s, wanted)) < 1e-6 and q.steps == ["smooth:0.5"], f"factors of smooth: {q.steps}")
    check("stays as it was quantized, after smooth:0.5" in q.notes and "norm" in q.entries, f"dequantize says so: {q.notes}")
    result = evaluated("smooth")
    same(result["sqnr_db"], decibels(q.weights, [[v * f for v, f in zip(r, wanted)] for r in w]), "smooth, weights")
    smoothed = [[fp32(v / f) for v, f in zip(t, wanted)] for t in x]
    same(result["output"]["weights_only"]["sqnr_db"], decibels(products(smoothed, q.weights), y), "smooth, output")
    added = result["remedies"]
    check(f"adds {added['bits'] / OUTPUTS / K:.4f} bits per element and {added['multiply_adds']:.6g} multiply-adds" in q.err and added["bits"] == 32 * K, f"the cost: {q.err}")

    # GPTQ changes codes alone; sorting permutes columns; both by the file's own numbers.
    q = Written(lowbit, folder, check, "sort:inputs,gptq:act", *inputs)
    order = [int(v) for v in q.learned(0)]
    norms = [math.fsum(t[j] ** 2 for t in x) for j in range(K)]
    check(sorted(order) == list(range(K)) and order == sorted(range(K), key=lambda j: -norms[j]) and q.steps == ["sort:inputs", "gptq:act"], "the order of columns")
    result = evaluated("sort:inputs,gptq:act")
    same(result["sqnr_db"], decibels(q.weights, [[r[j] for j in order] for r in w]), "sort and gptq, weights")
    same(result["output"]["weights_only"]["sqnr_db"], decibels(products([[t[j] for j in order] for t in x], q.weights), y), "sort and gptq, output")

    # SVDQuant's branch beside the codes.
    q = Written(lowbit, folder, check, "svd:4")
    left, right = rows(bf16s(q.entries["q.weight.branch_left"][2]), 4), rows(bf16s(q.entries["q.weight.branch_right"][2]), K)
    check(q.steps == ["svd:4"] and q.entries["q.weight.branch_left"][1] == [OUTPUTS, 4] and q.entries["q.weight.branch_right"][1] == [4, K], "shapes of the branch")
    back = [[v + math.fsum(l * r[j] for l, r in zip(left[o], right)) for j, v in enumerate(q.weights[o])] for o in range(OUTPUTS)]
    result = evaluated("svd:4")
    check(abs(result["output"]["weights_only"]["sqnr_db"] - decibels(products(x, back), y)) < 1e-3, f"svd, output: {result['output']['weights_only']}")
    check(decibels(back, w) > decibels(q.weights, w) + 0.5, "without its branch the weight is another one")

    # ARCQuant says how many columns have residuals; AWQ its factors.
    q = Written(lowbit, folder, check, "arc", *inputs)
    amax = [max(abs(t[j]) for t in x) for j in range(K)]
    above = -(-sum(a > max(amax) / 8 for a in amax) // 16) * 16
    check(q.steps == [f"arc:{min(above, K)}"], f"residual columns: {q.steps}, {above}")
    q = Written(lowbit, folder, check, "awq", *inputs)
    s = q.learned(0)
    same(evaluated("awq")["sqnr_db"], decibels(q.weights, [[fp32(v * f) for v, f in zip(r, s)] for r in w]), "awq, weights")
    code, out, err = lowbit("verify", "quantize", "w.safetensors", "q.safetensors", folder=folder)
    check(code == 2 and err.count("\n") == 1 and "cannot be computed again" in err, f"verify of learned factors: {code} {out} {err}")

    # Rotations depend on names alone: verify computes the bytes again, and a wrong seed is noticed.
    for transform in ("hadamard", "hadamard:16:3,hadamard:64", "hadamard:full:9"):
        q = Written(lowbit, folder, check, transform)
        code, out, err = lowbit("verify", "quantize", "w.safetensors", "q.safetensors", folder=folder)
        check(code == 0, f"verify after {transform}: {out} {err}")
    q.metadata["q.weight.transforms"] = '["hadamard:full:8"]'
    tensors.write(folder / "q.safetensors", q.entries, q.metadata)
    check(lowbit("verify", "quantize", "w.safetensors", "q.safetensors", folder=folder)[0] == 1, "another seed, other bytes")
    q.metadata["q.weight.transforms"] = '["hadamard full"]'
    tensors.write(folder / "q.safetensors", q.entries, q.metadata)
    check(lowbit("dequantize", "q.safetensors", "-o", "d.safetensors", folder=folder)[0] == 3, "a malformed name of a transform")
    plain = lowbit("quantize", "w.safetensors", "-o", "rht.safetensors", "--format", "nvfp4", "--rht", folder=folder)[0]
    Written(lowbit, folder, check, "hadamard")
    check(plain == 0 and (folder / "rht.safetensors").read_bytes() == (folder / "q.safetensors").read_bytes(), "hadamard is --rht")

    tensors.write(folder / "none.safetensors", {"z": ("F32", [2, 7], bytes(56))})
    base = ["quantize", "w.safetensors", "-o", "no.safetensors", "--format", "nvfp4"]
    for more, expected, part in (
            (["--transform", "smooth"], 2, "give --activations"), (["--transform", "nobody"], 2, "none of"), (inputs, 2, "name remedies"),
            (["--transform", "smooth", "--activations", "none.safetensors"], 2, "no recorded input fits"), (["--transform", "hadamard", "--rht"], 2, "--rht"),
            (["--transform", "gptq", *inputs, "--block-2d"], 2, "no --block-2d"), (["--transform", "hadamard:256"], 2, "multiple of 256"),
            (["--transform", "gptq", *inputs, "--rule", "optimal"], 2, "no rule that searches"), (["--transform", "svd:49"], 2, "no branch of rank 49")):
        code, _, err = lowbit(*base, *more, folder=folder)
        check(code == expected and err.count("\n") == 1 and part in err, f"{more}: {code} {err}")
        check(not (folder / "no.safetensors").exists(), f"{more} left a file")
