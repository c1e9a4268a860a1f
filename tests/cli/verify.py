# SPDX-License-Identifier: MIT
"""lowbit verify quantize: what a quantized file says about itself, and the first block that differs."""
import hashlib
import math
import pathlib

import tensors

OLD = pathlib.Path(__file__).resolve().parent.parent / "data" / "cli"


def changed(path, out, entry, at, byte):
    """A copy of the file with one byte of one entry replaced."""
    held, metadata = tensors.read(path)
    dtype, shape, data = held[entry]
    held[entry] = (dtype, shape, data[:at] + bytes([byte]) + data[at + 1:])
    tensors.write(out, held, metadata)


def propagated(lowbit, folder, check):
    """The first differing block is one that holds NaN: it has no candidates to show."""
    for name, rows, columns, options in (("row", 2, 32, []), ("square", 16, 32, ["--block-2d"])):
        values = [1.0 + i % 7 for i in range(rows * columns)]
        values[5] = math.nan
        tensors.write(folder / "v.safetensors", {"n": ("F32", [rows, columns], tensors.pack(values))})
        for form, scale_name in (("nvfp4", "e4m3"), ("mxfp4", "e8m0")):
            what = f"{name} {form}"
            code, _, err = lowbit("quantize", "v.safetensors", "-o", "v.q.safetensors", "--format", form, "--nonfinite", "propagate", *options)
            check(code == 0, f"{what}: {err}")
            good = tensors.read(folder / "v.q.safetensors")[0]
            for entry, at, byte, parts in (
                    ("n.scales", 0, 0x38, ["the dump has 0x38"]),
                    ("n.values", 1, 0x07, ["column 2: x 0x1.8p+1, code 0x0, the dump has 0x7"])):
                changed(folder / "v.q.safetensors", folder / "bad.safetensors", entry, at, byte)
                code, out, err = lowbit("verify", "quantize", "v.safetensors", "bad.safetensors", "--nonfinite", "propagate")
                check(code == 1, f"{what} {entry}: {code} {err}")
                for part in ["1 of", "first difference: row 0, block 0", f"the block holds NaN or infinity: its scale byte is the NaN of {scale_name}",
                             f"scale byte 0x{good['n.scales'][2][0]:02x}", *parts]:
                    check(part in out, f"{what} {entry} says '{part}': {out}")


def recorded(lowbit, folder, check):
    """What quantize was asked for is in its file, so verify needs no option; an option overrides it."""
    values = [math.sin(i * 0.7) * (1 + i % 13) for i in range(32 * 48)]
    infinite = values[:]
    infinite[3], infinite[700] = math.inf, math.nan
    tensors.write(folder / "v.safetensors", {"w": ("F32", [32, 48], tensors.pack(values))})
    tensors.write(folder / "i.safetensors", {"w": ("F32", [32, 48], tensors.pack(infinite))})
    tensors.write(folder / "r.safetensors", {f"rand{k}": ("F32", [32, 48], tensors.pack([i * (k + 7) % 97 / 97 for i in range(32 * 48)]))
                                             for k in (0, 1)})
    random = ["--random", "r.safetensors"]
    # The input, how it is quantized, what verify needs beside; an override, and the code that it leads to.
    for source, quantize, needed, override, expected in (
            ("v", "nvfp4 --rule mse --scale-max 448", [], ["--scale-max", "256"], 1),
            ("v", "nvfp4 --rule static_6 --scale-max 256", [], ["--scale-max", "448"], 1),
            ("v", "if4 --amax 1000", [], ["--amax", "1001"], 1),
            ("v", "nvfp4 --amax 3.0 --rule abs_max --dialect fos_pytorch", [], ["--dialect", "canonical"], None),
            ("i", "nvfp4 --nonfinite saturate", [], ["--nonfinite", "propagate"], 1),
            ("i", "nvfp4 --nonfinite propagate --rule mae", [], ["--nonfinite", "saturate"], 1),
            ("i", "mxfp4 --nonfinite propagate --rule even", [], ["--nonfinite", "error"], 3),
            ("v", "nvfp4 --rht --block-2d --transpose --axis 0", [], ["--rule", "mae"], 1),
            ("v", "nvfp4 --rule mse --stochastic --random r.safetensors", random, [*random, "--rule", "static_6"], 1),
            ("v", "if4 --stochastic-unbiased --random r.safetensors", random, [*random, "--rule", "mae"], None)):
        code, _, err = lowbit("quantize", f"{source}.safetensors", "-o", "v.q.safetensors", "--format", *quantize.split())
        check(code == 0, f"quantize {quantize}: {err}")
        code, out, err = lowbit("verify", "quantize", f"{source}.safetensors", "v.q.safetensors", *needed)
        check(code == 0 and ": 0 of " in out, f"verify after quantize {quantize}: {code} {out}{err}")
        code, out, err = lowbit("verify", "quantize", f"{source}.safetensors", "v.q.safetensors", *override)
        check(expected in (None, code), f"verify with {override} after quantize {quantize}: {code} {out}{err}")
    for options, part in (([], "give the random numbers"), (random, "")):
        code, _, err = lowbit("verify", "quantize", "v.safetensors", "v.q.safetensors", *options)
        check(code == (2 if part else 0) and part in err, f"stochastic, verified with {options}: {code} {err}")
    lowbit("quantize", "v.safetensors", "-o", "v.q.safetensors", "--format", "nvfp4")
    code, _, err = lowbit("verify", "quantize", "v.safetensors", "v.q.safetensors", *random)
    check(code == 2 and "to nearest" in err, f"--random for a tensor that was rounded to nearest: {code} {err}")
    # A tensor whose transforms this version does not know can be read, but not quantized again.
    held, metadata = tensors.read(folder / "v.q.safetensors")
    del metadata["w.hadamard"]
    tensors.write(folder / "bad.safetensors", held, {**metadata, "w.transforms": '["rotation"]'})
    code, _, err = lowbit("verify", "quantize", "v.safetensors", "bad.safetensors")
    check(code == 2 and "[rotation]" in err and err.count("\n") == 1, f"an unknown transform: {code} {err}")


