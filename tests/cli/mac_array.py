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
            check(done.returncode == 2 and done.stderr.count("\n") == 1 and f"lowbit mac report --units exact --recipes area --formats {fmt} --json FILE`" in done.stderr
                  and not done.stdout, f"{fmt}: refused, with the command that measures it")
            check(result("--layer", "16,16,64", "--format", fmt, "--pj-per-mac", "7.5")["array"]["pj_per_mac"] == 7.5, f"{fmt}: a figure that is given")

    # The unit's clock and latency come with its energy; each can be given.
    with open(MEASURED, encoding="utf-8") as f:
        shipped = {(row["format"], row["recipe"]): row for row in json.load(f) if row["unit"] == "exact"}
    for recipe, latency in (("area", 4), ("speed+pipeline", 7)):
        out = result("--layer", "16,16,64", "--recipe", recipe)["array"]
        check((out["clock_mhz"], out["pj_per_mac"], out["unit_latency"]) == (shipped["if4", recipe]["fmax_mhz"], shipped["if4", recipe]["pj_per_mac"], latency),
              f"{recipe}: clock, energy and latency of the measured unit, {out['unit']}")
    out = result("--layer", "16,16,64", "--clock", "100", "--unit-latency", "9")["array"]
    check((out["clock_mhz"], out["unit_latency"]) == (100, 9), "clock and latency that are given")
    check(result("--layer", "16,16,64")["array"]["unit"] == "unit energy 11.91 pJ/MAC (exact if4, osu018, area)", "where the unit's energy is from")
    with tempfile.TemporaryDirectory() as work:
        own = os.path.join(work, "own.json")
        row = {"unit": "exact", "format": "nvfp3", "recipe": "area", "library": "mine", "lanes": 16, "pj_per_mac": 2.5, "fmax_mhz": 1000.0, "latency_cycles": 6}
        with open(own, "w", encoding="utf-8") as f:
            json.dump([dict(row, format="if4", pj_per_mac=None), row], f)
        out = result("--layer", "16,16,64", "--format", "nvfp3", "--report", own)["array"]
        check((out["clock_mhz"], out["pj_per_mac"], out["unit_latency"], out["unit"]) == (1000, 2.5, 6, "unit energy 2.5 pJ/MAC (exact nvfp3, mine, area)"),
              "figures of a report of one's own")
        done = run("--layer", "16,16,64", "--report", own)
        check(done.returncode == 2 and f"{own} has no exact if4 unit" in done.stderr, "a report without the format")
        for text, words in (("{", "not a list"), ("[{}, 3]", "row 2 is no result") , ('[{"pj_per_mac": 1}]', "row 1 is no result"),
                            (json.dumps([dict(row, fmax_mhz=0)]), "row 1: energy, clock")):
            with open(own, "w", encoding="utf-8") as f:
                f.write(text)
            done = run("--layer", "16,16,64", "--report", own)
            check(done.returncode == 3 and words in done.stderr and done.stderr.count("\n") == 1, f"a report that is none: {words}")

    # Formats side by side: the units' energies differ by the measured ratio.
    runs = {r["array"]["format"]: r["total"]["energy_pj"]["units"] for r in result("--layer", "128,512,512", "--compare", "nvfp4,if4,mxfp4")}
    check(list(runs) == ["nvfp4", "if4", "mxfp4"] and all(abs(runs[f] / runs["nvfp4"] - measured[f] / measured["nvfp4"]) < 1e-9 for f in runs),
          "--compare: totals differ by the measured ratio")
    table = run("--layer", "128,512,512", "--compare", "nvfp4,if4").stdout.splitlines()
    check(len(table) == 3 and [l.split()[0] for l in table] == ["format", "nvfp4", "if4"] and table[1].endswith("1.000"), "--compare: a line per format")
    check(run("--layer", "1,1,1", "--compare", "if4", "--format", "if4").returncode == 2, "--compare with --format")

    # A unit has the lanes of its format's block; figures of other lanes say so.
    with tempfile.TemporaryDirectory() as work:
        own = os.path.join(work, "own.json")
        row = {"unit": "exact", "format": "mxfp4", "recipe": "area", "library": "mine", "lanes": 16, "pj_per_mac": 2.5, "fmax_mhz": 1000.0, "latency_cycles": 6}
        for lines, want in (([row], "2.5 pJ/MAC (exact mxfp4, mine, area, measured on 16 lanes)"), ([row, dict(row, lanes=32, pj_per_mac=2.0)], "2 pJ/MAC (exact mxfp4, mine, area)")):
            with open(own, "w", encoding="utf-8") as f:
                json.dump(lines, f)
            unit = result("--layer", "16,16,64", "--format", "mxfp4", "--report", own)["array"]["unit"]
            check(unit == "unit energy " + want, f"lanes of the figures: {unit}")
        # The page: every layer on the roofline, and the numbers of the table.
        page = os.path.join(work, "page.html")
        model = os.path.join(ROOT, "sim", "models", "llama3_8b.json")
        shown = json.loads(run("--model", model, "--compare", "nvfp4,if4", "--html", page, "--json", "-").stdout)
        with open(page, encoding="utf-8") as f:
            text = f.read()
        check(text.startswith("<!DOCTYPE html>"), "a page")
        check(all(layer["name"] in text for layer in shown[0]["layers"]) and all(f"{100 * r['total']['utilisation']:.2f}" in text for r in shown)
              and text.count("Roofline") >= 2 and "http:" not in text.replace("http://www.w3.org", "") and "https:" not in text, "layers, utilisation and a roofline per format, nothing from elsewhere")
        check("Where the cycles go, if4" in text and "Energy" in text, "where cycles and energy go")

    # Buffers: two panels of K = 4096 in IF4 are 16 banks of 2 * 4096 * 9 / 16 = 4608 bytes; energy by the root of the bank's size.
    for given, want in (((), 1.25 * (4608 / 8192) ** 0.5), (("--sram", "4608:2"), 2.0), (("--sram", "1152:2"), 4.0), (("--buffer-pj", "3"), 3.0)):
        layer = result("--layer", "16,16,4096", *given)["layers"][0]
        check(abs(layer["buffer_pj_per_byte"] - want) < 1e-9, f"SRAM {given}: {layer['buffer_pj_per_byte']} pJ per byte")
    # One digit to three before the point, whatever the size: pJ of one MAC up to kJ.
    for pj, want in (("0.5", "500 fJ"), ("999", "999 pJ"), ("999.94", "999.9 pJ"), ("999.96", "1 nJ"), ("212400000000000", "212.4 J"), ("1e15", "1 kJ"), ("0", "0 J")):
        line = run("--rows", "1", "--cols", "1", "--layer", "1,1,1", "--pj-per-mac", pj, "--buffer-pj", "0", "--memory-pj", "0").stdout.splitlines()[-1]
        check(line.endswith(f"{want} (units {want}, buffers 0 J, memory 0 J)"), f"{pj} pJ is printed as {want}: {line}")

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
                                   (("--layer", "16,16,4096", "--buffer", "10"), 2, "--buffer"),
                                   (("--layer", "1,1,1", "--sram", "8192"), 2, "BYTES:PJ"), (("--layer", "1,1,1", "--sram", "0:1"), 2, "BYTES:PJ"),
                                   (("--layer", "1,1,1", "--report", "nosuch.json"), 3, "nosuch.json"), (("--layer", "1,1,1", "--compare", "if4,if5"), 2, "if5")):
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
