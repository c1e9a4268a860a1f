#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the pages say about the repository is true: links lead somewhere, paths in backticks exist, the glossary is in
order, the table in README is what the command prints, and what the command lists is on a page.
usage: check_pages.py [LOWBIT]   (LOWBIT: the command; without it the last two are not checked)"""
import csv
import fnmatch
import io
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "cli docs formats gpu mac_rtl python scripts sim tests".split()
problems = []


def check(condition, text):
    if not condition:
        problems.append(text)


def anchors(page):
    """The fragments that a page's headings give, by the rules of the usual Markdown viewers."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def check_links(page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        check(file.exists(), f"{page.relative_to(ROOT)}: the link {target} leads nowhere")
        if fragment and file.suffix == ".md" and file.exists():
            check(fragment in anchors(file), f"{page.relative_to(ROOT)}: {target} names no heading")


def check_paths(page, text):
    """A path in backticks that starts with one of the repository's folders exists, and so does a header that is named as it is
    included. `*` and `{a,b}` are patterns; a path with an upper-case word in its name (PREFIX, FILE, NAME) is an example."""
    for header in re.findall(r"`(lowbit/[\w./]+\.hpp)`", text):
        check(any(ROOT.glob(f"*/include/{header}")), f"{page.relative_to(ROOT)}: there is no header {header}")
    for path in re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./*{{}},+-]*)`", text):
        if re.search(r"\b[A-Z]{4,}\b", path):
            continue
        alternatives = [path]
        braces = re.search(r"\{([^}]*)\}", path)
        if braces:
            alternatives = [path.replace(braces.group(0), part) for part in braces.group(1).split(",")]
        for name in alternatives:
            check(any(ROOT.glob(name.rstrip("/"))), f"{page.relative_to(ROOT)}: `{path}`: there is no {name}")


def check_folders():
    """Every folder of sources is on the page about the architecture."""
    page = (ROOT / "docs/architecture.md").read_text()
    folders = [folder.relative_to(ROOT) for library in ("formats", "sim", "gpu")
               for folder in (ROOT / library / "src").iterdir() if folder.is_dir()]
    check(len(folders) > 10, "no folders of sources were found")
    for folder in folders:
        check(f"`{folder}`" in page, f"docs/architecture.md: no word about {folder}")


def check_index():
    """docs/README.md lists every page once, and the site's navigation has every page."""
    text = (ROOT / "docs/README.md").read_text()
    listed = re.findall(r"\[([\w]+\.md)\]\(", text.partition("| page |")[2])
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md", "api.md", "glossary.md"}
    for page in sorted(pages):
        check(listed.count(page) == 1, f"docs/README.md lists {page} {listed.count(page)} times")
    navigation = re.findall(r"[\w]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])
    for page in sorted(pages | {"README.md", "api.md", "glossary.md"}):
        check(navigation.count(page) == (2 if page == "README.md" else 1), f"mkdocs.yml: the navigation has {page} {navigation.count(page)} times")


def check_glossary():
    words = re.findall(r"^\| ([^|]+?) \| .* \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)[1:]
    words = [word for word in words if not word.startswith("---")]
    check(len(words) > 40, "docs/glossary.md: the table was not found")
    check(words == sorted(words, key=str.lower), "docs/glossary.md: not in alphabetical order: "
          + ", ".join(b for a, b in zip(words, sorted(words, key=str.lower)) if a != b)[:80])


def check_readme_table(lowbit):
    """The five lines of README, from a run of the command that README names."""
    text = (ROOT / "README.md").read_text()
    table = re.search(r"^\| format \|(.*)\|\n\|[-:| ]*\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    check(table is not None, "README.md: the table of results was not found")
    if table is None:
        return
    columns = ["format"] + [column.strip() for column in table.group(1).split("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.group(2).splitlines()]
    command = [lowbit, "eval", str(ROOT / "tests/data/minilm_sample.safetensors"), "--include", "self.query.weight", "--markdown", "-"]
    for row in rows:
        command += ["--format", row[0]]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    printed = {}
    header = None
    for line in output.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if "format" in cells:
            header = cells
        elif header and cells and cells[0].startswith("encoder"):
            printed[cells[header.index("format")]] = dict(zip(header, cells))
    check(len(rows) == 5, f"README.md: {len(rows)} lines of results, not 5")
    for row in rows:
        for name, value in zip(columns[1:], row[1:]):
            actual = printed.get(row[0], {}).get(name)
            check(actual == value, f"README.md: {row[0]}, {name}: {value}; the command prints {actual}")


def check_block(lowbit):
    """The block that docs/architecture.md follows from file to report: inputs, codes, scale byte and the report's numbers."""
    page = (ROOT / "docs/architecture.md").read_text()
    sample = ROOT / "tests/data/minilm_sample.safetensors"
    name = "encoder.layer.3.attention.self.query.weight"
    row = {key: cell for key, cell in re.findall(r"^\| (read|codes|report)[^|]*\|[^|]*\| (.*) \|$", page, re.MULTILINE)}
    offset = int(re.search(r"16 floats at byte ([\d,]+)", page).group(1).replace(",", ""))
    values = struct.unpack("<16f", sample.read_bytes()[offset:offset + 64])
    check([float(x) for x in row["read"].split()] == [round(x, 4) for x in values], "docs/architecture.md: the inputs of the block")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "q.safetensors"
        subprocess.run([lowbit, "quantize", sample, "-o", out, "--format", "if4", "--tensor", name], check=True, capture_output=True)
        data = out.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    at = {key: 8 + size + header[f"{name}.{key}"]["data_offsets"][0] for key in ("values", "scales")}
    codes = data[at["values"]:at["values"] + 8].hex(" ")
    check(f"{codes}, " in row["codes"] and row["codes"].endswith(f"{data[at['scales']]:02x}"), f"docs/architecture.md: the codes are {codes}")
    text = subprocess.run([lowbit, "eval", sample, "--include", name, "--format", "if4:mse", "--csv", "-"],
                          capture_output=True, text=True, check=True).stdout
    line = next(csv.DictReader(io.StringIO(text)))
    for number in (f"SQNR {float(line['sqnr_db']):.3f} dB", f"{100 * float(line['four_or_int_share']):.3f} % integer blocks"):
        check(number in row["report"], f"docs/architecture.md: the run gives {number}")


def check_registries(lowbit):
    """Every block format, rule and dialect that the command lists is on its page, and every subcommand on some page."""
    listed = json.loads(subprocess.run([lowbit, "formats", "--json"], capture_output=True, text=True, check=True).stdout)
    formats = listed["block_formats"]
    rules = {rule.split(":")[0] for block_format in formats for rule in block_format["rules"]}
    dialects = [dialect["name"] for dialect in listed["dialects"]]
    check(len(formats) > 20 and len(rules) > 8 and len(dialects) > 3, "`lowbit formats --json`: the lists were not found")
    for page, words in (("formats.md", [*(f["name"] for f in formats), *sorted(rules)]), ("dialects.md", dialects)):
        # A word in backticks, or a pattern such as `nvfp*`.
        patterns = re.findall(r"`([\w*.]+)(?::\w+)?`", (ROOT / "docs" / page).read_text())
        for word in words:
            check(any(fnmatch.fnmatchcase(word, pattern) for pattern in patterns if pattern != "*"), f"docs/{page}: no word about {word}")

    every_page = "".join(page.read_text() for page in PAGES)
    todo, found = [[]], 0
    while todo:
        words = todo.pop()
        text = subprocess.run([lowbit, *words, "--help"], capture_output=True, text=True, check=True).stdout
        # `lowbit --help` lists the subcommands in groups of several names.
        listed = text.partition("\nSubcommands:\n")[2] if words else text
        for name in re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE):
            command = " ".join(["lowbit", *words, name])
            check(re.search(rf"\b{command}\b", every_page), f"no page has `{command}`")
            todo.append([*words, name])
            found += 1
    check(found > 10, "`lowbit --help`: the subcommands were not found")


for page in PAGES:
    text = page.read_text()
    check_links(page, text)
    check_paths(page, text)
check_glossary()
check_index()
check_folders()
if len(sys.argv) > 1:
    check_readme_table(sys.argv[1])
    check_registries(sys.argv[1])
    check_block(sys.argv[1])
for problem in problems:
    print(problem)
print(f"{len(PAGES)} pages, {len(problems)} problems")
sys.exit(1 if problems else 0)
