"""The peak's works in PyTorch. Runs in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from cnnbench.speed.peaks.sizes import CHANNELS, INPUT_SIDE, KERNEL, Bench, Call, Unsupported


def bench(device: str, dtype: str, threads: int) -> Bench:
    """Returns the works on a device; threads are those of the process."""
    if device == "gpu" and not torch.cuda.is_available():
        raise Unsupported("PyTorch sees no GPU")
    return _Bench("cuda:0" if device == "gpu" else "cpu", getattr(torch, dtype))


class _Bench:
    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype

    def matmul(self, size: int) -> Call:
        a, b = self._array(size, size), self._array(size, size)
        if self._dtype == torch.int8:
            return self._call(lambda: torch._int_mm(a, b))
        out = torch.empty_like(a)
        return self._call(lambda: torch.mm(a, b, out=out))

    def convolution(self, batch: int) -> Call:
        if self._dtype == torch.int8:
            raise Unsupported("PyTorch has no plain int8 convolution")
        # Keras keeps pictures as NHWC and permutes them: to PyTorch, that is channels last.
        nhwc = torch.channels_last
        x = self._array(batch, CHANNELS, INPUT_SIDE, INPUT_SIDE).contiguous(memory_format=nhwc)
        w = self._array(CHANNELS, CHANNELS, KERNEL, KERNEL).contiguous(memory_format=nhwc)
        return self._call(lambda: torch.nn.functional.conv2d(x, w))

    def _array(self, *shape: int) -> torch.Tensor:
        # Ones: neither denormal numbers nor infinities, which some CPUs are slow with.
        return torch.ones(shape, dtype=self._dtype, device=self._device)

    def _call(self, work: Callable[[], Any]) -> Call:
        def call() -> None:
            with torch.inference_mode():
                work()
            if self._device != "cpu":
                torch.cuda.synchronize()

        return call
