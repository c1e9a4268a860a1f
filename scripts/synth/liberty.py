# SPDX-License-Identifier: MIT
"""Reads what the flow needs of a Liberty file, and of a LEF file the size of the NAND2 cell.

Standard library only. A file that cannot be used (truncated, no timing, no flip-flop, no NAND2)
raises LibertyError with one line that says what is missing.
"""
import re


class LibertyError(Exception):
    pass


class Group:
    """kind (args) { attributes; groups } of a Liberty file."""

    def __init__(self, kind, args, line):
        self.kind, self.args, self.line = kind, args, line
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


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|\\\r?\n|"(?:[^"\\]|\\.)*"|[{}();:,]|[^\s{}();:,"]+|\s+', re.S)


def _tokens(text, path):
    line, at = 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match and text[at] == '"':
            raise LibertyError(f"{path}:{line}: truncated: a string is not closed")
        if not match:
            raise LibertyError(f"{path}:{line}: unreadable character {text[at]!r}")
        token = match.group()
        if not token.isspace() and not token.startswith(("/*", "//", "\\")):
            if token[0] == '"':
                yield line, '"', re.sub(r"\\\r?\n", " ", token[1:-1])
            else:
                yield line, token if token in "{}();:," else "word", token
        line += token.count("\n")
        at = match.end()


