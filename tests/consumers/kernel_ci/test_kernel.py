# SPDX-License-Identifier: MIT
"""What docs/ci.md shows: the kernel's output is held to lowbit's, and a fault in it is found."""
import kernel
import lowbit.testing
import numpy as np
import pytest


@pytest.mark.parametrize("seed", range(4))
def test_kernel(seed):
    x = np.random.default_rng(seed).standard_normal((64, 256), dtype="float32")
    lowbit.testing.assert_quantized_equal(x, *kernel.quantize(x), format="nvfp4")


def test_a_faulty_kernel_is_found():
    x = np.random.default_rng(9).standard_normal((64, 256), dtype="float32")
    values, scales, amax = kernel.quantize(x)
    swapped = values << 4 | values >> 4  # the nibbles in the other order
    with pytest.raises(AssertionError, match="cause nibble_order: "):
        lowbit.testing.assert_quantized_equal(x, swapped, scales, amax, format="nvfp4")
