"""Measures how often a right backend's training steps are beyond the bound of `same_answers`.

    python tests/benchmarks/training_agreement.py --seeds 20 --out training.csv

TensorFlow on one thread makes the answers (`cnnbench.reference`), each other backend that is
installed trains the same steps from the same weights in a process of its own. Prints, for each
variant, batch size, backend and dtype, how far its answers are. Exits with 1 where any is beyond
the bounds of its dtype. `passed over` are questions that rounding decides or that leave classes in
the balance, which are not asked; of `never` there was no other.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cnnbench.backends import TRAINING_BACKENDS, missing, worker_variables

VARIANTS = ("documented", "single-block", "three-blocks", "batchnorm", "wide")
MAKER = "tensorflow"


def main() -> int:
    wanted = arguments()
    if wanted.backend:
        return answer(wanted)
    os.environ.update(worker_variables(MAKER, "cpu", 1))
    with tempfile.TemporaryDirectory() as scratch:
        wanted.folder = Path(scratch)
        rows, beyond = asked(wanted), 0
        for backend in (name for name in TRAINING_BACKENDS if not missing(name)):
            done = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    *sys.argv[1:],
                    "--backend",
                    backend,
                    "--folder",
                    scratch,
                ],
                env={**os.environ, **worker_variables(backend, "cpu", 1)},
                stdout=subprocess.PIPE,
                check=True,
                text=True,
            )
            for line in done.stdout.splitlines():
                found = json.loads(line)
                name = f"{backend} {found['dtype']}"
                rows[found["file"]][name] = found["difference"]
                beyond += not found["within"]
            print(f"{backend} has answered", file=sys.stderr)
    if wanted.out:
        with wanted.out.open("w", newline="") as file:
            names = dict.fromkeys(name for row in rows.values() for name in row)
            writer = csv.DictWriter(file, list(names))
            writer.writeheader()
            writer.writerows(rows.values())
    report(list(rows.values()))
    print(f"beyond the bounds of same_answers: {beyond}")
    return bool(beyond)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=lambda text: text.split(","), default=list(VARIANTS))
    parser.add_argument("--batch-sizes", type=lambda text: text.split(","), default=["8", "32"])
    parser.add_argument("--dtypes", type=lambda text: text.split(","), default=["float32"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="a row for each question, as CSV")
    parser.add_argument("--backend", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def pictures():
    from cnnbench.options import Options
    from cnnbench.pictures import read_splits

    return read_splits(Options(), lambda line: print(line, file=sys.stderr))


def asked(wanted) -> dict[str, dict]:
    """Makes the answers; returns a row for each that rounding does not decide, and for others."""
    from cnnbench.agreement import save_weights
    from cnnbench.engines.keras_model import model_of
    from cnnbench.reference import TRAINED_STEPS, TRIES, make_reference
    from cnnbench.variants import variant_named

    splits, rows = pictures(), {}
    for name in wanted.variants:
        for size in map(int, wanted.batch_sizes):
            for seed in range(wanted.seeds):
                variant, key = variant_named(name), f"{name}-{size}-{seed}.npz"
                new = model_of(variant, seed, splits.input_shape, len(splits.classes), "float32")
                weights = wanted.folder / "weights.npz"
                save_weights(new.get_weights(), weights)
                made = make_reference(variant, splits, "train", size, seed, weights)
                made.save(wanted.folder / key)
                row = {"variant": name, "batch_size": size, "seed": seed, "passed_over": ""}
                row["rounding"] = ""
                if made.training is not None:
                    steps = made.training.steps
                    row["passed_over"] = made.training.first_batch // steps
                    row["passed_over"] += TRIES * TRAINED_STEPS.index(steps)
                    row["rounding"] = made.training.rounding
                rows[key] = row
            print(f"{name}, batch size {size}: answers are made", file=sys.stderr)
    return rows


def answer(wanted) -> int:
    """Trains the steps of every file in the folder with this process' backend."""
    from cnnbench.agreement import Reference, agreement_of
    from cnnbench.batches import Pictures, drawn_batch
    from cnnbench.engines.choice import Recipe, engine_for, program_for
    from cnnbench.model import targets_for
    from cnnbench.speed_checks import TOLERANCES
    from cnnbench.variants import variant_named

    splits = pictures()
    side = Pictures(splits.train_pictures(), splits.train.labels)
    classes = len(splits.classes)
    engine = engine_for(wanted.backend, "cpu", 1)
    for path in sorted(wanted.folder.glob("*-*.npz")):
        training = Reference.load(path).training
        if training is None:
            continue
        name, size, seed = path.stem.rsplit("-", 2)
        for dtype in wanted.dtypes:
            recipe = Recipe(
                *(variant_named(name), "train", dtype, int(size), int(seed)),
                *(splits.input_shape, classes, training.weights, None),
            )
            bench = program_for(engine, wanted.backend, recipe)
            for number in range(training.first_batch, training.first_batch + training.steps):
                batch = drawn_batch(side, int(size), int(seed), number)
                targets = targets_for(bench.model, batch.labels, classes)
                bench.program.run(engine.put(batch.pictures), engine.put(targets))
            answers = bench.program.answer(splits.validation_pictures())
            found = agreement_of(answers, training.probabilities, splits.validation.labels)
            allowed, apart = TOLERANCES[dtype], found.probability_difference
            within = found.equal_share >= allowed.equal_share
            within = within and apart <= allowed.probability_difference
            told = {"file": path.name, "dtype": dtype, "difference": apart, "within": within}
            print(json.dumps(told))
    return 0


def report(rows) -> None:
    import pandas as pd

    table = pd.DataFrame(rows).replace("", float("nan"))
    print(
        f"{'variant':14} {'batch':>5} {'n':>3} {'passed over':>11} {'never':>5}  "
        "largest and median difference"
    )
    for (name, size), group in table.groupby(["variant", "batch_size"], sort=False):
        told = [
            f"{column} {group[column].max():.1e} {group[column].median():.1e}"
            for column in table
            if column.partition(" ")[0] in TRAINING_BACKENDS
        ]
        print(
            f"{name:14} {size:5} {len(group):3} {group['passed_over'].sum():11.0f} "
            f"{group['passed_over'].isna().sum():5}  {', '.join(told)}"
        )


if __name__ == "__main__":
    sys.exit(main())
