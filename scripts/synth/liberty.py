# SPDX-License-Identifier: MIT
"""Parses Liberty files, plain or compressed (.gz), and takes the size of a cell from a LEF file.

Standard library only. A file that cannot be read raises LibertyError with one line that says why.
"""
import gzip
import re
import zlib


class LibertyError(Exception):
    pass


class Group:
    """kind (args) { attributes; groups } of a Liberty file; begin and end are its place in the text."""

    def __init__(self, kind, args, line, begin):
        self.kind, self.args, self.line, self.begin, self.end = kind, args, line, begin, begin
        self.attributes, self.groups = {}, []

    def all(self, kind):
        return [g for g in self.groups if g.kind == kind]

    def get(self, name, default=None):
        return self.attributes.get(name, default)

    def number(self, name, default=0.0):
        value = self.attributes.get(name)
        try:
            return default if value is None else float(value)
        except ValueError:
            return default


# The numbers of a table are one token: a library of 20 million characters is mostly tables.
_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|\\\r?\n|(?P<table>\b(?:values|index_[12])\s*\((?P<numbers>[^(){};]*)\))|"(?:[^"\\]|\\.)*"|[{}();:,]|[^\s{}();:,"]+|\s+', re.S)


def _tokens(text, path):
    """(line, offset, kind, value): kind is a punctuation mark, word, a quote, or table."""
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match and text[at] == '"':
            raise LibertyError(f"{path}:{line}: truncated: a string is not closed")
        if not match:
            raise LibertyError(f"{path}:{line}: unreadable character {text[at]!r}")
        token = match.group()
        if match.group("table"):
            rows = re.findall(r'"([^"]*)"', match.group("numbers")) or [match.group("numbers")]
            yield line, at, "table", (token.split("(")[0].strip(), [re.sub(r"\\\r?\n", " ", r) for r in rows])
        elif not token.isspace() and not token.startswith(("/*", "//", "\\")):
            if token[0] == '"':
                yield line, at, '"', re.sub(r"\\\r?\n", " ", token[1:-1])
            else:
                yield line, at, token if token in "{}();:," else "word", token
        line += token.count("\n")
        at = match.end()


def read(path):
    """The text of a file, decompressed where its name ends in .gz."""
    try:
        if path.endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as f:
                return f.read()
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except (EOFError, zlib.error):
        raise LibertyError(f"{path}: truncated: the compressed data ends early or is damaged; fetch the file again") from None
    except gzip.BadGzipFile:
        raise LibertyError(f"{path}: is not a gzip file; decompress it, or leave .gz out of its name") from None
    except OSError as e:
        raise LibertyError(f"{path}: {e.strerror}; name a readable Liberty file") from None


def parse(path):
    """The library group of the file."""
    return parse_text(read(path), path)


def parse_text(text, path):
    root = Group("root", [], 0, 0)
    stack = [root]
    tokens = list(_tokens(text, path))
    i = 0
    while i < len(tokens):
        line, begin, kind, value = tokens[i]
        if kind == "table":
            stack[-1].attributes.setdefault(value[0], value[1])
            i += 1
        elif kind == "word" and i + 1 < len(tokens) and tokens[i + 1][2] == ":":
            parts, i = [], i + 2
            while i < len(tokens) and tokens[i][2] not in (";", "}") and tokens[i][0] == line:
                parts.append(tokens[i][3])
                i += 1
            stack[-1].attributes[value] = " ".join(parts)
        elif kind == "word" and i + 1 < len(tokens) and tokens[i + 1][2] == "(":
            args, i = [], i + 2
            while i < len(tokens) and tokens[i][2] != ")":
                if tokens[i][2] not in (",",):
                    args.append(tokens[i][3])
                i += 1
            i += 1
            if i < len(tokens) and tokens[i][2] == "{":
                group = Group(value, args, line, begin)
                stack[-1].groups.append(group)
                stack.append(group)
                i += 1
            else:
                stack[-1].attributes.setdefault(value, args)
        elif kind == "}":
            if len(stack) == 1:
                raise LibertyError(f"{path}:{line}: unmatched closing brace")
            stack.pop().end = begin + 1
            i += 1
        else:
            i += 1
    if len(stack) > 1:
        raise LibertyError(f"{path}: truncated: {stack[-1].kind} group of line {stack[-1].line} is not closed")
    libraries = root.all("library")
    if not libraries:
        raise LibertyError(f"{path}: no library group; is this a Liberty file?")
    return libraries[0]


def numbers(value):
    """Floats of "a, b, c" strings."""
    if value is None:
        return []
    if isinstance(value, str):
        value = [value]
    return [float(x) for part in value for x in part.replace(",", " ").split()]


def lef_area(path, cell):
    """Width times height of a macro in um2, or None where the LEF does not have it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError as e:
        raise LibertyError(f"{path}: {e.strerror}; name a readable LEF file") from None
    match = re.search(r"MACRO\s+" + re.escape(cell) + r"\s.*?SIZE\s+([\d.]+)\s+BY\s+([\d.]+)", text, re.S)
    return float(match.group(1)) * float(match.group(2)) if match else None
