"""The bench: templates of both sides, and pairs of fresh processes one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from cnnbench.ab.pairs import Pair, TimeSteps, measure_pair
from cnnbench.ab.processes import Child, Origin, Template
from cnnbench.ab.sides import Side
from cnnbench.pictures.load import Splits
from cnnbench.pictures.streams import random_stream
from cnnbench.records.measurements import Workload


class Bench:
    """Measures pairs of two sides. A context manager; processes end with it.

    Sides with one backend, number of threads and harness share a template: what it happened to
    get when it started (addresses, memory) is then the same on both sides of every pair.

    Args:
        side_a: BASE, placed (`sides.placed`).
        side_b: HEAD, placed; equal sides are allowed.
        splits: the pictures.
        workload: `train` or `inference`.
        device: `cpu` or `gpu`.
        seed: of weights, batches and orders.
    """

    def __init__(
        self,
        side_a: Side,
        side_b: Side,
        *,
        splits: Splits,
        workload: Workload,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        self.sides = {"a": side_a, "b": side_b}
        self._splits, self._workload = splits, workload
        self._device, self._seed = device, seed
        self._templates: dict[Origin, Template] = {}
        self._spent: list[Template] = []
        self._children: list[Child] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="cnnbench-")
        self._manifest = Path(self._scratch.name) / "pictures.json"

    def __enter__(self) -> Self:
        self._splits.save(self._manifest)
        for party in self.sides:
            self._template(party)  # all import at the same time
        for template in self._templates.values():
            template.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()
        for template in self._templates.values():
            template.stop()
        self._scratch.cleanup()

    def pair(self, number: int) -> Pair:
        """Measures one pair of fresh processes.

        Args:
            number: of the pair; with the seed it draws every order.

        Raises:
            SideFailed: if a side can't be built or its process ends.
        """
        rng = random_stream(self._seed, "ab_pair", number)
        with self.processes(number, rng) as time_steps:
            return measure_pair(
                number,
                time_steps,
                rng,
                batch_a=self.sides["a"].batch_size,
                batch_b=self.sides["b"].batch_size,
            )

    @contextmanager
    def processes(self, number: int, rng: np.random.Generator) -> Iterator[dict[str, TimeSteps]]:
        """Forks and builds a process for each side, `a` and `b`; they end afterwards."""
        try:
            # Which is forked first is drawn too: it may get the better memory.
            order = ["ab"[index] for index in rng.permutation(2)]
            children = {party: self._fork(party, number) for party in order}
            for party, child in children.items():
                child.send(self._build(party))  # both build at the same time
            for child in children.values():
                child.answer()
            yield {party: child.time for party, child in children.items()}
            for child in children.values():
                child.end()
        finally:
            self._clear()

    def _clear(self) -> None:
        """Ends what is left of a pair."""
        for child in self._children:
            child.kill()
        for template in self._spent:
            template.stop()
        self._children, self._spent = [], []

    def _fork(self, party: str, number: int) -> Child:
        side = self.sides[party]
        template = self._template(party)
        child = template.fork(side.name, side.folder, cpu=number)
        self._children.append(child)
        if not template.can_fork:  # it has become the child
            self._spent.append(template)
            del self._templates[template.origin]
        return child

    def _template(self, party: str) -> Template:
        side = self.sides[party]
        origin = Origin(side.backend, self._device, side.threads, side.harness)
        if origin not in self._templates:
            self._templates[origin] = Template(origin, Path(self._scratch.name))
        return self._templates[origin]

    def _build(self, party: str) -> dict[str, Any]:
        side = self.sides[party]
        return {
            "do": "build",
            "variant": asdict(side.variant),
            "splits": str(self._manifest),
            "workload": self._workload,
            "backend": side.backend,
            "device": self._device,
            "batch_size": side.batch_size,
            "seed": self._seed,
        }
