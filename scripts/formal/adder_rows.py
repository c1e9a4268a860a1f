#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves what a network of full adders computes, by linear algebra on the netlist.

A full adder says s + 2 c = a + b + c_in and nothing else. So the weighted sum of a module's output
bits is rewritten from the outputs backwards: where a full adder's carry counts twice what its sum
counts, both are replaced by its three inputs. What is left is a polynomial over the module's inputs,
which must be the specification's, modulo 2^W. No search is involved: 64 lanes take a second. A
network whose carries are wired wrongly leaves a carry behind that nothing cancels, or another
polynomial; both are reported.

Reads a netlist of yosys (write_json) in which lowbit_full_adder and lowbit_lane were kept as cells.
usage: adder_rows.py block_sum NETLIST BITS PROD_W | adder_rows.py multiply NETLIST
Exits 0 where the claim holds, 1 with one line where it does not.
"""
import json
import sys


class Refuted(Exception):
    pass


class Netlist:
    def __init__(self, path, top):
        with open(path) as file:
            modules = json.load(file)["modules"]
        found = [m for name, m in modules.items() if name == top or name.endswith("\\" + top)]
        if len(found) != 1:
            sys.exit(f"adder_rows.py: {path} holds {len(found)} modules {top}, not one")
        self.ports = {name: port["bits"] for name, port in found[0]["ports"].items()}
        self.cells = [(short(c["type"]), c["connections"]) for c in found[0]["cells"].values()]
        self.driver = {}
        for kind, pins in self.cells:
            for pin in OUTPUTS.get(kind, ()):
                for bit in pins[pin]:
                    self.driver[bit] = (kind, pins)


def short(kind):
    """The module's name without yosys's account of its parameters."""
    return kind.split("\\")[1] if kind.startswith("$paramod") else kind


OUTPUTS = {"lowbit_full_adder": ("s_o", "c_o"), "lowbit_lane": ("row_o", "increment_o", "special_o"),
           "$_NOT_": ("Y",), "$_AND_": ("Y",)}


def reduce_to_inputs(netlist, outputs, modulus):
    """The sum of 2^i * outputs[i] as {sorted tuple of bits: coefficient} over what no adder drives."""
    linear = {}  # net -> coefficient, while full adders and inverters are being replaced
    constant = 0

    def add(bit, coefficient):
        nonlocal constant
        if bit in ("0", "1"):
            constant += int(bit) * coefficient
        elif bit == "x":
            raise Refuted("an undefined bit enters the sum")
        else:
            linear[bit] = (linear.get(bit, 0) + coefficient) % modulus

    for i, bit in enumerate(outputs):
        add(bit, 1 << i)
    # Consumers before drivers: then a cell's coefficients are complete when its turn comes.
    for kind, pins in consumers_first(netlist):
        if kind == "$_NOT_":
            c = linear.pop(pins["Y"][0], 0)
            if c:
                add("1", c)
                add(pins["A"][0], -c)
        elif kind == "lowbit_full_adder":
            s = linear.pop(pins["s_o"][0], 0)
            c = linear.pop(pins["c_o"][0], 0)
            if (c - 2 * s) % modulus:
                raise Refuted(f"a full adder's sum counts {s} and its carry {c}: a carry is lost or misplaced")
            for pin in ("a_i", "b_i", "c_i"):
                add(pins[pin][0], s)
    result = {}
    for bit, c in linear.items():
        if c % modulus:
            kind, pins = netlist.driver.get(bit, (None, None))
            term = tuple(sorted((pins["A"][0], pins["B"][0]))) if kind == "$_AND_" else (bit,)
            result[term] = (result.get(term, 0) + c) % modulus
    if constant % modulus:
        result[()] = constant % modulus
    return {term: c for term, c in result.items() if c}


def consumers_first(netlist):
    """The full adders and inverters, each after all that read it."""
    kinds = ("lowbit_full_adder", "$_NOT_")
    done, order = set(), []
    for root in netlist.cells:
        stack = [(root, False)]
        while stack:
            (kind, pins), expanded = stack.pop()
            if kind not in kinds or id(pins) in done:
                continue
            if expanded:
                done.add(id(pins))
                order.append((kind, pins))
                continue
            stack.append(((kind, pins), True))
            for name, bits in pins.items():
                if name in OUTPUTS[kind]:
                    continue
                for bit in bits:
                    if bit in netlist.driver:
                        stack.append((netlist.driver[bit], False))
    return reversed(order)


def compare(found, wanted, modulus):
    wanted = {term: c % modulus for term, c in wanted.items() if c % modulus}
    if found != wanted:
        wrong = [t for t in set(found) | set(wanted) if found.get(t) != wanted.get(t)]
        raise Refuted(f"{len(wrong)} terms of the sum differ from the specification")


def block_sum(path, bits, prod_w):
    """sum_o = sum over lanes of (row - 2^PROD_W + increment), each lane on its own codes and flags."""
    n = Netlist(path, "lowbit_block_sum")
    modulus = 1 << len(n.ports["sum_o"])
    lanes = [pins for kind, pins in n.cells if kind == "lowbit_lane"]
    if len(lanes) * bits != len(n.ports["a_codes_i"]):
        raise Refuted(f"{len(lanes)} lanes for {len(n.ports['a_codes_i'])} bits of codes")
    if len(lanes) << prod_w > modulus // 2:
        raise Refuted("the sum's width does not hold the largest sum of products")
    seen = set()
    wanted = {(): -(len(lanes) << prod_w)}
    for pins in lanes:
        index = n.ports["a_codes_i"].index(pins["a_i"][0]) // bits
        seen.add(index)
        for port, pin in (("a_codes_i", "a_i"), ("w_codes_i", "w_i")):
            if pins[pin] != n.ports[port][bits * index : bits * (index + 1)]:
                raise Refuted(f"lane {index}: {pin} is not wired to its own codes")
        for flag in ("a_integer_i", "w_integer_i"):
            if pins[flag] != n.ports[flag]:
                raise Refuted(f"lane {index}: {flag} is not the beat's")
        for i, bit in enumerate(pins["row_o"]):
            wanted[(bit,)] = wanted.get((bit,), 0) + (1 << i)
        bit = pins["increment_o"][0]
        wanted[(bit,)] = wanted.get((bit,), 0) + 1
    if len(seen) != len(lanes):
        raise Refuted("two lanes read the same codes")
    constant_bits(wanted)
    compare(reduce_to_inputs(n, n.ports["sum_o"], modulus), wanted, modulus)


def constant_bits(wanted):
    """A lane's output that is a constant counts as one."""
    for bit in ("0", "1"):
        c = wanted.pop((bit,), 0)
        if bit == "1":
            wanted[()] = wanted.get((), 0) + c


def multiply(path):
    """p_o = a_i * b_i, a_i signed and b_i unsigned, modulo the width of p_o."""
    n = Netlist(path, "lowbit_multiply")
    a, b, p = (n.ports[name] for name in ("a_i", "b_i", "p_o"))
    modulus = 1 << len(p)
    wanted = {}
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            wanted[tuple(sorted((x, y)))] = (-1 if i == len(a) - 1 else 1) << (i + j)
    compare(reduce_to_inputs(n, p, modulus), wanted, modulus)


def main():
    try:
        if sys.argv[1] == "block_sum":
            block_sum(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        else:
            multiply(sys.argv[2])
    except Refuted as reason:
        print(reason)
        sys.exit(1)
    print("proved")


main()
