"""What went wrong in a user's model, in one line that names the line of their file."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Keras wraps the message of an error in `call`, and that of an error while it infers a shape.
_CALLING = re.compile(r"calling [^\n]*\n\n(.*?)\n\nArguments received by", re.DOTALL)


class BadModel(ValueError):
    """A user's own model can't be used; the message is for its author."""


def plain(text: str) -> str:
    """Returns text without a terminal's escapes."""
    return _ESCAPES.sub("", text)


def first_line(error: BaseException) -> str:
    """Returns the line of an error's message that says most, as a sentence."""
    text = plain(str(error))
    if wrapped := _CALLING.search(text):
        text = wrapped[1]
    lines = text.rpartition("Error encountered:\n\n")[2].strip().splitlines()
    return f"{lines[0].rstrip('.')}." if lines else "no message."


@contextmanager
def blaming(builder: str | None, begins: str = "") -> Iterator[None]:
    """Turns an error in a user's module, that of `builder`, into a `BadModel` that names the line.

    `begins` is what it names if no call in the module is left when the error is raised. Without,
    such an error is left alone, since it may be another's, as all are without a `builder`.
    """
    try:
        yield
    except BadModel:
        raise
    except Exception as error:  # a user's code may raise anything
        if builder is None:
            raise
        cause, where = _last_call(error, builder.partition(":")[0])
        if not (where or begins):
            raise
        raise BadModel(
            f"{builder} failed in {where or begins}: {type(cause).__name__}: {first_line(cause)}"
        ) from error


def shown(path: str) -> str:
    """Returns a path as its owner knows it: from the current folder, or else the name alone."""
    relative = os.path.relpath(path)
    return os.path.basename(path) if relative.startswith(os.pardir) else relative


def _last_call(error: BaseException, module: str) -> tuple[BaseException, str]:
    """Returns the error that was raised in the module's package, and file and line of the call."""
    package = module.partition(".")[0]
    cause: BaseException | None = error
    while cause is not None:
        lines = [
            f"{shown(frame.f_code.co_filename)}:{line}"
            for frame, line in traceback.walk_tb(cause.__traceback__)
            if str(frame.f_globals.get("__name__")).partition(".")[0] == package
        ]
        if lines:
            return cause, lines[-1]
        cause = cause.__cause__ or cause.__context__
    return error, ""