def malformed(lowbit, folder, check):
    """A value that cannot be read is one line that names file, tensor and key, wherever a file is read."""
    tensors.write(folder / "v.safetensors", {"w": ("F32", [4, 32], tensors.pack([i % 7 for i in range(128)]))})
    code, _, err = lowbit("quantize", "v.safetensors", "-o", "v.q.safetensors", "--format", "nvfp4", "--scale-max", "448")
    check(code == 0, err)
    held, metadata = tensors.read(folder / "v.q.safetensors")
    wrong = {"format": ["", "nvfp5"], "rule": ["", "best"], "dialect": ["", "nobody"], "scale_max": ["", "-448", "nan", "inf", "448x", "0"],
             "amax_given": ["", "yes", "True"], "axis": ["", "1x", "1.5", "99999999999"], "transposed": ["1"], "block_2d": ["1"],
             "code_layout": ["", "columns"], "scale_layout": ["", "diagonal"], "weight_layout": ["", "a b", "x" * 65],
             "nonfinite": ["", "ignore"], "rounding": ["", "up"], "transforms": ["", "hadamard", "{}", "[1]", '["a b"]', '["hadamard"]'],
             "hadamard": ["1", "true"], "shape": ["", "[4,-32]", "[4,32", "4x32", '["4"]', "{}", "[1.5]", str([1] * 65)], "dtype": ["", "F33"],
             "rows": ["-1", ""], "columns": ["x"], "encode_constant": ["0"]}
    ours = {key.removeprefix("w.") for key in metadata if key.startswith("w.")}
    check(ours == set(wrong), f"keys that the file has and this test lacks, or the reverse: {sorted(ours ^ set(wrong))}")
    for key, texts in wrong.items():
        for text in texts:
            tensors.write(folder / "bad.safetensors", held, {**metadata, "w." + key: text})
            for command in ("verify quantize v.safetensors bad.safetensors", "dequantize bad.safetensors -o d.out",
                            "gemm --a bad.safetensors --b v.q.safetensors --model exact --out d.out"):
                code, _, err = lowbit(*command.split())
                # Where `hadamard` and `transforms` differ, the one is named with the other.
                check(code == 3 and err.count("\n") == 1 and "bad.safetensors: w." in err and key in err, f"{key}={text!r}, {command}: {code} {err}")
    check(not (folder / "d.out").exists(), "a refused file left an output")


def old_files(lowbit, folder, check):
    """Files that were written before the record had all its keys still read, verify and dequantize."""
    source = OLD / "before_records.safetensors"
    for name, options, back in (
            ("plain", "--format nvfp4 --rule mse --all", "9f981a25cf3341165d042bbe53d67bad625b02ca1ac9947fae621c8d1a067c25"),
            ("turned", "--format if4 --dialect fos_pytorch --axis 1 --transpose --scale-layout swizzled --block-2d --tensor cube --tensor half",
             "9370607e52d28fd0b9631ef08e419a1c4388ea951912d688df24aa66b4ea6fdf"),
            ("rht", "--format mxfp6_e2m3 --tensor half --rht", "465bb1e75e927d2fe2e94ef8b4560a77af663bfb3ee87235cddc44cc1af62a04")):
        old = OLD / f"before_records.{name}.safetensors"
        check("half.nonfinite" not in tensors.read(old)[1], f"{old.name} is no old file")
        code, out, err = lowbit("verify", "quantize", source, old)
        check(code == 0 and ": 0 of " in out, f"verify of {old.name}: {code} {out}{err}")
        code, _, err = lowbit("dequantize", old, "-o", "old.back.safetensors")
        digest = hashlib.sha256((folder / "old.back.safetensors").read_bytes()).hexdigest()
        check(code == 0 and digest == back, f"dequantize of {old.name}: {code} {digest} {err}")
        code, _, err = lowbit("gemm", "--a", old, "--b", old, "--a-tensor", "half", "--b-tensor", "half", "--model", "exact", "--out", "old.d.safetensors")
        check(code == 0, f"gemm of {old.name}: {err}")
        # The same request today: the same bytes, and the same text for each key that there was.
        code, _, err = lowbit("quantize", source, "-o", "new.safetensors", *options.split())
        (held, metadata), (old_held, old_metadata) = tensors.read(folder / "new.safetensors"), tensors.read(old)
        check(code == 0 and held == old_held, f"{old.name}: other bytes today")
        del old_metadata["lowbit.version"]
        check(all(metadata.get(k) == v for k, v in old_metadata.items()), f"{old.name}: other texts today")
