"""Checks of trainings: does a network learn, and as a healthy one does?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from cnnbench.records.records import CheckResult, DataSet, SanityRun, TrainingRun
from cnnbench.verdicts.gates.evidence import is_constant, luck_of
from cnnbench.verdicts.results import result_of

Runs = Sequence[TrainingRun]


def check_training_finished(run: TrainingRun) -> CheckResult:
    """Passes if the loss of every batch and the final losses are finite numbers."""
    losses = (*run.history["loss"], run.train_loss, run.val_loss)
    broken = sum(not math.isfinite(loss) for loss in losses)
    detail = (
        f"{broken} of {len(losses)} losses are not finite; last training loss "
        f"{run.history['loss'][-1]:.4g}"
    )
    if run.non_finite is not None:
        epoch, batch = run.non_finite
        detail += f"; training stopped in epoch {epoch}, whose batch {batch} has such a loss"
    passed = broken == 0 and run.non_finite is None
    return result_of("training_finished", run, broken, 0, detail, passed=passed)


def check_better_than_majority(runs: Runs, data: DataSet) -> CheckResult:
    """Passes if the lowest held-out accuracy is better than always answering the largest class.

    The threshold is the share `p` of that class plus what luck alone exceeds in 1 % of cases,
    `p + 2.33 * sqrt(p * (1 - p) / n)`: the normal approximation of the binomial for `n` pictures.
    """
    n, counts = len(data.validation_labels), Counter(data.validation_labels).values()
    share, rare = max(counts) / n, min(counts) / n
    threshold = share + luck_of(share, n)
    lowest = float(np.min([run.val_accuracy for run in runs]))
    detail = (
        f"lowest held-out accuracy {lowest:.4f} of {len(runs)} seeds; the largest class has "
        f"{share:.4f} of {n} pictures, luck reaches {threshold:.4f} in 1 % of cases"
    )
    constant = [run.seed for run in runs if is_constant(run)]
    if constant:
        detail += f"; seeds {constant} give every picture the same class"
    # Even the rarest class would be right more often: the network has learnt, but the wrong labels.
    if lowest < rare - luck_of(rare, n):
        detail += "; worse than chance: are the classes swapped on one side?"
    passed = lowest > threshold
    return result_of("better_than_majority", runs, lowest, threshold, detail, passed=passed)


def check_initial_loss(runs: Runs, classes: int, limit: float) -> CheckResult:
    """Passes if an untrained network's loss is at most `limit` nats from ln(classes).

    That is the loss of knowing nothing. Far from it, the input is on another scale than the initial
    weights expect (pictures not rescaled, say) or the output does not fit the loss.
    """
    expected = math.log(classes)
    worst = np.max([abs(run.initial_loss - expected) for run in runs])
    losses = ", ".join(f"{run.initial_loss:.4g}" for run in runs)
    detail = (
        f"losses before training [{losses}]; expected within {limit:.4g} of ln {classes} = "
        f"{expected:.4f}. Are the pictures rescaled (uint8 0..255 come in)?"
    )
    return result_of("initial_loss", runs, worst, limit, detail)


def check_weights_moved(runs: Runs, limit: float) -> CheckResult:
    """Passes if training left at most `limit` weight arrays as they were drawn."""
    unchanged = sorted({name for run in runs for name in run.unchanged_weights})
    names = f": {', '.join(unchanged)}" if unchanged else ""
    detail = f"{len(unchanged)} weight arrays are as they were drawn after training{names}"
    return result_of("weights_moved", runs, len(unchanged), limit, detail)


def check_memorization(run: SanityRun, loss_limit: float) -> CheckResult:
    """Passes if one tiny batch was learnt by heart: all right, with a loss of at most the limit."""
    detail = (
        f"{run.batch_size} pictures after {run.steps} steps: accuracy {run.accuracy:.4f}, loss "
        f"{run.loss:.4g}; expected accuracy 1 and a loss of at most {loss_limit:.4g}"
    )
    passed = run.accuracy == 1.0 and run.loss <= loss_limit
    return result_of("memorization", run, run.loss, loss_limit, detail, passed=passed)


def check_shuffled_labels(run: SanityRun, data: DataSet, margin: float) -> CheckResult:
    """Passes if training on labels without meaning stays at chance on the held-out set.

    Chance is the share of the largest class; luck may add `margin`.
    """
    chance = max(Counter(data.validation_labels).values()) / len(data.validation_labels)
    detail = (
        f"held-out accuracy {run.accuracy:.4f} after training on shuffled labels; chance is "
        f"{chance:.4f}, margin {margin:.4f}. More means that labels leak"
    )
    return result_of("shuffled_labels", run, run.accuracy, chance + margin, detail)


def check_repeatable_inference(runs: Runs, limit: float) -> CheckResult:
    """Passes if a trained network answers the same when asked again, to `limit` of any probability.

    If not, something random that belongs to training is left on: augmentation or dropout.
    """
    worst = np.max([run.prediction_difference for run in runs])
    detail = (
        f"two predictions of the same held-out pictures differ by up to {worst:.3g}; limit "
        f"{limit:.3g}. More means that augmentation or dropout is left on in inference mode"
    )
    return result_of("repeatable_inference", runs, worst, limit, detail)


def check_dead_units(runs: Runs, limit: float) -> CheckResult:
    """Passes if at most the share `limit` of every relu layer's units is zero for all pictures.

    A unit that is zero everywhere has no gradient and learns nothing more.
    """
    layers = [(share, run.seed, layer) for run in runs for layer, share in run.dead_units.items()]
    worst, seed, layer = max(layers, default=(0.0, None, None))
    where = f" of the units of {layer!r} under seed {seed}" if layer else ", no layer has a relu"
    detail = (
        "units that are zero for every held-out picture looked at: at most "
        f"{worst:.1%}{where}; limit {limit:.1%}"
    )
    return result_of("dead_units", runs, worst, limit, detail)
