"""Train a classifier and save it in a folder."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from cnnbench.commands.flags import TRAINING, add_flags, options_of, say
from cnnbench.machine.backends import Place
from cnnbench.machine.environment import may_have_gpu, usable_cpus
from cnnbench.models.variants import variant_named
from cnnbench.session.workers.jobs import FindGpus, Train
from cnnbench.session.workers.process import WorkerProcess

OPTIONS = (*TRAINING, "threads")


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--variant",
        default="documented",
        help="variant, or package.module:function; default: documented",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the training; default: 0")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the classifier")
    add_flags(parser, OPTIONS)


def run(parsed: argparse.Namespace) -> int:
    options, variant = options_of(parsed, OPTIONS), variant_named(parsed.variant)
    if parsed.seed < 0:
        raise ValueError(f"--seed: expected a whole number of at least 0. Received: {parsed.seed}")
    if parsed.out.exists() and (not parsed.out.is_dir() or any(parsed.out.iterdir())):
        raise FileExistsError(
            f"The folder is not empty; name a new one. Received: out={str(parsed.out)!r}"
        )
    from cnnbench.session.session import read_splits

    # Before the backend, whose import takes seconds: bad pictures are reported at once.
    splits = read_splits(options, say)
    parsed.out.mkdir(parents=True, exist_ok=True)

    backend, threads = options.backends[0], options.threads or usable_cpus()
    protocol, place = options.training_protocol(), Place(backend, "gpu", threads)
    if not may_have_gpu() or not _has_gpu(place):
        place = Place(backend, "cpu", threads)
    say(
        f"training {variant.name} seed {parsed.seed} on {place.device}: {len(splits.train.names)} "
        f"pictures of {', '.join(splits.classes)}, {protocol.epochs} epochs"
    )
    with tempfile.TemporaryDirectory() as scratch, WorkerProcess(place) as worker:
        manifest = Path(scratch, "pictures.json")
        splits.save(manifest)
        out = parsed.out.absolute()
        job = Train(variant, manifest, parsed.seed, protocol, classifier=out)
        run = worker.do(job, _say_epoch)
    print(
        f"held-out accuracy {run.val_accuracy:.4f}, gap {run.generalization_gap:+.4f}, "
        f"{run.seconds:.1f} s; classifier: {parsed.out}"
    )
    return 0


def _has_gpu(place: Place) -> bool:
    with WorkerProcess(place) as worker:
        return bool(worker.do(FindGpus()))


def _say_epoch(at: dict[str, Any]) -> None:
    say(
        f"epoch {at['epoch']}/{at['epochs']}: loss {at['loss']:.4f}, accuracy "
        f"{at['accuracy']:.4f}, held out {at['val_accuracy']:.4f}"
    )
