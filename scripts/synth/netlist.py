# SPDX-License-Identifier: MIT
"""Reads the flat structural Verilog that yosys writes (-noattr -noexpr): ports, nets and cells."""
import re

_TOKEN = re.compile(r"\\\S+\s|[A-Za-z_][\w$]*|\d+'[bdh][0-9a-fxzA-F]+|\d+|\S", re.S)


def _tokens(text):
    text = re.sub(r"/\*.*?\*/|//[^\n]*|\(\*.*?\*\)", "", text, flags=re.S)
    return [t.strip() for t in _TOKEN.findall(text)]


class Netlist:
    """cells: name -> (type, {pin: net}); ports: name -> (direction, bits); alias: net -> net driven."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.statements = self._statements(_tokens(f.read()))
        self.cells, self.ports, self.width, self.alias, self.top = {}, {}, {}, {}, ""
        for s in self.statements:
            self._read(s)

    @staticmethod
    def _statements(tokens):
        out, current = [], []
        for t in tokens:
            if t == ";" or t == "endmodule":
                if current:
                    out.append(current)
                current = []
            else:
                current.append(t)
        return out

    def bits(self, name):
        """Names of the single nets of a vector, the highest first."""
        if name not in self.width:
            return [name]
        high, low = self.width[name]
        return [f"{name}[{i}]" for i in range(high, low - 1, -1)]

    def _nets(self, tokens):
        """Single nets of an expression: a name, name[i], name[h:l], a constant or a concatenation."""
        if not tokens:
            return []
        if tokens[0] == "{":
            out, at, depth, part = [], 1, 0, []
            while at < len(tokens) - 1:
                t = tokens[at]
                depth += t in "[{"
                depth -= t in "]}"
                if t == "," and depth == 0:
                    out += self._nets(part)
                    part = []
                else:
                    part.append(t)
                at += 1
            return out + self._nets(part)
        m = re.match(r"(\d+)'([bdh])(\w+)$", tokens[0])
        if m:
            n, base = int(m.group(1)), {"b": 2, "d": 10, "h": 16}[m.group(2)]
            value = int(re.sub("[xz]", "0", m.group(3)), base)
            return [f"{value >> i & 1}" for i in range(n - 1, -1, -1)]
        name = tokens[0]
        if len(tokens) == 1:
            return self.bits(name)
        inner = "".join(tokens[2:-1])
        if ":" in inner:
            high, low = map(int, inner.split(":"))
            return [f"{name}[{i}]" for i in range(high, low - 1, -1)]
        return [f"{name}[{int(inner)}]"]

    def _read(self, s):
        if s[0] == "module":
            self.top = s[1]
        elif s[0] in ("input", "output", "wire"):
            at, name = 1, s[-1]
            if s[at] == "[":
                self.width[name] = (int(s[at + 1]), int(s[at + 3]))
            if s[0] != "wire":
                self.ports[name] = (s[0], self.bits(name))
        elif s[0] == "assign":
            at = s.index("=")
            for left, right in zip(self._nets(s[1:at]), self._nets(s[at + 1:])):
                self.alias[left] = right
        else:
            kind, name, pins, at = s[0], s[1], {}, 3
            while at < len(s) - 1:
                if s[at] == ".":
                    pin, end, depth = s[at + 1], at + 3, 1
                    while depth:
                        depth += s[end] == "("
                        depth -= s[end] == ")"
                        end += 1
                    nets = self._nets(s[at + 3:end - 1])
                    pins[pin] = nets[0] if nets else ""
                    at = end
                else:
                    at += 1
            self.cells[name] = (kind, pins)

    def resolve(self, net):
        seen = 0
        while net in self.alias and seen < 100:
            net, seen = self.alias[net], seen + 1
        return net


_INSTANCE = re.compile(r"^(  )(\S+)( )(\\\S+ |[A-Za-z_][\w$]*)( ?\()$", re.M)


def cell_types(path):
    """{instance as OpenSTA names it: cell type} of a netlist that yosys wrote."""
    with open(path, encoding="utf-8") as f:
        return {m.group(4).strip().lstrip("\\"): m.group(2) for m in _INSTANCE.finditer(f.read()) if m.group(2) != "module"}


def exchange(path, kinds):
    """Gives instances other cell types, in place."""
    with open(path, encoding="utf-8") as f:
        text = f.read()

    def line(m):
        return m.group(1) + kinds.get(m.group(4).strip().lstrip("\\"), m.group(2)) + m.group(3) + m.group(4) + m.group(5)
    text = _INSTANCE.sub(line, text)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
