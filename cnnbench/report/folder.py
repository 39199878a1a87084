"""A report's folder, and the folder as one zip file: its own files and `manifest.json`."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from cnnbench.records.journal import JOURNAL_NAME, SCHEMA_VERSION
from cnnbench.report.tables import SCHEMA

MANIFEST_NAME = "manifest.json"
NAMES = sorted((*(f"{name}.csv" for name in SCHEMA), "environment.json", JOURNAL_NAME))
# What reading a damaged, locked or odd archive raises.
DAMAGED = (ValueError, KeyError, TypeError, zipfile.BadZipFile, RuntimeError, EOFError, zlib.error)


def new_report_folder(
    parent: Path,
    commit: str | None,
    *,
    prefix: str = "",
    option: str = "--cnnbench-report-dir",
) -> Path:
    """Makes `<prefix><UTC time>_<commit>` and returns it; the user names `parent` by `option`."""
    base = f"{prefix}{datetime.now(UTC):%Y%m%dT%H%M%SZ}_{commit or 'nocommit'}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            directory = parent / (base if number == 1 else f"{base}-{number}")
            with suppress(FileExistsError):
                directory.mkdir()
                break
    except OSError as error:
        raise OSError(
            f"Can't write reports there: {error.strerror}. Name a folder that can be written with "
            f"{option}. Received: report_dir={str(parent)!r}"
        ) from error
    return directory


def pack(report: Path, out: Path, *, replace: bool = False) -> None:
    """Writes a report's own files into a `.zip` file; the same report gives the same bytes.

    The file has its name only when it is whole; an existing one is an error unless replaced.
    """
    if out.suffix != ".zip":
        raise ValueError(f"Expected a .zip file to write. Received: out={str(out)!r}")
    if out.exists() and not replace:
        raise FileExistsError(
            "The file exists; name another one with --out, or give --replace. "
            f"Received: out={str(out)!r}"
        )
    files = {name: (report / name).read_bytes() for name in NAMES if (report / name).is_file()}
    if "throughput.csv" not in files and JOURNAL_NAME not in files:
        raise FileNotFoundError(
            f"No report in this folder. Expected {JOURNAL_NAME} or tables. "
            f"Received: report={str(report)!r}"
        )
    manifest = json.dumps({"schema": SCHEMA_VERSION, "sha256": _hash(files)})
    unfinished = out.with_name(f"{out.name}.new")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {MANIFEST_NAME: manifest.encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    unfinished.replace(out)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Gives a pack as a folder for as long as it is used; a changed pack is a `ValueError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST_NAME))
            # Only a report's own names: none of the archive's is ever used as a path.
            files = {name: archive.read(name) for name in NAMES if name in archive.namelist()}
        if manifest["schema"] != SCHEMA_VERSION:
            raise ValueError(f"its schema is {manifest['schema']}")
        if manifest["sha256"] != _hash(files):
            raise ValueError("its files are not those that were packed")
    except DAMAGED as error:
        raise ValueError(
            f"Expected a report of schema {SCHEMA_VERSION} that `cnnbench pack` wrote: {error}. "
            f"Received: file={str(path)!r}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="cnnbench-") as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        yield Path(folder)


def _hash(files: Mapping[str, bytes]) -> str:
    each = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()
