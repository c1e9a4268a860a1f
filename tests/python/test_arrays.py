# SPDX-License-Identifier: MIT
"""What is passed as an array: every layout gives the bytes of its plain copy, what is no array of floats is an exception."""
import array
import ctypes
import os
import pathlib
import subprocess
import sys

import lowbit
import lowbit.testing
import numpy as np
import pytest
from conftest import DATA, awkward
from lowbit._arrays import as_array

ml_dtypes = pytest.importorskip("ml_dtypes")


def same(a, b):
    return a.values.tobytes() == b.values.tobytes() and a.scales.tobytes() == b.scales.tobytes() and a.amax == b.amax


def test_strides(x):
    plain = lowbit.quantize(x, "nvfp4")
    wide = np.zeros((12, 160), np.float32)
    wide[::2, ::2] = x
    assert same(lowbit.quantize(wide[::2, ::2], "nvfp4"), plain)
    assert same(lowbit.quantize(x[::-1, ::-1].copy()[::-1, ::-1], "nvfp4"), plain)
    assert same(lowbit.quantize(np.asfortranarray(x), "nvfp4"), plain)
    assert same(lowbit.quantize(np.broadcast_to(x[:1], x.shape), "nvfp4"), lowbit.quantize(np.repeat(x[:1], 6, 0), "nvfp4"))


def test_read_only_and_misaligned(x):
    plain = lowbit.quantize(x, "nvfp4")
    frozen = x.copy()
    frozen.flags.writeable = False
    assert same(lowbit.quantize(frozen, "nvfp4"), plain)
    for offset in range(1, 4):
        raw = bytearray(offset) + x.tobytes()
        shifted = np.frombuffer(raw, np.uint8, offset=offset).view(np.float32).reshape(x.shape)
        assert not shifted.flags.aligned
        # The library reads elements as such, which only an aligned copy allows.
        assert as_array(shifted)[0].flags.aligned and as_array(shifted)[0].ctypes.data % 4 == 0
        assert same(lowbit.quantize(shifted, "nvfp4"), plain)
    assert same(lowbit.quantize(x.astype(">f4"), "nvfp4"), plain)


def test_element_types(x):
    bf16 = x.astype(ml_dtypes.bfloat16)
    assert same(lowbit.quantize(bf16, "nvfp4:mse"), lowbit.quantize(bf16.view(np.uint16), "nvfp4:mse", dtype="BF16"))
    assert same(lowbit.quantize(bf16, "nvfp4"), lowbit.quantize(bf16.astype(np.float32), "nvfp4"))
    assert same(lowbit.quantize(x.astype(np.float64), "nvfp4"), lowbit.quantize(x, "nvfp4"))
    for narrow, name in [(ml_dtypes.float8_e4m3fn, "F8_E4M3"), (ml_dtypes.float8_e5m2, "F8_E5M2")]:
        codes = np.arange(96, dtype=np.uint8).reshape(2, 48)
        assert same(lowbit.quantize(codes.view(narrow), "nvfp4"), lowbit.quantize(codes, "nvfp4", dtype=name))
        assert same(lowbit.quantize(codes.view(narrow), "nvfp4"), lowbit.quantize(codes.view(narrow).astype(np.float32), "nvfp4"))


def test_buffers_and_dlpack(x):
    plain = lowbit.quantize(x, "nvfp4")
    assert same(lowbit.quantize(memoryview(x), "nvfp4"), plain)
    flat = lowbit.quantize(array.array("f", x.ravel().tolist()), "nvfp4")
    assert flat.dequantize().shape == (x.size,)

    class Foreign:  # what another library's array looks like
        def __dlpack__(self, **options):
            return x.__dlpack__()

        def __dlpack_device__(self):
            return (1, 0)

    assert same(lowbit.quantize(Foreign(), "nvfp4"), plain)

    class OnGpu(Foreign):
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(lowbit.UsageError, match="main memory"):
        lowbit.quantize(OnGpu(), "nvfp4")
    assert lowbit.quantize([[1.0, 2.0, 3.0, 6.0] * 4], "nvfp4").amax == 6.0


