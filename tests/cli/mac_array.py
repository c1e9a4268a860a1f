#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lowbit mac array, run: a layer against its closed form, models within their bound of time, totals,
the trace, products of quantized files, and requests that have no meaning."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SAMPLE = os.path.join(ROOT, "tests", "data", "minilm_sample.safetensors")
MEASURED = os.path.join(ROOT, "docs", "mac_report", "rows.json")
LAYER = "encoder.layer.3.attention.self.query"


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    lowbit = parser.parse_args().lowbit

    def run(*arguments, command=("mac", "array")):
        return subprocess.run([lowbit, *command, *arguments], capture_output=True, text=True, check=False)

    def result(*arguments):
        done = run(*arguments, "--json", "-")
        check(done.returncode == 0, f"mac array {' '.join(arguments)} {done.stderr if done.returncode else ''}")
        return json.loads(done.stdout)

    # 2 x 3 tiles of 8 x 8, B = 8 beats each; latency 4 and the output register.
    endless = ("--rows", "8", "--cols", "8", "--bandwidth", "1e9", "--latency", "0")
    layer = result(*endless, "--layer", "16,24,128")["layers"][0]
    ideal = (6 - 1) * 8 + 8 + 7 + 7 + 4 + 1
    check(layer["tiles"] == 6 and layer["beats"] == 48 and 0 <= layer["cycles"] - ideal <= 4, f"{layer['cycles']} cycles, {ideal} by the formula and its edges")
    check(result(*endless, "--layer", "1,24,4096")["layers"][0]["bound"] == "shape", "one row of eight: bound by its shape")

    # Decode is a matter of bandwidth: ten times less of it takes ten times as long.
    slow, fast = (result("--layer", "16,4096,4096", "--bandwidth", b)["layers"][0] for b in ("0.1", "1"))
    check(slow["bound"] == "memory" and 9 < slow["cycles"] / fast["cycles"] < 11, "a tenth of the bandwidth, ten times the cycles")
    # Quantizing in front: BF16 in, blocks out, once or with a pass for amax before it.
    plain, given, measured = (result("--layer", "64,64,4096", "--quantizer", q, "--candidates", "2")["layers"][0] for q in ("none", "given", "measured"))
    check(plain["quantizer_cycles"] == 0 < given["quantizer_cycles"] < measured["quantizer_cycles"] and plain["cycles"] < given["cycles"] < measured["cycles"],
          "the quantizer's passes cost cycles")

    # Each format is charged what its own unit was measured to take; a format never measured is refused, not given another's.
    with open(MEASURED, encoding="utf-8") as f:
        measured = {row["format"]: row["pj_per_mac"] for row in json.load(f) if row["unit"] == "exact" and row["recipe"] == "area"}
    formats = [f["name"] for f in json.loads(run("--json", command=("formats",)).stdout)["block_formats"]]
    check({"if4", "nvfp4"} <= set(measured) < set(formats) and len(set(measured.values())) == len(measured), "formats with and without a figure")
    for fmt in formats:
        if fmt in measured:
            out = result("--layer", "16,16,64", "--format", fmt)
            units, macs = out["total"]["energy_pj"]["units"], out["total"]["macs"]
            check(out["array"]["pj_per_mac"] == measured[fmt] and abs(units - measured[fmt] * macs) < 1e-9 * units, f"{fmt}: {measured[fmt]} pJ per MAC")
        else:
            done = run("--layer", "16,16,64", "--format", fmt)
            check(done.returncode == 2 and done.stderr.count("\n") == 1 and f"lowbit mac report --units exact --recipes area --formats {fmt}`" in done.stderr
                  and not done.stdout, f"{fmt}: refused, with the command that measures it")
            check(result("--layer", "16,16,64", "--format", fmt, "--pj-per-mac", "7.5")["array"]["pj_per_mac"] == 7.5, f"{fmt}: a figure that is given")

    for model, tokens in (("llama3_8b", "1"), ("llama3_8b", "2048"), ("llama3_70b", "2048")):
        begun = time.time()
        out = result("--rows", "128", "--cols", "128", "--bandwidth", "1000", "--model", os.path.join(ROOT, "sim", "models", model + ".json"), "--tokens", tokens)
        total, layers = out["total"], out["layers"]
        check(time.time() - begun < 120, f"{model}, {tokens} tokens: {time.time() - begun:.2f} s")
        check(total["cycles"] == sum(l["cycles"] * l["count"] for l in layers) and total["macs"] == sum(int(tokens) * l["n"] * l["k"] * l["count"] for l in layers),
              "totals are the sums of the layers")
        parts = total["energy_pj"]
        check(abs(parts["total"] - parts["units"] - parts["buffers"] - parts["memory"]) < 1e-6 * parts["total"] and abs(parts["units"] - measured["if4"] * total["macs"]) < 1e-9 * parts["units"],
              "energy is its parts, units by pJ a MAC")

    for arguments, code, words in ((("--layer", "1,2"), 2, "M,N,K"), (("--layer", "0,1,1"), 2, "2^31"), (("--model", "nosuch.json"), 3, "nosuch.json"),
                                   (("--layer", "1,1,1", "--format", "if5"), 2, "if5"), ((), 2, "give --layer"),
                                   (("--layer", "16,16,4096", "--buffer", "10"), 2, "--buffer")):
        done = run(*arguments)
        check(done.returncode == code and words in done.stderr.splitlines()[-1], f"exit code {code}: {words}")

    with tempfile.TemporaryDirectory() as work:
        trace = os.path.join(work, "trace.json")
        tiles = result("--layer", "64,64,512", "--trace", trace)["layers"][0]["tiles"]
        with open(trace, encoding="utf-8") as f:
            events = [e for e in json.load(f)["traceEvents"] if e["ph"] == "X"]
        check(sum(e["cat"] == "stream" for e in events) == tiles == 16 and all(e["dur"] >= 0 for e in events), "the trace has every tile")

        paths = {}
        for fmt in ("if4", "nvfp4"):
            for tensor in ("input", "weight"):
                paths[fmt, tensor] = os.path.join(work, f"{fmt}_{tensor}.safetensors")
                done = run("--format", fmt, "--tensor", f"{LAYER}.{tensor}", "-o", paths[fmt, tensor], SAMPLE, command=("quantize",))
                check(done.returncode == 0, f"quantize {fmt} {tensor} {done.stderr if done.returncode else ''}")
        for flow in ("os", "ws"):
            done = run("--a", paths["nvfp4", "input"], "--w", paths["nvfp4", "weight"], "--dataflow", flow)
            if done.returncode == 5:
                print("left out: built without SystemC")
                break
            check(done.returncode == 0 and "24576 outputs against the exact product, 0 mismatches" in done.stderr and "nvfp4 units" in done.stderr,
                  f"{flow}: a product in the files' format")
        done = run("--a", paths["nvfp4", "input"], "--w", paths["if4", "weight"])
        check(done.returncode == 3 and "a unit has one format" in done.stderr, "operands of two formats")
        done = run("--a", paths["nvfp4", "input"], "--w", paths["nvfp4", "weight"], "--format", "if4")
        check(done.returncode == 2 and "--format if4" in done.stderr, "--format against the files'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
