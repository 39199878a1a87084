"""What float32 on a CPU answers, and how far the answers of timed programs agree with it.

Of Keras, nothing is loaded but by `make_reference`: the runtimes of exported models need none.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnbench.models.variants import Variant
from cnnbench.pictures.batches import Pictures, Purpose, drawn_batch, random_stream
from cnnbench.pictures.data_set import Splits
from cnnbench.records.records import Agreement, Workload
from cnnbench.stats.answers import classes_of

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

Weights = tuple[npt.NDArray[Any], ...]  # in Keras' order
Probabilities = npt.NDArray[np.floating[Any]]  # (n, outputs)


@dataclass(frozen=True)
class Answers:
    """Answers to the held-out pictures, with these weights.

    Of training, `weights` are those that it begins with. The answers are those after `steps` steps
    on the batches `first_batch`, `first_batch + 1`, ... of those that the seed draws. `rounding` is
    by how much they move when the weights are changed as little as rounding changes them.
    """

    weights: Weights
    probabilities: Probabilities
    first_batch: int = 0
    steps: int = 0
    rounding: float = 0.0


@dataclass(frozen=True)
class Reference:
    """What float32 on a CPU answers by Keras' own calls, and the operations of one picture.

    `not_compared` says why there are no answers of training.
    """

    answers: dict[Workload, Answers]
    flops: dict[Workload, float | None]
    not_compared: str = ""

    def save(self, path: Path) -> None:
        """Writes a file without code."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        numbers: dict[str, Any] = {}
        for workload, made in self.answers.items():
            numbers[workload] = [made.first_batch, made.steps, made.rounding]
            for number, array in enumerate((made.probabilities, *made.weights)):
                arrays[f"{workload}_{number}"] = array
        facts = json.dumps([numbers, self.flops, self.not_compared])
        np.savez(path, allow_pickle=False, facts=np.array(facts), **arrays)

    @classmethod
    def load(cls, path: Path) -> Reference:
        answers: dict[Any, Answers] = {}
        with np.load(path, allow_pickle=False) as file:
            numbers, flops, not_compared = json.loads(str(file["facts"]))
            for workload, (first_batch, steps, rounding) in numbers.items():
                names = (name for name in file.files if name.startswith(workload))
                probabilities, *weights = (file[name] for name in names)
                answers[workload] = Answers(
                    tuple(weights), probabilities, first_batch, steps, rounding
                )
        return cls(answers, flops, not_compared)


def save_weights(weights: Iterable[npt.NDArray[Any]], path: Path) -> None:
    """Writes a model's weights, in Keras' order."""
    np.savez(path, *weights, allow_pickle=False)


def load_weights(path: Path) -> Weights:
    """Reads what `save_weights` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return tuple(file.values())


def agreement_of(
    probabilities: Probabilities, reference: Probabilities, labels: npt.NDArray[np.int64]
) -> Agreement:
    """Compares answers with those of the reference, and both with the true classes.

    An answer that is no number is wrong, and differs by 1.
    """
    given, known = classes_of(probabilities), classes_of(reference)
    differences = np.abs(probabilities.astype(np.float64) - reference.astype(np.float64))
    differences = np.where(np.isfinite(differences), differences, 1.0)
    return Agreement(
        pictures=len(labels),
        equal_share=float((given == known).mean()),
        probability_difference=float(differences.max()),
        accuracy_difference=float((given == labels).mean() - (known == labels).mean()),
    )


def make_reference(
    variant: Variant,
    splits: Splits,
    workload: Workload,
    batch_size: int,
    seed: int,
    weights: Path | None,
) -> Reference:
    """Answers the held-out pictures by Keras' own calls in float32, in a worker on a CPU.

    `train` adds what a few steps of this batch size make of a new network. `weights` is the file of
    a trained network's; without it, one is trained for `WARM_UP_STEPS` steps.
    """
    from cnnbench.models.evaluation import evaluate_side
    from cnnbench.models.network import targets_for
    from cnnbench.speed.engines.keras_model import has_random_layers, model_of
    from cnnbench.speed.flops import inference_flops, training_flops

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
            model.train_on_batch(batch.pictures, targets_for(model, batch.labels))

    def answers() -> Probabilities:
        return evaluate_side(model, held_out).probabilities.astype(np.float32)

    def trained(begun: Weights, first: int, steps: int) -> Probabilities:
        model.set_weights(list(begun))
        for variable, value in zip(model.optimizer.variables, new_optimizer, strict=True):
            variable.assign(value)
        train(batch_size, range(first, first + steps), "timed_batches")
        return answers()

    if weights is None:
        train(WARM_UP_BATCH_SIZE, range(WARM_UP_STEPS), "warm_up_batches")
    else:
        model.set_weights(list(load_weights(weights)))
    found: dict[Workload, Answers] = {"inference": Answers(tuple(model.get_weights()), answers())}
    why = ""
    if workload == "train" and has_random_layers(model):
        why = "training draws random numbers, which no two backends draw alike"
    elif workload == "train":
        changes = max(1, min(CHANGES, CHANGED_PICTURES // batch_size))
        if made := training_answers(begun, trained, seed, changes):
            found["train"] = made
        else:
            why = "rounding alone decides what training makes of these batches"
    return Reference(
        answers=found,
        flops={"inference": inference_flops(model), "train": training_flops(model)},
        not_compared=why,
    )


def training_answers(
    begun: Weights,
    trained: Callable[[Weights, int, int], Probabilities],
    seed: int,
    changes: int = CHANGES,
) -> Answers | None:
    """Looks for training steps whose outcome rounding does not decide; `None` if it always does.

    A gradient jumps where a relu or the winner of a pool changes, and Adam's first steps are as
    long for a tiny gradient as for a large one. Where two values differ by rounding alone, two
    right backends therefore make different networks of the same weights and pictures. Such batches
    are passed over, and so are those after which many answers are undecided, if there are others.

    `trained` returns answers after training from weights and a batch on, for some steps.
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
        else:
            best, least = Answers(begun, answers, first, steps, rounding), undecided
            if undecided <= UNDECIDED_SHARE:
                break
    return best


def undecided_share(answers: Probabilities) -> float:
    """Returns the share of answers whose class a change of `UNDECIDED` changes."""
    if answers.shape[1] == 1:
        margin = np.abs(answers[:, 0] - 0.5)
    else:
        ordered = np.sort(answers, axis=1)
        margin = (ordered[:, -1] - ordered[:, -2]) / 2
    return float((margin < UNDECIDED).mean())


def _rounded(weight: npt.NDArray[Any], generator: np.random.Generator) -> npt.NDArray[Any]:
    most = UNITS_OF_SCALE if weight.ndim == 1 else UNITS  # biases begin at 0 and stay there
    units = generator.uniform(-most, most, weight.shape)
    return (weight * (1 + units * np.finfo(np.float32).eps)).astype(weight.dtype)
