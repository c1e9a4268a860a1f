# SPDX-License-Identifier: MIT
"""Names as users write them, and what the command says about itself: all of it follows from the parser and the registries."""
import shutil
import subprocess


def options(help_text):
    import re
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", help_text))


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
    ]:
        code, _, error = command(*words.split())
        check(code == 2 and answer in error and error.count("\n") == 1, f"`{words}` names the nearest: {error}")
    code, _, error = command("inspect", "smal.safetensors")
    check(code == 3 and "small.safetensors" in error and error.count("\n") == 1, f"a missing file names the nearest one: {error}")

    script = command("completion", "bash")[1]
    for words, text in help_of.items():
        missing = [option for option in options(text) if option not in script and words]
        check(not missing, f"completion knows the options of `{words}`: {missing}")
    (folder / "completion.bash").write_text(script)
    if shutil.which("bash"):
        done = subprocess.run(["bash", "-c", "source completion.bash; COMP_WORDS=(lowbit quantize in --dialect fos_p); COMP_CWORD=4; _lowbit; "
                               "echo ${COMPREPLY[@]}; COMP_WORDS=(lowbit mac r); COMP_CWORD=2; _lowbit; echo ${COMPREPLY[@]}"],
                              cwd=folder, capture_output=True, text=True)
        check(done.stdout.split("\n")[0] == "fos_pytorch fos_pytorch_cuda" and "run" in done.stdout.split("\n")[1].split(),
              f"bash completes: {done.stdout} {done.stderr}")
    check("bashcompinit" in command("completion", "zsh")[1], "zsh runs the same function")

    page = command("help", "--man", "quantize")[1]
    check(page.startswith(".TH lowbit-quantize 1") and all(option.replace("-", "\\-") in page for option in options(help_of["quantize"])),
          "the man page has every option")
    if shutil.which("man"):
        (folder / "lowbit.1").write_text(page)
        done = subprocess.run(["man", "--warnings", "-l", "lowbit.1"], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        check(done.returncode == 0 and not done.stderr and "--scale-max" in done.stdout, f"man formats it: {done.stderr}")
