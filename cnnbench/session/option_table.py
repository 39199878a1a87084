"""One definition of every option, for pytest, its ini file and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnbench.models.variants import DEFAULT_VARIANTS
from cnnbench.session import option_parsers as option_values
from cnnbench.training.protocols import PROTOCOLS

PREFIX = "--cnnbench-"  # of pytest's flags


@dataclass(frozen=True)
class Option:
    """One option; `field` is its stem everywhere.

    Its flag is `--cnnbench-<stem>` in pytest and `--<stem>` on the command line, with
    dashes for underscores, its ini name `cnnbench_<stem>`.
    """

    field: str
    parse: Callable[[str], Any]
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        return f"{PREFIX}{self.stem}"

    @property
    def stem(self) -> str:
        return self.field.replace("_", "-")

    @property
    def ini(self) -> str:
        return f"cnnbench_{self.field}"

    def value(self, text: str, name: str | None = None) -> Any:
        """Parses a value.

        Args:
            text: what was written.
            name: of the option in an error; default: pytest's flag.

        Raises:
            ValueError: if the value is bad; names the option, what was expected and the value.
        """
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{name or self.flag}: {error}. Received: {text!r}") from error


def parse_all(
    options: Mapping[str, Option], texts: Mapping[str, str], prefix: str = PREFIX
) -> dict[str, Any]:
    """Parses texts by the field of their option; `prefix` is that of its name in an error.

    Raises:
        ValueError: names every bad value at once.
    """
    values, problems = {}, []
    for name, text in texts.items():
        try:
            values[name] = options[name].value(text, f"{prefix}{options[name].stem}")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return values


OPTIONS: dict[str, Option] = {
    option.field: option
    for option in (
        Option("data", Path, "DIR", "folder of pictures; default: the embedded drawn set"),
        Option("report_dir", Path, "DIR", "where report folders go; default: reports"),
        Option("cache_dir", Path, "DIR", "where decoded pictures are kept; default: user cache"),
        Option("targets", Path, "FILE", "thresholds; default: targets.toml beside the test file"),
        Option(
            "variants",
            option_values.variants,
            "NAMES",
            "comma-separated names, 'all', or own models as package.module:function; "
            f"default: {','.join(DEFAULT_VARIANTS)}",
        ),
        Option(
            "seeds",
            option_values.seeds,
            "SEEDS",
            "a list (0,1,2) or ranges (0-4, 3-3); default: 0,1,2",
        ),
        Option(
            "epochs",
            option_values.at_least(1),
            "N",
            "epochs of each training; default: the protocol's, 10",
        ),
        Option(
            "steps_per_epoch",
            option_values.at_least(1),
            "N",
            "steps per epoch; default: the protocol's",
        ),
        Option(
            "validation_steps",
            option_values.at_least(1),
            "N",
            "steps per validation; default: the protocol's",
        ),
        Option(
            "protocol",
            option_values.protocol,
            "NAME",
            f"{' or '.join(PROTOCOLS)}; default: one-pass (an epoch is one pass)",
        ),
        Option(
            "backends",
            option_values.backends,
            "NAMES",
            "tensorflow (default), jax, torch; for inference also openvino, onnxruntime; or auto, "
            "all that are installed. Trainings run on the first",
        ),
        Option(
            "devices",
            option_values.devices,
            "NAMES",
            "cpu, gpu, gpu:1, or auto (default): all there are",
        ),
        Option(
            "dtypes",
            option_values.dtypes,
            "NAMES",
            "float32 (default), bfloat16, float16 (Keras' mixed policies), int8 (inference)",
        ),
        Option(
            "batch_sizes",
            option_values.batch_sizes,
            "SIZES",
            "batch sizes of throughput tests, or sweep: doubled until throughput is flat or memory "
            "is full; default: 32",
        ),
        Option(
            "image_size",
            option_values.at_least(8),
            "PIXELS",
            "width and height of a picture; default: 64",
        ),
        Option(
            "rounds",
            option_values.at_least(1),
            "N",
            "timed rounds of a throughput test; default: 10",
        ),
        Option(
            "warmup_rounds",
            option_values.at_least(0),
            "N",
            "rounds before the timed ones; default: 2",
        ),
        Option(
            "split_seed",
            option_values.at_least(0),
            "SEED",
            "seed of the split, for folders that are not split; default: 0",
        ),
        Option(
            "validation_fraction",
            option_values.fraction,
            "SHARE",
            "held-out share, for folders that are not split; default: 0.2",
        ),
        Option(
            "processes",
            option_values.at_least(1),
            "N",
            "fresh processes that measure each throughput; 3 or more give intervals that hold "
            "between sessions; default: 1",
        ),
        Option(
            "threads",
            option_values.at_least(1),
            "N",
            "threads of throughput tests; default: all CPUs",
        ),
        Option(
            "workers",
            option_values.at_least(1),
            "N",
            "trainings at once, each on one thread; default: one per CPU",
        ),
        Option(
            "alpha",
            option_values.fraction,
            "RATE",
            "probability that any gate of a session fails although all is well; default: 0.01",
        ),
        Option(
            "beta",
            option_values.fraction,
            "RATE",
            "probability that a gate passes what it should not; default: 0.05",
        ),
        Option(
            "max_seeds",
            option_values.at_least(1),
            "N",
            "seeds are added to undecided gates up to this number; default: 8",
        ),
        Option(
            "budget",
            option_values.seconds,
            "SECONDS",
            "no seeds are added that would take the session beyond this; default: no limit",
        ),
        Option("baseline", Path, "FILE", "accuracies that `cnnbench baseline` stored"),
        Option(
            "inconclusive",
            option_values.one_of(("fail", "allow")),
            "WHAT",
            "fail (default): an undecided gate fails; allow: it is let through",
        ),
    )
}
