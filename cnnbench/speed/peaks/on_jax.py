"""The peak's works in JAX. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from cnnbench.speed.peaks.sizes import CHANNELS, INPUT_SIDE, KERNEL, Bench, Call, Unsupported


def bench(device: str, dtype: str, threads: int) -> Bench:
    """Returns the works on a device; threads are those of the process."""
    try:
        where = jax.devices(device)[0]
    except RuntimeError as error:  # an unknown or absent platform
        raise Unsupported(f"JAX sees no {device}") from error
    return _Bench(where, dtype)


class _Bench:
    def __init__(self, device: Any, dtype: str) -> None:
        self._device, self._dtype = device, dtype
        # Sums of int8 products need 32 bits; floats are left to XLA.
        self._sums = jnp.int32 if dtype == "int8" else None

    def matmul(self, size: int) -> Call:
        def product(a: Any, b: Any) -> Any:
            return jnp.matmul(a, b, preferred_element_type=self._sums)

        return self._call(product, self._array(size, size), self._array(size, size))

    def convolution(self, batch: int) -> Call:
        def convolve(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(
                *(x, w, (1, 1), "VALID"),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                preferred_element_type=self._sums,
            )

        x = self._array(batch, INPUT_SIDE, INPUT_SIDE, CHANNELS)
        return self._call(convolve, x, self._array(KERNEL, KERNEL, CHANNELS, CHANNELS))

    def _array(self, *shape: int) -> Any:
        return jax.device_put(jnp.ones(shape, self._dtype), self._device)

    def _call(self, function: Callable[[Any, Any], Any], a: Any, b: Any) -> Call:
        program = jax.jit(function)  # with both as arguments: constants would be folded
        jax.block_until_ready((a, b))
        return lambda: jax.block_until_ready(program(a, b))
