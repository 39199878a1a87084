"""Which check finds which planted defect, and is a healthy session ever red?

    python reports/calibration/defects.py --out reports/calibration/defects.csv --healthy 50

Fifteen defects are made for real on the drawn pictures: folders with changed files, models from
`faults.py`. Each is judged by `pytest suites --benchmark-only` in a process of its own. Writes
a row for each verdict. What follows `--` goes to pytest:
`-- --cnnbench-seeds=0-2 --cnnbench-baseline=FILE`.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from cnnbench.pictures.drawn_set import DrawnSet, write_drawn_set

ROOT = Path(__file__).resolve().parent.parent.parent
VARIANT = "three-blocks"  # its seeds vary least: small changes are seen
# The folder is called as the embedded set is, so that its targets are those of the suites.
DATA_NAME = "drawn"
CLASSES = ("cats", "dogs")
COLUMNS = ("defect", "check", "verdict", "detail")
NOTHING_RAN = "session"
# A defect is found by these; on a healthy session an undecided check is an alarm, too.
FOUND = ("fail", "error")
RED = (*FOUND, "inconclusive")

Change = Callable[[Path, np.random.Generator], None]


@dataclass(frozen=True)
class Defect:
    """Something wrong with a folder of pictures (`change`) or with a model (`variant`)."""

    name: str
    change: Change | None = None
    variant: str = VARIANT


@dataclass(frozen=True)
class Verdict:
    """One check's verdict on one session."""

    defect: str
    check: str
    verdict: str
    detail: str


def shuffled(share: float) -> Change:
    """Returns a change that permutes the labels of a share of the training pictures."""

    def change(folder: Path, rng: np.random.Generator) -> None:
        paths = sorted((folder / "train").glob("*/*.png"))
        chosen = [paths[i] for i in rng.permutation(len(paths))[: round(share * len(paths))]]
        labels = [chosen[i].parent.name for i in rng.permutation(len(chosen))]
        for number, (path, label) in enumerate(zip(chosen, labels, strict=True)):
            path.rename(folder / "train" / label / f"shuffled-{number:04d}.png")

    return change


def leak(folder: Path, rng: np.random.Generator) -> None:
    shutil.copy(folder / "train/cats/0007.png", folder / "validation/cats/copy.png")


def near_leak(folder: Path, rng: np.random.Generator) -> None:
    with Image.open(folder / "train/cats/0007.png") as picture:
        picture.save(folder / "validation/cats/copy.jpg", quality=60)


def train_as_validation(folder: Path, rng: np.random.Generator) -> None:
    shutil.rmtree(folder / "validation")
    shutil.copytree(folder / "train", folder / "validation")


def swapped(folder: Path, rng: np.random.Generator) -> None:
    cats, dogs = (folder / "validation" / name for name in CLASSES)
    aside = cats.rename(folder / "aside")
    dogs.rename(cats)
    aside.rename(dogs)


def missing_class(folder: Path, rng: np.random.Generator) -> None:
    shutil.rmtree(folder / "train/dogs")


def imbalanced(folder: Path, rng: np.random.Generator) -> None:
    """Leaves 5 % dogs in training."""
    cats, dogs = (sorted((folder / "train" / name).iterdir()) for name in CLASSES)
    for path in dogs[round(len(cats) * 5 / 95) :]:
        path.unlink()


DEFECTS = (
    Defect("20 % of labels shuffled", shuffled(0.2)),
    Defect("50 % of labels shuffled", shuffled(0.5)),
    Defect("100 % of labels shuffled", shuffled(1.0)),
    Defect("exact leak", leak),
    Defect("near-duplicate leak", near_leak),
    Defect("training set as validation", train_as_validation),
    Defect("classes swapped in validation", swapped),
    Defect("frozen layers", variant="faults:frozen"),
    Defect("learning rate x 100", variant="faults:quick"),
    Defect("no rescaling", variant="faults:unscaled"),
    Defect("class missing from training", missing_class),
    Defect("95:5 imbalance", imbalanced),
    Defect("constant output", variant="faults:constant"),
    Defect("augmentation on in validation", variant="faults:augmented"),
    Defect("dead relus", variant="faults:dead"),
)


def run_defect(
    defect: Defect, pristine: Path, scratch: Path, arguments: Sequence[str]
) -> list[Verdict]:
    """Makes a defect in a copy of the pictures and returns the verdicts on it."""
    folder = scratch / DATA_NAME
    shutil.copytree(pristine, folder)
    if defect.change is not None:
        defect.change(folder, np.random.default_rng(0))
    return judged(defect.name, folder, defect.variant, scratch, arguments)


