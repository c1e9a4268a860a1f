# SPDX-License-Identifier: MIT
"""lowbit verify quantize: what a quantized file says about itself, and the first block that differs."""
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import re
import struct

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
                    ("n.values", 1, 0x07, ["column 2: x 3 (0x40400000), code 0x0 (0), the dump has 0x7 (6)"])):
                changed(folder / "v.q.safetensors", folder / "bad.safetensors", entry, at, byte)
                code, out, err = lowbit("verify", "quantize", "v.safetensors", "bad.safetensors", "--nonfinite", "propagate")
                check(code == 1, f"{what} {entry}: {code} {err}")
                for part in ["1 of", "row 0, block 0", f"the block holds NaN or infinity: its scale byte is the NaN of {scale_name}",
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

SAMPLE = pathlib.Path(__file__).resolve().parent.parent / "data" / "minilm_sample.safetensors"
LAYER = "encoder.layer.3."
REAL = [LAYER + "attention.self.query.weight", LAYER + "intermediate.dense.weight", LAYER + "output.dense.weight"]


def swizzled(scales, rows, blocks):
    """The bytes in tiles of 128 x 4, computed here."""
    tiles = (blocks + 3) // 4
    out = bytearray((rows + 127) // 128 * 128 * tiles * 4)
    for r in range(rows):
        for b in range(blocks):
            out[(r // 128 * tiles + b // 4) * 512 + r % 32 * 16 + r // 32 % 4 * 4 + b % 4] = scales[r * blocks + b]
    return bytes(out)


# The dialects that each format is quantized in, the options that make its scale bytes round up, and whether it has a tensor scale.
FAULTY = (("nvfp4", ("canonical", "te_ge_2.14", "modelopt", "mlx"), ["--set", "scale_rounding=up"], True),
          ("if4", ("canonical", "fos_pytorch", "te_ge_2.14", "mlx"), ["--set", "scale_rounding=up"], True),
          ("mxfp4", ("canonical", "modelopt_mxfp4", "fos_pytorch", "mlx"), ["--rule", "static_4"], False))


def faults(lowbit, folder, check):
    """Seven faults planted in dumps of real tensors: each is named by its cause, alone and beside a fault of layout."""
    held, _ = tensors.read(SAMPLE)
    jobs = []
    for name in REAL:
        values = tensors.floats(held[name][2])
        half = folder / f"{name}.half.safetensors"
        tensors.write(half, {name: ("F32", held[name][1], tensors.pack([struct.unpack("<e", struct.pack("<e", x))[0] for x in values]))})
        stale = repr(struct.unpack("<f", struct.pack("<f", max(map(abs, values)) * 1.25))[0])
        jobs += [(form, name, dialect, up, stale if has_amax else None, half) for form, dialects, up, has_amax in FAULTY for dialect in dialects]
    # Almost all time goes by in the command: a thread per core waits for it.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(faults_of, lowbit, folder / f"faults{i}", check, *job) for i, job in enumerate(jobs)]:
            done.result()


def faults_of(lowbit, folder, check, form, name, dialect, up, stale, half):
    """Those of one tensor in one format and dialect. stale: another amax, None where there is no tensor scale; half: the tensor rounded to F16."""
    folder.mkdir()
    run = lambda *words: lowbit(*words, folder=folder)

    def quantized(*options, source=SAMPLE):
        code, _, err = run("quantize", source, "-o", "fault.q.safetensors", "--format", form, "--tensor", name, "--dialect", dialect, *options)
        check(code == 0, f"{form} {name} {dialect} {options}: {err}")
        return tensors.read(folder / "fault.q.safetensors")

    def expect(what, entries, wanted):
        tensors.write(folder / "fault.safetensors", entries, metadata)
        code, out, err = run("verify", "quantize", SAMPLE, "fault.safetensors", "--tensor", name, "--json", "fault.json")
        found = json.loads((folder / "fault.json").read_text()) if (folder / "fault.json").exists() else {"tensors": [{"causes": []}]}
        named = [c["cause"] for c in found["tensors"][0]["causes"]]
        check(named == wanted and code == (1 if wanted else 0), f"{what}: {named} instead of {wanted}, exit {code}: {out}{err}")
        check([line.split()[1].rstrip(":") for line in out.splitlines() if line.startswith("cause ")] == named, f"{what}: text and JSON name the same: {out}")
        (folder / "fault.json").unlink(missing_ok=True)
        return out

    def reads(out):
        """The exit code with the layout that the text proposes."""
        words = [line.split()[1] for line in out.splitlines() if line.startswith("  --layout ")]
        return run("verify", "quantize", SAMPLE, "fault.safetensors", "--tensor", name, "--layout", words[0])[0] if words else None

    what = f"{form} {name} {dialect}"
    good, metadata = quantized()
    codes, scales = good[f"{name}.values"], good[f"{name}.scales"]
    rows, blocks = scales[1]
    expect(what, good, [])
    with_part = lambda base, part, entry: {**base, f"{name}.{part}": entry}
    per_block = len(codes[2]) // len(scales[2])
    # In the integer blocks of IF4, code 8 is -8 and no zero.
    is_float = lambda at: form != "if4" or scales[2][at // per_block] < 0x80
    flushed = bytes((0 if b & 15 == 8 else b & 15) | (0 if b >> 4 == 8 else b >> 4) << 4 if is_float(i) else b for i, b in enumerate(codes[2]))
    cases = [("scale_rounding", quantized(*up)[0]), ("fp16_input", quantized(source=half)[0])]
    # The scale bytes with the codes of either byte; in IF4 the kind of a block is that of its codes.
    rounded = bytes(u & 0x7F | g & 0x80 for u, g in zip(cases[0][1][f"{name}.scales"][2], scales[2])) if form == "if4" else cases[0][1][f"{name}.scales"][2]
    cases.append(("scale_rounding", with_part(good, "scales", ("U8", scales[1], rounded))))
    if stale:
        cases += [("scale_max", quantized("--scale-max", "256")[0]), ("stale_amax", quantized("--amax", stale)[0])]
        cases += [("stale_amax", with_part(cases[-1][1], "values", codes)), ("stale_amax", with_part(good, "amax", cases[-1][1][f"{name}.amax"]))]
    if flushed != codes[2]:
        cases.append(("negative_zero", with_part(good, "values", (codes[0], codes[1], flushed))))
    check(dialect == "mlx" or flushed != codes[2], f"{what} has no -0 to flush")
    for at, (cause, entries) in enumerate([(None, good), *cases]):
        expected = [cause] if cause else []
        if cause:
            out = expect(f"{what} {cause}", entries, [cause])
            if cause == "scale_max":
                check("cause scale_max: 256 instead of 448 (100 % of blocks)\n  row 0, block 0: block amax " in out, out)
                check(f"  the dump: the block at the tensor's amax has the scale 256; {dialect} {metadata[name + '.rule']}: 448\n" in out, out)
        # Each fault of numerics beside one of layout, the two in turn.
        if cause is None or at % 2:
            kind, shape, data = entries[f"{name}.values"]
            nibbles = with_part(entries, "values", (kind, shape, bytes((b << 4 | b >> 4) & 255 for b in data)))
            out = expect(f"{what} {cause} nibbles", nibbles, ["nibble_order", *expected])
            check(cause is not None or reads(out) == 0, f"{what}: the layout that is printed does not read the dump: {out}")
        if cause is None or at % 2 == 0:
            tiles = swizzled(entries[f"{name}.scales"][2], rows, blocks)
            shape = [rows, blocks] if len(tiles) == rows * blocks else [len(tiles)]
            out = expect(f"{what} {cause} tiles", with_part(entries, "scales", ("U8", shape, tiles)), ["scale_layout", *expected])
            check(cause is not None or reads(out) == 0, f"{what}: the layout that is printed does not read the dump: {out}")


def agrees(out, what, dialect):
    """Whether the text lists the dialect under that format, rule and layout."""
    one_line = out.replace(",\n    ", ", ")
    return any(line.startswith(f"agrees {what}: ") and dialect in line.split(": ")[1].split(", ") for line in one_line.splitlines())


def searched(lowbit, folder, check):
    """auto: the dialect that made a dump is among those that agree, with and without a declaration."""
    held, _ = tensors.read(SAMPLE)
    name = REAL[2]
    # BF16 values: exact ties are common there, so dialects differ.
    rounded = [struct.unpack("<f", b"\0\0" + struct.pack("<f", x)[2:])[0] for x in tensors.floats(held[name][2])][:8 * 1536]
    tensors.write(folder / "bf.safetensors", {"w": ("BF16", [8, 1536], b"".join(struct.pack("<f", x)[2:] for x in rounded))})
    code, out, _ = lowbit("dialects", "--json")
    records = {d["name"]: d["formats"] for d in json.loads(out)}
    rules = {d["name"]: d["rules"] for d in json.loads(out)}
    check(all(list(rules[name]) == records[name] for name in records), "rules of each format")
    check(rules["torchao"] == {"nvfp4": ["static_6"], **{f: ["floor", "rceil", "ceil", "even"] for f in ("mxfp4", "mxfp8_e4m3", "mxfp8_e5m2")}}, str(rules["torchao"]))
    check(code == 0 and len(records) > 60, f"{len(records)} dialects")
    told_apart = 0
    for record in records:
        for form in ("nvfp4", "mxfp4"):
            code, _, _ = lowbit("quantize", "bf.safetensors", "-o", "bf.q.safetensors", "--format", form, "--dialect", record)
            if code != 0 or form not in records[record]:
                continue
            entries, metadata = tensors.read(folder / "bf.q.safetensors")
            del metadata["w.dialect"]
            tensors.write(folder / "bare.safetensors", entries, metadata)
            code, out, err = lowbit("verify", "quantize", "bf.safetensors", "bare.safetensors", "--json", "-")
            agreeing = [c["dialect"] for c in json.loads(out)["tensors"][0]["agreeing"]] if out else []
            check(code == 0 and record in agreeing, f"{record} {form}: {code} {agreeing} {err}")
            others = [name for name in agreeing if form not in records[name]]
            check(not others, f"{record} {form}: programs without that format agree: {others}")
            if len(agreeing) > 1 and out:
                check(json.loads(out)["tensors"][0]["compared_with"]["dialect"] == agreeing[0], f"{record} {form}: the headline names none that agrees")
            told_apart += len(agreeing) < len(records) // 2
    check(told_apart > 40, f"auto tells dialects apart: {told_apart}")
    # A searched rule is one that the program has; the headline counts the others.
    for form, rule in (("nvfp4", "mse"), ("mxfp4", "rceil")):
        lowbit("quantize", "bf.safetensors", "-o", "bf.q.safetensors", "--format", form, "--rule", rule)
        entries, metadata = tensors.read(folder / "bf.q.safetensors")
        tensors.write(folder / "bare.safetensors", entries, {k: v for k, v in metadata.items() if k not in ("w.dialect", "w.rule")})
        code, out, err = lowbit("verify", "quantize", "bf.safetensors", "bare.safetensors", "--json", "found.json")
        found = json.loads((folder / "found.json").read_text())["tensors"][0]
        agreeing = [(c["dialect"], c["rule"]) for c in found["agreeing"]]
        check(code == 0 and agreeing and all(r in rules[d][form] for d, r in agreeing), f"{form} {rule}: {code} {agreeing} {err}")
        check(("canonical", rule) in agreeing and found["compared_with"]["dialect"] == "canonical", f"{form} {rule}: {found['compared_with']}")
        others = f"; {len(agreeing) - 1} other{'s' if len(agreeing) > 2 else ''} agree{'s' if len(agreeing) == 2 else ''}"
        check(len(agreeing) > 1 and f" codes{others}\n" in out, f"{form} {rule} says how many agree, {others}: {out}")

    lowbit("quantize", "bf.safetensors", "-o", "bf.q.safetensors", "--format", "nvfp4", "--dialect", "torchao", "--rule", "static_6")
    entries, metadata = tensors.read(folder / "bf.q.safetensors")
    # auto beside a declaration: another winner is named and exits 1, the declared one does not.
    code, out, _ = lowbit("verify", "quantize", "bf.safetensors", "bf.q.safetensors", "--dialect", "auto", "--format", "auto", "--rule", "auto", "--layout", "auto")
    check(code == 0 and agrees(out, "nvfp4 static_6, low_first,linear,u8,amax", "torchao") and "cause" not in out, f"all auto, declared right: {code} {out}")
    tensors.write(folder / "wrong.safetensors", entries, {**metadata, "w.dialect": "ggml_cuda"})
    code, out, _ = lowbit("verify", "quantize", "bf.safetensors", "wrong.safetensors", "--dialect", "auto")
    check(code == 1 and agrees(out, "nvfp4 static_6, low_first,linear,u8,amax", "torchao") and "cause dialect: " in out and " instead of ggml_cuda" in out and " is ggml_cuda with " in out, f"auto, declared wrong: {code} {out}")
    code, out, _ = lowbit("verify", "quantize", "bf.safetensors", "wrong.safetensors", "--dialect", "torchao")
    check(code == 0 and "searched" not in out, f"an option in place of the declaration: {code} {out}")
    code, out, _ = lowbit("verify", "quantize", "bf.safetensors", "wrong.safetensors")
    check(code == 1 and "searched" not in out, f"declared wrong, no option: {code} {out}")
    code, out, _ = lowbit("verify", "quantize", "bf.safetensors", "bf.q.safetensors", "--set", "element_ties=toward_zero")
    check(code == 1 and "torchao+element_ties=toward_zero" in out and "cause element_tie: element_ties even instead of toward_zero" in out
          and "  the dump: to nearest, ties to the even code; torchao+element_ties=toward_zero: to nearest, ties toward zero\n" in out, f"--set: {code} {out}")

    # A dump of tensors with names of their own, the divisor convention, and no metadata.
    (amax,) = struct.unpack("<f", entries["w.amax"][2])
    divisor = struct.unpack("<f", struct.pack("<f", 2688.0 / amax))[0]
    foreign = {"packed": entries["w.values"], "sf": ("F8_E4M3", *entries["w.scales"][1:]), "gs": ("F32", [1], struct.pack("<f", divisor))}
    tensors.write(folder / "foreign.safetensors", foreign)
    parts = ["--values", "packed", "--scales", "sf", "--tensor-scale", "gs"]
    code, out, err = lowbit("verify", "quantize", "bf.safetensors", "foreign.safetensors", *parts)
    check(code == 0 and agrees(out, "nvfp4 static_6, low_first,linear,u8,divisor", "torchao"), f"a foreign dump: {code} {out}{err}")
    tensors.write(folder / "foreign.safetensors", {**foreign, "gs": ("F32", [1], struct.pack("<f", divisor * 1.5))})
    code, out, err = lowbit("verify", "quantize", "bf.safetensors", "foreign.safetensors", *parts)
    check(code == 1 and "cause stale_amax" in out, f"a foreign dump with another scale: {code} {out}{err}")
    for words, expected, text in (
            (["--values", "packd", "--scales", "sff", "--tensor-scale", "gss"], 2, ["packd; --values", "sff; --scales", "gss; --tensor-scale", "packed, sf"]),
            ([], 3, ["--values, --scales and --tensor-scale"]),
            ([*parts, "--layout", "sideways"], 2, ["sideways"]),
            ([*parts, "--dialect", "torcho"], 2, ["torchao"]),
            ([*parts, "--set", "scale_flor=none"], 2, ["scale_floor"]),
            ([*parts, "--weight-layout", "diagonal"], 2, ["diagonal"])):
        code, out, err = lowbit("verify", "quantize", "bf.safetensors", "foreign.safetensors", *words)
        check(code == expected and err.count("\n") == 1 and all(t in err for t in text), f"{words}: {code} {err}")
    tensors.write(folder / "foreign.safetensors", {**foreign, "packed": ("U8", [8, 700], bytes(5600))})
    code, out, err = lowbit("verify", "quantize", "bf.safetensors", "foreign.safetensors", *parts)
    check(code == 3 and "5600" in err and err.count("\n") == 1, f"sizes that fit no layout: {code} {err}")


def explained(lowbit, folder, check):
    """A block step by step: the first step that differs, margins, the dump beside it."""
    # amax 448 * 6 gives S = 1; h = 17 is an E4M3 tie of 16 and 18, and 56 / 16 = 3.5 a tie of elements.
    values = [2688.0] + [0.0] * 15 + [102.0, 56.0, -4.0] + [1.0] * 13
    tensors.write(folder / "x.safetensors", {"x": ("F32", [1, 32], tensors.pack(values))})
    code, out, err = lowbit("explain", "x.safetensors", "--block", "0,1", "--dialect", "canonical", "--dialect", "canonical+scale_rounding=up")
    line = next((line for line in out.splitlines() if "the first step that differs" in line), "")
    check(code == 0 and line.split()[:3] == ["scale", "0x58", "(16)"] and "! 0x59 (18)" in line, f"the first step that differs: {code} {out}{err}")
    check("tie of 16 and 18" in out and "  column 17: scaled, y  " in out, out)
    code, out, err = lowbit("explain", "x.safetensors", "--block", "0,1", "--dialect", "canonical", "--dialect", "canonical+element_ties=toward_zero", "--json")
    found = json.loads(out)
    check(code == 0 and found["first_difference"] == "column 17: code", f"{code} {found['first_difference']} {err}")
    steps = {s["step"]: s for s in found["steps"]}
    check(steps["column 17: scaled, y"]["margin"] == "tie of 3 and 4" and steps["column 17: code"]["first"] == "0x6 (4)", str(steps["column 17: code"]))
    check(steps["column 18: scaled, y"]["margin"] == "tie of 0 and 0.5", str(steps["column 18: scaled, y"]))
    lowbit("quantize", "x.safetensors", "-o", "x.q.safetensors", "--format", "nvfp4", "--all")
    code, out, err = lowbit("explain", "x.safetensors", "--block", "0,1", "--dialect", "te_ge_2.14", "--dialect", "te_ge_2.14", "--dump", "x.q.safetensors")
    check(code == 0 and "dump 0x58" in out and "run alike on this block" in out and "!" not in out, f"{code} {out}{err}")
    code, out, err = lowbit("explain", "x.safetensors", "--block", "0,1", "--format", "if4", "--json")
    steps = {s["step"]: s for s in json.loads(out)["steps"]}
    check(code == 0 and steps["chosen"]["first"] in ("float", "integer") and steps["chosen"]["margin"].endswith("% apart"), f"{out}{err}")
    for words, expected, text in ((["--block", "0"], 2, "ROW,BLOCK"), (["--block", "0,2"], 2, "no block 2"), (["--block", "-1,0"], 2, ""),
                                  (["--block", "0,1", "--dialect", "canonicl"], 2, "canonical"),
                                  (["--block", "0,1", "--format", "if4", "--dump", "x.q.safetensors"], 2, "the dump is nvfp4")):
        code, out, err = lowbit("explain", "x.safetensors", *words)
        check(code == expected and text in err, f"{words}: {code} {err}")


def distinguished(lowbit, folder, check):
    """The tensor that distinguish writes shows the difference; where there is none, it says so."""
    for a, b, form in (("te_le_2.13", "te_ge_2.14", "nvfp4"), ("canonical", "torchao", "nvfp4"), ("canonical", "canonical+element_ties=toward_zero", "nvfp4"),
                       ("fos_triton", "fos_pytorch_cuda", "mxfp4"), ("gfloat_mxfp4", "canonical", "mxfp4:floor"), ("canonical", "canonical+error_order=lanes_8", "nvfp4:mae"), ("mlx", "fos_cuda", "nvfp4")):
        code, out, err = lowbit("distinguish", a, b, "--format", form, "-o", "d.safetensors")
        found = code == 0 and f"{a} and {b} differ in block" in out
        check(found or (form == "mxfp4" and "none found in" in out), f"{a} {b} {form}: {code} {out}{err}")
        if not found:
            continue
        held, metadata = tensors.read(folder / "d.safetensors")
        check(len(held["x"][2]) <= 2 * 32 * 2 and metadata["dialects"] == f"{a} {b}", f"{a} {b}: a small tensor: {held['x'][1]}")
        results = []
        for dialect in (a, b):
            code, _, err = lowbit("quantize", "d.safetensors", "-o", "d.q.safetensors", "--format", form, "--dialect", dialect, "--all", "--nonfinite", "propagate")
            check(code == 0, err)
            entries, _ = tensors.read(folder / "d.q.safetensors")
            results.append((entries["x.values"][2], entries["x.scales"][2]))
        check(results[0] != results[1], f"{a} {b} {form}: the tensor shows no difference")
    # canonical and itself under an axis that does not matter here.
    code, out, err = lowbit("distinguish", "canonical", "canonical+mx_range=wrapped")
    check(code == 0 and "none found in" in out and "all BF16" in out and "equal" not in out, f"{code} {out}{err}")
    code, out, err = lowbit("distinguish", "canonical", "canonicl")
    check(code == 2 and "canonical" in err, f"{code} {err}")


def vectors(lowbit, folder, check):
    """The release in tests/data is what the command writes, and holds what docs/vectors.md says. tests/oracle/check_vectors.py
    computes its arrays without lowbit."""
    release = pathlib.Path(__file__).resolve().parent.parent / "data" / "vectors"
    code, out, err = lowbit("vectors", "--dialect", "all", "-o", "vectors")
    check(code == 0 and " cases of " in out, f"{code} {out}{err}")
    names = ("vectors.json", "inputs.safetensors", "expected.safetensors")
    version = lambda text: re.sub(rb'"lowbit": "[^"]*"', b"", text)
    for name in names:
        check(version((folder / "vectors" / name).read_bytes()) == version((release / name).read_bytes()), f"vectors/{name} is no longer what tests/data/vectors holds")
    size = sum((release / name).stat().st_size for name in names)
    check(size < 2_000_000, f"the release has {size} bytes")
    index = json.loads((release / "vectors.json").read_text())
    digest = lambda data: hashlib.sha256(data).hexdigest()
    for key in ("inputs", "expected"):
        check(digest((release / index[key]["file"]).read_bytes()) == index[key]["sha256"], f"digest of {key}")
    inputs, _ = tensors.read(release / "inputs.safetensors")
    check([t["sha256"] for t in index["tensors"]] == [digest(inputs[t["name"]][2]) for t in index["tensors"]], "digests of the inputs")
    expected, _ = tensors.read(release / "expected.safetensors")

    def part(case, name):
        _, (count, *_), data = expected[f"{case['format']}.{case['input']}.{name}"]
        return data[len(data) // count * case[name] : len(data) // count * (case[name] + 1)]

    _, out, _ = lowbit("dialects", "--json")
    records = json.loads(out)
    check({d["name"] for d in index["dialects"]} == {d["name"] for d in records}, "every dialect has vectors")
    every_case = [dict(zip(index["case_keys"], c)) for c in index["cases"]]
    cases = {d["name"]: [every_case[n] for n in d["cases"]] for d in index["dialects"]}
    check({c["format"] for c in cases["canonical"]} == set(records[0]["formats"]) and len(records[0]["formats"]) > 20, "every format")
    every = {c["rule"] for c in cases["canonical"]}
    check(every == {"static_6", "static_4", "mse", "mae", "abs_max", "floor", "rceil", "ceil", "even"}, f"every rule: {every}")
    check({c["block_2d"] for c in cases["canonical"]} == {False, True}, "1D and 2D")
    for d in records:
        check({c["format"] for c in cases[d["name"]]} == set(d["formats"]), f"{d['name']}: {d['formats']}")
    # Each input, format and rule once a dialect, and each array used by a case.
    for name, held in cases.items():
        keys = [(c["format"], c["rule"], c["input"], c["block_2d"]) for c in held]
        check(len(keys) == len(set(keys)), f"{name}: a case twice")
    used = {(f"{c['format']}.{c['input']}.{p}", c[p]) for c in every_case for p in ("values", "scales", "decisions")}
    stored = {(name, n) for name, (_, shape, _) in expected.items() for n in range(shape[0])}
    check(used == stored, f"{len(used ^ stored)} arrays without a case, or cases without an array")
    arrays = [expected[name][2][len(expected[name][2]) // expected[name][1][0] * n :][: len(expected[name][2]) // expected[name][1][0]] for name, n in sorted(stored)]
    check(len(set(zip((name for name, _ in sorted(stored)), arrays))) == len(arrays), "an array is stored twice")
    nvfp4 = [c for c in cases["canonical"] if c["format"] == "nvfp4"]
    chosen = {b for c in nvfp4 if c["rule"] == "mse" for b in part(c, "decisions")}
    check(chosen >= {1, 2}, f"decisions of mse: {chosen}")
    check({b for c in cases["canonical"] if c["format"] == "if4" for b in part(c, "decisions")} >= {3, 4}, "decisions of IF4")
    scales = {b for c in nvfp4 if c["input"] == "underflow" for b in part(c, "scales")}
    check(0 in scales and scales & set(range(1, 8)) and (0x7E in scales or 0x78 in scales), f"scales of underflow: {sorted(scales)}")
    # Records differ on the vectors: of those with NVFP4, most pairs.
    told = [tuple(c["values"] * 100000 + c["scales"] for c in held if c["format"] == "nvfp4" and c["rule"] == "static_6") for held in cases.values()]
    told = [t for t in told if t]
    check(len(told) > 40 and len(set(told)) > 30, f"{len(set(told))} of {len(told)} dialects differ")
    # One format and rule of one dialect.
    code, out, err = lowbit("vectors", "--dialect", "torchao", "--format", "mxfp4:rceil", "-o", "one")
    index = json.loads((folder / "one" / "vectors.json").read_text())
    check(code == 0 and {tuple(c[:2]) for c in index["cases"]} == {("mxfp4", "rceil")} and len(index["dialects"]) == 1, f"{code} {out}{err}")
    for words, expected in ((["--dialect", "nobody", "-o", "x"], 2), (["--dialect", "canonical", "--format", "nvfp5", "-o", "x"], 2),
                            (["--dialect", "canonical", "-o", "small.safetensors"], 3)):
        code, out, err = lowbit("vectors", *words)
        check(code == expected and err.count("\n") == 1, f"{words}: {code} {err}")
