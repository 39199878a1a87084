"""One definition of every option, for pytest, its ini file and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cnnbench.protocols import PROTOCOLS, Protocol, protocol_named
from cnnbench.variants import DEFAULT_VARIANTS, VARIANTS, variant_named

BACKEND_NAMES = ("tensorflow", "jax", "torch")
DEVICE_NAMES = ("cpu", "gpu")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _distinct(values: Iterable[Any], what: str) -> tuple[Any, ...]:
    found = tuple(values)
    if not found:
        raise ValueError(f"expected at least one {what}")
    if len(set(found)) != len(found):
        raise ValueError(f"each {what} once")
    return found


def _variants(text: str) -> tuple[str, ...]:
    names = list(VARIANTS) if text.strip() == "all" else _words(text)
    for name in names:
        variant_named(name)
    return _distinct(names, "variant")


def _integer(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise ValueError(f"expected a whole number of at least {least}")
    return value


def _at_least(least: int) -> Callable[[str], int]:
    return lambda text: _integer(text, least)


def _seeds(text: str) -> tuple[int, ...]:
    seeds: list[int] = []
    for word in _words(text):
        first, dash, last = word.partition("-")
        low = _integer(first, 0)
        seeds += range(low, _integer(last, low) + 1) if dash else [low]
    return _distinct(seeds, "seed")


def _batch_sizes(text: str) -> tuple[int, ...]:
    return _distinct((_integer(word, 1) for word in _words(text)), "batch size")


def _one_of(names: Iterable[str]) -> Callable[[str], str]:
    valid = tuple(names)

    def parse(text: str) -> str:
        if text not in valid:
            raise ValueError(f"expected one of {', '.join(valid)}")
        return text

    return parse


def _devices(text: str) -> tuple[str, ...]:
    parse = _one_of(("auto", *DEVICE_NAMES))
    devices = _distinct((parse(word) for word in _words(text)), "device")
    if "auto" in devices and len(devices) > 1:
        raise ValueError("expected either auto or names of devices")
    return devices


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise ValueError("expected a number between 0 and 1")
    return value


def _protocol(text: str) -> str:
    return protocol_named(text).name


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
            if name not in ("data", "report_dir", "cache_dir", "targets")
        }

    def device_names(self) -> tuple[str, ...]:
        """Returns the devices to measure on; `auto` is each kind that there may be."""
        return DEVICE_NAMES if self.devices == ("auto",) else self.devices

    def overridden(self, marker: Mapping[str, Any]) -> Options:
        """Returns the options with a marker's arguments in place.

        Raises:
            ValueError: if an argument is none of `MARKER_FIELDS` or its value is bad.
        """
        unknown = [name for name in marker if name not in MARKER_FIELDS]
        if unknown:
            raise ValueError(
                f"@pytest.mark.cnnbench takes {', '.join(MARKER_FIELDS)}. "
                f"Received: {', '.join(unknown)}"
            )
        return replace(self, **_parsed({name: _text(value) for name, value in marker.items()}))


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
            _variants,
            "NAMES",
            "comma-separated names, 'all', or own models as package.module:function; "
            f"default: {','.join(DEFAULT_VARIANTS)}",
        ),
        Option("seeds", _seeds, "SEEDS", "comma-separated seeds or ranges (0-4); default: 0,1,2"),
        Option("epochs", _at_least(1), "N", "epochs of each training; default: the protocol's, 10"),
        Option("steps_per_epoch", _at_least(1), "N", "steps an epoch; default: the protocol's"),
        Option(
            "validation_steps", _at_least(1), "N", "steps a validation; default: the protocol's"
        ),
        Option(
            "protocol",
            _protocol,
            "NAME",
            f"{' or '.join(PROTOCOLS)}; default: one-pass (an epoch is one pass)",
        ),
        Option(
            "backend",
            _one_of(BACKEND_NAMES),
            "NAME",
            "Keras backend: tensorflow (default), jax or torch",
        ),
        Option(
            "devices",
            _devices,
            "NAMES",
            "cpu, gpu or auto (default: every device that the backend sees)",
        ),
        Option(
            "batch_sizes", _batch_sizes, "SIZES", "batch sizes of throughput tests; default: 32"
        ),
        Option("image_size", _at_least(8), "PIXELS", "width and height of a picture; default: 64"),
        Option("rounds", _at_least(1), "N", "timed rounds of a throughput test; default: 10"),
        Option("warmup_rounds", _at_least(0), "N", "rounds before the timed ones; default: 2"),
        Option(
            "split_seed", _at_least(0), "SEED", "of the split where a folder has none; default: 0"
        ),
        Option(
            "validation_fraction",
            _fraction,
            "SHARE",
            "held-out share where a folder has no split; default: 0.2",
        ),
        Option("threads", _at_least(1), "N", "threads of throughput tests; default: all CPUs"),
        Option(
            "workers",
            _at_least(1),
            "N",
            "trainings at once, each on one thread; default: one for each CPU",
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
