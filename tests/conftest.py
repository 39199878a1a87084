"""Everything that tests share: tiny pictures, and an environment of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

# Before anything imports Keras: the tests' own process is on one thread, as workers are.
os.environ.update(
    {
        "KERAS_BACKEND": "tensorflow",
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
)

# A pytest that a test starts is a session of its own, with the same output on every machine:
# PYTEST_XDIST_WORKER would make it a part of this run, the others make its summary longer.
os.environ.pop("PYTEST_XDIST_WORKER", None)
os.environ.pop("CI", None)
os.environ.pop("BUILD_NUMBER", None)

import pytest
from made_workers import Worker, World
from tiny import write_pictures

from cnnbench.machine import environment
from cnnbench.machine.backends import switch_off_telemetry
from cnnbench.pictures.data_set import Splits, load_splits
from cnnbench.session.options import options_from
from cnnbench.session.session import Session
from cnnbench.session.workers import crew as crews

pytest_plugins = ["pytester"]
switch_off_telemetry()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test reads or fills the user's cache."""
    cache = tmp_path_factory.mktemp("cache")
    os.environ["CNNBENCH_CACHE_DIR"] = str(cache)
    return cache


@pytest.fixture(scope="module", autouse=True)
def forgotten_suites() -> Iterator[None]:
    """A session in the tests' own process leaves the suites imported, of which the next warns."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "suites"]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 24x24 pictures that a small network tells apart in a few steps."""
    return write_pictures(tmp_path_factory.mktemp("pictures") / "tiny")


@pytest.fixture(scope="session")
def tiny_splits(tiny_folder: Path, own_cache: Path) -> Splits:
    return load_splits(tiny_folder, image_size=24, cache=own_cache)


@pytest.fixture(scope="session")
def tiny_manifest(tiny_splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "pictures.json"
    tiny_splits.save(path)
    return path


# Sessions whose workers are no processes


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(crews, "WorkerProcess", partial(Worker, world))
    monkeypatch.setattr(environment, "may_have_gpu", lambda: bool(world.gpus))
    return world


@pytest.fixture
def started(world: World, tiny_folder: Path, tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Starts sessions on tiny pictures, with options as texts."""
    sessions = []

    def start(**texts: str) -> Session:
        options = options_from({"data": str(tiny_folder), "image_size": "24", **texts})
        session = Session(options, tmp_path, world.lines.append)
        sessions.append(session)
        session.start()
        return session

    yield start
    for session in sessions:
        session.finish()
