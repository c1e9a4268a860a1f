# SPDX-License-Identifier: MIT
from . import _lowbit
from ._arrays import as_array
from ._lowbit import Quantized
from ._quantize import load, quantized
from .errors import UsageError


class Report:
    """What `verify_quantize` found. True where every byte is the same; printed, the text of `lowbit verify quantize`.

    equal, format, dialect, rule, blocks, different (blocks), scales, codes, amax_differs, first ((row, block) or None), text.
    agreeing: the dialects that give these very bytes. causes: (name, change, blocks) of each cause of a difference; the names
    are those of `lowbit verify quantize`.
    """

    def __init__(self, facts):
        self.__dict__.update(facts)
        self.agreeing = tuple(self.agreeing)
        self.causes = tuple(self.causes)

    def __bool__(self):
        return self.equal

    def __str__(self):
        return self.text

    __repr__ = __str__


def _any_format(x, values, scales, options):
    """The report of the format under which the fewest blocks differ, of all that the sizes fit."""
    reports, faults = [], []
    for format in _lowbit.formats():
        try:
            reports.append(verify_quantize(x, values=values, scales=scales, format=format["name"], **options))
        except UsageError as fault:
            faults.append(fault)
        if reports and reports[-1]:
            return reports[-1]
    if reports:
        return min(reports, key=lambda report: report.different)
    # A format whose sizes fit says what else is wrong.
    others = [fault for fault in faults if "do not fit" not in str(fault)]
    raise others[0] if others else UsageError("values and scales have the sizes of no block format; give format")


def verify_quantize(
    x,
    dump=None,
    *,
    values=None,
    scales=None,
    tensor_scale=None,
    tensor_scale_kind="multiplier",
    amax=None,
    format=None,
    rule=None,
    dialect="",
    columns=None,
    scale_max=None,
    block_2d=False,
    nonfinite="",
    amax_given=False,
    dtype=None,
):
    """Holds codes and scale bytes of another program to what x quantizes to, byte for byte.

    dump: a `Quantized`, or the path of a file that holds one; or the parts, as `quantized` takes them: values, scales, and
    amax or tensor_scale. dialect: a name; "auto" tries every dialect, reports the one with the fewest different
    blocks, and lists all that agree; "" takes the dump's own. Parts without a rule (`rule`, or "nvfp4:mse" as format) are tried
    with every rule, as the command does, and parts without a format with every format that their sizes fit.

    >>> import lowbit, numpy
    >>> x = numpy.linspace(-4, 4, 64, dtype="float32").reshape(2, 32)
    >>> q = lowbit.quantize(x, "nvfp4")
    >>> report = lowbit.verify_quantize(x, values=q.values, scales=q.scales, amax=q.amax, format="nvfp4", dialect="auto")
    >>> bool(report), report.dialect
    (True, 'canonical')
    """
    any_rule = dump is None and rule is None and ":" not in (format or "")
    if dump is None:
        if values is None or scales is None:
            raise UsageError("give dump, or values and scales")
        if format is None and rule is not None:
            raise UsageError("rule needs format, because rules belong to formats")
        if format is None:
            return _any_format(x, values, scales, {
                "tensor_scale": tensor_scale, "tensor_scale_kind": tensor_scale_kind, "amax": amax, "dialect": dialect,
                "columns": columns, "scale_max": scale_max, "block_2d": block_2d, "nonfinite": nonfinite,
                "amax_given": amax_given, "dtype": dtype,
            })
        dump = quantized(
            values, scales, amax, tensor_scale=tensor_scale, tensor_scale_kind=tensor_scale_kind, format=format, rule=rule,
            columns=columns, scale_max=scale_max, block_2d=block_2d,
        )
    elif not isinstance(dump, Quantized):
        dump = load(dump)
    array, name = as_array(x, dtype)
    facts = _lowbit.verify_quantize(array, name, dump, dialect, nonfinite, amax_given, any_rule)
    return Report({"format": dump.format, **facts})


def explain(x, *, block, format, dialects=("canonical",), nonfinite="error", amax=None, axis=-1, dtype=None):
    """How one block is quantized, step by step, in one dialect or in two side by side: the text of `lowbit explain`.

    x: the whole array, since the block depends on its amax. block: (row, index along the row), counted along `axis`.

    >>> import lowbit, numpy
    >>> x = numpy.linspace(-4, 4, 64, dtype="float32").reshape(2, 32)
    >>> print(lowbit.explain(x, block=(0, 1), format="nvfp4").splitlines()[0])
    row 0, block 1: nvfp4 static_6 canonical
    """
    first, *others = (dialects,) if isinstance(dialects, str) else dialects
    if len(others) > 1:
        raise UsageError("dialects: one or two can be explained at a time")
    row, index = block
    if row < 0 or index < 0:
        raise UsageError(f"block {block}: row and index count from 0")
    array, name = as_array(x, dtype)
    return _lowbit.explain(array, name, row, index, format, first, others[0] if others else "", nonfinite, amax, axis)
