"""The pytest plugin. Its hooks are in the modules of this package that `pytest_plugins` names.

Loaded in every pytest run of every project that has cnnbench installed: nothing heavier than
dataclasses is imported here, and nothing is printed, opened or started until a test asks for one
of the fixtures.
"""

from __future__ import annotations

import pytest

from cnnbench.session.options import MARKER_FIELDS, OPTIONS

pytest_plugins = (
    "cnnbench.plugin.collection",
    "cnnbench.plugin.terminal",
    "cnnbench.plugin.lifecycle",
    "cnnbench.plugin.fixtures",
)


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
