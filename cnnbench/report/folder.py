"""Where a report goes: `<UTC time>_<commit>`, a new folder each time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path


def new_report_folder(
    parent: Path,
    commit: str | None,
    *,
    prefix: str = "",
    option: str = "--cnnbench-report-dir",
) -> Path:
    """Makes a folder for a report and returns it.

    Args:
        parent: where it goes.
        commit: abbreviated hash; `None` where there is none.
        prefix: of its name.
        option: by which the user names `parent`.

    Raises:
        OSError: if it can't be made; says what to do.
    """
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
