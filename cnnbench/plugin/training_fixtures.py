"""What the plugin's fixtures do: ask the session, show the seconds, keep the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from cnnbench.plugin.clock import CLOCK, show_rounds
from cnnbench.plugin.lifecycle import (
    REDS_KEY,
    SESSION_KEY,
    TARGETS_NAME,
    options_of,
    params_of,
    targets_of,
)

if TYPE_CHECKING:
    from cnnbench.models.variants import Variant
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.records.checks import CheckResult
    from cnnbench.records.runs import SanityKind, SanityRun, TrainingRun
    from cnnbench.session.session import Session

Target = Callable[[str], float]
T = TypeVar("T")
# The test that said an error of a variant in full.
SAID_KEY = pytest.StashKey[dict[tuple[object, str], str]]()
GATE_PROPERTIES = ("low", "high", "p_value", "alpha", "values")


def usable(request: pytest.FixtureRequest) -> Session:
    """Returns the session, or fails the test if its pictures can't be trained on."""
    bench = session_of(request)
    if bench.leaks:
        request.session.shouldfail = "the held-out set is not held out"
        _fail("Nothing is trained: " + "\n".join(bench.leaks))
    return bench


def session_of(request: pytest.FixtureRequest) -> Session:
    bench = request.config.stash.get(SESSION_KEY, None)
    if bench is None:
        _fail(
            "cnnbench starts processes of its own and measures on an idle machine: run this test "
            "without xdist (-n 0)."
        )
    return bench


def leaks(request: pytest.FixtureRequest, benchmark: Any) -> tuple[str, ...]:
    bench = session_of(request)
    show_rounds(benchmark, request.node.stash[CLOCK], [bench.load_seconds])
    if bench.leaks:
        request.session.shouldfail = "the held-out set is not held out"
    return tuple(bench.leaks)


def near_duplicates(request: pytest.FixtureRequest, benchmark: Any) -> NearDuplicates:
    bench = usable(request)
    start = time.perf_counter()
    found = bench.near_duplicates
    show_rounds(benchmark, request.node.stash[CLOCK], [time.perf_counter() - start])
    return found


def run(request: pytest.FixtureRequest, benchmark: Any, variant: Variant, seed: int) -> TrainingRun:
    done = _run(request, variant, seed)
    show_rounds(benchmark, request.node.stash[CLOCK], [done.seconds])
    pictures = done.epochs * done.steps_per_epoch * done.batch_size
    benchmark.extra_info.update(
        variant=variant.name,
        seed=seed,
        accuracy=done.val_accuracy,
        generalization_gap=done.generalization_gap,
        # With validation, and beside another training: no measure of throughput.
        images_per_second=pictures / done.seconds,
    )
    return done


def runs(request: pytest.FixtureRequest, variant: Variant) -> tuple[TrainingRun, ...]:
    return tuple(_run(request, variant, seed) for seed in options_of(request.node).seeds)


def sanity(
    request: pytest.FixtureRequest, benchmark: Any, kind: SanityKind, variant: Variant
) -> SanityRun:
    done = awaited(request, lambda bench: bench.sanity_run(kind, variant))
    show_rounds(benchmark, request.node.stash[CLOCK], [done.seconds])
    benchmark.extra_info.update(variant=variant.name, accuracy=done.accuracy, steps=done.steps)
    return done


def target(request: pytest.FixtureRequest) -> Target:
    bench = usable(request)
    targets = targets_of(request.node)
    variant = params_of(request.node).get("cnnbench_variant")
    name_of_variant = variant.name if variant else ""

    def look_up(name: str) -> float:
        value = targets.get(name, bench.data_set.name, name_of_variant)
        if value is None:
            pytest.skip(
                f"{TARGETS_NAME} has no {name!r} for the pictures {bench.data_set.name!r} and the "
                f"variant {name_of_variant!r}"
            )
        return value

    return look_up


def gate(request: pytest.FixtureRequest, name: str) -> CheckResult:
    from cnnbench.plugin.gates import JURY_KEY, gate_of

    bench = usable(request)
    found = gate_of(bench, request.node, name)
    if isinstance(found, str):
        pytest.skip(found)
    jury = request.config.stash[JURY_KEY]
    try:
        return jury.verdict(found)
    except Exception as error:  # whatever went wrong is the verdict
        bench.judge(jury.error(found, error))
        request.node.user_properties += [("check", found.rule.check), ("verdict", "error")]
        request.config.stash[REDS_KEY].append("error")
        _fail(f"{found.title()} could not be judged: {_said_once(request, error)}")


def judge(request: pytest.FixtureRequest) -> Callable[[CheckResult], None]:
    bench = session_of(request)

    def keep(result: CheckResult) -> None:
        bench.judge(result)
        for name in (*("check", "verdict", "observed", "threshold"), *GATE_PROPERTIES):
            value = getattr(result, name)
            if value is not None:
                request.node.user_properties.append((name, value))
        if result.verdict == "pass":
            return
        text = f"{result.check} {result.verdict}: {result.variant} {result.detail}"
        if result.verdict == "inconclusive":
            if bench.options.inconclusive == "allow":
                pytest.xfail(text)
            request.config.stash[REDS_KEY].append("inconclusive")
        _fail(text)

    return keep


def _run(request: pytest.FixtureRequest, variant: Variant, seed: int) -> TrainingRun:
    return awaited(request, lambda bench: bench.training_run(variant, seed))


def awaited(request: pytest.FixtureRequest, ask: Callable[[Session], T]) -> T:
    from cnnbench.session.workers.process import JobError

    try:
        return ask(usable(request))
    except JobError as error:
        _fail(_said_once(request, error))


def _said_once(request: pytest.FixtureRequest, error: Exception) -> str:
    """Returns an error in full for the first test of a variant, and for others where it is."""
    variant = params_of(request.node).get("cnnbench_variant")
    known = (variant, getattr(error, "reason", str(error)))
    first = request.config.stash.setdefault(SAID_KEY, {}).setdefault(known, request.node.nodeid)
    if first != request.node.nodeid:
        return f"{variant.name if variant else ''} can't be used: see {first}"
    return f"{error}\n{getattr(error, 'details', '')}".strip()


def _fail(message: str) -> NoReturn:
    # Not beside the error that it words: that would be said twice.
    raise pytest.fail.Exception(message, pytrace=False) from None
