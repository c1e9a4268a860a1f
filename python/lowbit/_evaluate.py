# SPDX-License-Identifier: MIT
import os
import re

from . import _lowbit
from ._arrays import as_array
from .errors import UsageError

# How tables write a number, by the metric's style (lowbit/metrics.hpp: MetricStyle).
_STYLES = ("{:.4g}", "{:.3f}", "{:.6f}", "{:.3f}", "{:.2f}")


def _cell(metric, value):
    return _STYLES[metric["style"]].format(100 * value if "%" in metric["heading"] else value)


class Evaluation:
    """What `evaluate` found. `rows`: a dictionary for each tensor and format; `totals`: one for each format, over all
    tensors. Printed, it is the table of `lowbit eval`."""

    def __init__(self, dialect, labels, tensors, skipped, totals):
        self._dialect, self._labels, self._tensors, self._totals = dialect, labels, tensors, totals
        self.skipped = skipped
        self.rows = [
            {"tensor": name, "dtype": dtype, "shape": shape, "format": format, "rule": rule, **numbers}
            for name, dtype, shape, results in tensors
            for (format, rule), numbers in zip(labels, results)
        ]
        self.totals = [
            {"format": format, "rule": rule, **numbers} for (format, rule), numbers in zip(labels, totals)
        ]

    def to_pandas(self):
        """`rows` as a pandas.DataFrame."""
        import pandas

        return pandas.DataFrame(self.rows)

    def __str__(self):
        metrics = _lowbit.metrics()
        names = [f"{format}:{rule}" for format, rule in self._labels]
        width = max([8, *map(len, names)])
        head = f"  {'format':<{width}}" + "".join(f"{m['heading']:>11}" for m in metrics)

        def lines(results):
            for name, numbers in zip(names, results):
                yield f"  {name:<{width}}" + "".join(f"{_cell(m, numbers[m['name']]):>11}" for m in metrics)

        text = [head]
        for name, dtype, shape, results in self._tensors:
            text.append(f"{name}  {dtype} {'x'.join(map(str, shape)) or 'scalar'}")
            text.extend(lines(results))
        text.extend(f"skipped {name}: {reason}" for name, reason in self.skipped)
        elements = self._totals[0]["elements"] if self._totals else 0
        text.append(f"total of {len(self._tensors)} tensors, {elements} elements, dialect {self._dialect}")
        return "\n".join([*text, head, *lines(self._totals)])

    __repr__ = __str__

    def _repr_html_(self):
        from html import escape

        metrics = _lowbit.metrics()
        head = "".join(f"<th>{escape(m['heading'])}</th>" for m in metrics)
        body = "".join(
            f"<tr><td>{escape(str(row['tensor']))}</td><td>{row['format']}:{row['rule']}</td>"
            + "".join(f"<td>{_cell(m, row[m['name']])}</td>" for m in metrics)
            + "</tr>"
            for row in self.rows
        )
        return f"<table><tr><th>tensor</th><th>format</th>{head}</tr>{body}</table>"


def evaluate(
    x, formats, *, dialect="canonical", axis=-1, scale_max=None, nonfinite="error", include=None, threads=0, dtype=None
):
    """Error statistics under block formats, as `lowbit eval` gives them.

    x: an array, or the path of a tensor file (safetensors, .npy, .npz, GGUF), all of whose float tensors are
    evaluated, or those whose name `include`, a regular expression, is found in.
    formats: names, with a rule or without, as ["nvfp4", "nvfp4:mse", "if4"].
    axis: along which blocks run. threads: 0 for all; the numbers do not depend on it.

    >>> import lowbit, numpy
    >>> x = numpy.sin(numpy.arange(4096, dtype="float32")).reshape(64, 64)
    >>> table = lowbit.evaluate(x, ["nvfp4", "nvfp4:mse"])
    >>> table.rows[1]["mse"] < table.rows[0]["mse"]
    True
    """
    if isinstance(formats, str):
        formats = [formats]
    evaluator = _lowbit.Evaluator(
        list(formats), dialect=dialect, axis=axis, scale_max=scale_max, nonfinite=nonfinite, threads=threads
    )
    tensors, skipped = [], []
    if isinstance(x, (str, os.PathLike)):
        for tensor in _lowbit.TensorFile.open(x).tensors():
            if include and not re.search(include, tensor.name):
                continue
            if not tensor.is_float:
                skipped.append((tensor.name, f"{tensor.dtype} elements are not numbers to quantize"))
            elif tensor.elements == 0:
                skipped.append((tensor.name, "no elements"))
            else:
                tensors.append((tensor.name, tensor.dtype, tensor.shape, evaluator.tensor(tensor)))
        if not tensors and not skipped:
            raise UsageError(f"{x}: no float tensor to evaluate; `lowbit inspect` lists what there is")
    else:
        array, name = as_array(x, dtype)
        results = evaluator.array(array, name)
        type_name = name or {2: "F16", 4: "F32", 8: "F64"}[array.dtype.itemsize]
        tensors.append(("x", type_name, tuple(array.shape), results))
    return Evaluation(_canonical_name(dialect), evaluator.labels(), tensors, skipped, evaluator.totals())


def _canonical_name(dialect):
    return dialect.lower()
