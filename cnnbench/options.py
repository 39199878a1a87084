"""One definition of every option, for pytest, its ini file and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cnnbench import option_values
from cnnbench.protocols import PROTOCOLS, Protocol, protocol_named
from cnnbench.targets import PROPERTIES
from cnnbench.variants import DEFAULT_VARIANTS

BACKEND_NAMES = ("tensorflow", "jax", "torch")


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
        return f"--cnnbench-{self.field.replace('_', '-')}"

    @property
    def ini(self) -> str:
        return f"cnnbench_{self.field}"

    def value(self, text: str) -> Any:
        """Parses a value.

        Raises:
            ValueError: if the value is bad; names the option, what was expected and the value.
        """
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{self.flag}: {error}. Received: {text!r}") from error


@dataclass(frozen=True)
class Options:
    """The values of all options. Precedence: marker, command line, ini, these defaults."""

    data: Path | None = None
    report_dir: Path = Path("reports")
    cache_dir: Path | None = None
    targets: Path | None = None
    variants: tuple[str, ...] = DEFAULT_VARIANTS
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int | None = None
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    protocol: str = "one-pass"
    backend: str = "tensorflow"
    devices: tuple[str, ...] = ("auto",)
    batch_sizes: tuple[int, ...] = (32,)
    image_size: int = 64
    rounds: int = 10
    warmup_rounds: int = 2
    split_seed: int = 0
    validation_fraction: float = 0.2
    threads: int | None = None
    workers: int | None = None
    alpha: float = 0.01
    beta: float = 0.05
    max_seeds: int = 8
    budget: float | None = None
    baseline: Path | None = None
    inconclusive: str = "fail"

    def training_protocol(self) -> Protocol:
        """Returns the named protocol, scaled by the options that say so."""
        return protocol_named(self.protocol).scaled(
            self.epochs, self.steps_per_epoch, self.validation_steps
        )

    def to_dict(self) -> dict[str, object]:
        """Returns the values as plain data, without those that name paths of this machine."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name not in ("data", "report_dir", "cache_dir", "targets", "baseline")
        }

    def device_names(self) -> tuple[str, ...]:
        """Returns the devices to measure on; `auto` is each kind that there may be."""
        return option_values.DEVICE_NAMES if self.devices == ("auto",) else self.devices

    def overridden(self, marker: Mapping[str, Any]) -> Options:
        """Returns the options with a marker's arguments in place.

        Raises:
            ValueError: if an argument is neither one of `MARKER_FIELDS` nor a threshold, or its
                value is bad.
        """
        unknown = [name for name in marker if name not in (*MARKER_FIELDS, *PROPERTIES)]
        if unknown:
            raise ValueError(
                f"@pytest.mark.cnnbench takes {', '.join(MARKER_FIELDS)} and thresholds "
                f"({', '.join(PROPERTIES)}). Received: {', '.join(unknown)}"
            )
        texts = {name: _text(value) for name, value in marker.items() if name in MARKER_FIELDS}
        return replace(self, **_parsed(texts))


MARKER_FIELDS = ("variants", "seeds", "devices", "batch_sizes", "rounds", "warmup_rounds")

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
            "comma-separated seeds or ranges (0-4); default: 0,1,2",
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
            "steps an epoch; default: the protocol's",
        ),
        Option(
            "validation_steps",
            option_values.at_least(1),
            "N",
            "steps a validation; default: the protocol's",
        ),
        Option(
            "protocol",
            option_values.protocol,
            "NAME",
            f"{' or '.join(PROTOCOLS)}; default: one-pass (an epoch is one pass)",
        ),
        Option(
            "backend",
            option_values.one_of(BACKEND_NAMES),
            "NAME",
            "Keras backend: tensorflow (default), jax or torch",
        ),
        Option(
            "devices",
            option_values.devices,
            "NAMES",
            "cpu, gpu or auto (default: every device that the backend sees)",
        ),
        Option(
            "batch_sizes",
            option_values.batch_sizes,
            "SIZES",
            "batch sizes of throughput tests; default: 32",
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
            "of the split where a folder has none; default: 0",
        ),
        Option(
            "validation_fraction",
            option_values.fraction,
            "SHARE",
            "held-out share where a folder has no split; default: 0.2",
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
            "trainings at once, each on one thread; default: one for each CPU",
        ),
        Option(
            "alpha",
            option_values.fraction,
            "RATE",
            "chance that any gate of a session fails although all is well; default: 0.01",
        ),
        Option(
            "beta",
            option_values.fraction,
            "RATE",
            "chance that a gate passes what it should not; default: 0.05",
        ),
        Option(
            "max_seeds",
            option_values.at_least(1),
            "N",
            "seeds are added to undecided gates up to so many; default: 8",
        ),
        Option(
            "budget",
            option_values.seconds,
            "SECONDS",
            "no seeds are added beyond; default: no limit",
        ),
        Option("baseline", Path, "FILE", "accuracies that `cnnbench baseline` stored"),
        Option(
            "inconclusive",
            option_values.one_of(("fail", "allow")),
            "WHAT",
            "an undecided gate is red (fail, the default) or is let through (allow)",
        ),
    )
}

assert set(OPTIONS) == {field.name for field in fields(Options)}


def options_from(texts: Mapping[str, str | None]) -> Options:
    """Returns the options for the texts that were given; `None` and absent mean the default.

    Raises:
        ValueError: names every bad value at once.
    """
    return Options(**_parsed({name: text for name, text in texts.items() if text}))


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _parsed(texts: Mapping[str, str]) -> dict[str, Any]:
    values, problems = {}, []
    for name, text in texts.items():
        try:
            values[name] = OPTIONS[name].value(text)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return values
