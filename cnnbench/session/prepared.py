"""What measurements are compared with and begin with: references and exported models, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path

from cnnbench.machine.backends import TRAINING_BACKENDS, missing
from cnnbench.models.variants import Variant, variant_named
from cnnbench.session.options import Options
from cnnbench.session.progress import Progress
from cnnbench.session.wanted import Question
from cnnbench.session.workers.crew import Crew
from cnnbench.session.workers.jobs import Export, MakeReference
from cnnbench.session.workers.process import Result, WorkerSpec


class References:
    """The files that a session's measurements need.

    Args:
        options: of the session.
        crew: the session's workers.
        progress: shows what is waited for.
        splits: manifest of the pictures.
        scratch: folder for weights, answers and exported models.
        weights: returns the file where a variant's trained weights lie, once it is trained here.
    """

    def __init__(
        self,
        options: Options,
        crew: Crew,
        progress: Progress,
        splits: str,
        scratch: Path,
        weights: Callable[[Variant], Path],
    ) -> None:
        self._options, self._crew, self._progress = options, crew, progress
        self._splits, self._scratch, self._weights = splits, scratch, weights
        self._made: dict[tuple[str, int], tuple[str, Future[Result]]] = {}

    def plan(
        self,
        questions: Iterable[Question],
        spec: WorkerSpec,
        workers: int,
        trained: Callable[[str], Future[Result] | None],
    ) -> list[Future[Result]]:
        """Has references made behind the trainings, by the workers that are warm.

        Args:
            questions: what will be measured.
            spec: of those workers.
            workers: how many they are.
            trained: returns the training of a variant whose weights are to answer.
        """
        # What training asks is made first: it has the answers of inference, too.
        ordered = sorted(questions, key=lambda one: one.workload != "train")
        return [self._begun(one, spec, workers, trained(one.variant))[1] for one in ordered]

    def reference(self, question: Question, spec: WorkerSpec) -> str:
        """Returns the file of a reference, made ahead, or now by a worker of this kind."""
        target, future = self._begun(question, spec)
        self._progress.wait(future)
        return target

    def answers(
        self, question: Question, backend: str, dtype: str, threads: int
    ) -> tuple[str, str]:
        """Makes the reference and, where one is needed, the exported model; returns the files."""
        reference = self.reference(question, self._cpu(self._options.training_backend(), threads))
        if backend in TRAINING_BACKENDS:
            return reference, ""
        variant, int8 = variant_named(question.variant), dtype == "int8"
        stem = self._scratch / f"{variant.fingerprint()}{'-int8' if int8 else ''}"
        exported, quantized = f"{stem}.onnx", f"{stem}-quantized.onnx" if int8 else ""
        seed = self._options.seeds[0]
        job = Export(variant, self._splits, seed, reference, exported, quantized)
        self._progress.wait(self._crew.submit(self._cpu(self._exporter(), threads), job))
        return reference, quantized or exported

    def _begun(
        self,
        question: Question,
        spec: WorkerSpec,
        workers: int = 1,
        after: Future[Result] | None = None,
    ) -> tuple[str, Future[Result]]:
        variant, workload = variant_named(question.variant), question.workload
        key = (variant.fingerprint(), question.batch_size if workload == "train" else 0)
        if workload == "inference":
            # One that was made for training has these answers, too.
            key = next((one for one in self._made if one[0] == key[0]), key)
        if key not in self._made:
            target = str(self._scratch / f"{key[0]}-{key[1]}.npz")
            seed, weights = self._options.seeds[0], str(self._weights(variant))
            job = MakeReference(variant, self._splits, workload, key[1], seed, weights, target)
            self._made[key] = target, self._crew.submit(spec, job, workers, after)
        return self._made[key]

    def _exporter(self) -> str:
        first = self._options.training_backend()
        others = [name for name in ("tensorflow", "torch") if missing(name) is None]
        return first if first in ("tensorflow", "torch") or not others else others[0]

    def _cpu(self, backend: str, threads: int) -> WorkerSpec:
        return WorkerSpec(backend, "cpu", threads)
