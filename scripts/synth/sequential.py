# SPDX-License-Identifier: MIT
"""Flip-flops of a Liberty file: clock, next state as a truth table, and inputs that must be held still."""
import re

from boolean import tokens_of_function, truth_table


def clock_pin(cell):
    """The clock pin of a flip-flop, or None."""
    ff = cell.all("ff")
    return str(ff[0].get("clocked_on", "")).strip("() '!\"") if ff else None


def names(function):
    return [t for t in dict.fromkeys(tokens_of_function(function)) if re.match(r"[A-Za-z_]", t)]


class FlipFlop:
    """Of a cell with an ff group: `clock`, `data` (pins of the next state), `quiet` {pin: value that leaves the
    flip-flop alone}. `why` says why the cell cannot be simulated, or is None."""

    def __init__(self, cell):
        ff = cell.all("ff")[0]
        self.state, self.inverse = (ff.args + [None, None])[:2]
        self.next_state = str(ff.get("next_state", "")).strip('"')
        clocked_on = str(ff.get("clocked_on", "")).strip('"() ')
        self.clock, self.data, self.quiet, self.why = clocked_on, names(self.next_state), {}, None
        if not re.fullmatch(r"\w+", clocked_on):
            self.why = f"its clock {clocked_on} is not a rising edge of a pin"
        if self.state in self.data or self.inverse in self.data or truth_table(self.next_state, self.data) is None:
            self.why = f"its next state {self.next_state} is no function of pins"
        for kind in ("clear", "preset"):
            function = str(ff.get(kind, "")).strip('"')
            pins = names(function)
            if len(pins) > 1:
                self.why = f"its {kind} {function} has more than one pin"
            elif pins:
                self.quiet[pins[0]] = truth_table(function, pins).index(0)

    def table(self, function):
        """Truth table over `data` of what an output of this function becomes at the clock edge, or None."""
        table = truth_table(self.next_state, self.data)
        shown = truth_table(function, [self.state, self.inverse])
        if table is None or shown is None:
            return None
        # state in bit 0 of the index, its inverse in bit 1
        return [shown[1 if bit else 2] for bit in table]