def parse(path):
    """The library group of the file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError as e:
        raise LibertyError(f"{path}: {e.strerror}; name a readable Liberty file") from None
    root = Group("root", [], 0)
    stack = [root]
    tokens = list(_tokens(text, path))
    i = 0
    while i < len(tokens):
        line, kind, value = tokens[i]
        if kind == "word" and i + 1 < len(tokens) and tokens[i + 1][1] == ":":
            parts, i = [], i + 2
            while i < len(tokens) and tokens[i][1] not in (";", "}") and tokens[i][0] == line:
                parts.append(tokens[i][2])
                i += 1
            stack[-1].attributes[value] = " ".join(parts)
        elif kind == "word" and i + 1 < len(tokens) and tokens[i + 1][1] == "(":
            args, i = [], i + 2
            while i < len(tokens) and tokens[i][1] != ")":
                if tokens[i][1] not in (",",):
                    args.append(tokens[i][2])
                i += 1
            i += 1
            if i < len(tokens) and tokens[i][1] == "{":
                group = Group(value, args, line)
                stack[-1].groups.append(group)
                stack.append(group)
                i += 1
            else:
                stack[-1].attributes.setdefault(value, args)
        elif kind == "}":
            if len(stack) == 1:
                raise LibertyError(f"{path}:{line}: unmatched closing brace")
            stack.pop()
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


def tokens_of_function(function):
    return re.findall(r"[A-Za-z_][\w\[\]]*|[01]|[!'&*|+^()]", function)


def truth_table(function, pins):
    """Output bits of a function for all values of pins (pin i is bit i of the index), or None.

    Grammar: or of (xor of (and of factors)); juxtaposition, * and & are and, ' and ! are not.
    """
    tokens = tokens_of_function(function)

    def build(at):
        def factor(at):
            if at >= len(tokens):
                raise ValueError
            t = tokens[at]
            if t == "!":
                f, at = factor(at + 1)
                return (lambda v, f=f: 1 - f(v)), at
            if t == "(":
                f, at = disjunction(at + 1)
                if at >= len(tokens) or tokens[at] != ")":
                    raise ValueError
                at += 1
            elif t in "01":
                f, at = (lambda v, c=int(t): c), at + 1
            elif t in pins:
                f, at = (lambda v, p=pins.index(t): v >> p & 1), at + 1
            else:
                raise ValueError
            while at < len(tokens) and tokens[at] == "'":
                f, at = (lambda v, f=f: 1 - f(v)), at + 1
            return f, at

        def conjunction(at):
            f, at = factor(at)
            while at < len(tokens) and tokens[at] not in (")", "+", "|", "^"):
                if tokens[at] in ("*", "&"):
                    at += 1
                g, at = factor(at)
                f = lambda v, f=f, g=g: f(v) & g(v)
            return f, at

        def exclusive(at):
            f, at = conjunction(at)
            while at < len(tokens) and tokens[at] == "^":
                g, at = conjunction(at + 1)
                f = lambda v, f=f, g=g: f(v) ^ g(v)
            return f, at

        def disjunction(at):
            f, at = exclusive(at)
            while at < len(tokens) and tokens[at] in ("+", "|"):
                g, at = exclusive(at + 1)
                f = lambda v, f=f, g=g: f(v) | g(v)
            return f, at

        return disjunction(at)

    try:
        f, at = build(0)
    except ValueError:
        return None
    if at != len(tokens):
        return None
    return [f(v) for v in range(1 << len(pins))]


class Library:
    """Cells by name, and the ones that the flow asks for by function."""

    def __init__(self, path):
        self.path = path
        self.group = parse(path)
        self.cells = {c.args[0]: c for c in self.group.all("cell") if c.args}
        if not self.cells:
            raise LibertyError(f"{path}: no cells")
        if not any(t.groups for c in self.cells.values() for p in c.all("pin") for t in p.all("timing")):
            raise LibertyError(f"{path}: no cell has timing tables; a timing library is needed")
        if not any(c.all("ff") for c in self.cells.values()):
            raise LibertyError(f"{path}: no flip-flop (ff group) in any cell")
        self.nand2 = self._smallest(["A", "B"], [[1, 1, 1, 0]])
        if self.nand2 is None:
            raise LibertyError(f"{path}: no two-input NAND, the unit of area")
        self.full_adder = self._adder()
        self.buffer = self._buffer()

    @property
    def name(self):
        return self.group.args[0] if self.group.args else "unnamed"

    def area(self, cell):
        return self.cells[cell].number("area")

    def pins(self, cell, direction):
        return [p.args[0] for p in self.cells[cell].all("pin") if p.get("direction") == direction]

    def _functions(self, cell):
        inputs = self.pins(cell, "input")
        outputs = {p.args[0]: p.get("function") for p in self.cells[cell].all("pin") if p.get("direction") == "output"}
        return inputs, outputs

    def _candidates(self, input_count, output_count):
        found = []
        for name, cell in self.cells.items():
            if cell.get("dont_use") == "true" or cell.all("ff") or cell.all("latch") or cell.number("area") <= 0:
                continue
            inputs, outputs = self._functions(name)
            if len(inputs) == input_count and len(outputs) == output_count and all(outputs.values()):
                found.append((cell.number("area"), name, inputs, outputs))
        return sorted(found)

    def _smallest(self, pins, tables):
        for _, name, inputs, outputs in self._candidates(len(pins), len(tables)):
            if [truth_table(f, inputs) for f in outputs.values()] == tables:
                return name
        return None

    def _adder(self):
        """(cell, inputs, sum pin, carry pin) of the smallest full adder, or None."""
        total = [bin(v).count("1") for v in range(8)]
        for _, name, inputs, outputs in self._candidates(3, 2):
            tables = {pin: truth_table(f, inputs) for pin, f in outputs.items()}
            s = [p for p, t in tables.items() if t == [n & 1 for n in total]]
            c = [p for p, t in tables.items() if t == [n >> 1 for n in total]]
            if s and c:
                return name, inputs, s[0], c[0]
        return None

    def _buffer(self):
        """A buffer to drive the inputs with: the third smallest, as BUFX4 is in the OSU libraries."""
        found = [c for c in self._candidates(1, 1) if truth_table(next(iter(c[3].values())), c[2]) == [0, 1]]
        return found[min(1, len(found) - 1)][1] if found else None


def lef_area(path, cell):
    """Width times height of a macro in um2, or None where the LEF does not have it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
    except OSError as e:
        raise LibertyError(f"{path}: {e.strerror}; name a readable LEF file") from None
    match = re.search(r"MACRO\s+" + re.escape(cell) + r"\s.*?SIZE\s+([\d.]+)\s+BY\s+([\d.]+)", text, re.S)
    return float(match.group(1)) * float(match.group(2)) if match else None
