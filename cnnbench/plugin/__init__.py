"""The pytest plugin: options, hooks and fixtures. A table of contents.

Loaded in every pytest run of every project that has cnnbench installed: nothing
heavier than dataclasses may be imported here, and nothing is printed, opened or
started until a test asks for one of the fixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from cnnbench.plugin import collection as items_
from cnnbench.plugin import lifecycle as session_
from cnnbench.plugin import training_fixtures as fixtures
from cnnbench.session.options import MARKER_FIELDS, OPTIONS

if TYPE_CHECKING:
    from cnnbench.models.variants import Variant
    from cnnbench.pictures.near_duplicates import NearDuplicates
    from cnnbench.plugin.training_fixtures import Target
    from cnnbench.records.checks import CheckResult
    from cnnbench.records.runs import DataSet, SanityRun, TrainingRun

pytest_plugins = ("cnnbench.plugin.throughput_fixtures",)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cnnbench", "cnnbench: accuracy and throughput of Keras CNNs")
    for option in OPTIONS.values():
        group.addoption(option.flag, metavar=option.metavar, default=None, help=option.help)
        parser.addini(option.ini, f"default of {option.flag}", type="string", default="")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"cnnbench({', '.join(MARKER_FIELDS)}, accuracy, ...): "
        "this test needs cnnbench's fixtures; the arguments take precedence over the options of "
        "the same names and over the thresholds in targets.toml.",
    )
    session_.configure(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    items_.parametrize(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items_.prepare(config, items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    session_.start(session)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    session_.finish(session)


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    return session_.status_of(report)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    session_.summarize(terminalreporter)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    session_.add_identity(config, output_json)


@pytest.fixture
def cnnbench_variant(request: pytest.FixtureRequest) -> Variant:
    """The variant under test; a test that asks for it runs once for each."""
    variant: Variant = request.param
    return variant


@pytest.fixture
def cnnbench_seed(request: pytest.FixtureRequest) -> int:
    """Seed of the training run; a test that asks for it runs once for each."""
    return int(request.param)


@pytest.fixture
def cnnbench_data(request: pytest.FixtureRequest) -> DataSet:
    """The pictures of this session: names, labels, classes and content hash."""
    return fixtures.usable(request).data_set


@pytest.fixture
def cnnbench_held_out(request: pytest.FixtureRequest, benchmark: Any) -> tuple[str, ...]:
    """A line for each picture that is in both sets. Benchmarks reading the pictures."""
    return fixtures.leaks(request, benchmark)


@pytest.fixture
def cnnbench_near_duplicates(request: pytest.FixtureRequest, benchmark: Any) -> NearDuplicates:
    """Names of a training and a held-out picture that look the same, for each such pair.

    Benchmarks comparing the pictures.
    """
    return fixtures.near_duplicates(request, benchmark)


@pytest.fixture
def cnnbench_run(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, cnnbench_seed: int, benchmark: Any
) -> TrainingRun:
    """The training run of this variant and seed. Benchmarks its seconds."""
    return fixtures.run(request, benchmark, cnnbench_variant, cnnbench_seed)


@pytest.fixture
def cnnbench_runs(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> tuple[TrainingRun, ...]:
    """The training runs of this variant, one per seed.

    It requests `benchmark`, so that `--benchmark-only` skips no check, and leaves its use to
    the test: the seconds of these runs are `cnnbench_run`'s to show.
    """
    return fixtures.runs(request, cnnbench_variant)


@pytest.fixture
def cnnbench_accuracy(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """The accuracy gate: is mean held-out accuracy over seeds at least the target?

    Like every gate it trains as many seeds as needed, up to `--cnnbench-max-seeds`, and shares
    `--cnnbench-alpha` with all gates of the session. Skips the test where no target is stated.
    """
    return fixtures.gate(request, "cnnbench_accuracy")


@pytest.fixture
def cnnbench_accuracy_drop(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """The gate against `--cnnbench-baseline`: is the accuracy lower than it was?

    Skips the test where there is no baseline of the variant.
    """
    return fixtures.gate(request, "cnnbench_accuracy_drop")


@pytest.fixture
def cnnbench_train_accuracy(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """The gate on training accuracy, where wrong labels show first.

    Skips the test where no target is stated.
    """
    return fixtures.gate(request, "cnnbench_train_accuracy")


@pytest.fixture
def cnnbench_generalization_gap(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """The overfitting gate: is train minus held-out accuracy at most its limit?"""
    return fixtures.gate(request, "cnnbench_generalization_gap")


@pytest.fixture
def cnnbench_validation_loss_rise(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> CheckResult:
    """The gate on validation loss: is its rise after the best epoch at most its limit?"""
    return fixtures.gate(request, "cnnbench_validation_loss_rise")


@pytest.fixture
def cnnbench_memorization(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> SanityRun:
    """The training on one tiny batch. Benchmarks its seconds."""
    return fixtures.sanity(request, benchmark, "memorization", cnnbench_variant)


@pytest.fixture
def cnnbench_shuffled_labels(
    request: pytest.FixtureRequest, cnnbench_variant: Variant, benchmark: Any
) -> SanityRun:
    """The training on shuffled labels. Benchmarks its seconds."""
    return fixtures.sanity(request, benchmark, "shuffled_labels", cnnbench_variant)


@pytest.fixture
def cnnbench_target(request: pytest.FixtureRequest) -> Target:
    """Function that returns a threshold by name, for this session's pictures and this variant."""
    return fixtures.target(request)


@pytest.fixture
def cnnbench_judge(request: pytest.FixtureRequest) -> Callable[[CheckResult], None]:
    """Function that records a check's result and fails the test if it did not pass."""
    return fixtures.judge(request)
