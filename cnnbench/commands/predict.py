"""`cnnbench predict`: the classes of pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cnnbench.commands.flags import add_flags, options_of
from cnnbench.machine.backends import Place, require_backends
from cnnbench.machine.environment import usable_cpus
from cnnbench.session.workers.jobs import Predict
from cnnbench.session.workers.process import WorkerProcess

OPTIONS = ("backends",)


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("predict", help="classify pictures")
    parser.add_argument("classifier", type=Path, help="folder that `cnnbench train` wrote")
    parser.add_argument("pictures", nargs="+", type=Path, help="pictures or folders of them")
    add_flags(parser, OPTIONS)
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    options = options_of(parsed, OPTIONS)
    require_backends(options.backends)
    # Wrong paths are reported at once, not after seconds of importing a backend.
    pictures = tuple(_pictures(parsed.pictures))

    from cnnbench.training.classifier import load_classifier

    load_classifier(parsed.classifier)
    failed = 0

    def tell(answer: dict[str, Any]) -> None:
        nonlocal failed
        if "error" in answer:
            failed += 1
            print(f"cnnbench: error: {answer['error']}", file=sys.stderr)
        else:
            print(
                f"{answer['class']}\t{answer['probability']:.4f}\t{answer['picture']}", flush=True
            )

    with WorkerProcess(Place(options.backends[0], "cpu", usable_cpus())) as worker:
        worker.do(Predict(parsed.classifier, pictures), tell)
    return 1 if failed else 0


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    from cnnbench.pictures.listing import walk_pictures

    for path in paths:
        if path.is_dir():
            found = sorted(walk_pictures(path))
            if not found:
                raise ValueError(f"No pictures in this folder. Received: {str(path)!r}")
            yield from found
        elif path.exists():
            yield path
        else:
            raise FileNotFoundError(f"No such picture or folder. Received: {str(path)!r}")
