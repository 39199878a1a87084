"""Steps as most code makes them, by Keras' own calls from host to host: what `cnnbench ab` times.

What a backend reaches beneath them is `throughput`'s.
"""

from __future__ import annotations

from cnnbench.models.network import targets_for
from cnnbench.models.seeded import seeded_model
from cnnbench.models.variants import Variant
from cnnbench.pictures.batches import Pictures
from cnnbench.pictures.data_set import Splits
from cnnbench.records.measurements import Workload
from cnnbench.speed.timing import Step


def first_step(
    variant: Variant, splits: Splits, workload: Workload, batch: Pictures, seed: int
) -> Step:
    """Builds a model and makes the first step, which compiles it.

    A training step is Keras' `train_on_batch` and an inference step `predict_on_batch`,
    uint8 pictures in memory to numbers in memory.

    Args:
        variant: whose model is built, with the weights that the seed draws.
        splits: say the input shape and the classes.
        workload: `train` or `inference`.
        batch: what each step works on.
        seed: of the weights.

    Returns:
        A synchronized step.
    """
    classes = len(splits.classes)
    model = seeded_model(variant, seed, splits.input_shape, classes)
    targets = targets_for(model, batch.labels, classes)

    def train_step() -> object:
        return model.train_on_batch(batch.pictures, targets)

    def inference_step() -> object:
        return model.predict_on_batch(batch.pictures)

    step = train_step if workload == "train" else inference_step
    step()
    return step