def test_torch(x):
    torch = pytest.importorskip("torch")
    plain = lowbit.quantize(x, "nvfp4")
    assert same(lowbit.quantize(torch.from_numpy(x.copy()).requires_grad_(), "nvfp4"), plain)
    assert same(lowbit.quantize(torch.from_numpy(x).T.contiguous().T, "nvfp4"), plain)
    bf16 = torch.from_numpy(x).bfloat16()
    assert same(lowbit.quantize(bf16, "nvfp4"), lowbit.quantize(bf16.float().numpy(), "nvfp4"))


@pytest.mark.parametrize("bad", [
    np.zeros((2, 16), np.int32), np.zeros((2, 16), bool), np.zeros((2, 16), complex), np.zeros((2, 16), np.longdouble),
    np.array([["a"]]), np.array([None]), np.zeros((2, 16), [("f", "f4")]), None, "text", object(), {1: 2}, np.zeros((2, 16), np.uint16),
    np.zeros(2, "M8[s]"),
], ids=lambda b: type(b).__name__ + str(getattr(b, "dtype", "")))
def test_what_is_no_array_of_floats(bad):
    with pytest.raises((lowbit.UsageError, TypeError, ValueError)):
        lowbit.quantize(bad, "nvfp4")


def test_a_wide_type_is_named():
    with pytest.raises(lowbit.UsageError, match="wider than float64"):
        lowbit.quantize(np.zeros((2, 16), np.longdouble), "nvfp4")


def test_a_dtype_that_contradicts_the_array(x):
    with pytest.raises(lowbit.UsageError, match="contradicts"):
        lowbit.quantize(x.astype(ml_dtypes.bfloat16), "nvfp4", dtype="F16")


@pytest.mark.parametrize("options", [
    {"dtype": "F33"}, {"dtype": "F16"}, {"dtype": "U8"}, {"axis": 2}, {"axis": -3}, {"rounding": "up"}, {"nonfinite": "ignore"},
    {"amax": -1.0}, {"amax": float("nan")}, {"scale_max": 100.0}, {"rounding": "stochastic"}, {"dialect": "nobody"}, {"rule": "floor"},
    {"rounding": "stochastic", "random0": np.zeros(3, np.float32)},
])
def test_options_without_meaning(x, options):
    with pytest.raises(lowbit.Error):
        lowbit.quantize(x, "nvfp4", **options)


@pytest.mark.parametrize("values,scales", [
    (np.zeros((2, 8), np.uint8), np.zeros((2, 2), np.uint8)), (np.zeros((2, 7), np.uint8), np.zeros((2, 1), np.uint8)),
    (np.zeros(8, np.uint8), np.zeros(1, np.uint8)), (np.zeros((2, 8), np.float32), np.zeros((2, 1), np.uint8)),
    (np.zeros((3, 8), np.uint8), np.zeros((2, 1), np.uint8)), (np.zeros((2, 4), np.uint16), np.zeros((2, 1), np.uint8)),
])
def test_parts_that_do_not_fit(values, scales):
    with pytest.raises(lowbit.UsageError):
        lowbit.quantized(values, scales, 1.0, format="nvfp4")


def test_results_are_read_only_and_outlive_their_owner(x):
    q = lowbit.quantize(x, "nvfp4")
    values, copy = q.values, q.values.tobytes()
    with pytest.raises(ValueError):
        values[0, 0] = 1
    del q
    junk = [np.ones(1000, np.uint8) for _ in range(100)]
    assert values.tobytes() == copy and junk


def test_nan_is_refused_by_place(x):
    x = x.copy()
    x[3, 7] = np.nan
    with pytest.raises(lowbit.InvalidInputError, match="3"):
        lowbit.quantize(x, "nvfp4")


def test_repr(x):
    q = lowbit.quantize(x, "nvfp4:mse")
    assert "nvfp4:mse canonical, 6 x 80" in repr(q) and f"0x{q.scales[0, 0]:02x}" in repr(q)
    assert q._repr_html_().count("<td>") == 32
    assert q.first_values(5).tobytes() == q.dequantize()[0, :5].tobytes() and q.first_values(99).size == 16
    short = lowbit.quantize(x[:, :10], "nvfp4")
    assert len(repr(short).splitlines()[2].split()) == 1 + 10 and short._repr_html_().count("<td>") == 20
    assert "0 x 16" in repr(lowbit.quantize(np.zeros((0, 16), np.float32), "nvfp4"))
    assert "mxfp8_e4m3" in repr(lowbit.quantize(x, "mxfp8_e4m3"))


