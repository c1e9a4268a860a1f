#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lowbit gemm and lowbit verify gemm, run: D against exact fractions computed here, verdicts, exit codes.

usage: gemm.py --lowbit PATH
"""
import argparse
import json
import math
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
from fractions import Fraction

failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def read(path):
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    return {name: (e["dtype"], e["shape"], data[8 + length + e["data_offsets"][0]:8 + length + e["data_offsets"][1]])
            for name, e in header.items()}, metadata


def write(path, tensors, metadata=None):
    header, body = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def words(path, name="D"):
    tensors, _ = read(path)
    dtype, _, data = tensors[name]
    return list(struct.unpack(f"<{len(data) // 4}I", data) if dtype == "F32" else struct.unpack(f"<{len(data) // 2}H", data))


def float_code(code, e, m, bias):
    sign = -1 if code >> (e + m) else 1
    field, mantissa = code >> m & (1 << e) - 1, code & (1 << m) - 1
    value = Fraction(mantissa, 1 << m) if field == 0 else 1 + Fraction(mantissa, 1 << m)
    return sign * value * Fraction(2) ** (max(field, 1) - bias)


def dequantized(path, name):
    """Rows of exact values of an nvfp4 or if4 tensor, tensor scale included."""
    tensors, metadata = read(path)
    adaptive = metadata[f"{name}.format"] == "if4"
    columns = int(metadata[f"{name}.columns"])
    _, (rows, width), values = tensors[f"{name}.values"]
    scales = tensors[f"{name}.scales"][2]
    blocks = len(scales) // rows
    (amax,) = struct.unpack("<f", tensors[f"{name}.amax"][2])
    tensor_scale = Fraction(amax) / Fraction(metadata[f"{name}.encode_constant"])
    result = []
    for r in range(rows):
        row = []
        for k in range(columns):
            byte = scales[r * blocks + k // 16]
            scale = float_code(byte & 0x7F, 4, 3, 7) * tensor_scale
            code = values[r * width + k // 2] >> (4 if k % 2 else 0) & 15
            if adaptive and byte >= 0x80:
                row.append((code - 16 if code >= 8 else code) * Fraction(6, 7) * scale)
            else:
                row.append(float_code(code, 2, 1, 1) * scale)
        result.append(row)
    return result


def packed(codes, order, block):
    """4-bit codes of one row, two per byte, computed here."""
    if order == "halves":
        return bytes(codes[b + j] | codes[b + block // 2 + j] << 4 for b in range(0, len(codes), block) for j in range(block // 2))
    return bytes(codes[i] << 4 | codes[i + 1] if order == "high_first" else codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2))


def scale_place(order, row, block, rows, blocks):
    """Where the scale byte of (row, block) lies, and how many bytes there are."""
    wide, tall = (blocks + 3) // 4 * 4, (rows + 127) // 128 * 128
    if order == "128x4":
        return (row // 128 * (wide // 4) + block // 4) * 512 + row % 32 * 16 + row % 128 // 32 * 4 + block % 4, tall * wide
    if order == "8x4":
        return (row // 8 * (wide // 4) + block // 4) * 32 + row % 8 * 4 + block % 4, (rows + 7) // 8 * 8 * wide
    if order == "transposed":
        return block * rows + row, rows * blocks
    if order == "padded":
        return row * wide + block, tall * wide
    if order == "padded_transposed":
        return block * tall + row, tall * wide
    return row * blocks + block, rows * blocks


def layouts(run, folder):
    """Operands in every order of codes and scale bytes, with every kind of tensor scale, in names and dtypes of other programs:
    the product is that of the fractions."""
    rows, columns = 5, 256
    for form, block in (("nvfp4", 16), ("mxfp4", 32), ("mxfp8_e4m3", 32)):
        data = struct.pack(f"<{rows * columns}f", *[math.sin(i * 0.37) * 2.0 ** (3 * math.sin(i // 16 * 1.9)) for i in range(rows * columns)])
        write(folder / "l.safetensors", {"w": ("F32", [rows, columns], data)})
        run(f"quantize l.safetensors -o l.q.safetensors --format {form}")
        held, metadata = read(folder / "l.q.safetensors")
        (amax,) = struct.unpack("<f", held["w.amax"][2])
        wide = form == "mxfp8_e4m3"
        codes = [list(held["w.values"][2][r * columns:][:columns]) if wide else
                 [b >> s & 15 for b in held["w.values"][2][r * columns // 2:][:columns // 2] for s in (0, 4)] for r in range(rows)]
        blocks = columns // block
        scales = held["w.scales"][2]
        values = [[(float_code(codes[r][c], 4, 3, 7) if wide else float_code(codes[r][c], 2, 1, 1)) *
                   (float_code(scales[r * blocks + c // block], 4, 3, 7) if form == "nvfp4" else Fraction(2) ** (scales[r * blocks + c // block] - 127))
                   for c in range(columns)] for r in range(rows)]
        number = struct.unpack("<f", struct.pack("<f", amax / 2688))[0]
        kinds = [("amax", amax, Fraction(amax) / 2688), ("multiplier", number, Fraction(number)), ("divisor", 1.5, Fraction(2, 3))]
        # Each order with one kind of tensor scale, the kinds in turn.
        orders = ["low_first"] if wide else ["low_first", "high_first", "halves"]
        places = ["linear", "128x4", "8x4", "transposed", "padded", "padded_transposed", "fused"]
        for i, (order, place) in enumerate((o, p) for o in orders for p in places):
            rows_of_codes = [bytes(codes[r]) if wide else packed(codes[r], order, block) for r in range(rows)]
            fused = 4 if form == "nvfp4" else 1
            kind, stored, factor = kinds[i % 3] if form == "nvfp4" else ("amax", None, Fraction(1))
            words_, parts = f"{order},{kind}", ""
            if place == "fused":
                unit = len(rows_of_codes[0]) // blocks * fused
                body = b"".join(scales[r * blocks + g * fused:][:fused] + rows_of_codes[r][g * unit:][:unit] for r in range(rows) for g in range(blocks // fused))
                entries = {"codes": ("U8", [rows, len(body) // rows], body)}
                words_ += f",fused={fused}"
            else:
                arranged = bytearray(scale_place(place, 0, 0, rows, blocks)[1])
                for r in range(rows):
                    for b in range(blocks):
                        arranged[scale_place(place, r, b, rows, blocks)[0]] = scales[r * blocks + b]
                body = b"".join(rows_of_codes)
                # Codes as bytes, or as words of 32 bits.
                shape = ("U32", [rows, len(body) // rows // 4]) if i % 2 else ("U8", [rows, len(body) // rows])
                entries = {"codes": (*shape, body), "sf": ("F8_E4M3" if form == "nvfp4" else "U8", [len(arranged)], bytes(arranged))}
                words_ += f",{place}"
                parts = "--b-scales sf "
            if stored is not None:
                entries["gs"] = ("F32", [1], struct.pack("<f", stored))
                parts += "--b-tensor-scale gs "
            write(folder / "dump.safetensors", entries)
            text = run(f"gemm --a l.safetensors --b dump.safetensors --b-values codes --b-format {form} {parts}--b-layout {words_} --model exact --out l.d.safetensors")
            a = [[Fraction(x) for x in struct.unpack(f"<{columns}f", data[r * columns * 4:][:columns * 4])] for r in range(rows)]
            expected = [f32_word(sum(x * y for x, y in zip(ra, rb)) * factor) for ra in a for rb in values]
            check(words(folder / "l.d.safetensors") == expected, f"{form} in {words_}: {text}")
    # An amax is divided by the C of the rule that is named.
    held, _ = read(folder / "l.q.safetensors")
    run("quantize l.safetensors -o l.q.safetensors --format nvfp4:mse")
    held, _ = read(folder / "l.q.safetensors")
    for form, same in (("nvfp4:mse", True), ("nvfp4:static_6", False)):
        run("gemm --a l.safetensors --b l.q.safetensors --model exact --out l.d.safetensors")
        expected = words(folder / "l.d.safetensors")
        run(f"gemm --a l.safetensors --b l.q.safetensors --b-values w.values --b-scales w.scales --b-tensor-scale w.amax --b-format {form} --b-layout amax --model exact --out l.e.safetensors")
        check((words(folder / "l.e.safetensors") == expected) == same, f"C of {form}")
    dump = "gemm --a l.safetensors --b dump.safetensors --model exact --out x.safetensors"
    write(folder / "dump.safetensors", {"codes": ("U8", [5, 128], bytes(640)), "sf": ("U8", [5, 16], bytes(80)), "gs": ("F32", [1], struct.pack("<f", math.nan)),
                                        "two": ("F32", [2], bytes(8)), "zero": ("F32", [], bytes(4)), "floats": ("F32", [5, 128], bytes(2560))})
    for words_, code, part in (
            ("", 2, "6 tensors in it; name operand B with --b-tensor"),
            ("--b-values codes", 2, "--b-format must be given too"),
            ("--b-scales sf --b-tensor-scale gs", 2, "--b-values and --b-format and --b-layout with amax, multiplier or divisor must be given too"),
            ("--b-values codes --b-format nvfp4", 2, "name its scale bytes too"),
            ("--b-values codez --b-scales sf --b-format nvfp4", 2, 'no tensor "codez"'),
            ("--b-values codes --b-scales sf --b-format nvfp5", 2, "nvfp4"),
            ("--b-values codes --b-scales sf --b-format nvfp4 --b-layout sideways", 2, "sideways"),
            ("--b-values codes --b-scales sf --b-format mxfp4", 3, "takes 640 value bytes and 40 scale bytes, not 640 and 80"),
            ("--b-values floats --b-scales sf --b-format nvfp4", 3, "dtype F32 holds no codes"),
            ("--b-values codes --b-format nvfp4 --b-layout fused=4", 3, "rows of 128 bytes, no multiple of the 36 of 4 fused blocks"),
            ("--b-values codes --b-scales sf --b-tensor-scale gs --b-format nvfp4 --b-layout amax", 3, "a tensor scale of nan"),
            ("--b-values codes --b-scales sf --b-tensor-scale two --b-format nvfp4 --b-layout amax", 3, "2 elements of F32"),
            ("--b-values codes --b-scales sf --b-tensor-scale zero --b-format nvfp4 --b-layout divisor", 3, "must be finite and positive"),
            ("--b-tensor floats --b-layout divisor", 2, "--b-layout is for tensors in blocks")):
        text = run(f"{dump} {words_}", code)
        check(part in text and text.count("\n") == 1, f"{words_}: {text}")
    text = run("gemm --a l.safetensors --b l.q.safetensors --b-layout divisor --model exact --out x.safetensors", 2)
    check("the metadata of tensor" in text, text)
    write(folder / "experts.safetensors", {"e.weight": ("U8", [2, 8, 128], bytes(2048)), "e.weight_scale": ("F8_E4M3", [2, 8, 16], bytes(256)),
                                           "e.weight_scale_2": ("F32", [2], struct.pack("<2f", 0.5, 4.0))})
    text = run("gemm --a l.safetensors --b experts.safetensors --b-tensor e.weight --model exact --out x.safetensors", 2)
    check("2 matrices with a tensor scale each" in text and text.count("\n") == 1, text)


def f32_word(x):
    """The nearest binary32, ties to even."""
    if x == 0:
        return 0
    sign, x = (0x80000000, -x) if x < 0 else (0, x)
    e = x.numerator.bit_length() - x.denominator.bit_length()
    e += (Fraction(2) ** (e + 1) <= x) - (Fraction(2) ** e > x)
    last = max(e, -126) - 23
    scaled = x / Fraction(2) ** last
    whole = scaled.numerator // scaled.denominator
    rest = scaled - whole
    whole += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole & 1)
    return sign | (whole + ((last + 149) << 23) if whole >= 1 << 23 else whole)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowbit", required=True)
    lowbit = str(pathlib.Path(parser.parse_args().lowbit).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def run(text, code=0):
            done = subprocess.run([lowbit, *text.split()], capture_output=True, text=True, cwd=folder, timeout=300)
            check(done.returncode == code, f"`{text}` exits {done.returncode}, not {code}: {done.stdout}{done.stderr}")
            return done.stdout + done.stderr

        def interrupted(command, parts, word=""):
            """Ctrl-C: the command dies of the signal, and says the parts. With a word, the signal comes after the progress line that
            holds the word. Without one it comes after a share of the time that the whole command takes, since a fast machine may print
            no progress line before the end. A busy machine may miss the moment, so there are several tries."""
            began = time.monotonic()
            if not word:
                subprocess.run([lowbit, *command.split()], capture_output=True, cwd=folder, timeout=300)
            whole = time.monotonic() - began
            for share in 3 * (0.6, 0.5, 0.7, 0.8):
                process = subprocess.Popen([lowbit, *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
                if word:
                    line = process.stderr.readline()
                    while line and word not in line:
                        line = process.stderr.readline()
                else:
                    time.sleep(share * whole)
                process.send_signal(signal.SIGINT)
                out, _ = process.communicate(timeout=120)
                if process.returncode == -signal.SIGINT and all(part in out for part in parts):
                    return
            check(False, f"Ctrl-C: {process.returncode} {out}")

        def spread(rows, columns, seed):
            # Blocks of very different size, so that the order of addition matters.
            return [math.sin(seed + i * 0.37) * 2.0 ** (7 * math.sin(seed * 3 + i // 16 * 1.9)) for i in range(rows * columns)]

        for name, rows, columns, seed in (("a", 7, 200, 1), ("b", 5, 200, 2), ("wide", 5, 208, 3)):
            data = struct.pack(f"<{rows * columns}f", *spread(rows, columns, seed))
            write(folder / f"{name}.safetensors", {"w": ("F32", [rows, columns], data)})
            for form in ("nvfp4", "if4", "mxfp4"):
                run(f"quantize {name}.safetensors -o {name}.{form}.safetensors --format {form}")

        # The exact model against fractions.
        for fa, fb in (("nvfp4", "nvfp4"), ("if4", "if4"), ("if4", "nvfp4")):
            run(f"gemm --a a.{fa}.safetensors --b b.{fb}.safetensors --model exact --out d.safetensors")
            a, b = dequantized(folder / f"a.{fa}.safetensors", "w"), dequantized(folder / f"b.{fb}.safetensors", "w")
            expected = [f32_word(sum(x * y for x, y in zip(ra, rb))) for ra in a for rb in b]
            check(words(folder / "d.safetensors") == expected, f"exact {fa} x {fb} equals the fractions")
            text = run(f"verify gemm --a a.{fa}.safetensors --b b.{fb}.safetensors --model exact --output d.safetensors")
            check("compared      35 words of F32\nmismatches    0\n" in text, "verify counts words and mismatches")

        nv = "--a a.nvfp4.safetensors --b b.nvfp4.safetensors"
        instruction = "mma_block_scale.RTX_Blackwell.m16n8k64.block16.f32.e2m1.e2m1.f32.ue4m3"
        text = run(f"gemm {nv} --model {instruction} --out m.safetensors")
        check("K = 200 in 4 instructions of 64, the last one zero-padded" in text, "padding is said")
        _, metadata = read(folder / "m.safetensors")
        check(metadata["model"] == instruction, "D names its model")
        run(f"verify gemm {nv} --model {instruction} --output m.safetensors")

        # One wrong word: found, counted, located, exit 1.
        tensors, _ = read(folder / "m.safetensors")
        dtype, shape, data = tensors["D"]
        wrong = bytearray(data)
        wrong[4 * 13] ^= 3
        write(folder / "wrong.safetensors", {"D": (dtype, shape, bytes(wrong))})
        text = run(f"verify gemm {nv} --model {instruction} --output wrong.safetensors", 1)
        for part in ("mismatches    1 (2.86 %)", "first         (2, 3): model 0x", "chunk ", "k  "):
            check(part in text, f"verify says '{part}': {text}")

        # A schedule is found from its output, and its JSON replays it.
        run(f"gemm {nv} --model {instruction} --split-k 2 --out split.safetensors")
        text = run(f"verify gemm {nv} --model {instruction} --output split.safetensors --search", 1)
        check("match       K forward, split-K 2" in text, f"split-K 2 is named: {text}")
        (folder / "s.json").write_text(text[text.index("{"):text.rindex("}") + 1])
        run(f"verify gemm {nv} --model {instruction} --schedule s.json --output split.safetensors")
        run(f"verify gemm {nv} --model {instruction} --split-k 2 --output split.safetensors")
        text = run(f"verify gemm {nv} --model {instruction} --output wrong.safetensors --search", 1)
        check("none matches; closest:" in text, "no schedule explains a flipped bit")

        # A kernel that read the nibbles the wrong way round.
        tensors, metadata = read(folder / "a.nvfp4.safetensors")
        dtype, shape, data = tensors["w.values"]
        tensors["w.values"] = (dtype, shape, bytes((v << 4 | v >> 4) & 255 for v in data))
        write(folder / "nibbles.safetensors", tensors, metadata)
        run("gemm --a nibbles.safetensors --b b.nvfp4.safetensors --model exact --out n.safetensors")
        text = run(f"verify gemm {nv} --model exact --output n.safetensors", 1)
        check("explained by  nibble order swapped in the codes of A: every word agrees then" in text, text)

        # The exact model takes plain operands too, beside each other and beside block-quantized ones; values
        # far apart need more than 128 bits.
        def plain(name, dtype, code, rows, columns, values):
            write(folder / name, {"w": (dtype, [rows, columns], struct.pack(f"<{rows * columns}{code}", *values))})

        far = [math.ldexp(math.sin(i + 1), (i * 37) % 195 - 140) for i in range(2 * 200)]
        far = [struct.unpack("<f", struct.pack("<f", x))[0] for x in far]
        near = [math.sin(i * 0.7) for i in range(3 * 200)]
        near16 = [struct.unpack("<e", struct.pack("<e", x))[0] for x in near]
        nearbf = [struct.unpack("<f", struct.pack("<f", x)[2:].rjust(4, b"\0"))[0] for x in near]
        plain("far.safetensors", "F32", "f", 2, 200, far)
        plain("near.safetensors", "F16", "e", 3, 200, near16)
        write(folder / "bf.safetensors", {"w": ("BF16", [3, 200], b"".join(struct.pack("<f", x)[2:] for x in nearbf))})
        plain("bytes.safetensors", "U8", "B", 3, 200, [1] * 600)
        matrix = {"far": (far, 2), "near": (near16, 3), "bf": (nearbf, 3)}
        fractions = {name: [[Fraction(x) for x in values[r * 200:(r + 1) * 200]] for r in range(rows)] for name, (values, rows) in matrix.items()}
        fractions["b.nvfp4"] = dequantized(folder / "b.nvfp4.safetensors", "w")
        fractions["a.if4"] = dequantized(folder / "a.if4.safetensors", "w")
        for a, b in (("far", "far"), ("far", "near"), ("near", "bf"), ("bf", "bf"), ("bf", "b.nvfp4"), ("a.if4", "far"), ("near", "b.nvfp4")):
            run(f"gemm --a {a}.safetensors --b {b}.safetensors --model exact --out p.safetensors")
            expected = [f32_word(sum(x * y for x, y in zip(ra, rb))) for ra in fractions[a] for rb in fractions[b]]
            check(words(folder / "p.safetensors") == expected, f"exact {a} x {b} equals the fractions")
            run(f"verify gemm --a {a}.safetensors --b {b}.safetensors --model exact --output p.safetensors")
        # A BF16 instruction made D: named as such under the exact model.
        run("gemm --a bf.safetensors --b bf.safetensors --model mma.Ampere.m16n8k16.f32.bf16.bf16.f32 --out p.safetensors")
        text = run("verify gemm --a bf.safetensors --b bf.safetensors --model exact --output p.safetensors", 1)
        check("explained by  instruction mma.A" in text or "explained by  instruction mma.T" in text, text)

        # Operands on which the schedules that fit differ: a kernel run on them is recognized.
        text = run(f"verify gemm {nv} --model {instruction} --output m.safetensors --search --operands-out ops.safetensors")
        check("schedules give" in text and "different outputs on them" in text, text)
        ops = "--a ops.safetensors --a-tensor A --b ops.safetensors --b-tensor B"
        run(f"gemm {ops} --model {instruction} --promote 1 --out o.safetensors")
        text = run(f"verify gemm {ops} --model {instruction} --output o.safetensors --search", 1)
        check("match       K forward, promoted every 1" in text, text)
        check("match       K forward, scale product" not in text, f"the model's own schedule does not fit: {text}")

        # Dense operands, FP16 expansion, output types, C.
        halves = {"x": ("F16", [3, 40], struct.pack("<120e", *[math.sin(i) for i in range(120)]))}
        write(folder / "half.safetensors", halves)
        half = "mma.Hopper.m16n8k16.f32.f16.f16.f32"
        for kind in ("f32", "f16", "bf16"):
            run(f"gemm --a half.safetensors --b half.safetensors --model {half} --output-type {kind} --out h.safetensors")
            run(f"verify gemm --a half.safetensors --b half.safetensors --model {half} --output h.safetensors")
            check(read(folder / "h.safetensors")[0]["D"][0] == kind.upper(), f"D is {kind}")
        run(f"gemm --a half.safetensors --b half.safetensors --model {half} --c wrongc.safetensors --out h.safetensors", 3)
        write(folder / "c.safetensors", {"c": ("F32", [3, 3], struct.pack("<9f", *range(9)))})
        run(f"gemm --a half.safetensors --b half.safetensors --model {half} --c c.safetensors --alpha 0.5 --beta 2 --out h.safetensors")
        run(f"gemm --a a.if4.safetensors --b b.if4.safetensors --model {half} --out i.safetensors")

        # NaN scale bytes by choice.
        tensors, metadata = read(folder / "b.nvfp4.safetensors")
        dtype, shape, data = tensors["w.scales"]
        tensors["w.scales"] = (dtype, shape, b"\x7f" + data[1:])
        write(folder / "nan.safetensors", tensors, metadata)
        for model in ("exact", instruction):
            text = run(f"gemm --a a.nvfp4.safetensors --b nan.safetensors --model {model} --out x.safetensors", 3)
            check("B: NaN scale byte 0x7f at row 0, block 0" in text, text)
            run(f"gemm --a a.nvfp4.safetensors --b nan.safetensors --model {model} --nan-scale nan --out x.safetensors")
            check(words(folder / "x.safetensors")[0] & 0x7FFFFFFF > 0x7F800000, "nan gives NaN")
            run(f"gemm --a a.nvfp4.safetensors --b nan.safetensors --model {model} --nan-scale 448 --out x.safetensors")
            check(words(folder / "x.safetensors")[0] & 0x7FFFFFFF < 0x7F800000, "448 gives a number")

        # Ctrl-C: what was found so far, after a progress line; the command dies of the signal.
        big = struct.pack("<262144f", *[math.sin(i * 0.61) for i in range(64 * 4096)])
        write(folder / "big.safetensors", {"w": ("F32", [64, 4096], big)})
        run("quantize big.safetensors -o big.q.safetensors --format nvfp4")
        run(f"gemm --a big.q.safetensors --b big.q.safetensors --model {instruction} --out big.d.safetensors")
        command = f"verify gemm --a big.q.safetensors --b big.q.safetensors --model {instruction} --output big.d.safetensors --search"
        interrupted(command, ("mismatches    0", "interrupted", "also fits"), " s  schedules ")

        # The same in the diagnosis of a mismatch: first word, running sums, and how many mistakes were tried.
        write(folder / "tall.safetensors", {"w": ("F32", [512, 4096], big * 8)})
        run("quantize tall.safetensors -o tall.q.safetensors --format nvfp4")
        operands = "--a tall.q.safetensors --b tall.q.safetensors"
        run(f"gemm {operands} --model exact --out tall.d.safetensors")
        dtype, shape, data = read(folder / "tall.d.safetensors")[0]["D"]
        wrong = bytearray(data)
        for at in range(0, len(wrong), 4 * 97):
            wrong[at] ^= 1
        write(folder / "tall.w.safetensors", {"D": (dtype, shape, bytes(wrong))})
        interrupted(f"verify gemm {operands} --model {instruction} --output tall.w.safetensors",
                    ("first         (0, 0)", "running sums", "interrupted   after "))

        layouts(run, folder)

        # Refusals.
        for text, code, part in (
                ("gemm --a a.nvfp4.safetensors --b wide.nvfp4.safetensors --model exact --out x.safetensors", 3, "same number of columns"),
                ("gemm --a bytes.safetensors --b b.nvfp4.safetensors --model exact --out x.safetensors", 3, "dtype U8 where the exact model takes F32"),
                (f"verify gemm {nv} --model {instruction} --output m.safetensors --search --operands-out m.safetensors", 2, "m.safetensors"),
                (f"gemm --a a.if4.safetensors --b b.if4.safetensors --model {instruction} --out x.safetensors", 2, "expand to FP16"),
                (f"gemm --a a.mxfp4.safetensors --b b.mxfp4.safetensors --model {instruction} --out x.safetensors", 2, "scales are e8m0, not e4m3"),
                (f"gemm {nv} --model mma.Pascal --out x.safetensors", 2, "mma.Pascal"),
                (f"gemm {nv} --model exact --split-k 2 --out x.safetensors", 2, "no order"),
                (f"gemm {nv} --model {instruction} --schedule none.json --out x.safetensors", 3, "none.json"),
                (f"gemm {nv} --model exact --nan-scale maybe --out x.safetensors", 2, "nan-scale"),
                (f"gemm {nv} --model exact --out missing/x.safetensors", 3, "missing"),
                (f"verify gemm {nv} --model exact --output a.safetensors", 3, "shape [7, 200] where D is [7, 5]"),
                (f"verify gemm {nv} --model exact --output d.safetensors --search", 2, "no order"),
                (f"verify gemm {nv} --model exact --output none.safetensors", 3, "none.safetensors"),
                ("verify", 2, "")):
            check(part in run(text, code), f"`{text}` says '{part}'")
        check(not (folder / "missing").exists(), "no partial output")
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
