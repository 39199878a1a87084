"""One run of `cnnbench ab`: the bench, the verdict and what is left behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnbench.ab import files, stored, verdict
from cnnbench.ab.bench import Bench
from cnnbench.ab.gate import by_clock, clocks_in_words, measure_until_decided
from cnnbench.ab.pairs import Alone
from cnnbench.ab.settings import Settings
from cnnbench.ab.sides import Side
from cnnbench.ab.stored import Stored
from cnnbench.environment import describe
from cnnbench.images.dataset import Splits


class Comparison:
    """Compares two sides, or one with a stored record; makes the report folder.

    Args:
        settings: the numbers.
        sides: BASE and HEAD, or HEAD alone; placed (`sides.placed`).
        splits: the pictures; only their shape and number of classes matter.
        manifest: of them, for processes.
        report_dir: where the report's folder goes.
        say: prints a line for people.
        keep: whether the reference is measured too, so that HEAD's times can be stored.
    """

    def __init__(
        self,
        settings: Settings,
        sides: Sequence[Side],
        splits: Splits,
        manifest: Path,
        report_dir: Path,
        say: Callable[[str], None],
        *,
        keep: bool = False,
    ) -> None:
        self._settings, self._sides, self._say = settings, tuple(sides), say
        self._manifest, self._keep = manifest, keep
        self._environment = describe(Path.cwd())
        self._shape, self._classes = list(splits.input_shape), len(splits.classes)
        self._content = {
            "cnnbench_ab": 1,
            "environment": self._environment,
            "sides": [side.to_dict() for side in sides],
            "settings": settings.to_dict(),
            "pictures": {
                "content_hash": splits.content_hash,
                "input_shape": self._shape,
                "classes": self._classes,
            },
        }
        self._report_dir = report_dir
        self.folder: Path | None = None

    def gate(self) -> tuple[verdict.Verdict, list[Alone]]:
        """Compares two sides until there is a verdict.

        Returns:
            The verdict, and HEAD beside the reference if that was measured.
        """
        settings = self._settings
        rule = settings.rule()
        folder = self._begin(f"{settings.pairs} to {settings.max_pairs} pairs of fresh processes")
        with ExitStack() as stack:
            table = stack.enter_context(closing(files.PairsFile(folder)))
            bench = stack.enter_context(self._bench())
            pairs, result = measure_until_decided(
                bench.pair,
                rule,
                budget=settings.budget,
                log_ratio=lambda pair: by_clock(pair, settings.clock),
                keep=table.append,
                say=self._say,
            )
        text = f"{verdict.in_words(result, rule)} {clocks_in_words(pairs, settings.clock)}"
        self._end(folder, text, result=result.to_dict())
        return result.verdict, [pair.head() for pair in pairs]

    def inform(self, then: Stored, *, may_fail: bool) -> tuple[verdict.Verdict, list[Alone]]:
        """Compares HEAD with a stored record.

        Args:
            then: the record.
            may_fail: whether the verdict counts; it is `pass` otherwise.

        Returns:
            The verdict, and HEAD beside the reference.

        Raises:
            ValueError: if the verdict is to count and the record is of something else.
        """
        differing = stored.differing(self._identity(), then.identity)
        if differing and may_fail:
            raise ValueError(
                "--fail-on-stored: expected a record of the same machine, packages and settings. "
                f"Received: {'; '.join(differing)}"
            )
        folder = self._begin(f"{self._settings.pairs} processes beside the reference")
        now: list[Alone] = []
        with ExitStack() as stack:
            table = stack.enter_context(closing(files.PairsFile(folder)))
            bench = stack.enter_context(self._bench())
            for number in range(self._settings.pairs):
                now.append(bench.alone(number))
                table.append(now[-1])
        rule = replace(self._settings.rule(), looks=(self._settings.pairs,))
        change = stored.compare(now, then.alone)
        found: verdict.Verdict = stored.verdict_of(change, rule) if may_fail else "pass"
        end = "This informs, never fails; --fail-on-stored lets it."
        if may_fail:
            end = f"{found.upper()}, by the normalized times."
        text = f"{stored.in_words(change, rule, differing)} {end}"
        self._end(folder, text, result=None, stored=then.identity)
        return found, now

    def stored(self, alone: Sequence[Alone]) -> Stored:
        """Returns HEAD's times as a record to store."""
        return Stored(
            identity=self._identity(),
            side=self._sides[-1].to_dict(),
            started=self._environment["started"],
            commit=self._environment["commit"],
            alone=tuple(alone),
        )

    def _begin(self, count: str) -> Path:
        """Prints the plan and writes what is known before the first pair."""
        self.folder = files.new_folder(self._report_dir, self._environment["commit"])
        for side in self._sides:
            self._say(f"{side.name}: {side.in_words()}")
        self._say(f"{self._settings.workload} on {self._settings.device}: {count}")
        files.write_result(self.folder, {**self._content, "result": None})
        return self.folder

    def _end(self, folder: Path, text: str, **results: Any) -> None:
        files.write_result(folder, {**self._content, **results, "text": text})
        self._say(text)

    def _bench(self) -> Bench:
        return Bench(
            *(self._sides[0], self._sides[-1]),
            splits=self._manifest,
            workload=self._settings.workload,
            device=self._settings.device,
            seed=self._settings.seed,
            reference=self._keep,
        )

    def _identity(self) -> dict[str, Any]:
        return stored.identity_of(
            *(self._environment, self._sides[-1]),
            *(self._settings.workload, self._settings.device),
            *(self._shape, self._classes),
        )
