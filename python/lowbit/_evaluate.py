# SPDX-License-Identifier: MIT
import os

from . import _lowbit
from ._arrays import as_array
from .errors import UsageError


class Evaluation:
    """What `evaluate` found. Printed, it is the table of `lowbit eval --per-tensor`.

    rows: a dictionary for each tensor and format; totals: one for each format, over all tensors; skipped: (name, reason) of
    tensors that were left out; notes: lines for people.
    """

    def __init__(self, report):
        self._report = report
        self.rows = report.rows()
        self.totals = report.totals()
        self.skipped = report.skipped()
        self.notes = report.notes()

    def to_pandas(self):
        """`rows` as a pandas.DataFrame."""
        import pandas

        return pandas.DataFrame(self.rows)

    def to_json(self):
        """What `lowbit eval --json` writes."""
        return self._report.json()

    def to_csv(self):
        """What `lowbit eval --csv` writes."""
        return self._report.csv()

    def to_markdown(self):
        """What `lowbit eval --markdown` writes."""
        return self._report.markdown()

    def to_html(self):
        """The page of `lowbit eval --html` without the charts of blocks, which need the tensors."""
        return self._report.html()

    def __str__(self):
        return self._report.text().rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self):
        from html import escape

        head, *rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._report.cells()]
        return f"<table><tr>{head.replace('td>', 'th>')}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _listed(patterns):
    return [patterns] if isinstance(patterns, str) else list(patterns or [])


def evaluate(
    x, formats=None, *, reference=None, dialect="canonical", axis=None, weight_layout=None, scale_max=None, nonfinite="error",
    include=None, exclude=None, all=False, threads=0, dtype=None,
):
    """Error statistics under formats, as `lowbit eval` gives them.

    x: an array, or the path of a tensor file (safetensors, .npy, .npz, GGUF) or of a model's folder. Of files the weights are
    evaluated; all: every float tensor; include, exclude: regular expressions (ECMAScript), one or a list, that a tensor's name
    must or must not have a match of.
    formats: block formats, with a rule or without, and reference codecs, as ["nvfp4", "nvfp4:mse", "mxfp4:search:2", "q4_k"].
    reference: the path of the original of x, a quantized checkpoint, whose weights are scored as they are stored; no formats.
    axis: along which blocks run; for files weight_layout says it else ("auto", "oi", ...), for arrays it is the last one.
    nonfinite: "error", "saturate", or "skip", which leaves the tensor out. threads: 0 for all; the numbers do not depend on it.
    Raises UsageError and InvalidInputError.

    >>> import lowbit, numpy
    >>> x = numpy.sin(numpy.arange(4096, dtype="float32")).reshape(64, 64)
    >>> table = lowbit.evaluate(x, ["nvfp4", "nvfp4:mse", "q4_0"])
    >>> table.rows[1]["mse"] < table.rows[0]["mse"]
    True
    """
    is_path = isinstance(x, (str, os.PathLike))
    include, exclude = _listed(include), _listed(exclude)
    if reference is not None:
        if not is_path or formats:
            raise UsageError("reference: a checkpoint's path is scored as it is stored; it takes no array and no formats")
        return Evaluation(_lowbit.evaluate_stored(x, reference, include, exclude))
    if not formats:
        raise UsageError("formats: name at least one, as ['nvfp4:mse']")
    options = {
        "formats": _listed(formats), "dialect": dialect, "axis": axis, "scale_max": scale_max, "nonfinite": nonfinite,
        "threads": threads,
    }
    if is_path:
        return Evaluation(
            _lowbit.evaluate_files(x, include, exclude, all, weight_layout=weight_layout or "auto", **options)
        )
    if include or exclude:
        raise UsageError("include and exclude choose tensors of files, not parts of an array")
    array, name = as_array(x, dtype)
    return Evaluation(_lowbit.evaluate_array(array, name, weight_layout=weight_layout or "last", **options))
