"""Sessions of pytest in the tests' own process, whose workers are no processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from suite_runs import SuiteRun

# pytester forgets what a session has imported, and NumPy and SciPy can't be loaded twice.
import cnnbench.pictures.near_duplicates
import cnnbench.report.summary
import cnnbench.verdicts.gates.rules  # noqa: F401


@pytest.fixture
def own(pytester: pytest.Pytester, tiny_folder: Path) -> Callable[..., SuiteRun]:
    """Runs tests that a user wrote, on tiny pictures and for the variant `wide`."""

    def run(tests: str, *arguments: str, conftest: str = "") -> SuiteRun:
        pytester.makepyfile(test_own=f"import pytest\n{tests}")
        pytester.makeconftest(f"import pytest\n{conftest}")
        pytester.makeini(
            "[pytest]\ncnnbench_variants = wide\ncnnbench_seeds = 0\ncnnbench_image_size = 24\n"
            f"cnnbench_data = {tiny_folder}\n"
        )
        done = pytester.runpytest_inprocess("--junitxml=junit.xml", *arguments)
        output = done.stdout.str() + done.stderr.str()
        return SuiteRun(int(done.ret), output, pytester.path)

    return run
