"""Short names for cnnbench's fixtures, for this suite only.

Every test here is marked `cnnbench`: one that `--benchmark-only` would skip for lacking
the `benchmark` fixture is then an error and not a silence.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cnnbench)


@pytest.fixture
def data(cnnbench_data):
    return cnnbench_data


@pytest.fixture
def runs(cnnbench_runs):
    return cnnbench_runs


@pytest.fixture
def target(cnnbench_target):
    return cnnbench_target


@pytest.fixture
def judge(cnnbench_judge):
    return cnnbench_judge


@pytest.fixture
def judge_each(cnnbench_judge):
    def judge(check, measurements):
        found = [check(one) for one in measurements]
        reasons = [one for one in found if isinstance(one, str)]
        for result in found:
            if not isinstance(result, str):
                cnnbench_judge(result)
        if len(reasons) == len(found):
            pytest.skip("; ".join(dict.fromkeys(reasons)))

    return judge
