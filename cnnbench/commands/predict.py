"""Classify pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cnnbench.commands.flags import add_flags, options_of, say
from cnnbench.machine.backends import Place
from cnnbench.machine.environment import usable_cpus
from cnnbench.session.workers.jobs import Predict
from cnnbench.session.workers.process import WorkerProcess


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("classifier", type=Path, help="folder that `cnnbench train` wrote")
    parser.add_argument("pictures", nargs="+", type=Path, help="pictures or folders of them")
    add_flags(parser, ["backends"])


def run(parsed: argparse.Namespace) -> int:
    options = options_of(parsed, ["backends"])
    # Wrong paths are reported at once, not after seconds of importing a backend.
    pictures = tuple(_pictures(parsed.pictures))

    from cnnbench.training.classifier import load_classifier

    load_classifier(parsed.classifier)
    failed = []

    def tell(answer: dict[str, Any]) -> None:
        if "error" in answer:
            failed.append(answer)
            print(f"cnnbench: error: {answer['error']}", file=sys.stderr)
        else:
            say(f"{answer['class']}\t{answer['probability']:.4f}\t{answer['picture']}")

    with WorkerProcess(Place(options.backends[0], "cpu", usable_cpus())) as worker:
        worker.do(Predict(parsed.classifier, pictures), tell)
    return 1 if failed else 0


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    from cnnbench.pictures.listing import walk_pictures

    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"No such picture or folder. Received: {str(path)!r}")
        found = sorted(walk_pictures(path)) if path.is_dir() else [path]
        if not found:
            raise ValueError(f"No pictures in this folder. Received: {str(path)!r}")
        yield from found
