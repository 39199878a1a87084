"""Makes the answers that timed programs are held against. Runs in a worker on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnbench.agreement import Reference, load_weights
from cnnbench.batches import Pictures, drawn_batch
from cnnbench.engines.keras_model import has_random_layers, model_of
from cnnbench.evaluation import evaluate
from cnnbench.flops import inference_flops, training_flops
from cnnbench.images.dataset import Splits
from cnnbench.measurements import Workload
from cnnbench.model import targets_for
from cnnbench.variants import Variant

# So many training steps are compared: enough for each weight to have moved, and few enough for
# rounding not to have grown into another network.
TRAINED_STEPS = 3
# Without a trained network: so many steps make answers that are not all near one half.
WARM_UP_STEPS = 40
WARM_UP_BATCH_SIZE = 32


def make_reference(
    variant: Variant,
    splits: Splits,
    workload: Workload,
    batch_size: int,
    seed: int,
    weights: Path | None,
) -> Reference:
    """Answers the held-out pictures by Keras' own calls in float32.

    Args:
        variant: what answers.
        splits: pictures.
        workload: `train` adds the answers after `TRAINED_STEPS` steps.
        batch_size: of those steps.
        seed: of weights and batches.
        weights: those of a trained network; without, one is trained for `WARM_UP_STEPS` steps.
    """
    classes = len(splits.classes)
    model = model_of(variant, seed, splits.input_shape, classes, "float32")
    side = Pictures(splits.train_pictures(), splits.train.labels)

    def train(size: int, steps: int, seed: int) -> None:
        for number in range(steps):
            batch = drawn_batch(side, size, seed, number)
            model.train_on_batch(batch.pictures, targets_for(model, batch.labels, classes))

    if weights is None:
        train(WARM_UP_BATCH_SIZE, WARM_UP_STEPS, seed + 1)
        begun = tuple(np.array(weight) for weight in model.get_weights())
        # The reference begins with a new optimizer, as what is held against it does.
        model = model_of(variant, seed, splits.input_shape, classes, "float32", begun)
    else:
        begun = load_weights(weights)
        model.set_weights(list(begun))
    held_out = Pictures(splits.validation_pictures(), splits.validation.labels)

    def answers() -> npt.NDArray[np.float32]:
        return evaluate(model, held_out).probabilities.astype(np.float32)

    probabilities, trained = answers(), None
    if workload == "train":
        train(batch_size, TRAINED_STEPS, seed)
        trained = None if has_random_layers(model) else answers()
    return Reference(
        weights=begun,
        probabilities=probabilities,
        trained=trained,
        trained_steps=TRAINED_STEPS if workload == "train" else 0,
        inference_flops=inference_flops(model),
        training_flops=training_flops(model),
    )
