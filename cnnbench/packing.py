"""A report as one file that can be given away: `cnnbench pack`.

A pack is a zip with the report's own files and `manifest.json`: schema, version and the SHA-256 of
each file. The same report gives the same bytes. Before anything is written, all texts are searched
for the names of this machine, its user and the home folder.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnbench import __version__
from cnnbench.journal import JOURNAL_NAME
from cnnbench.records import SCHEMA_VERSION
from cnnbench.report.tables import SCHEMA

PACK_VERSION = 1
MANIFEST_NAME = "manifest.json"
ENVIRONMENT_NAME = "environment.json"
KNOWN = (*(f"{name}.csv" for name in sorted(SCHEMA)), ENVIRONMENT_NAME, JOURNAL_NAME)
MOST_BYTES = 1_000_000_000  # of all files together, unpacked
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can state
# Names that many machines share say nothing, and words of the tables would be found everywhere.
GENERIC = {
    *(
        "localhost",
        "root",
        "user",
        "admin",
        "administrator",
        "ubuntu",
        "debian",
        "runner",
        "docker",
    ),
    *("vagrant", "jovyan", "linux", "cpu", "gpu", "tensorflow", "keras", "jax", "torch"),
    *("python", "openvino", "onnxruntime", "float32", "float16", "bfloat16", "int8", "train"),
    *("inference", "pass", "fail", "data", "test", "val", "documented", "accuracy"),
}
# What reading a damaged, locked or odd archive raises.
DAMAGED = (ValueError, KeyError, TypeError, zipfile.BadZipFile, RuntimeError, EOFError, zlib.error)


@dataclass(frozen=True)
class Names:
    """What tells whose machine it was."""

    host: str
    user: str
    home: str

    def searched(self) -> dict[str, str]:
        """Returns what is searched for, by kind: what identifies nobody is left out."""
        short = self.host.split(".")[0]
        found = {"host name": self.host, "short host name": short, "user name": self.user}
        found = {
            kind: name
            for kind, name in found.items()
            if len(name) > 1 and name.lower() not in GENERIC
        }
        if short == self.host:
            found.pop("short host name", None)
        return {**found, **({"home folder": self.home} if len(self.home) > 1 else {})}


def names_here() -> Names:
    """Returns the names of this machine, its user and the home folder."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""  # an account without a name, as in some containers
    return Names(platform.node(), user, str(Path.home()))


