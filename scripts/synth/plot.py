# SPDX-License-Identifier: MIT
"""Scatter plots as SVG, without a library: ticks at round numbers, labels that do not cover each other."""
import html
import math

import units

COLOURS = {"exact": "#1f77b4", "block_fp32": "#2ca02c", "gst": "#9467bd", "published": "#d62728",
           "integer": "#7f7f7f", "bf16_fma": "#bcbd22", "fp8_fp32": "#8c564b", "lut": "#ff7f0e"}
LEFT, TOP, WIDTH, HEIGHT = 76, 44, 620, 340
CHARACTER, LINE = 7.2, 13  # of a label of 11 px


def ticks(low, high, logarithmic):
    """Round values within [low, high]: 1, 2, 5 times powers of ten."""
    if logarithmic:
        return [m * 10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1) for m in (1, 2, 5)
                if low <= m * 10.0 ** e <= high]
    rough = (high - low) / 6
    step = next(m * 10.0 ** math.floor(math.log10(rough)) for m in (1, 2, 5, 10) if m * 10.0 ** math.floor(math.log10(rough)) >= rough)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


class Axis:
    """Position of values on the page; logarithmic where the data spans more than a factor of eight."""

    def __init__(self, values, begin, end, from_zero):
        low, high = min(values), max(values)
        self.logarithmic = low > 0 and high / low > 8
        if self.logarithmic:
            low, high = low / 1.4, high * 1.4
        else:
            margin = (high - low or abs(high) or 1) * 0.08
            low, high = (0 if from_zero else low - margin), high + margin
        self.low, self.high, self.begin, self.end = low, high, begin, end

    def at(self, value):
        scale = math.log if self.logarithmic else (lambda v: v)
        part = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return self.begin + (self.end - self.begin) * part

    def ticks(self):
        return ticks(self.low, self.high, self.logarithmic)


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def place(px, py, text, taken):
    """Top left corner of a label beside the point that covers nothing in `taken`; further out where it must."""
    w, h = CHARACTER * len(text), LINE
    for distance in range(0, 90, 6):
        for dx, dy in ((7, -h / 2), (-w - 7, -h / 2), (-w / 2, -h - 6), (-w / 2, 6), (7, -h), (7, 2), (-w - 7, -h), (-w - 7, 2)):
            x = px + dx + math.copysign(distance, dx) * (abs(dx) != w / 2)
            y = py + dy + math.copysign(distance, dy + h / 2)
            box = (x, y, x + w, y + h)
            if x < LEFT + 2 or x + w > LEFT + WIDTH - 2 or y < TOP + 2 or y + h > TOP + HEIGHT - 2:
                continue
            if not any(overlap(box, t) for t in taken):
                return box
    return (px + 7, py - h / 2, px + 7 + w, py + h / 2)


def scatter(points, x_label, y_label, x_from_zero=False, y_from_zero=True, line=()):
    """points: (x, y, unit, label, title); line: (x, y) pairs joined in order. '' without points."""
    if not points:
        return ""
    x_axis = Axis([p[0] for p in points], LEFT, LEFT + WIDTH, x_from_zero)
    y_axis = Axis([p[1] for p in points], TOP + HEIGHT, TOP, y_from_zero)
    total_w, total_h = LEFT + WIDTH + 16, TOP + HEIGHT + 52
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_w} {total_h}" width="{total_w}" height="{total_h}" '
           'font-family="sans-serif" font-size="11">', f'<rect width="{total_w}" height="{total_h}" fill="#fff"/>']
    for t in x_axis.ticks():
        x = x_axis.at(t)
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{t:,.6g}</text>')
    for t in y_axis.ticks():
        y = y_axis.at(t)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDTH}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{t:,.6g}</text>')
    out.append(f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#888"/>')
    out.append(f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 40}" text-anchor="middle" font-size="13">{html.escape(x_label)}</text>')
    middle = TOP + HEIGHT / 2
    note = " (logarithmic)" if y_axis.logarithmic else ""
    out.append(f'<text x="16" y="{middle}" text-anchor="middle" font-size="13" transform="rotate(-90 16 {middle})">{html.escape(y_label)}{note}</text>')
    if line:
        joined = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in line)
        out.append(f'<polyline points="{joined}" fill="none" stroke="#888" stroke-dasharray="4 3"/>')
    at = [(x_axis.at(p[0]), y_axis.at(p[1])) for p in points]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in at]
    for (px, py), (_, _, unit, label, title) in zip(at, points):
        box = place(px, py, label, taken)
        taken.append(box)
        colour = COLOURS[unit]
        # A label that had to move away from its point is tied to it.
        nx, ny = min(max(px, box[0]), box[2]), min(max(py, box[1]), box[3])
        if math.hypot(nx - px, ny - py) > 12:
            out.append(f'<line x1="{px:.1f}" y1="{py:.1f}" x2="{nx:.1f}" y2="{ny:.1f}" stroke="{colour}" stroke-width="0.6"/>')
        out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}"><title>{html.escape(title)}</title></circle>')
        out.append(f'<text x="{box[0]:.1f}" y="{box[3] - 3:.1f}" fill="{colour}">{html.escape(label)}</text>')
    legend = [u for u in units.UNITS if any(p[2] == u for p in points)]
    for i, u in enumerate(legend):
        x = LEFT + 8 + 110 * i
        out.append(f'<circle cx="{x}" cy="{TOP - 18}" r="4" fill="{COLOURS[u]}"/><text x="{x + 9}" y="{TOP - 14}">{u}</text>')
    return "\n".join(out) + "\n</svg>\n"
