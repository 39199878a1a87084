"""Records in, verdicts out. Nothing is read, written or trained here.

Every function returns a `CheckResult` with the observed value, its threshold and a
sentence that says what was seen, in numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from cnnbench.records.checks import CheckResult, Verdict
from cnnbench.records.runs import DataSet, SanityRun, TrainingRun
from cnnbench.verdicts.gates.answers import is_constant, luck_of

Runs = Sequence[TrainingRun]


def check_training_finished(run: TrainingRun) -> CheckResult:
    """Passes if the loss of every batch and the final losses are finite numbers."""
    losses = (*run.history["loss"], run.train_loss, run.val_loss)
    broken = sum(not math.isfinite(loss) for loss in losses)
    where = ""
    if run.non_finite is not None:
        epoch, batch = run.non_finite
        where = f"; training stopped in epoch {epoch}, whose batch {batch} has such a loss"
    return _result(
        "training_finished",
        [run],
        passed=broken == 0 and run.non_finite is None,
        observed=broken,
        threshold=0,
        detail=f"{broken} of {len(losses)} losses are not finite; last training loss "
        f"{run.history['loss'][-1]:.4g}{where}",
        seed=run.seed,
    )


def check_better_than_majority(runs: Runs, data: DataSet) -> CheckResult:
    """Passes if every seed is better than always answering the largest class.

    The threshold is the share `p` of that class plus what luck alone exceeds in 1 % of
    cases: `p + 2.33 * sqrt(p * (1 - p) / n)`, the normal approximation of the binomial
    for `n` held-out pictures.
    """
    n = len(data.validation_labels)
    share = max(Counter(data.validation_labels).values()) / n
    threshold = share + luck_of(share, n)
    lowest = _extreme(min, [run.val_accuracy for run in runs])
    # Always answering the rarest class has at least its share: less is knowledge turned round.
    rare = min(Counter(data.validation_labels).values()) / n
    turned = lowest < rare - luck_of(rare, n)
    constant = [run.seed for run in runs if is_constant(run)]
    hint = f"; seeds {constant} give every picture the same class" if constant else ""
    hint += "; worse than chance: are the classes swapped on one side?" if turned else ""
    return _result(
        "better_than_majority",
        runs,
        passed=lowest > threshold,
        observed=lowest,
        threshold=threshold,
        detail=f"lowest held-out accuracy {lowest:.4f} of {len(runs)} seeds; the largest class has "
        f"{share:.4f} of {n} pictures, luck reaches {threshold:.4f} in 1 % of cases{hint}",
    )


def check_initial_loss(runs: Runs, classes: int, limit: float) -> CheckResult:
    """Passes if an untrained network's loss is near that of knowing nothing, ln(classes).

    Far from it, the input is on another scale than the initial weights expect (pictures
    not rescaled, say) or the output does not fit the loss.
    """
    expected = math.log(classes)
    distances = [abs(run.initial_loss - expected) for run in runs]
    worst = _extreme(max, distances)
    return _result(
        "initial_loss",
        runs,
        passed=worst <= limit,
        observed=worst,
        threshold=limit,
        detail=f"losses before training {_list(run.initial_loss for run in runs)}; expected within "
        f"{limit:.4g} of ln {classes} = {expected:.4f}. Are the pictures rescaled (uint8 0..255 "
        f"come in)?",
    )


def check_weights_moved(runs: Runs, limit: float) -> CheckResult:
    """Passes if training changed every weight array, or left at most `limit` of them as drawn."""
    unchanged = sorted({name for run in runs for name in run.unchanged_weights})
    return _result(
        "weights_moved",
        runs,
        passed=len(unchanged) <= limit,
        observed=len(unchanged),
        threshold=limit,
        detail=f"{len(unchanged)} weight arrays are as they were drawn after training"
        + (f": {', '.join(unchanged)}" if unchanged else ""),
    )


def check_memorization(run: SanityRun, loss_limit: float) -> CheckResult:
    """Passes if one tiny batch was learnt by heart: every picture right, loss at most the limit."""
    passed = run.accuracy == 1.0 and run.loss <= loss_limit
    return _result(
        "memorization",
        [run],
        passed=passed,
        observed=run.loss,
        threshold=loss_limit,
        detail=f"{run.batch_size} pictures after {run.steps} steps: accuracy {run.accuracy:.4f}, "
        f"loss {run.loss:.4g}; expected accuracy 1 and a loss of at most {loss_limit:.4g}",
        seed=run.seed,
    )


def check_shuffled_labels(run: SanityRun, data: DataSet, margin: float) -> CheckResult:
    """Passes if training on labels without meaning stays at chance on the held-out set.

    Chance is the share of the largest class; the margin allows for luck.
    """
    n = len(data.validation_labels)
    chance = max(Counter(data.validation_labels).values()) / n
    return _result(
        "shuffled_labels",
        [run],
        passed=run.accuracy <= chance + margin,
        observed=run.accuracy,
        threshold=chance + margin,
        detail=f"held-out accuracy {run.accuracy:.4f} after training on shuffled labels; chance is "
        f"{chance:.4f}, margin {margin:.4f}. More means that labels leak",
        seed=run.seed,
    )


def check_repeatable_inference(runs: Runs, limit: float) -> CheckResult:
    """Passes if a trained network answers the same when it is asked again.

    If not, something random that belongs to training is left on: augmentation or dropout.
    """
    worst = _extreme(max, [run.prediction_difference for run in runs])
    return _result(
        "repeatable_inference",
        runs,
        passed=worst <= limit,
        observed=worst,
        threshold=limit,
        detail=f"two predictions of the same held-out pictures differ by up to {worst:.3g}; limit "
        f"{limit:.3g}. More means that augmentation or dropout is left on in inference mode",
    )


def check_dead_units(runs: Runs, limit: float) -> CheckResult:
    """Passes if in every relu layer at most the limit's share of units is zero for all pictures.

    A unit that is zero everywhere has no gradient and learns nothing more.
    """
    layers = [(share, run.seed, layer) for run in runs for layer, share in run.dead_units.items()]
    worst, seed, layer = max(layers, default=(0.0, None, None))
    where = f" of the units of {layer!r} under seed {seed}" if layer else ", no layer has a relu"
    return _result(
        "dead_units",
        runs,
        passed=worst <= limit,
        observed=worst,
        threshold=limit,
        detail="units that are zero for every held-out picture looked at: at most "
        f"{worst:.1%}{where}; limit {limit:.1%}",
    )


def _result(
    check: str,
    runs: Sequence[TrainingRun | SanityRun],
    *,
    passed: bool,
    observed: float,
    threshold: float,
    detail: str,
    seed: int | None = None,
) -> CheckResult:
    first = runs[0]
    verdict: Verdict = "pass" if passed else "fail"
    return CheckResult(
        check=check,
        variant=first.variant,
        seed=seed,
        backend=first.backend,
        device=first.device,
        dtype=first.dtype,
        batch_size=first.batch_size,
        verdict=verdict,
        observed=float(observed),
        threshold=float(threshold),
        detail=detail,
    )


def _extreme(choose: Callable[[Sequence[float]], float], values: Sequence[float]) -> float:
    """Returns the least or the largest; NaN if one is: min() and max() may pass over it."""
    return math.nan if any(map(math.isnan, values)) else choose(values)


def _list(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
