"""Which backends and devices are there: asked of the backends themselves, each once."""

from __future__ import annotations

from typing import cast

from cnnbench.machine import environment
from cnnbench.machine.backends import TRAINING_BACKENDS, gpus_needed, missing
from cnnbench.session.options import Options
from cnnbench.session.progress import Progress
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import FindGpus
from cnnbench.session.workers.process import WorkerSpec


class Presence:
    """Finds out what can be measured on this machine.

    Args:
        options: of the session.
        crew: whose workers are asked.
        progress: shows what is waited for.
    """

    def __init__(self, options: Options, crew: Crew, progress: Progress) -> None:
        self._options, self._crew, self._progress = options, crew, progress
        self._gpus: dict[str, tuple[str, ...]] = {}

    def gpus(self, backend: str) -> tuple[str, ...]:
        """Returns the GPUs that a backend sees."""
        if backend not in self._gpus:
            if not environment.may_have_gpu():
                self._gpus[backend] = ()
            else:
                spec = WorkerSpec(backend, "gpu", environment.usable_cpus())
                job = self._crew.submit(spec, FindGpus())
                answer = cast(dict[str, list[str]], self._progress.wait(job))
                self._gpus[backend] = tuple(answer["gpus"])
        return self._gpus[backend]

    def absent(self, backend: str, device: str = "cpu") -> str | None:
        """Returns why a backend, or a device, can't be measured here; `None` if it can."""
        problem = missing(backend)
        if problem is not None:
            return problem
        needed = gpus_needed(device)
        found = len(self.gpus(backend)) if needed else 0
        if found >= needed:
            return None
        return f"{backend} sees {found or 'no'} GPU{'s' if found > 1 else ''} on this machine"

    def require_devices(self) -> None:
        """Checks devices that were asked for by name.

        Raises:
            ValueError: names those that no backend sees.
        """
        if self._options.devices == ("auto",):
            return
        trains = [name for name in self._options.backend_names() if name in TRAINING_BACKENDS]
        for device in self._options.devices:
            reasons = [self.absent(name, device) for name in trains]
            if reasons and all(reasons):
                raise ValueError(
                    f"--cnnbench-devices asks for {device}, but {'; '.join(filter(None, reasons))}."
                    " Use auto or cpu, or install the backend's GPU build and driver. "
                    f"Received: {','.join(self._options.devices)!r}"
                )
