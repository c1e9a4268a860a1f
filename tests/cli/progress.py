# SPDX-License-Identifier: MIT
"""What the command says on standard error beside errors: the bar of a terminal, notes, and --quiet."""
import os
import pty
import re
import subprocess

import tensors


def on_terminal(command, arguments):
    """What the command writes to a terminal on standard error, and its standard output."""
    reader, writer = pty.openpty()
    with subprocess.Popen([command.path, *arguments], cwd=command.folder, stdout=subprocess.PIPE, stderr=writer) as child:
        os.close(writer)
        text = b""
        try:
            while piece := os.read(reader, 65536):
                text += piece
        except OSError:  # the other side is closed
            pass
        out = child.stdout.read()
        code = child.wait()
    os.close(reader)
    return code, text.decode(), out


def run(command, check, folder):
    # Enough work for some drawings of the bar: a search over scales.
    size = 1 << 18
    tensors.write(folder / "long.safetensors", {f"layer.{i}.weight": ("F32", [256, size // 256], tensors.pack([(j * 7919 % 1000) / 999 - 0.5 for j in range(size)]))
                                                for i in range(2)})
    words = ["eval", "long.safetensors", "--threads", "1"] + [word for k in range(2, 26) for word in ("--format", f"nvfp4:search:{k}")]
    code, text, out = on_terminal(command, words)
    drawn = [(float(part), left) for part, left in re.findall(r"\r\[#*\.*\] +(\d+) %  (\d+ (?:s|min) left)?\x1b\[K", text)]
    check(code == 0 and len(drawn) >= 2, f"a bar is drawn: {text!r}")
    check(all(a <= b for (a, _), (b, _) in zip(drawn, drawn[1:])), f"the bar does not go back: {drawn}")
    check(re.sub(r"\r\[[^\x1b]*\x1b\[K", "", text) == "\r\x1b[K", f"the bar is taken away at the end, and nothing else is said: {text!r}")
    # An estimate is steady: it rises by no more than rounding between two drawings, except while the first second's work is young.
    left = [int(l.split()[0]) for _, l in drawn if l.endswith("s left")]
    check(all(b <= a + max(1, a // 2) for a, b in zip(left, left[1:])), f"the time left jumps: {left}")
    for option in ["--quiet", "--progress=never"]:
        code, silent, same = on_terminal(command, [*words, option])
        check(code == 0 and silent == "" and same == out, f"{option}: {silent!r}")
    check(command(*words)[2] == "", "no bar where standard error is no terminal")

    # A note, which --quiet leaves out; errors stay.
    quantize = ["quantize", "small.safetensors", "-o", "noted.safetensors", "--format", "nvfp4", "--rht", "--tensor", "cube"]
    check(command(*quantize)[0] == 0, "quantize --rht")
    back = ["dequantize", "noted.safetensors", "-o", "back.safetensors"]
    check("stays Hadamard-transformed" in command(*back)[2], "dequantize notes that a transform stays")
    check(command(*back, "--quiet")[1:] == ("", ""), "--quiet leaves the note out")
    code, _, error = command("dequantize", "nothing.safetensors", "-o", "back.safetensors", "--quiet")
    check(code == 3 and error.count("\n") == 1, "--quiet keeps errors")
