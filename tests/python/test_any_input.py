# SPDX-License-Identifier: MIT
"""Whatever is passed, the answer is a result or an exception of the package; the nightly run does the same under the address
sanitizer (LOWBIT_EXAMPLES sets how many inputs are tried)."""
import os

import lowbit
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

EXAMPLES = int(os.environ.get("LOWBIT_EXAMPLES", "150"))
FORMATS = [f["name"] for f in lowbit.formats()]
RULES = ["", ":mse", ":mae", ":abs_max", ":static_6", ":static_4", ":floor", ":even", ":4/6", ":nonsense"]
relaxed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

dtypes = st.one_of(
    hnp.floating_dtypes(endianness="?"), hnp.integer_dtypes(), hnp.unsigned_integer_dtypes(), hnp.boolean_dtypes(),
    hnp.complex_number_dtypes(), hnp.datetime64_dtypes(), hnp.unicode_string_dtypes(), hnp.array_dtypes(),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=40)


@st.composite
def arrays(draw):
    x = draw(hnp.arrays(dtype=draw(dtypes), shape=draw(shapes)))
    if x.ndim and draw(st.booleans()):
        x = x[tuple(slice(None, None, draw(st.sampled_from([-2, -1, 1, 2, 3]))) for _ in range(x.ndim))]
    if draw(st.booleans()):
        x = x.T
    if draw(st.booleans()):
        x.flags.writeable = False
    return x


@relaxed
@given(
    x=arrays(), format=st.sampled_from(FORMATS), rule=st.sampled_from(RULES), axis=st.integers(-5, 5),
    transpose=st.booleans(), block_2d=st.booleans(), hadamard=st.booleans(),
    amax=st.none() | st.floats(width=32), scale_max=st.sampled_from([None, 448.0, 256.0, 0.0, -1.0]),
    nonfinite=st.sampled_from(["error", "saturate", "propagate", "x"]),
    dtype=st.sampled_from([None, "BF16", "F8_E4M3", "F16", "U8", "?"]),
    dialect=st.sampled_from([d["name"] for d in lowbit.dialects()] + [""]),
)
def test_quantize(x, format, rule, dtype, **options):
    try:
        q = lowbit.quantize(x, format + rule, dtype=dtype, **options)
    except (lowbit.Error, TypeError, ValueError):
        return
    assert q.values.shape[0] == q.scales.shape[0] == q.rows
    assert q.dequantize().shape == q.shape == x.shape
    repr(q), q._repr_html_()


@relaxed
@given(
    values=arrays(), scales=arrays(), amax=st.floats(width=32), format=st.sampled_from(FORMATS),
    columns=st.none() | st.integers(-3, 100), scale_max=st.sampled_from([None, 448.0, 256.0, float("nan")]),
)
def test_quantized(values, scales, amax, format, **options):
    try:
        q = lowbit.quantized(values, scales, amax, format=format, **options)
    except (lowbit.Error, TypeError, ValueError):
        return
    q.dequantize()
    try:
        lowbit.exact_gemm(q, q)
    except lowbit.Error:
        pass


@relaxed
@given(
    a=arrays(), b=arrays(), c=st.none() | arrays(), scale_a=st.none() | arrays(), scale_b=st.none() | arrays(),
    name=st.sampled_from(lowbit.instructions() + ["mma.nothing"]),
)
def test_mma(name, a, b, c, **scales):
    try:
        lowbit.mma(name, a, b, c, **scales)
    except (lowbit.Error, TypeError, ValueError):
        pass


@relaxed
@given(data=st.binary(max_size=200), name=st.text(max_size=5))
def test_load(tmp_path_factory, data, name):
    path = tmp_path_factory.mktemp("any") / "file.safetensors"
    path.write_bytes(data)
    try:
        lowbit.load(path, name)
    except (lowbit.Error, TypeError, ValueError):
        pass


@relaxed
@given(x=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)), format=st.sampled_from(FORMATS))
def test_layouts_agree(x, format):
    """A view with other strides gives the bytes of its plain copy."""
    try:
        plain = lowbit.quantize(x, format)
    except lowbit.InvalidInputError:  # NaN or infinity
        return
    for view in (np.asfortranarray(x), np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2], x[::-1].copy()[::-1]):
        other = lowbit.quantize(view, format)
        assert other.values.tobytes() == plain.values.tobytes() and other.scales.tobytes() == plain.scales.tobytes()
