# SPDX-License-Identifier: MIT
"""Functions of cells, as Liberty files write them, to truth tables."""
import re


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
