"""Makes the reference answers that timed programs are compared with, in a worker on a CPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cnnbench.models.evaluation import evaluate_side
from cnnbench.models.network import targets_for
from cnnbench.models.variants import Variant
from cnnbench.pictures.batches import Pictures, drawn_batch
from cnnbench.pictures.data_set import Splits
from cnnbench.pictures.streams import Purpose, random_stream
from cnnbench.records.measurements import Workload
from cnnbench.speed.engines.keras_model import has_random_layers, model_of
from cnnbench.speed.flops import inference_flops, training_flops
from cnnbench.speed.reference import Reference, TrainingAnswers, Weights, load_weights

if TYPE_CHECKING:
    import keras

# So many training steps are compared: two, for Adam's moments to count, or one where rounding has
# made another network of every second one.
TRAINED_STEPS = (2, 1)
# Without a trained network: after this many steps, answers are not all near one half.
WARM_UP_STEPS = 40
WARM_UP_BATCH_SIZE = 32

# Rounding that moves answers by more is a question that no backend can be held to: 1e-4 is allowed.
ROUNDING = 1e-5
# To see what rounding does, weights are changed at random, by this many units in the last place at
# most: backends add hundreds of products in orders of their own. A batch normalization's scale is
# changed by more: some take a variance as a difference of two means, which costs digits.
UNITS = 16
UNITS_OF_SCALE = 128
CHANGES = 4  # a tie falls to either side, so that one change may not show it
CHANGED_PICTURES = 1024  # in all changes together: of a large batch a single picture decides less
# Answers that are so near to another class are one or the other by chance in bfloat16, of whose
# classes 2 % may differ.
UNDECIDED = 0.025
UNDECIDED_SHARE = 0.01
TRIES = 8  # per number of steps


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
        workload: `train` adds what a few steps make of a new network.
        batch_size: of those steps.
        seed: of weights and batches.
        weights: those of a trained network; without, one is trained for `WARM_UP_STEPS` steps.
    """
    network = _Network(variant, splits, seed)
    model = network.model
    if weights is None:
        network.train(WARM_UP_BATCH_SIZE, 0, WARM_UP_STEPS, "warm_up_batches")
        known = tuple(model.get_weights())
    else:
        known = load_weights(weights)
        model.set_weights(list(known))
    probabilities, training, why = network.answers(), None, ""
    if workload == "train" and has_random_layers(model):
        why = "training draws random numbers, which no two backends draw alike"
    elif workload == "train":
        training = training_answers(
            network.begun,
            partial(network.trained, batch_size),
            seed,
            changes=max(1, min(CHANGES, CHANGED_PICTURES // batch_size)),
        )
        why = "" if training else "rounding alone decides what training makes of these batches"
    return Reference(
        weights=known,
        probabilities=probabilities,
        training=training,
        inference_flops=inference_flops(model),
        training_flops=training_flops(model),
        not_compared=why,
    )


def training_answers(
    begun: Weights,
    trained: Callable[[Weights, int, int], npt.NDArray[np.float32]],
    seed: int,
    changes: int = CHANGES,
) -> TrainingAnswers | None:
    """Looks for training steps whose outcome rounding does not decide.

    A network's gradient jumps where a relu or the winner of a pool changes, and Adam's first
    steps are as long for a tiny gradient as for a large one: where two values are equal but for
    rounding, two right backends make different networks of the same weights and pictures. Such
    batches ask nothing of a backend, and others are taken; also where many answers are undecided,
    as long as there are others.

    Args:
        begun: weights to begin with.
        trained: returns answers after training from these weights on, on the batches from this one
            on, for a number of steps.
        seed: of the changes that imitate rounding.
        changes: how many of them there are.

    Returns:
        The answers; `None` if rounding decides all that was tried.
    """
    generator = random_stream(seed, "rounding")
    best, least = None, 1.0
    for steps, number in itertools.product(TRAINED_STEPS, range(TRIES)):
        first = steps * number
        answers = trained(begun, first, steps)
        undecided = undecided_share(answers)
        if best is not None and undecided >= least:
            continue
        rounding = 0.0
        for _ in range(changes):
            changed = tuple(_rounded(weight, generator) for weight in begun)
            moved = np.abs(answers - trained(changed, first, steps)).max()
            rounding = max(rounding, float(moved))
            if rounding > ROUNDING:
                break
        if rounding > ROUNDING:
            continue
        best, least = TrainingAnswers(begun, answers, first, steps, rounding), undecided
        if undecided <= UNDECIDED_SHARE:
            break
    return best


def undecided_share(answers: npt.NDArray[np.float32]) -> float:
    """Returns the share of answers `(n, outputs)` whose class a change of `UNDECIDED` changes."""
    if answers.shape[1] == 1:
        margin = np.abs(answers[:, 0] - 0.5)
    else:
        ordered = np.sort(answers, axis=1)
        margin = (ordered[:, -1] - ordered[:, -2]) / 2
    return float((margin < UNDECIDED).mean())


def _rounded(
    weight: npt.NDArray[np.float32], generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    most = UNITS_OF_SCALE if weight.ndim == 1 else UNITS  # biases begin at 0 and stay there
    units = generator.uniform(-most, most, weight.shape)
    return (weight * (1 + units * np.finfo(np.float32).eps)).astype(weight.dtype)


class _Network:
    """A variant's model, compiled once, which can begin anew any number of times.

    It trains by `train_on_batch`, as the trainings do, and not by the steps of the engines: those
    are what is compared with it.
    """

    def __init__(self, variant: Variant, splits: Splits, seed: int) -> None:
        self._classes, self._seed = len(splits.classes), seed
        self.model: keras.Model = model_of(variant, seed, splits.input_shape, self._classes)
        self.model.optimizer.build(self.model.trainable_variables)
        self.begun: Weights = tuple(self.model.get_weights())
        self._optimizer = [variable.numpy() for variable in self.model.optimizer.variables]
        self._side = Pictures(splits.train_pictures(), splits.train.labels)
        self._held_out = Pictures(splits.validation_pictures(), splits.validation.labels)

    def train(
        self, batch_size: int, first: int, steps: int, purpose: Purpose = "timed_batches"
    ) -> None:
        for number in range(first, first + steps):
            batch = drawn_batch(self._side, batch_size, self._seed, number, purpose)
            targets = targets_for(self.model, batch.labels, self._classes)
            self.model.train_on_batch(batch.pictures, targets)

    def trained(
        self, batch_size: int, begun: Weights, first: int, steps: int
    ) -> npt.NDArray[np.float32]:
        """Returns answers after training with a new optimizer."""
        self.model.set_weights(list(begun))
        for variable, value in zip(self.model.optimizer.variables, self._optimizer, strict=True):
            variable.assign(value)
        self.train(batch_size, first, steps)
        return self.answers()

    def answers(self) -> npt.NDArray[np.float32]:
        return evaluate_side(self.model, self._held_out).probabilities.astype(np.float32)
