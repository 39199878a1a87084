"""Where something runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Backend, device (`cpu`, `gpu` or `gpu:1`) and number of threads of a process."""

    backend: str
    device: str
    threads: int

    def __str__(self) -> str:
        return f"{self.backend} on {self.device}"
