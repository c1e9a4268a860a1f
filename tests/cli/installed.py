#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command, installed and moved: `lowbit mac report` runs what lies beside it, not what it was built from; without
its files it says so. A command in its build folder takes them from the sources."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

# In place of report.py: says where it is and what it was asked for.
SPY = """import json, os, sys
with open(sys.argv[1], encoding="utf-8") as f:
    spec = json.load(f)
print(json.dumps({"script": os.path.realpath(__file__), "simulator": os.path.realpath(spec["simulator"]), "sample": spec["sample"]}))
"""
REQUEST = ("mac", "report", "--units", "exact", "--formats", "nvfp4", "--progress", "never")


def check(condition, message):
    if not condition:
        print("FAILED:", message)
        sys.exit(1)
    print("ok:", message)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--cmake", required=True)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as work:
        work = os.path.realpath(work)

        def run(lowbit):
            return subprocess.run([lowbit, *REQUEST, "--cache", os.path.join(work, "cache")], capture_output=True, text=True, check=False)

        built_for, prefix = os.path.join(work, "built_for"), os.path.join(work, "prefix")
        subprocess.run([options.cmake, "--install", options.build, "--prefix", built_for, "--component", "command"], check=True,
                       capture_output=True)
        os.rename(built_for, prefix)
        lowbit = os.path.join(prefix, "bin", "lowbit")
        share = os.path.join(prefix, "share", "lowbit")
        for name in ("mac_rtl/lowbit_mac_exact_core.sv", "mac_rtl/lowbit_mac_exact_core.f", "mac_rtl/lowbit_formats.sv",
                     "scripts/synth/stored.json", "scripts/synth/synth.py", "sim/models/llama3_8b.json", "tests/data/minilm_sample.safetensors"):
            check(os.path.exists(os.path.join(share, name)), f"installed: {name}")
        with open(os.path.join(share, "mac_rtl", "lowbit_mac_exact_core.f"), encoding="utf-8") as f:
            check(all(os.path.exists(os.path.join(share, "mac_rtl", line.strip())) for line in f if line.strip()), "every source of the exact unit")

        script = os.path.join(share, "scripts", "synth", "report.py")
        with open(script, "w", encoding="utf-8") as f:
            f.write(SPY)
        done = run(lowbit)
        check(done.returncode == 0, f"the installed command {done.stderr}")
        told = json.loads(done.stdout)
        check(told == {"script": script, "simulator": os.path.join(prefix, "bin", "lowbit_gate_sim"), "sample": "minilm_sample.safetensors"},
              f"runs what is installed beside it: {told}")

        shutil.rmtree(share)
        done = run(lowbit)
        check(done.returncode == 5 and done.stderr.count("\n") == 1 and share in done.stderr, f"without its files: {done.stderr.strip()}")

        # A build folder with other sources than these.
        sources = os.path.join(work, "sources")
        os.makedirs(os.path.join(sources, "scripts", "synth"))
        os.makedirs(os.path.join(sources, "tests", "data"))
        with open(os.path.join(sources, "scripts", "synth", "report.py"), "w", encoding="utf-8") as f:
            f.write(SPY)
        root = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
        shutil.copy(os.path.join(root, "tests", "data", "minilm_sample.safetensors"), os.path.join(sources, "tests", "data"))
        with open(os.path.join(prefix, "bin", "lowbit_sources.txt"), "w", encoding="utf-8") as f:
            f.write(sources + "\n")
        done = run(lowbit)
        check(done.returncode == 0 and json.loads(done.stdout)["script"].startswith(sources), "a build folder: the sources that the file names")
        with open(os.path.join(os.path.dirname(options.lowbit), "lowbit_sources.txt"), encoding="utf-8") as f:
            check(os.path.samefile(f.readline().strip(), root), "the file of this build names these sources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
