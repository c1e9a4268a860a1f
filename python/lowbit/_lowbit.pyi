"""What the package `lowbit` is made of; import that instead."""

from collections.abc import Sequence
import os
from typing import Annotated, Any

import numpy
import numpy.typing
from numpy.typing import NDArray


def version() -> str: ...

def formats() -> list[dict[str, Any]]:
    """
    Every block format: name, element, integer, scale, block_size, bits_per_element, rules, default_rule.
    """

def dialects() -> list[dict[str, Any]]:
    """
    Every dialect: name, summary, formats (the block formats that its program has), rules (of each of these formats).
    """

def captured_configurations() -> list[dict[str, Any]]:
    """
    Outputs of other programs that are dialects, for the tests: how each was made.
    """

def metrics() -> list[dict[str, Any]]:
    """Every metric of `evaluate`: name, heading, style, formula."""

def instructions() -> list[str]:
    """Every tensor-core instruction, as `mma` takes it."""

def inspect(path: str | os.PathLike) -> dict[str, Any]: ...

def lint(path: str | os.PathLike, reference: str | os.PathLike | None) -> list[dict[str, Any]]: ...

def codecs() -> list[dict[str, Any]]:
    """Every reference codec: name, summary."""

def encode(x: object, dtype: str, codec: str) -> numpy.typing.NDArray[numpy.uint8]: ...

def decode(bytes: object, codec: str, rows: int, columns: int) -> numpy.typing.NDArray[numpy.float32]: ...

class Quantized:
    """
    A block-quantized matrix and how it came about. Made by `quantize`, `quantized` and `load`; immutable.
    """

    @property
    def values(self) -> numpy.typing.NDArray[numpy.uint8]:
        """
        Codes, uint8 [rows, bytes of a row]: 4-bit ones two a byte, the even column in the low nibble; others a byte each. Rows are padded with code 0 to whole blocks. In hif4 each block of 64 has three bytes of levels before its codes, 35 bytes in all. Read-only, no copy.
        """

    @property
    def scales(self) -> numpy.typing.NDArray[numpy.uint8]:
        """Scale bytes, uint8 [rows, blocks of a row]. Read-only, no copy."""

    @property
    def amax(self) -> float:
        """
        The tensor's largest magnitude, or the one that was given; 1 for MX formats and hif4. The tensor scale is amax / encode_constant.
        """

    @property
    def encode_constant(self) -> float:
        """
        C of docs/formats.md, section 4; 1 where another program's tensor scale was given.
        """

    @property
    def format(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def dialect(self) -> str: ...

    @property
    def block_size(self) -> int:
        """Elements that a scale byte covers along a row."""

    @property
    def rows(self) -> int: ...

    @property
    def columns(self) -> int:
        """Without padding."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array before quantization."""

    def __repr__(self) -> str: ...

    def dequantize(self, *, as_quantized: bool = False) -> numpy.typing.NDArray[numpy.float32]:
        """
        The values as float32, in the shape before quantization; with as_quantized the matrix [rows, columns] whose rows run along the blocks. A Hadamard transform stays applied.
        """

    def save(self, path: str | os.PathLike, *, name: str = 'x', scale_layout: str = 'linear') -> None:
        """
        Writes the tensor to a safetensors file, whole or not at all, as `lowbit quantize` does.

        scale_layout: linear, or swizzled for the 128x4 tiles of block-scaled tensor cores.
        """

    @property
    def code_bits(self) -> int:
        """Bits that a code takes in `values`: 4 or 8."""

    @property
    def level_bytes(self) -> int:
        """
        Bytes of levels before the codes of each block in `values`: 3 in hif4, else 0.
        """

    def first_values(self, count: int) -> object:
        """The first values of row 0, at most a block of them."""

def quantize(x: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], format: str, *, rule: str, dialect: str, axis: int, transpose: bool, block_2d: bool, hadamard: bool, amax: float | None, scale_max: float | None, nonfinite: str, rounding: str, random0: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, random1: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, importance: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, dtype: str, threads: int) -> Quantized: ...

def assemble(values: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu', writable=False)], scales: Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu', writable=False)], number: float, kind: str, *, format: str, rule: str, dialect: str, columns: int | None, scale_max: float | None, block_2d: bool) -> Quantized: ...

def load(path: str | os.PathLike, name: str) -> Quantized: ...

def names_in(path: str | os.PathLike) -> list[str]: ...

class EvalReport:
    def notes(self) -> list[str]: ...

    def rows(self) -> list[dict[str, Any]]: ...

    def totals(self) -> list[dict[str, Any]]: ...

    def skipped(self) -> list[tuple[str, str]]: ...

    def cells(self) -> list[list[str]]: ...

    def text(self) -> str: ...

    def json(self) -> str: ...

    def csv(self) -> str: ...

    def markdown(self) -> str: ...

    def html(self) -> str: ...

def evaluate_array(x: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], dtype: str, *, formats: Sequence[str], dialect: str, axis: int | None, weight_layout: str, scale_max: float | None, nonfinite: str, threads: int) -> EvalReport: ...

def evaluate_files(path: str | os.PathLike, include: Sequence[str], exclude: Sequence[str], all: bool, *, formats: Sequence[str], dialect: str, axis: int | None, weight_layout: str, scale_max: float | None, nonfinite: str, threads: int) -> EvalReport: ...

def evaluate_stored(path: str | os.PathLike, reference: str | os.PathLike, include: Sequence[str], exclude: Sequence[str]) -> EvalReport: ...

def exact_gemm(a: Quantized, b: Quantized, *, output: str, nan_scale: str, tensor_scale: str, threads: int) -> object: ...

def mma(instruction: str, a: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], b_transposed: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], k: int, c: Annotated[NDArray[numpy.uint32], dict(order='C', device='cpu', writable=False)] | None, scale_a: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, scale_b: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None, threads: int) -> object: ...

def instruction(name: str) -> dict: ...

def verify_quantize(x: object, dtype: str, dump: Quantized, dialect: str, nonfinite: str, amax_given: bool, any_rule: bool) -> dict[str, Any]: ...

def explain(x: object, dtype: str, row: int, block: int, format: str, first: str, second: str, nonfinite: str, amax: float | None, axis: int) -> str: ...

def verify_gemm(a: object, b: object, d: object, output: str, model: str, diagnosis: bool, threads: int) -> str: ...
