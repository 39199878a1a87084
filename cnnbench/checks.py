"""Records in, verdicts out. Nothing is read, written or trained here.

Every function returns a `CheckResult` with the observed value, its threshold and a
sentence that says what was seen, in numbers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist, fmean, stdev

from cnnbench.records import CheckResult, DataSet, SanityRun, TrainingRun, Verdict

ALPHA = 0.01  # of the bound on chance
_Z = NormalDist().inv_cdf(1 - ALPHA)

Runs = Sequence[TrainingRun]


def check_finished(run: TrainingRun) -> CheckResult:
    """Passes if the loss of every epoch and the final loss are finite numbers."""
    losses = (*run.history["loss"], run.train_loss, run.val_loss)
    broken = sum(not math.isfinite(loss) for loss in losses)
    return _result(
        "finished",
        [run],
        passed=broken == 0,
        observed=broken,
        threshold=0,
        detail=f"{broken} of {len(losses)} losses are not finite; last training loss "
        f"{run.history['loss'][-1]:.4g}",
        seed=run.seed,
    )


def check_accuracy(runs: Runs, target: float) -> CheckResult:
    """Passes if the mean held-out accuracy over seeds is at least the target."""
    values = [run.val_accuracy for run in runs]
    mean = fmean(values)
    return _result(
        "accuracy",
        runs,
        passed=mean >= target,
        observed=mean,
        threshold=target,
        detail=f"held-out accuracy {_mean_sd(values)}, lowest {min(values):.4f}; "
        f"target at least {target:.4f}",
    )


def check_better_than_majority(runs: Runs, data: DataSet) -> CheckResult:
    """Passes if every seed is better than always answering the largest class.

    The threshold is the share `p` of that class plus what luck alone exceeds in 1 % of
    cases: `p + 2.33 * sqrt(p * (1 - p) / n)`, the normal approximation of the binomial
    for `n` held-out pictures.
    """
    n = len(data.validation_labels)
    share = max(Counter(data.validation_labels).values()) / n
    threshold = share + _Z * math.sqrt(share * (1 - share) / n)
    lowest = _extreme(min, [run.val_accuracy for run in runs])
    constant = [run.seed for run in runs if _is_constant(run)]
    same = f"; seeds {constant} give every picture the same class" if constant else ""
    return _result(
        "better_than_majority",
        runs,
        passed=lowest > threshold,
        observed=lowest,
        threshold=threshold,
        detail=f"lowest held-out accuracy {lowest:.4f} of {len(runs)} seeds; the largest class has "
        f"{share:.4f} of {n} pictures, luck reaches {threshold:.4f} in 1 % of cases{same}",
    )


def check_generalization_gap(runs: Runs, limit: float) -> CheckResult:
    """Passes if train minus held-out accuracy, averaged over seeds, is at most the limit.

    Both sides are evaluated with the final weights in inference mode.
    """
    values = [run.generalization_gap for run in runs]
    mean = fmean(values)
    train = fmean(run.train_accuracy for run in runs)
    over = f", {mean - limit:.4f} too much" if mean > limit else ""
    return _result(
        "generalization_gap",
        runs,
        passed=mean <= limit,
        observed=mean,
        threshold=limit,
        detail=f"gap {_mean_sd(values)}: train accuracy {train:.4f}, held out "
        f"{train - mean:.4f}; limit {limit:.4f}{over}",
    )


def check_validation_loss_rise(runs: Runs, limit: float) -> CheckResult:
    """Passes if the final validation loss is at most `1 + limit` times its best epoch's.

    This is Prechelt's generalization loss GL as a share ("Early Stopping - But When?",
    1998), averaged over seeds.
    """
    values = [_rise(run) for run in runs]
    mean = fmean(values)
    best = [1 + _argmin(run.history["val_loss"]) for run in runs]
    return _result(
        "validation_loss_rise",
        runs,
        passed=mean <= limit,
        observed=mean,
        threshold=limit,
        detail=f"final validation loss over its best epoch's, less 1: {_mean_sd(values)}; best "
        f"epochs {best} of {max(run.epochs for run in runs)}; limit {limit:.4f}",
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


def check_held_out(leaks: Sequence[str]) -> CheckResult:
    """Passes if no picture stands in both sets.

    Args:
        leaks: a line for each pair of files of equal content.
    """
    return CheckResult(
        check="held_out",
        variant="",
        seed=None,
        backend="",
        device="",
        dtype="",
        batch_size=None,
        verdict="fail" if leaks else "pass",
        observed=float(len(leaks)),
        threshold=0.0,
        detail="\n".join(leaks) if leaks else "no picture stands in both sets, by content",
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


def _is_constant(run: TrainingRun) -> bool:
    answers = {
        row[0] > 0.5 if len(row) == 1 else row.index(max(row)) for row in run.val_probabilities
    }
    return len(answers) == 1


def _rise(run: TrainingRun) -> float:
    best = _extreme(min, run.history["val_loss"])
    if best == 0:
        return 0.0 if run.val_loss == 0 else math.inf
    return run.val_loss / best - 1


def _extreme(choose: Callable[[Sequence[float]], float], values: Sequence[float]) -> float:
    """Returns the least or the largest; NaN if one is: min() and max() may pass over it."""
    return math.nan if any(map(math.isnan, values)) else choose(values)


def _argmin(values: Sequence[float]) -> int:
    return min(range(len(values)), key=values.__getitem__)


def _mean_sd(values: Sequence[float]) -> str:
    # Python 3.11's stdev() stumbles over what is not finite.
    sd = stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan
    spread = f" ± {sd:.4f}" if len(values) > 1 else ""
    return f"{fmean(values):.4f}{spread} (mean{' ± sd' if spread else ''}, n={len(values)} seeds)"


def _list(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"