def pack(
    report: Path, out: Path, *, with_names: bool = False, names: Names | None = None
) -> tuple[str, ...]:
    """Writes a report folder into one file.

    Args:
        report: the folder.
        out: the file, a `.zip`; it has its name only when it is whole.
        with_names: whether host and user are added to the environment, and may stand elsewhere.
        names: for which the texts are searched; default: those of this machine.

    Returns:
        Names of files in the folder that are not a report's own, and were left out.

    Raises:
        FileNotFoundError: if the folder holds no report.
        ValueError: if a name stands in a file, or `out` is no `.zip`.
    """
    if out.suffix != ".zip":
        raise ValueError(f"Expected a .zip file to write. Received: out={str(out)!r}")
    if not report.is_dir():
        raise FileNotFoundError(f"No such report folder. Received: report={str(report)!r}")
    present = sorted(path.name for path in report.iterdir())
    files = {name: (report / name).read_bytes() for name in sorted(KNOWN) if name in present}
    if "throughput.csv" not in files and JOURNAL_NAME not in files:
        raise FileNotFoundError(
            f"No report in this folder. Expected {JOURNAL_NAME} or tables. "
            f"Received: report={str(report)!r}"
        )
    names = names or names_here()
    if with_names:
        environment = json.loads(files.get(ENVIRONMENT_NAME, b"{}"))
        environment["names"] = {"host": names.host, "user": names.user}
        files[ENVIRONMENT_NAME] = (json.dumps(environment, indent=2) + "\n").encode()
    else:
        _require_no_names(files, names.searched())
    _write(out, files)
    return tuple(name for name in present if name not in files)


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    manifest = {
        "cnnbench_pack": PACK_VERSION,
        "schema": SCHEMA_VERSION,
        "cnnbench": __version__,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    text = (json.dumps(manifest, indent=1) + "\n").encode()
    unfinished = out.with_name(f"{out.name}.new")
    with zipfile.ZipFile(unfinished, "w") as archive:
        for name, content in sorted({**files, MANIFEST_NAME: text}.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # else it tells Windows from the rest
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    unfinished.replace(out)


def _require_no_names(files: Mapping[str, bytes], searched: Mapping[str, str]) -> None:
    problems = []
    for name, content in files.items():
        text = content.decode(errors="surrogateescape")
        for kind, word in searched.items():
            place = _found(name, text, _pattern(word))
            if place:
                problems.append(f"{name}, {place}: {kind} {word!r}")
    if problems:
        raise ValueError(
            "Not packed, since names of this machine stand in the report: "
            f"{'; '.join(problems)}. If they are picture or class names, rename these and run "
            "again; else, or if they may be given away, pack with --with-names."
        )


def _pattern(word: str) -> re.Pattern[str]:
    """Returns what finds a word as a whole: `ann` in `ann_1.jpg`, not in `channel`."""
    forms = {word, json.dumps(word)[1:-1]}
    either = "|".join(re.escape(form) for form in sorted(forms))
    return re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.IGNORECASE)


def _found(name: str, text: str, pattern: re.Pattern[str]) -> str:
    """Returns where a word stands among the values of a file; column names and keys are ours."""
    if not pattern.search(text):
        return ""
    if name == ENVIRONMENT_NAME:
        return "a value" if _in_values(json.loads(text), pattern) else ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not pattern.search(line) or (name.endswith(".csv") and number == 1):
            continue
        if name == JOURNAL_NAME and not _in_journal(line, pattern):
            continue
        return f"line {number}"
    return ""


def _in_journal(line: str, pattern: re.Pattern[str]) -> bool:
    try:
        return _in_values(json.loads(line), pattern)
    except ValueError:
        return True  # a torn last line


def _in_values(value: Any, pattern: re.Pattern[str]) -> bool:
    if isinstance(value, dict):
        return any(_in_values(item, pattern) for item in value.values())
    if isinstance(value, list):
        return any(_in_values(item, pattern) for item in value)
    return isinstance(value, str) and bool(pattern.search(value))


def read_pack(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, bytes]:
    """Returns the files of a pack, by name.

    Only files that a report has are read, in memory and up to a limit; no name in the archive
    is ever used as a path.

    Raises:
        ValueError: if it is no pack, too large, or not what was packed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.namelist()
            strange = sorted({name for name in listed if name not in (*KNOWN, MANIFEST_NAME)})
            if strange or len(set(listed)) < len(listed) or MANIFEST_NAME not in listed:
                raise ValueError(f"files that no pack has: {strange or listed}")
            files, left = {}, most_bytes
            for name in listed:
                with archive.open(name) as file:
                    files[name] = file.read(left + 1)
                left -= len(files[name])
                if left < 0:
                    raise ValueError(f"more than {most_bytes} bytes unpacked")
        manifest = json.loads(files.pop(MANIFEST_NAME))
        if manifest["cnnbench_pack"] != PACK_VERSION:
            raise ValueError(f"pack version {manifest['cnnbench_pack']!r}")
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        if hashes != manifest["files"]:
            raise ValueError("its files are not those of its manifest")
    except DAMAGED as error:
        raise ValueError(
            f"Expected a report that `cnnbench pack` of this version ({PACK_VERSION}) wrote: "
            f"{error}. Received: file={str(path)!r}"
        ) from error
    return files


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Gives a pack as a folder for as long as it is used."""
    files = read_pack(path)
    with tempfile.TemporaryDirectory(prefix="cnnbench-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)
