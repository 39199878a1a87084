"""One process of `handwritten_loops.py`: both loops of one backend and workload, in turn.

    python handwritten_pairs.py BACKEND WORKLOAD THREADS PAIRS SEED EXPORTED RESULT

Where KERAS_BACKEND and the variables of threads stand already. `EXPORTED` is the ONNX file, which
the workload `export` writes; `RESULT` gets the seconds of each pair, as JSON.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnbench.backends import TRAINING_BACKENDS
from cnnbench.devices import limit_threads
from cnnbench.engines.choice import Recipe, engine_for, program_for
from cnnbench.timing import time_steps
from cnnbench.variants import variant_named

SHAPE, BATCH_SIZE, SEED = (64, 64, 3), 32, 0
ROUND_SECONDS = 0.07
WARMUP_PAIRS = 3
COMPARED_STEPS = 5
TOLERANCE = 1e-5


@dataclass
class Ours:
    """cnnbench's side: its program, timed by its timer. The loss it returns is an average."""

    program: Any
    engine: Any
    pictures: Any
    targets: Any

    def step(self) -> Any:
        return self.program.run(self.pictures, self.targets)

    def seconds(self, steps: int) -> float:
        return time_steps(self.step, steps, self.engine.synchronize)

    def outputs(self, steps: int) -> list[np.ndarray]:
        found = [self.engine.get(self.step()) for _ in range(steps)]
        if self.targets is None:
            return found
        # Keras' training steps answer with the mean loss of all steps up to them.
        sums = [count * float(mean) for count, mean in enumerate(found, 1)]
        return [np.asarray(after - before) for before, after in zip([0, *sums], sums, strict=False)]


def both(backend: str, workload: str, threads: int, exported: Path, seed: int = SEED) -> Any:
    """Returns cnnbench's side and the loop by hand, of the same weights on the same pictures."""
    rng = np.random.default_rng(SEED)
    pictures = rng.integers(256, size=(BATCH_SIZE, *SHAPE), dtype=np.uint8)
    targets = rng.integers(2, size=(BATCH_SIZE, 1)).astype(np.float32)
    training = workload == "train"
    by_hand = importlib.import_module(f"handwritten.on_{backend}")
    make = by_hand.training if training else by_hand.inference
    given = (pictures, targets, threads) if training else (pictures, threads)
    source = network() if backend in TRAINING_BACKENDS else str(exported)
    weights = source.get_weights() if backend in TRAINING_BACKENDS else None
    variant = variant_named("documented")
    recipe = Recipe(
        variant,
        workload,
        "float32",
        BATCH_SIZE,
        SEED,
        SHAPE,
        2,
        weights,
        exported,
    )

    def ours() -> Ours:
        engine = engine_for(backend, "cpu", threads)
        program = program_for(engine, backend, recipe).program
        return Ours(
            program, engine, engine.put(pictures), engine.put(targets) if training else None
        )

    if seed % 2:  # who came first may lie better in memory
        loop = make(source, *given)
        return ours(), loop
    own = ours()
    return own, make(source, *given)


def network() -> Any:
    """Returns the documented network; the loops by hand take its layers, as cnnbench does."""
    from cnnbench.training import seeded_model

    return seeded_model(variant_named("documented"), SEED, SHAPE, 2)


def difference(own: Ours, loop: Any) -> float:
    """Returns the largest difference of losses or of probabilities in the first steps.

    Raises:
        ValueError: if it is so large that the two don't compute the same.
    """
    ours = own.outputs(COMPARED_STEPS)
    theirs = [loop(1)[1] for _ in range(COMPARED_STEPS)]
    found = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    if not found <= TOLERANCE:
        raise ValueError(
            f"The two loops do not compute the same. Expected answers within {TOLERANCE}. "
            f"Received: difference={found}"
        )
    return found


def measured(own: Ours, loop: Any, pairs: int, seed: int) -> dict[str, Any]:
    """Times rounds of both in turn, the order of each pair drawn by lot.

    Each round follows on a step of the same side, so that its threads are awake and its data is
    in the caches, whoever came before.
    """
    sides = {"cnnbench": own.seconds, "hand": lambda steps: loop(steps)[0]}
    steps = 1
    while min(side(steps) for side in sides.values()) < ROUND_SECONDS:
        steps *= 2
    if steps > 1:  # as near to the wanted length as whole steps go
        each = min(side(steps) for side in sides.values()) / steps
        steps = max(1, round(ROUND_SECONDS / each))
    found: dict[str, list[float]] = {name: [] for name in (*sides, *(f"cpu_{s}" for s in sides))}
    order, rng = list(sides), random.Random(seed)
    for pair in range(-WARMUP_PAIRS, pairs):
        rng.shuffle(order)
        for name in order:
            sides[name](1)
            cpu = time.process_time()
            seconds = sides[name](steps)
            cpu = time.process_time() - cpu
            if pair >= 0:
                found[name].append(seconds)
                found[f"cpu_{name}"].append(cpu)
    return {"steps": steps, "batch_size": BATCH_SIZE, **found}


def main() -> None:
    backend, workload, threads, pairs, seed, exported, result = sys.argv[1:]
    if workload == "export":
        from cnnbench.exporting import export_onnx

        export_onnx(network(), Path(exported), SHAPE)
        return
    limit_threads(backend, int(threads))
    own, loop = both(backend, workload, int(threads), Path(exported), int(seed))
    apart = difference(own, loop)
    found = measured(own, loop, int(pairs), int(seed)) | {"difference": apart}
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
