"""The values of all options, from whatever stated them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cnnbench.machine.backends import BACKENDS, TRAINING_BACKENDS, missing
from cnnbench.machine.devices import auto_devices
from cnnbench.models.variants import DEFAULT_VARIANTS, VARIANTS, Variant
from cnnbench.session.option_table import OPTIONS, parse_all
from cnnbench.training.protocols import Protocol, protocol_named
from cnnbench.verdicts.targets import PROPERTIES


@dataclass(frozen=True)
class Options:
    """The values of all options. Precedence: marker, command line, ini, these defaults."""

    data: Path | None = None
    report_dir: Path = Path("reports")
    cache_dir: Path | None = None
    targets: Path | None = None
    variants: tuple[Variant, ...] = tuple(VARIANTS[name] for name in DEFAULT_VARIANTS)
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int | None = None
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    protocol: str = "one-pass"
    backends: tuple[str, ...] = ("tensorflow",)
    devices: tuple[str, ...] = ("auto",)
    dtypes: tuple[str, ...] = ("float32",)
    batch_sizes: tuple[int | str, ...] = (32,)
    image_size: int = 64
    rounds: int = 10
    warmup_rounds: int = 2
    split_seed: int = 0
    validation_fraction: float = 0.2
    processes: int = 1
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
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name not in ("data", "report_dir", "cache_dir", "targets", "baseline")
        }
        return {**plain, "variants": [variant.name for variant in self.variants]}

    def backend_names(self) -> tuple[str, ...]:
        """Returns the backends to measure; `auto` is every one that is installed."""
        if self.backends == ("auto",):
            return tuple(name for name in BACKENDS if missing(name) is None)
        return self.backends

    def training_backend(self) -> str:
        """Returns the backend for trainings and reference answers: the first that can train."""
        trains = [name for name in self.backend_names() if name in TRAINING_BACKENDS]
        # If none was named that can train, one that is installed: exported models need it.
        others = (name for name in TRAINING_BACKENDS if missing(name) is None)
        present = (name for name in trains if missing(name) is None)
        return next(present, None) or next(iter(trains), None) or next(others, TRAINING_BACKENDS[0])

    def device_names(self) -> tuple[str, ...]:
        """Returns the devices to measure on; `auto` is each that there may be."""
        return auto_devices() if self.devices == ("auto",) else self.devices

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
        return replace(self, **parse_all(OPTIONS, texts))


MARKER_FIELDS = (
    *("variants", "seeds", "backends", "devices", "dtypes", "batch_sizes"),
    *("rounds", "warmup_rounds", "processes"),
)

assert set(OPTIONS) == {field.name for field in fields(Options)}


def options_from(texts: Mapping[str, str | None]) -> Options:
    """Returns the options for the texts that were given; `None` and absent mean the default.

    Raises:
        ValueError: names every bad value at once.
    """
    return Options(**parse_all(OPTIONS, {name: text for name, text in texts.items() if text}))


def _text(value: object) -> str:
    # The last comma makes a list of a single value, too: `seeds=[3]` is the seed 3.
    return "".join(f"{one}," for one in value) if isinstance(value, (list, tuple)) else str(value)
