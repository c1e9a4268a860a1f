# SPDX-License-Identifier: MIT
"""Names as users write them, and what the command says about itself: all of it follows from the parser and the registries."""
import os
import pty
import select
import shutil
import subprocess
import time


def options(help_text):
    import re
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", help_text))


def zsh_answers(command, folder, lines):
    """What a terminal with zsh shows after each of these lines, which end in a tab."""
    os.symlink(command.path, folder / "lowbit")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe("zsh", ["zsh", "-f"], {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> "})

    def shown(until, seconds=20):
        text, end = "", time.monotonic() + seconds
        while until not in text and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                text += os.read(terminal, 4096).decode(errors="replace")
        return text

    os.write(terminal, b"unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source <(lowbit completion zsh); echo rea''dy\n")
    shown("ready\r\n")
    answers = []
    for line, until in lines:
        os.write(terminal, f"{line}\t".encode())
        answers.append(shown(until))
        os.write(terminal, b"\x15")  # the line away
        shown("\0", 0.3)
    os.write(terminal, b"\x04")
    os.close(terminal)
    os.waitpid(child, 0)
    (folder / "lowbit").unlink()
    return answers


def run(command, check, folder):
    help_of = {}
    for words in ["", "eval", "quantize", "verify quantize", "mac run", "gemm", "help", "completion"]:
        code, text, _ = command("help", *words.split())
        check(code == 0 and text == command(*words.split(), "--help")[1], f"`help {words}` prints what `{words} --help` prints")
        help_of[words] = text
    check(command("version")[1] == command("--version")[1], "`version` prints the version")

    # Case is ignored, 4over6 and 4/6 are mse, and the rule may stand in either place.
    outputs = []
    for words in ["nvfp4:mse", "NVFP4:MSE", "nvfp4:4over6", "nvfp4:4/6", "Nvfp4 --rule mse", "nvfp4:mse --rule 4/6 --dialect Canonical"]:
        code, _, error = command("quantize", "small.safetensors", "-o", "named.safetensors", "--tensor", "a.weight", "--format", *words.split())
        check(code == 0, f"--format {words}: {error}")
        outputs.append((folder / "named.safetensors").read_bytes())
    check(len(set(outputs)) == 1, "every spelling of nvfp4:mse gives the same file")

    for words, answer in [
        ("quantize small.safetensors -o x --format nvfp5", "nearest: nvfp4, nvfp3,"),
        ("quantize small.safetensors -o x --format nvfp4 --dialect fos_torch", "nearest: fos_pytorch,"),
        ("quantize small.safetensors -o x --format nvfp4:msd", "nearest: mse,"),
        ("quantize small.safetensors -o x --format nvfp4:mse --rule mae", "contradict"),
        ("quantize small.safetensors -o x --format nvfp4:search:3 --rule search:5", "contradict"),
        ("quantize small.safetensors -o x --format Q4_K", "q4_k is no block format"),
        ("eval small.safetensors --formt nvfp4", "nearest: --format"),
        ("mac run --lane 3", "nearest: --lanes"),
        ("quantise small.safetensors", "nearest: quantize,"),
        ("help evall", "nearest: eval,"),
        ("verify quantise x y", "nearest: quantize,"),
        ("mac run --unit lut --format int44", "no format int44; nearest: int4,"),
        ("mac run --format IF44", "nearest: if4,"),
        ("mac array --layer 1,2,3 --format if44", "nearest: if4,"),
        # What the parser says of itself is one line, too.
        ("", "A subcommand is required; `lowbit --help` says how"),
        ("eval", "lowbit eval: FILE is required; `lowbit eval --help` says how"),
        ("mac run --lanes x", "--lanes = x; `lowbit mac run --help` says how"),
        ("completion fish", "fish not in {bash,zsh}; `lowbit completion --help` says how"),
    ]:
        code, _, error = command(*words.split())
        check(code == 2 and answer in error and error.count("\n") == 1, f"`{words}` says what is there: {error}")
    code, _, error = command("inspect", "smal.safetensors")
    check(code == 3 and "small.safetensors" in error and error.count("\n") == 1, f"a missing file names the nearest one: {error}")

    script = command("completion", "bash")[1]
    for words, text in help_of.items():
        missing = [option for option in options(text) if option not in script and words]
        check(not missing, f"completion knows the options of `{words}`: {missing}")
    (folder / "completion.bash").write_text(script)
    for words, answer in [
        ("quantize in --dialect fos_p", "fos_pytorch fos_pytorch_cuda"),
        ("mac r", "run report"),
        ("help mac r", "run report"),
        ("help quan", "quantize"),
        ("completion z", "zsh"),
        ("quantize in --rule m", "mse mae"),
        ("gemm --a-format nvfp4_bs8:m", "nvfp4_bs8:mse nvfp4_bs8:mae"),
        ("quantize small.saf", "small.safetensors"),
        ("quantize in --format small.saf", ""),
        ("help small.saf", ""),
    ]:
        if shutil.which("bash"):
            done = subprocess.run(["bash", "-c", f"source completion.bash; COMP_WORDS=(lowbit {words}); COMP_CWORD={len(words.split())}; "
                                   "_lowbit; echo ${COMPREPLY[@]}"], cwd=folder, capture_output=True, text=True)
            check(done.stdout == answer + "\n" and not done.stderr, f"bash completes `{words}`: {done.stdout} {done.stderr}")
    if shutil.which("zsh"):
        # A script of bash that zsh runs: words of two levels, a rule after a colon, and no complaint between them.
        first, second = zsh_answers(command, folder, [("lowbit verify qu", "verify quantize"), ("lowbit eval --format nvfp4:ms", "nvfp4:mse")])
        check("verify quantize" in first, f"zsh completes: {first!r}")
        check("nvfp4:mse" in second, f"zsh completes: {second!r}")

    page = command("help", "--man", "quantize")[1]
    check(page.startswith(".TH lowbit-quantize 1") and all(option.replace("-", "\\-") in page for option in options(help_of["quantize"])),
          "the man page has every option")
    if shutil.which("man"):
        (folder / "lowbit.1").write_text(page)
        done = subprocess.run(["man", "--warnings", "-l", "lowbit.1"], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        check(done.returncode == 0 and not done.stderr and "--scale-max" in done.stdout, f"man formats it: {done.stderr}")
