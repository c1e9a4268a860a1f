#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the pages say about the repository is true: links lead somewhere, paths in backticks exist, the glossary is in
order, and the table in README is what the command prints.
usage: check_pages.py [LOWBIT]   (LOWBIT: the command; without it README's table is not checked)"""
import pathlib
import re
import subprocess
import sys

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


for page in PAGES:
    text = page.read_text()
    check_links(page, text)
    check_paths(page, text)
check_glossary()
if len(sys.argv) > 1:
    check_readme_table(sys.argv[1])
for problem in problems:
    print(problem)
print(f"{len(PAGES)} pages, {len(problems)} problems")
sys.exit(1 if problems else 0)