# glibc's fenv_t on x86-64: MXCSR is its last word.
FTZ, DAZ, UPWARD = 0x8000, 0x0040, 0x4000


class Environment:
    def __init__(self):
        self.libm = ctypes.CDLL("libm.so.6")

    def get(self):
        state = (ctypes.c_uint32 * 8)()
        self.libm.fegetenv(state)
        return state

    def set(self, bits):
        state = self.get()
        state[7] = bits
        self.libm.fesetenv(state)

    def mxcsr(self):
        return self.get()[7] & ~0x3F


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="MXCSR is of x86-64")
@pytest.mark.parametrize("bits", [FTZ | DAZ, UPWARD, FTZ | DAZ | UPWARD])
def test_the_float_environment_does_not_matter_and_stays(bits):
    x = awkward(64, 64, seed=8)
    x[5] *= np.float32(1e-38)  # subnormals
    big = np.random.default_rng(1).standard_normal((64, 4096)).astype(np.float32) * np.float32(2e-39)
    small = big[:, :256]
    half = x.astype(np.float16)
    product = np.full((64, 64), 1e-40, np.float32)
    codes = {codec["name"]: lowbit.encode(x, codec["name"]) for codec in lowbit.codecs()}
    right, doubled = lowbit.quantize(small, "mxfp4"), lowbit.quantize(2 * small, "mxfp4")
    q = lowbit.quantize(x, "nvfp4")

    def mismatch():
        with pytest.raises(lowbit.MismatchError) as raised:
            lowbit.testing.assert_gemm_equal(q, q, product)
        return str(raised.value)

    def report(table):
        return table.rows, table.totals, table.to_json(), table.to_csv(), table.to_markdown(), table.to_html(), table._repr_html_(), str(table)

    calls = [
        lambda: lowbit.quantize(x, "nvfp4:mse").values.tobytes(),
        lambda: lowbit.quantize(big, "mxfp4").scales.tobytes(),
        lambda: lowbit.quantize(x, "if4").dequantize().tobytes(),
        lambda: report(lowbit.evaluate(big, ["nvfp4", "if4"], threads=2)),
        lambda: report(lowbit.evaluate(x[:61, :60], ["nvfp4:mse", "mxfp4", "q4_0"])),
        lambda: report(lowbit.evaluate(DATA / "interop/torchao", reference=DATA / "interop/original")),
        lambda: lowbit.exact_gemm(q, q).tobytes(),
        lambda: lowbit.exact_gemm(q, q, tensor_scale="fp32", output="f16").tobytes(),
        lambda: lowbit.mma("mma.Hopper.m64n8k16.f32.f16.f16.f32", half, half.T, product).tobytes(),
        lambda: [lowbit.encode(x, codec["name"]).tobytes() for codec in lowbit.codecs()],
        lambda: [lowbit.decode(codes[codec["name"]], codec["name"], x.shape).tobytes() for codec in lowbit.codecs()],
        lambda: right.first_values(32).tobytes(),
        lambda: lowbit.explain(small, block=(0, 0), format="nvfp4"),
        lambda: lowbit.verify_quantize(small, right).text,
        lambda: lowbit.verify_quantize(small, doubled).text,
        mismatch,
        lambda: lowbit.quantize(small, "nvfp4").amax.hex(),
        lambda: lowbit.quantized(q.values, q.scales, 1e-40, format="nvfp4").amax.hex(),
        lambda: lowbit.quantize(small, "nvfp4", amax=1e-40).values.tobytes(),
        lambda: lowbit.explain(small, block=(0, 0), format="nvfp4", amax=1e-40),
    ]
    assert lowbit.quantize(small, "nvfp4").amax == float(np.abs(small).max()) > 0
    clean = [call() for call in calls]
    environment = Environment()
    before = environment.mxcsr()
    try:
        environment.set((before & ~0xE040) | bits)
        assert environment.mxcsr() & (FTZ | DAZ | UPWARD) == bits
        set_to = environment.mxcsr()
        results = [call() for call in calls]
        after = environment.mxcsr()
        with pytest.raises(lowbit.UsageError):
            lowbit.quantize(x, "nvfp5")
        after_error = environment.mxcsr()
    finally:
        environment.set(before)
    for result, wanted in zip(results, clean):
        assert result == wanted
    assert after == set_to == after_error


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="MXCSR is of x86-64")
@pytest.mark.parametrize("bits", [FTZ | DAZ, UPWARD])
def test_the_mode_of_shared_worker_threads_does_not_matter(tmp_path, bits):
    """The results of two threads, the second of which another user of oneTBB left in another mode."""
    helper = tmp_path / "dirty_workers.so"
    subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-O1", "-shared", "-fPIC", pathlib.Path(__file__).parent / "dirty_workers.cpp",
                    "-o", helper, "-ltbb"], check=True)
    # In a process of its own: the mode stays on threads that later tests would use.
    program = (
        "import ctypes, sys, numpy, lowbit\n"
        "small = numpy.random.default_rng(1).standard_normal((256, 4096)).astype('float32') * numpy.float32(2e-39)\n"
        "def results():\n"
        "    totals = lowbit.evaluate(small, ['nvfp4:mse', 'mxfp4', 'if4'], threads=2).totals\n"
        "    q = lowbit.quantize(small, 'mxfp4')\n"
        "    return [(t['mse'], t['max_abs_error']) for t in totals], q.scales.tobytes(), q.dequantize().tobytes()\n"
        "clean = results()\n"
        "helper = ctypes.CDLL(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    helper.set_mode_of_threads(2, int(sys.argv[2]))\n"
        "    assert numpy.float32(1e-38) * numpy.float32(0.1) == 0 or int(sys.argv[2]) & 0x8000 == 0\n"
        "    assert results() == clean\n"
        "print('same')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, helper, str(0x1F80 | bits)], capture_output=True, text=True, timeout=500)
    assert done.stdout == "same\n", done.stderr


# What the next two tests run in a process of its own. The array is as large as this machine needs for a call that takes half a second
# of processor time, so that neither a fast machine nor a slow or busy one decides the result.
LONG_CALL = """
import lowbit, numpy, os, signal, sys, threading, time

def timed(rows):
    x = numpy.random.default_rng(0).standard_normal((rows, 1024)).astype("float32")
    start, processor = time.monotonic(), time.process_time()
    call(x)
    return x, time.monotonic() - start, time.process_time() - processor

rows = 64
x, wall, processor = timed(rows)
while processor < 0.5:
    rows = int(rows * min(8, max(2, 0.6 / max(processor, 1e-3))))
    x, wall, processor = timed(rows)
"""

CALLS = pytest.mark.parametrize("call", [
    "lowbit.evaluate(x, ['if3:optimal'], threads=1)", "lowbit.quantize(x, 'if3:optimal', threads=1)",
], ids=["evaluate", "quantize"])


def output_of(call, program):
    program = f"call = lambda x: {call}\n{LONG_CALL}{program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@CALLS
def test_threads_run_while_it_computes(call):
    # With the GIL held, this thread would stand still for as long as the call takes. On a busy machine it may stand still for other
    # reasons, so one call of several decides.
    assert output_of(call, """
for attempt in range(20):
    took = []
    def work():
        start = time.monotonic()
        call(x)
        took.append(time.monotonic() - start)
    worker = threading.Thread(target=work)
    ticks = [time.monotonic()]
    worker.start()
    while worker.is_alive():
        time.sleep(0.001)
        ticks.append(time.monotonic())
    if max(b - a for a, b in zip(ticks, ticks[1:])) < took[0] / 2:
        print("runs")
        break
""") == "runs\n"


@CALLS
def test_interrupt_in_a_long_call(call):
    # The processor time of a call that ends before its work is done is a part of the whole call's, however busy the machine is. A
    # signal that comes late, or after the call, proves nothing: the next attempt sends it again.
    assert output_of(call, """
for attempt in range(20):
    timer = threading.Timer(wall / (10 + 10 * attempt), os.kill, (os.getpid(), signal.SIGINT))
    try:
        start = time.process_time()
        timer.start()
        call(x)
        timer.join()
    except KeyboardInterrupt:
        if time.process_time() - start < 0.6 * processor:
            print("interrupted")
            break
""") == "interrupted\n"
