"""The values of all options, from whatever stated them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cnnbench.machine.backends import BACKENDS, TRAINING_BACKENDS, missing
from cnnbench.machine.devices import auto_devices
from cnnbench.models.variants import DEFAULT_VARIANTS, VARIANTS, Variant
from cnnbench.session import option_parsers as parsers
from cnnbench.session.option_parsers import at_least, fraction, one_of
from cnnbench.session.option_table import option, options_in, parse_all
from cnnbench.training.protocols import Protocol, protocol_named
from cnnbench.verdicts.targets import PROPERTIES


@dataclass(frozen=True)
class Options:
    """The values of all options. Precedence: marker, command line, ini, these defaults."""

    data: Annotated[
        Path | None, option(Path, "DIR", "folder of pictures; default: the embedded drawn set")
    ] = None
    report_dir: Annotated[Path, option(Path, "DIR", "where report folders go")] = Path("reports")
    cache_dir: Annotated[
        Path | None, option(Path, "DIR", "where decoded pictures are kept; default: user cache")
    ] = None
    targets: Annotated[
        Path | None, option(Path, "FILE", "thresholds; default: targets.toml beside the test file")
    ] = None
    variants: Annotated[
        tuple[Variant, ...],
        option(parsers.variants, "NAMES", "names, all, or your models as package.module:function"),
    ] = tuple(VARIANTS[name] for name in DEFAULT_VARIANTS)
    seeds: Annotated[
        tuple[int, ...], option(parsers.seeds, "SEEDS", "a list (0,1,2) or a range (0-4)")
    ] = (0, 1, 2)
    epochs: Annotated[
        int | None, option(at_least(1), "N", "epochs of each training; default: the protocol's, 10")
    ] = None
    steps_per_epoch: Annotated[
        int | None, option(at_least(1), "N", "steps per epoch; default: the protocol's")
    ] = None
    validation_steps: Annotated[
        int | None, option(at_least(1), "N", "steps per validation; default: the protocol's")
    ] = None
    protocol: Annotated[
        str, option(parsers.protocol, "NAME", "one-pass (an epoch is one pass) or documented")
    ] = "one-pass"
    backends: Annotated[
        tuple[str, ...],
        option(
            parsers.backends,
            "NAMES",
            "tensorflow, jax, torch; for inference also openvino, onnxruntime; or auto, all "
            "installed. Trainings run on the first",
        ),
    ] = ("tensorflow",)
    devices: Annotated[
        tuple[str, ...],
        option(parsers.devices, "NAMES", "cpu, gpu, gpu:1, or auto (default): all there are"),
    ] = ("auto",)
    dtypes: Annotated[
        tuple[str, ...],
        option(parsers.dtypes, "NAMES", "float32, bfloat16, float16, or int8 (inference)"),
    ] = ("float32",)
    batch_sizes: Annotated[
        tuple[int | str, ...],
        option(
            parsers.batch_sizes,
            "SIZES",
            "of throughput tests, or sweep: doubled until throughput is flat or memory is full",
        ),
    ] = (32,)
    image_size: Annotated[int, option(at_least(8), "PIXELS", "width and height of a picture")] = 64
    rounds: Annotated[int, option(at_least(1), "N", "timed rounds of a throughput test")] = 10
    warmup_rounds: Annotated[int, option(at_least(0), "N", "rounds before the timed ones")] = 2
    split_seed: Annotated[
        int, option(at_least(0), "SEED", "seed of the split, for folders that are not split")
    ] = 0
    validation_fraction: Annotated[
        float, option(fraction, "SHARE", "held-out share, for folders that are not split")
    ] = 0.2
    processes: Annotated[
        int, option(at_least(1), "N", "fresh processes per throughput; 3 or more give intervals")
    ] = 1
    threads: Annotated[
        int | None, option(at_least(1), "N", "threads of throughput tests; default: all CPUs")
    ] = None
    workers: Annotated[
        int | None,
        option(at_least(1), "N", "trainings at once, each on one thread; default: one per CPU"),
    ] = None
    alpha: Annotated[
        float, option(fraction, "RATE", "probability that any gate fails although all is well")
    ] = 0.01
    beta: Annotated[
        float, option(fraction, "RATE", "probability that a gate passes what it should not")
    ] = 0.05
    max_seeds: Annotated[
        int, option(at_least(1), "N", "seeds are added to undecided gates up to this number")
    ] = 8
    budget: Annotated[
        float | None,
        option(parsers.seconds, "SECONDS", "no seeds are added that would take longer in all"),
    ] = None
    baseline: Annotated[
        Path | None, option(Path, "FILE", "accuracies that `cnnbench baseline` stored")
    ] = None
    inconclusive: Annotated[
        str,
        option(one_of(("fail", "allow")), "WHAT", "allow lets undecided gates through, fail not"),
    ] = "fail"

    def training_protocol(self) -> Protocol:
        """Returns the named protocol, scaled by the options that say so."""
        return protocol_named(self.protocol).scaled(
            self.epochs, self.steps_per_epoch, self.validation_steps
        )

    def to_dict(self) -> dict[str, object]:
        """Returns the values as plain data, without paths of this machine."""
        plain = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if OPTIONS[name].parse is not Path
        }
        return {**plain, "variants": [variant.name for variant in self.variants]}

    def backend_names(self) -> tuple[str, ...]:
        """Returns the backends to measure; `auto` is every one that is installed."""
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
    """Returns the options for the texts that were given; `None` and absent mean the default.

    Raises:
        ValueError: names every bad value at once.
    """
    return Options(**parse_all(OPTIONS, {name: text for name, text in texts.items() if text}))


def _text(value: object) -> str:
    # The last comma makes a list of a single value, too: `seeds=[3]` is the seed 3.
    return "".join(f"{one}," for one in value) if isinstance(value, (list, tuple)) else str(value)
