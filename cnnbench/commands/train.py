"""`cnnbench train`: a classifier, trained and saved in a folder."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from cnnbench.commands.flags import add_flags, options_of
from cnnbench.machine.backends import Place, require_backends
from cnnbench.machine.environment import may_have_gpu, usable_cpus
from cnnbench.session.workers.jobs import FindGpus, Train
from cnnbench.session.workers.process import WorkerProcess

OPTIONS = (
    "data",
    "epochs",
    "protocol",
    "steps_per_epoch",
    "validation_steps",
    "split_seed",
    "validation_fraction",
    "image_size",
    "cache_dir",
    "backends",
    "threads",
)


def add_to(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = commands.add_parser("train", help="train a classifier and save it in a folder")
    parser.add_argument(
        "--variant",
        default="documented",
        help="variant, or package.module:function; default: documented",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the training; default: 0")
    parser.add_argument("--out", type=Path, required=True, help="new folder for the classifier")
    add_flags(parser, OPTIONS)
    parser.set_defaults(command=run)


def run(parsed: argparse.Namespace) -> int:
    """Runs the command; returns its exit code."""
    options = options_of(parsed, OPTIONS)
    require_backends(options.backends)
    from cnnbench.models.variants import variant_named

    variant = variant_named(parsed.variant)
    if parsed.seed < 0:
        raise ValueError(f"--seed: expected a whole number of at least 0. Received: {parsed.seed}")
    if parsed.out.exists() and (not parsed.out.is_dir() or any(parsed.out.iterdir())):
        raise FileExistsError(
            f"The folder is not empty; name a new one. Received: out={str(parsed.out)!r}"
        )
    from cnnbench.session.session import read_splits

    # Before the backend, whose import takes seconds: bad pictures are reported at once.
    splits = read_splits(options, lambda text: print(text, flush=True))
    parsed.out.mkdir(parents=True, exist_ok=True)

    backend, threads = options.backends[0], options.threads or usable_cpus()
    protocol, device = options.training_protocol(), _device(backend, threads)
    print(
        f"training {variant.name} seed {parsed.seed} on {device}: {len(splits.train.names)} "
        f"pictures of {', '.join(splits.classes)}, {protocol.epochs} epochs",
        flush=True,
    )
    place = Place(backend, device, threads)
    with tempfile.TemporaryDirectory() as scratch, WorkerProcess(place) as worker:
        manifest = Path(scratch, "pictures.json")
        splits.save(manifest)
        out = parsed.out.absolute()
        job = Train(variant, manifest, parsed.seed, protocol, classifier=out)
        run = worker.do(job, _print_epoch)
    print(
        f"held-out accuracy {run.val_accuracy:.4f}, gap {run.generalization_gap:+.4f}, "
        f"{run.seconds:.1f} s; classifier: {parsed.out}"
    )
    return 0


def _device(backend: str, threads: int) -> str:
    """Returns `gpu` if the backend sees one."""
    if not may_have_gpu():
        return "cpu"
    with WorkerProcess(Place(backend, "gpu", threads)) as worker:
        return "gpu" if worker.do(FindGpus()) else "cpu"


def _print_epoch(at: dict[str, Any]) -> None:
    print(
        f"epoch {at['epoch']}/{at['epochs']}: loss {at['loss']:.4f}, accuracy "
        f"{at['accuracy']:.4f}, held out {at['val_accuracy']:.4f}",
        flush=True,
    )
