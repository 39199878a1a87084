"""Which backends and devices this machine has: the backends themselves are asked."""

from __future__ import annotations

from cnnbench.machine import environment
from cnnbench.machine.backends import TRAINING_BACKENDS, gpus_needed, missing
from cnnbench.machine.place import Place
from cnnbench.session.options import Options
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus


def gpus(crew: Crew, backend: str) -> tuple[str, ...]:
    """Returns the names of the GPUs that a backend sees."""
    if not environment.may_have_gpu():
        return ()
    return crew.do(Place(backend, "gpu", environment.usable_cpus()), FindGpus())


def why_absent(crew: Crew, backend: str, device: str = "cpu") -> str | None:
    """Returns why a backend, or a device, can't be measured here; `None` if it can."""
    problem = missing(backend)
    if problem is not None:
        return problem
    needed = gpus_needed(device)
    found = len(gpus(crew, backend)) if needed else 0
    if found >= needed:
        return None
    return f"{backend} sees {found or 'no'} GPU{'s' if found > 1 else ''} on this machine"


def require_devices(crew: Crew, options: Options) -> None:
    """Checks devices that were asked for by name.

    Raises:
        ValueError: names those that no backend sees.
    """
    if options.devices == ("auto",):
        return
    trains = [name for name in options.backend_names() if name in TRAINING_BACKENDS]
    for device in options.devices:
        reasons = [why_absent(crew, name, device) for name in trains]
        if reasons and all(reasons):
            raise ValueError(
                f"--cnnbench-devices asks for {device}, but {'; '.join(filter(None, reasons))}. "
                "Use auto or cpu, or install the backend's GPU build and driver. "
                f"Received: {','.join(options.devices)!r}"
            )
