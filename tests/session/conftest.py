from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_workers import World

from cnnbench.machine import environment
from cnnbench.session.options import options_from
from cnnbench.session.session import Session
from cnnbench.session.workers import crew as crews


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(crews, "WorkerProcess", world.worker)
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
