"""The command line: `cnnbench show`, `cnnbench train` and `cnnbench predict`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from cnnbench import __version__
from cnnbench.commands import ab, baseline, calibrate, compare, pack
from cnnbench.commands.flags import add_flags, options_of
from cnnbench.machine.backends import require_backends
from cnnbench.machine.environment import may_have_gpu, usable_cpus
from cnnbench.records.runs import TrainingRun
from cnnbench.session.workers.jobs import FindGpus, Predict, Train
from cnnbench.session.workers.process import JobError, WorkerProcess, WorkerSpec

TRAIN_OPTIONS = (
    *("data", "epochs", "protocol", "steps_per_epoch", "validation_steps"),
    *("split_seed", "validation_fraction", "image_size", "cache_dir", "backends", "threads"),
)
PREDICT_OPTIONS = ("backends",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit code. Bad input gives one message and no traceback."""
    parsed = _parser().parse_args(arguments)
    try:
        code: int = parsed.command(parsed)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        return 0
    except (ValueError, OSError, JobError) as error:
        print(f"cnnbench: error: {error}\n{getattr(error, 'details', '')}".strip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cnnbench",
        description="Accuracy and throughput of Keras CNNs. pytest runs the suites: "
        "pytest suites/ --benchmark-only",
    )
    parser.add_argument("--version", action="version", version=f"cnnbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    show = commands.add_parser("show", help="print the summary of a report")
    show.add_argument("report", nargs="?", type=Path, help="report folder; default: the newest")
    show.add_argument("--report-dir", type=Path, default=Path("reports"), help="where to look")
    show.set_defaults(command=_show)

    train = commands.add_parser("train", help="train a classifier and save it in a folder")
    train.add_argument(
        "--variant",
        default="documented",
        help="variant, or package.module:function; default: documented",
    )
    train.add_argument("--seed", type=int, default=0, help="seed of the training; default: 0")
    train.add_argument("--out", type=Path, required=True, help="new folder for the classifier")
    add_flags(train, TRAIN_OPTIONS)
    train.set_defaults(command=_train)

    predict = commands.add_parser("predict", help="classify pictures")
    predict.add_argument("classifier", type=Path, help="folder that `cnnbench train` wrote")
    predict.add_argument("pictures", nargs="+", type=Path, help="pictures or folders of them")
    add_flags(predict, PREDICT_OPTIONS)
    predict.set_defaults(command=_predict)
    ab.add_to(commands)
    baseline.add_to(commands)
    calibrate.add_to(commands)
    compare.add_to(commands)
    pack.add_to(commands)
    return parser


def _show(parsed: argparse.Namespace) -> int:
    from cnnbench.report.frames import load_report
    from cnnbench.report.summary import summary_text

    path = parsed.report or _newest(parsed.report_dir)
    print(summary_text(load_report(path)))
    print(f"report: {path}")
    return 0


def _newest(parent: Path) -> Path:
    # Names begin with the UTC time, so the last by name is the newest.
    reports = [p for p in parent.glob("*") if (p / "journal.jsonl").is_file()]
    if not reports:
        raise FileNotFoundError(
            f"There is no report; run pytest suites/ --benchmark-only first, or name one. "
            f"Received: report_dir={str(parent)!r}"
        )
    return max(reports, key=lambda path: path.name)


@contextmanager
def _worker(backend: str, device: str, threads: int) -> Iterator[WorkerProcess]:
    """Starts a worker, which keeps what libraries print for when something goes wrong."""
    require_backends((backend,))
    worker = WorkerProcess(WorkerSpec(backend, device, threads))
    try:
        yield worker
    finally:
        worker.stop()


def _device(backend: str, threads: int) -> str:
    """Returns `gpu` if the backend sees one."""
    if not may_have_gpu():
        return "cpu"
    with _worker(backend, "gpu", threads) as worker:
        found = cast(dict[str, list[str]], worker.do(FindGpus()))
    return "gpu" if found["gpus"] else "cpu"


def _train(parsed: argparse.Namespace) -> int:
    options = options_of(parsed, TRAIN_OPTIONS)
    from cnnbench.models.variants import variant_named

    variant = variant_named(parsed.variant)
    if parsed.seed < 0:
        raise ValueError(f"--seed: expected a whole number of at least 0. Received: {parsed.seed}")
    if parsed.out.exists() and (not parsed.out.is_dir() or any(parsed.out.iterdir())):
        raise FileExistsError(
            f"The folder is not empty; name a new one. Received: out={str(parsed.out)!r}"
        )
    from cnnbench.session.opened_pictures import read_splits

    # Before the backend, whose import takes seconds: bad pictures are reported at once.
    splits = read_splits(options, lambda text: print(text, flush=True))
    parsed.out.mkdir(parents=True, exist_ok=True)

    from cnnbench.speed.reference import load_weights
    from cnnbench.training.classifier import save_classifier

    backend, threads = options.backends[0], options.threads or usable_cpus()
    protocol, device = options.training_protocol(), _device(backend, threads)
    print(
        f"training {variant.name} seed {parsed.seed} on {device}: {len(splits.train.names)} "
        f"pictures of {', '.join(splits.classes)}, {protocol.epochs} epochs",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as scratch, _worker(backend, device, threads) as worker:
        manifest, kept = Path(scratch, "pictures.json"), Path(scratch, "weights.npz")
        splits.save(manifest)
        job = Train(variant, str(manifest), parsed.seed, protocol, str(kept))
        run = cast(TrainingRun, worker.do(job, _print_epoch))
        weights = load_weights(kept)
    save_classifier(parsed.out, weights, variant, protocol, run, splits.classes, splits.input_shape)
    print(
        f"held-out accuracy {run.val_accuracy:.4f}, gap {run.generalization_gap:+.4f}, "
        f"{run.seconds:.1f} s; classifier: {parsed.out}"
    )
    return 0


def _print_epoch(at: dict[str, Any]) -> None:
    print(
        f"epoch {at['epoch']}/{at['epochs']}: loss {at['loss']:.4f}, accuracy "
        f"{at['accuracy']:.4f}, held out {at['val_accuracy']:.4f}",
        flush=True,
    )


def _predict(parsed: argparse.Namespace) -> int:
    options = options_of(parsed, PREDICT_OPTIONS)
    # Wrong paths are reported at once, not after seconds of importing a backend.
    pictures = tuple(str(path) for path in _pictures(parsed.pictures))

    from cnnbench.training.classifier import read_classifier

    read_classifier(parsed.classifier)
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

    with _worker(options.backends[0], "cpu", usable_cpus()) as worker:
        worker.do(Predict(str(parsed.classifier), pictures), tell)
    return 1 if failed else 0


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    from cnnbench.pictures.folders import walk_pictures

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


if __name__ == "__main__":
    sys.exit(main())
