"""Makes the reference answers that timed programs are compared with, in a worker on a CPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnbench.models.evaluation import evaluate_side
from cnnbench.models.network import targets_for
from cnnbench.models.variants import Variant
from cnnbench.pictures.batches import Pictures, Purpose, drawn_batch, random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Workload
from cnnbench.speed.engines.keras_model import has_random_layers, model_of
from cnnbench.speed.flops import inference_flops, training_flops
from cnnbench.speed.reference import Reference, TrainingAnswers, Weights, load_weights

# How many training steps are compared: two, for Adam's moments to count, or one where rounding
# makes another network of every second one.
TRAINED_STEPS = (2, 1)
TRIES = 8  # per number of steps
# Without a trained network: after this many steps, answers are not all near one half.
WARM_UP_STEPS = 40
WARM_UP_BATCH_SIZE = 32

# No backend can be held to answers that rounding moves by more; they may differ by 1e-4.
ROUNDING = 1e-5
# Rounding is imitated by random changes of the weights, of up to this many units in the last place:
# backends add hundreds of products, each in its own order. A batch normalization's scale is changed
# by more: some take a variance as a difference of two means, which costs digits.
UNITS = 16
UNITS_OF_SCALE = 128
CHANGES = 4  # a tie falls to either side, so that one change may not show it
CHANGED_PICTURES = 1024  # in all changes together: a single picture of a large batch decides less
# Answers this near to another class are one or the other by chance in bfloat16, of whose classes
# 2 % may differ.
UNDECIDED = 0.025
UNDECIDED_SHARE = 0.01

Answers = npt.NDArray[np.float32]  # probabilities (n, outputs)


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
        variant: whose model answers.
        splits: the pictures.
        workload: `train` adds what a few steps make of a new network.
        batch_size: of those steps.
        seed: of weights and batches.
        weights: file of a trained network's; by default, one is trained for `WARM_UP_STEPS` steps.
    """
    classes = len(splits.classes)
    model = model_of(variant, seed, splits.input_shape, classes)
    model.optimizer.build(model.trainable_variables)
    begun = tuple(model.get_weights())
    new_optimizer = [variable.numpy() for variable in model.optimizer.variables]
    side = Pictures(splits.train_pictures(), splits.train.labels)
    held_out = Pictures(splits.validation_pictures(), splits.validation.labels)

    def train(batch_size: int, numbers: range, purpose: Purpose) -> None:
        # As trainings do it, and not by the step of an engine, which is what is compared.
        for number in numbers:
            batch = drawn_batch(side, batch_size, seed, number, purpose)
            targets = targets_for(model, batch.labels, classes)
            model.train_on_batch(batch.pictures, targets)

    def answers() -> Answers:
        return evaluate_side(model, held_out).probabilities.astype(np.float32)

    def trained(begun: Weights, first: int, steps: int) -> Answers:
        model.set_weights(list(begun))
        for variable, value in zip(model.optimizer.variables, new_optimizer, strict=True):
            variable.assign(value)
        train(batch_size, range(first, first + steps), "timed_batches")
        return answers()

    if weights is None:
        train(WARM_UP_BATCH_SIZE, range(WARM_UP_STEPS), "warm_up_batches")
        known = tuple(model.get_weights())
    else:
        known = load_weights(weights)
        model.set_weights(list(known))
    probabilities, training, why = answers(), None, ""
    if workload == "train" and has_random_layers(model):
        why = "training draws random numbers, which no two backends draw alike"
    elif workload == "train":
        changes = max(1, min(CHANGES, CHANGED_PICTURES // batch_size))
        training = training_answers(begun, trained, seed, changes)
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
    trained: Callable[[Weights, int, int], Answers],
    seed: int,
    changes: int = CHANGES,
) -> TrainingAnswers | None:
    """Looks for training steps whose outcome rounding does not decide.

    A gradient jumps where a relu or the winner of a pool changes, and Adam's first steps are as
    long for a tiny gradient as for a large one. Where two values differ by rounding alone, two
    right backends therefore make different networks of the same weights and pictures. Such batches
    are passed over, and so are those after which many answers are undecided, if there are others.

    Args:
        begun: weights to begin with.
        trained: returns answers after training from weights and a batch on, for some steps.
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


def undecided_share(answers: Answers) -> float:
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
