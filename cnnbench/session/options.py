"""Options as fields of a frozen dataclass: one definition for pytest, ini files and commands.

A parser takes the text of an option and says in its error what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cnnbench.machine.backends import (
    BACKENDS,
    DTYPES,
    TRAINING_BACKENDS,
    auto_devices,
    check_device,
    missing,
)
from cnnbench.models.variants import DEFAULT_VARIANTS, VARIANTS, Variant, variant_named
from cnnbench.training.protocols import Protocol, protocol_named
from cnnbench.verdicts.targets import PROPERTIES

SWEEP = "sweep"
PREFIX = "--cnnbench-"  # of pytest's flags
Parser = Callable[[str], Any]


@dataclass(frozen=True)
class Option:
    """One option; `field` is its stem everywhere, with dashes for underscores in flags."""

    field: str
    parse: Parser
    metavar: str
    help: str

    @property
    def stem(self) -> str:
        return self.field.replace("_", "-")

    @property
    def flag(self) -> str:
        return f"{PREFIX}{self.stem}"

    @property
    def ini(self) -> str:
        return f"cnnbench_{self.field}"

    def value(self, text: str, name: str) -> Any:
        """Parses a value; the error has the name, what was expected and the value."""
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}. Received: {text!r}") from error


def option(default: Any, parse: Parser, metavar: str, help: str) -> Any:
    """Returns a field of a dataclass that is an option; its help states the default."""
    if default is not None and "default" not in help:
        values = default if isinstance(default, tuple) else (default,)
        help += f"; default: {','.join(str(getattr(each, 'name', each)) for each in values)}"
    return field(default=default, metadata={"parse": parse, "metavar": metavar, "help": help})


def options_in(settings: type[Any]) -> dict[str, Option]:
    """Returns the options of a dataclass by the names of their fields."""
    return {one.name: Option(one.name, **one.metadata) for one in fields(settings)}


def parse_all(
    options: Mapping[str, Option], texts: Mapping[str, str], prefix: str = PREFIX
) -> dict[str, Any]:
    """Parses texts by the field of their option; one error names every bad value."""
    values, problems = {}, []
    for name, text in texts.items():
        try:
            values[name] = options[name].value(text, f"{prefix}{options[name].stem}")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("\n".join(problems))
    return values


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    valid = tuple(names)

    def parse(text: str) -> str:
        if text not in valid:
            raise ValueError(f"expected one of {', '.join(valid)}")
        return text

    return parse


def at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if text.strip().isdecimal() else -1
        if value < least:
            raise ValueError(f"expected a whole number of at least {least}")
        return value

    return parse


def below(high: float, expected: str) -> Callable[[str], float]:
    """Returns the parser of a number between 0 and another one, both excluded."""

    def parse(text: str) -> float:
        text, is_percent = text.strip(), high <= 1 and text.endswith("%")
        try:
            value = float(text[:-1]) / 100 if is_percent else float(text)
        except ValueError:
            value = math.nan
        if not 0 < value < high:
            raise ValueError(f"expected {expected}")
        return value

    return parse


fraction = below(1.0, "a number between 0 and 1, such as 0.05 or 5%")
rate = below(0.5, "a number between 0 and 0.5, such as 0.05 or 5%")
seconds = below(math.inf, "seconds, more than 0")


def several(parse: Parser, what: str, alone: str = "") -> Callable[[str], tuple[Any, ...]]:
    """Returns the parser of a list of distinct values, or of one word instead of them all."""

    def parse_list(text: str) -> tuple[Any, ...]:
        if alone and text.strip() == alone:
            return (alone,)
        try:
            return distinct(map(parse, words(text)), what)
        except ValueError as error:
            raise ValueError(f"{error}, or {alone}" if alone else str(error)) from None

    return parse_list


def distinct(values: Iterable[Any], what: str) -> tuple[Any, ...]:
    found = tuple(values)
    if not found:
        raise ValueError(f"expected at least one {what}")
    if len(set(found)) != len(found):
        raise ValueError(f"each {what} once")
    return found


def _variants(text: str) -> tuple[Variant, ...]:
    if text.strip() == "all":
        return tuple(VARIANTS.values())
    return several(variant_named, "variant")(text)


def _seeds(text: str) -> tuple[int, ...]:
    if text.strip().isdecimal() and (count := int(text)) > 0:
        raise ValueError(
            f"a lone number is ambiguous; write 0-{count - 1} for a count of {count}, or "
            f"{count}-{count} for seed {count}"
        )
    found: list[int] = []
    for word in words(text):
        first, dash, last = word.partition("-")
        low = at_least(0)(first)
        found += range(low, at_least(low)(last) + 1) if dash else [low]
    return distinct(found, "seed")


@dataclass(frozen=True)
class Options:
    """The values of all options. Precedence: marker, command line, ini, these defaults."""

    data: Path | None = option(
        None, Path, "DIR", "folder of pictures; default: the embedded drawn set"
    )
    report_dir: Path = option(Path("reports"), Path, "DIR", "where report folders go")
    cache_dir: Path | None = option(
        None, Path, "DIR", "where decoded pictures are kept; default: user cache"
    )
    targets: Path | None = option(
        None, Path, "FILE", "thresholds; default: targets.toml beside the test file"
    )
    variants: tuple[Variant, ...] = option(
        tuple(VARIANTS[name] for name in DEFAULT_VARIANTS),
        _variants,
        "NAMES",
        "names, all, or your models as package.module:function",
    )
    seeds: tuple[int, ...] = option((0, 1, 2), _seeds, "SEEDS", "a list (0,1,2) or a range (0-4)")
    epochs: int | None = option(
        None, at_least(1), "N", "epochs of each training; default: the protocol's, 10"
    )
    steps_per_epoch: int | None = option(
        None, at_least(1), "N", "steps per epoch; default: the protocol's"
    )
    validation_steps: int | None = option(
        None, at_least(1), "N", "steps per validation; default: the protocol's"
    )
    protocol: str = option(
        "one-pass",
        lambda text: protocol_named(text).name,
        "NAME",
        "one-pass (an epoch is one pass) or documented",
    )
    backends: tuple[str, ...] = option(
        ("tensorflow",),
        several(one_of(BACKENDS), "backend", alone="auto"),
        "NAMES",
        "tensorflow, jax, torch; for inference also openvino, onnxruntime; or auto, all "
        "installed. Trainings run on the first",
    )
    devices: tuple[str, ...] = option(
        ("auto",),
        several(check_device, "device", alone="auto"),
        "NAMES",
        "cpu, gpu, gpu:1, or auto (default): all there are",
    )
    dtypes: tuple[str, ...] = option(
        ("float32",),
        several(one_of(DTYPES), "dtype"),
        "NAMES",
        "float32, bfloat16, float16, or int8 (inference)",
    )
    batch_sizes: tuple[int | str, ...] = option(
        (32,),
        several(at_least(1), "batch size", alone=SWEEP),
        "SIZES",
        "of throughput tests, or sweep: doubled until throughput is flat or memory is full",
    )
    image_size: int = option(64, at_least(8), "PIXELS", "width and height of a picture")
    rounds: int = option(10, at_least(1), "N", "timed rounds of a throughput test")
    warmup_rounds: int = option(2, at_least(0), "N", "rounds before the timed ones")
    split_seed: int = option(
        0, at_least(0), "SEED", "seed of the split, for folders that are not split"
    )
    validation_fraction: float = option(
        0.2, fraction, "SHARE", "held-out share, for folders that are not split"
    )
    processes: int = option(
        1, at_least(1), "N", "fresh processes per throughput; 3 or more give intervals"
    )
    threads: int | None = option(
        None, at_least(1), "N", "threads of throughput tests; default: all CPUs"
    )
    workers: int | None = option(
        None, at_least(1), "N", "trainings at once, each on one thread; default: one per CPU"
    )
    alpha: float = option(
        0.01, fraction, "RATE", "probability that any gate fails although all is well"
    )
    beta: float = option(
        0.05, fraction, "RATE", "probability that a gate passes what it should not"
    )
    max_seeds: int | None = option(
        None, at_least(1), "N", "seeds are added to undecided gates up to this number; default: 8"
    )
    budget: float | None = option(
        None, seconds, "SECONDS", "no seeds are added that would take longer in all"
    )
    baseline: Path | None = option(None, Path, "FILE", "accuracies that `cnnbench baseline` stored")
    inconclusive: str = option(
        "fail", one_of(("fail", "allow")), "WHAT", "allow lets undecided gates through, fail not"
    )

    def training_protocol(self) -> Protocol:
        """Returns the named protocol, scaled by the options that say so."""
        return protocol_named(self.protocol).scaled(
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            validation_steps=self.validation_steps,
        )

    def most_seeds(self) -> int:
        """Returns how many seeds a gate may see, if not more are asked for."""
        return self.max_seeds or 8

    def to_dict(self) -> dict[str, object]:
        """Returns the values as plain data, without paths of this machine."""
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if OPTIONS[name].parse is not Path
        }
        return {**plain, "variants": [variant.name for variant in self.variants]}

    def backend_names(self) -> tuple[str, ...]:
        if self.backends == ("auto",):
            return tuple(name for name in BACKENDS if missing(name) is None)
        return self.backends

    def training_backend(self) -> str:
        """Returns the backend for trainings and reference answers: the first that can train."""
        named = [name for name in self.backend_names() if name in TRAINING_BACKENDS]
        # If none was named that can train, any: exported models need one.
        choice = named or TRAINING_BACKENDS
        return next((name for name in choice if missing(name) is None), choice[0])

    def device_names(self) -> tuple[str, ...]:
        return auto_devices() if self.devices == ("auto",) else self.devices

    def overridden(self, marker: Mapping[str, Any]) -> Options:
        """Returns the options with a marker's arguments in place, thresholds left aside."""
        unknown = [name for name in marker if name not in (*MARKER_FIELDS, *PROPERTIES)]
        if unknown:
            raise ValueError(
                f"@pytest.mark.cnnbench takes {', '.join(MARKER_FIELDS)} and thresholds "
                f"({', '.join(PROPERTIES)}). Received: {', '.join(unknown)}"
            )
        texts = {name: _text(value) for name, value in marker.items() if name in MARKER_FIELDS}
        return replace(self, **parse_all(OPTIONS, texts))


OPTIONS = options_in(Options)
MARKER_FIELDS = (
    "variants",
    "seeds",
    "backends",
    "devices",
    "dtypes",
    "batch_sizes",
    "rounds",
    "warmup_rounds",
    "processes",
)


def options_from(texts: Mapping[str, str | None]) -> Options:
    """Returns the options for the texts that were given; `None` and empty mean the default."""
    return Options(**parse_all(OPTIONS, {name: text for name, text in texts.items() if text}))


def _text(value: object) -> str:
    # The last comma makes a list of a single value, too: `seeds=[3]` is the seed 3.
    return "".join(f"{one}," for one in value) if isinstance(value, (list, tuple)) else str(value)