def judged(
    name: str, folder: Path, variant: str, scratch: Path, arguments: Sequence[str]
) -> list[Verdict]:
    """Runs the suites once and returns a verdict for each check that was judged."""
    junit = scratch / "junit.xml"
    command = [sys.executable, "-m", "pytest", str(ROOT / "suites"), "--benchmark-only"]
    command += ["-k", "not throughput", "-p", "no:cacheprovider", f"--junitxml={junit}"]
    command += [f"--cnnbench-data={folder}", f"--cnnbench-variants={variant}"]
    command += [f"--cnnbench-report-dir={scratch / 'reports'}", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    # Messages name the folder, which is gone by the time that somebody reads them.
    verdicts = [
        replace(one, detail=one.detail.replace(f"{scratch}/", ""))
        for one in (_read(name, junit) if junit.exists() else ())
    ]
    if verdicts:
        return verdicts
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
    detail = f"exit code {done.returncode}: {(errors or ['nothing was judged'])[-1]}"
    detail = detail.replace(f"{scratch}/", "")
    return [Verdict(name, NOTHING_RAN, "pass" if done.returncode == 0 else "error", detail)]


def _read(name: str, junit: Path) -> Iterable[Verdict]:
    for case in ElementTree.parse(junit).iter("testcase"):
        properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
        bad = next(
            (case.find(kind) for kind in ("failure", "error") if case.find(kind) is not None), None
        )
        if case.find("skipped") is not None and "verdict" not in properties:
            continue
        check = properties.get("check", case.attrib["name"].split("[")[0])
        # A test that failed before its check was made, as all do after a leak, is an error.
        verdict = properties.get("verdict", "pass" if bad is None else "error")
        detail = "" if bad is None else (bad.text or bad.attrib.get("message", "")).strip()
        yield Verdict(name, check, verdict, detail)


def write_csv(path: Path, verdicts: Iterable[Verdict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(one, column) for column in COLUMNS] for one in verdicts)


def reds(verdicts: Iterable[Verdict], kinds: tuple[str, ...] = FOUND) -> dict[str, list[str]]:
    """Returns, for each session with a red check, which checks those are."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        if one.verdict in kinds:
            found.setdefault(one.defect, []).append(f"{one.check} {one.verdict}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--healthy", type=int, default=0, help="healthy sessions of three seeds")
    parser.add_argument("--only", nargs="*", help="names of defects; default: all")
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    parsed = parser.parse_args()
    names = [defect.name for defect in DEFECTS]
    if unknown := [name for name in parsed.only or () if name not in names]:
        parser.error(f"unknown defects; expected some of {names}. Received: only={unknown}")
    found: list[Verdict] = []
    healthy: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="cnnbench-defects-") as scratch:
        pristine = write_drawn_set(Path(scratch) / "pristine", DrawnSet())
        for number, defect in enumerate(DEFECTS):
            if parsed.only is None or defect.name in parsed.only:
                own = Path(scratch) / f"defect-{number}"
                own.mkdir()
                found += run_defect(defect, pristine, own, parsed.arguments)
                print(defect.name, reds(found).get(defect.name, "NOT FOUND"), flush=True)
        folder = shutil.copytree(pristine, Path(scratch) / "healthy" / DATA_NAME)
        for number in range(parsed.healthy):
            name, seeds = f"healthy {number}", f"{3 * number}-{3 * number + 2}"
            own = Path(scratch) / f"healthy-{number}"
            own.mkdir()
            arguments = [*parsed.arguments, f"--cnnbench-seeds={seeds}"]
            healthy += judged(name, folder, VARIANT, own, arguments)
            print(name, reds(healthy, RED).get(name, "green"), flush=True)
    missed = [
        defect for defect in dict.fromkeys(v.defect for v in found) if defect not in reds(found)
    ]
    alarms = reds(healthy, RED)
    summary = (
        f"{len(reds(found))} of {len({one.defect for one in found})} defects found"
        + (f", not: {', '.join(missed)}" if missed else "")
        + f". {len(alarms)} of {parsed.healthy} healthy sessions red: {alarms}."
    )
    write_csv(parsed.out, [*found, *healthy])
    print(summary)


if __name__ == "__main__":
    main()
