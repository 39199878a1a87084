"""The command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cnnbench import __version__
from cnnbench.commands import (
    ab,
    baseline,
    calibrate,
    compare,
    init,
    pack,
    predict,
    run,
    show,
    train,
)
from cnnbench.session.workers.process import JobError

COMMANDS = (run, init, show, train, predict, baseline, calibrate, ab, compare, pack)


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
        prog="cnnbench", description="Accuracy and throughput of Keras CNNs."
    )
    parser.add_argument("--version", action="version", version=f"cnnbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        help = command.__doc__ or ""
        own = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=help.partition("\n")[0],
            description=help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_to(own)
        own.set_defaults(command=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
