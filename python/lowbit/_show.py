# SPDX-License-Identifier: MIT
"""How a Quantized looks: what it is, and its first block."""

from html import escape


def _head(q):
    return f"Quantized {q.format}:{q.rule} {q.dialect}, {q.rows} x {q.columns}, amax {q.amax:.9g}"


def _first_block(q):
    """(scale byte, codes, values) of row 0's first block; None where there are no elements."""
    if q.rows == 0 or q.columns == 0:
        return None
    size = min(q.block_size, q.columns)
    row = q.values[0][q.level_bytes:]
    codes = [int(row[i // 2] >> (4 * (i % 2))) & 15 if q.code_bits == 4 else int(row[i]) for i in range(size)]
    return int(q.scales[0, 0]), codes, q.first_values(size).tolist()


def text(q):
    """The head, and the first block in codes and values."""
    block = _first_block(q)
    if block is None:
        return f"<{_head(q)}>"
    scale, codes, values = block
    digits = q.code_bits // 4
    return (
        f"<{_head(q)}\n block (0, 0): scale 0x{scale:02x}\n codes  {' '.join(f'{c:0{digits}x}' for c in codes)}\n"
        f" values {' '.join(f'{v:.6g}' for v in values)}>"
    )


def html(q):
    """The same as a table, for notebooks."""
    block = _first_block(q)
    if block is None:
        return f"<p>{escape(_head(q))}</p>"
    scale, codes, values = block
    digits = q.code_bits // 4
    cells = "".join(f"<td>{c:0{digits}x}</td>" for c in codes)
    numbers = "".join(f"<td>{v:.6g}</td>" for v in values)
    return (
        f"<table><caption>{escape(_head(q))}; block (0, 0), scale 0x{scale:02x}</caption>"
        f"<tr><th>code</th>{cells}</tr><tr><th>value</th>{numbers}</tr></table>"
    )
