import math
from dataclasses import replace
from math import inf, nan
from operator import attrgetter
from statistics import fmean, stdev

import pytest
from factories import LABELS, constant_run, run_of, runs_of, training_run
from scipy import stats

from cnnbench.stats.intervals import UNKNOWN, Spread, mean_of, picture_error, widened
from cnnbench.stats.power import smallest_difference
from cnnbench.verdicts.gates.baselines import Baseline, identity_of
from cnnbench.verdicts.gates.evidence import Levels, correct_of
from cnnbench.verdicts.gates.rules import (
    AccuracyDrop,
    AccuracyTarget,
    GeneralizationGapLimit,
    TrainAccuracyTarget,
    ValidationLossRiseLimit,
)

KNOWN = Spread(0.01, 19)
BEFORE = (0.90, 0.91, 0.895, 0.885, 0.905, 0.92, 0.893, 0.897)

p_values = attrgetter("p_fail", "p_pass")
bounds = attrgetter("low", "high")


def seen(rule, runs):
    return rule.evidence(runs, LABELS, Levels())


def t_test(values, null):
    """Returns the p values of "less" and "greater" and the interval of one sample."""
    less = stats.ttest_1samp(values, null, alternative="less").pvalue
    interval = stats.ttest_1samp(values, null).confidence_interval(0.95)
    return (less, 1 - less), (interval.low, interval.high)


def trained(*accuracies):
    return [training_run(seed=n, train_accuracy=value) for n, value in enumerate(accuracies)]


def drop(margin=None, before=BEFORE, collapsed=()):
    identity = identity_of(training_run())
    seeds = tuple(range(len(before)))
    return AccuracyDrop(Baseline("documented", identity, seeds, before, collapsed), margin)


def gaps(*values, wrong=10):
    runs = zip(runs_of(*[wrong] * len(values)), values, strict=True)
    return [replace(run, train_accuracy=run.val_accuracy + gap) for run, gap in runs]


def with_val_losses(final, *epochs, seed=0):
    history = {"loss": epochs, "val_loss": epochs}
    return training_run(seed=seed, val_loss=final, epochs=len(epochs), history=history)


# Accuracies against targets


@pytest.mark.parametrize("target", [0.7, 0.85, 0.88, 0.9, 0.99])
@pytest.mark.parametrize(
    ("rule", "runs"),
    [
        (AccuracyTarget, runs_of(10, 12, 15, 9)),
        (TrainAccuracyTarget, trained(0.90, 0.88, 0.85, 0.91)),
    ],
)
def test_an_accuracy_is_judged_by_students_t_test_of_one_sample(rule, runs, target):
    found = seen(rule(target), runs)
    expected, interval = t_test([0.90, 0.88, 0.85, 0.91], target)
    assert p_values(found) == pytest.approx(expected)
    assert (found.observed, found.threshold) == (pytest.approx(0.885), target)
    assert bounds(found.interval) == pytest.approx(interval)


@pytest.mark.parametrize(
    ("rule", "runs"),
    [(AccuracyTarget, runs_of(12, 14, 16)), (TrainAccuracyTarget, trained(0.88, 0.86, 0.84))],
)
def test_a_known_spread_is_pooled(rule, runs):
    # Three seeds of standard deviation 0.02 and 20 earlier ones of 0.01: variance
    # (2 * 0.0004 + 19 * 0.0001) / 21, 21 degrees of freedom.
    found = seen(rule(0.84, KNOWN), runs)
    t = 0.02 / math.sqrt((2 * 0.02**2 + 19 * 0.01**2) / 21 / 3)
    assert p_values(found) == pytest.approx((stats.t.cdf(t, 21), stats.t.sf(t, 21)))
    assert seen(rule(0.85, KNOWN), runs[:1]).p_pass < 0.05  # one seed can decide


def test_accuracy_says_mean_both_intervals_target_and_noise():
    detail = seen(AccuracyTarget(0.85), runs_of(10, 12)).detail
    # 0.89 ± 12.706 * 0.01; the seeds' deviation is 0.0141, sqrt(0.11 / 200) is 0.0235.
    assert detail.startswith(
        "held-out accuracy 0.8900 ± 0.0141 (mean ± sd, n=2 seeds), 95 % interval 0.7629 to 1.0171 "
        "for this recipe on these 100 pictures, 95 % interval "
    )
    assert detail.endswith(
        "on new pictures of their kind; target at least 0.8500; seed sd is 0.60 of sqrt(err/2n)"
    )


def test_new_pictures_add_their_own_error_to_the_interval_in_words_only():
    runs = runs_of(10, 11, 10, 11, 10, 11)
    wider = widened(mean_of([0.90, 0.89] * 3), *picture_error(correct_of(runs, LABELS))).interval()
    assert f", {wider} on new pictures of their kind" in seen(AccuracyTarget(0.85), runs).detail
    # Three seeds alone know less than three with their pictures seem to.
    found = seen(AccuracyTarget(0.85), runs_of(1, 15, 29))
    assert f", {found.interval} on new pictures of their kind" in found.detail


# Equal ones of unknown spread have Jordan's least, sqrt(err / 2n) (arXiv 2304.01910), with
# err = (wrong + 1) / (n + 2).
@pytest.mark.parametrize(
    ("wrong", "known", "sd", "df"),
    [
        ((10, 10), UNKNOWN, math.sqrt(11 / 102 / 200), 1),
        ((13,) * 8, UNKNOWN, math.sqrt(14 / 102 / 200), 7),
        ((10, 10, 11), UNKNOWN, stdev([0.9, 0.9, 0.89]), 2),
        ((10, 10), Spread(0.01, 10), math.sqrt(10 * 0.01**2 / 11), 11),
    ],
)
def test_equal_accuracies_of_unknown_spread_have_jordans_least(wrong, known, sd, df):
    found = seen(AccuracyTarget(0.88, known), runs_of(*wrong))
    t = (0.12 - fmean(wrong) / 100) / (sd / math.sqrt(len(wrong)))
    assert p_values(found) == pytest.approx((stats.t.cdf(t, df), stats.t.sf(t, df)))
    assert found.interval.high - found.interval.low > 0


def test_one_seed_and_no_number_decide_nothing():
    found = seen(AccuracyTarget(0.5), runs_of(1))
    assert (*p_values(found), found.settled, found.interval.low) == (1.0, 1.0, None, -inf)
    assert "one seed has no spread" in found.advice
    broken = replace(run_of(10, seed=2), val_accuracy=nan)
    assert p_values(seen(AccuracyTarget(0.5), [*runs_of(10, 11), broken])) == (1.0, 1.0)


def test_training_accuracy_looks_at_no_held_out_picture_and_says_what_lowers_it():
    runs = trained(0.8, 0.82)
    found = seen(TrainAccuracyTarget(0.9), runs)
    assert found == seen(TrainAccuracyTarget(0.9), [replace(run, val_accuracy=0.5) for run in runs])
    assert found.detail.startswith("training accuracy 0.8100 ± 0.0141 (mean ± sd, n=2 seeds), 95 ")
    assert found.detail.endswith(
        "; target at least 0.9000. Wrong labels among the training pictures lower it"
    )


# A collapsed network knows nothing of either side: with it the gap would be two thirds.
@pytest.mark.parametrize(
    ("rule", "settled"),
    [
        (AccuracyTarget(0.6), "fail"),
        (GeneralizationGapLimit(0.1), None),
        (drop(), "fail"),
        (drop(collapsed=(5,)), None),
    ],
)
def test_a_collapsed_seed_is_named_and_has_no_part_in_the_numbers(rule, settled):
    dead = replace(constant_run(seed=7), train_accuracy=0.5)
    alone, beside = (seen(rule, [*gaps(0.11, 0.13), *more]) for more in ((), (dead,)))
    told = "; collapsed: 1 of 3 seeds, [7], with accuracy 0.5000, left out of the mean"
    assert beside == replace(alone, detail=alone.detail + told, settled=settled)
    assert alone.settled is None


# Accuracy against a baseline


def test_a_drop_and_an_allowed_drop_are_wilcoxons_rank_sum_test():
    found = seen(drop(margin=0.05), runs_of(11, 13, 12))  # 0.89, 0.87, 0.88: no two are equal
    exact = {"alternative": "greater", "method": "exact"}
    below = stats.mannwhitneyu(BEFORE, [0.89, 0.87, 0.88], **exact).pvalue
    above = stats.mannwhitneyu([0.94, 0.92, 0.93], BEFORE, **exact).pvalue
    assert p_values(found) == pytest.approx((below, above))
    assert found.observed == pytest.approx(0.0175, abs=0.01)
    assert found.interval.low <= found.observed <= found.interval.high
    assert found.threshold == 0.05


@pytest.mark.parametrize(
    ("margin", "seeds", "at_end", "advice"),
    [
        (None, 3, "pass", ""),
        (0.1, 3, "pass", ""),
        (0.02, 3, "inconclusive", "more seeds would be needed to decide"),
        (0.025, 8, "pass", ""),
        (0.01, 3, "inconclusive", "no number of new seeds would decide it; more seeds in the"),
    ],
)
def test_the_power_of_the_seeds_that_were_seen_must_suffice_for_a_margin(
    margin, seeds, at_end, advice
):
    found = seen(drop(margin), runs_of(*(11, 9, 10, 11, 9, 10, 9, 11)[:seeds]))
    assert (found.at_end, found.settled) == (at_end, None)
    assert advice in found.advice
    stated = "" if margin is None else f"; {margin:.4f} must be found"
    assert found.detail.endswith(f" with 90 % power{stated}")


def test_the_smallest_drop_falls_with_seeds():
    few, many = seen(drop(), runs_of(11, 9, 10)), seen(drop(), runs_of(*[11, 9, 10, 11] * 2))
    smallest = [float(one.detail.split("find a drop of ")[1].split(" ")[0]) for one in (few, many)]
    assert smallest[1] < 0.8 * smallest[0]
    # Of as many as there may be, at the level of the gate; ranks are worth 3 / pi of their number.
    sd = math.sqrt((7 * stdev(BEFORE) ** 2 + 2 * 0.01**2) / 9 * math.pi / 3)
    assert few.threshold == pytest.approx(smallest_difference(sd, 8, 8, 0.01))
    assert few.detail.startswith("held-out accuracy 0.9000 ± 0.0100 (mean ± sd, n=3 seeds), ")
    assert "baseline 0.9006 ± 0.0109 (mean ± sd, n=8 seeds): a drop of +0.00" in few.detail
    assert "8 and 3 seeds find a drop of 0.0" in few.detail


def test_equal_accuracies_on_both_sides_still_have_a_smallest_drop():
    found = seen(drop(before=(0.9, 0.9, 0.9)), runs_of(10, 10, 10))
    assert found.threshold > 0.01
    assert "find a drop of 0.0000" not in found.detail
    assert found.p_fail > 0.5


def test_a_baseline_of_something_else_is_an_error_that_names_it():
    message = r"The baseline of 'documented' is of something else: threads is 2, in the baseline 1"
    with pytest.raises(ValueError, match=message):
        seen(drop(), runs_of(10, 10, threads=2))


# The generalization gap


def test_the_gap_is_paired_within_each_run_and_pictures_add_their_error():
    # Accuracies differ by 10 points and gaps by one: the spread over seeds is that of gaps.
    runs = [*gaps(0.05, wrong=5), replace(gaps(0.06, wrong=15)[0], seed=1)]
    found = seen(GeneralizationGapLimit(0.1), runs)
    expected = widened(mean_of([0.05, 0.06]), *picture_error(correct_of(runs, LABELS)))
    assert found.observed == pytest.approx(0.055)
    assert bounds(found.interval) == pytest.approx(bounds(expected.interval()))
    assert p_values(found) == pytest.approx((expected.p_above(0.1), expected.p_below(0.1)))


def test_the_gap_says_by_how_much_it_is_too_large_and_pools_a_known_spread():
    found, known = (
        seen(GeneralizationGapLimit(0.1, spread), gaps(0.11, 0.13)) for spread in (UNKNOWN, KNOWN)
    )
    assert found.detail.startswith(
        "gap 0.1200 ± 0.0141 (mean ± sd, n=2 seeds): train accuracy 1.0200, held out 0.9000; 95 % "
    )
    end = "seeds and the 100 held-out pictures considered; limit 0."
    assert found.detail.endswith(f"{end}1000, 0.0200 too much")
    assert seen(GeneralizationGapLimit(0.2), gaps(0.11, 0.13)).detail.endswith(f"{end}2000")
    assert known.interval.high < found.interval.high - 0.005


def test_equal_gaps_have_jordans_least_spread():
    # Nobody is wrong, so pictures add nothing that could be seen.
    found = seen(GeneralizationGapLimit(0.01), gaps(0.0, 0.0, 0.0, wrong=0))
    error = math.sqrt(1 / 102 / 200 / 3)
    assert found.p_pass == pytest.approx(stats.t.sf(0.01 / error, 2), rel=0.01)
    assert found.interval.high == pytest.approx(stats.t.ppf(0.975, 2) * error, rel=0.01)


def test_the_gap_of_seeds_that_all_collapsed_is_that_of_all():
    dead = [replace(constant_run(seed=seed), train_accuracy=0.5 + seed / 100) for seed in (1, 3)]
    found = seen(GeneralizationGapLimit(0.1), dead)
    assert (found.observed, found.settled) == (pytest.approx(0.02), None)
    assert found.detail.endswith("collapsed: 2 of 2 seeds, [1, 3], with accuracy 0.5000, 0.5000")


# The rise of the validation loss


def test_the_mean_rise_is_geometric_and_best_epochs_are_named():
    # Final losses of 1.5 and 2 times the best, which is Prechelt's generalization loss ("Early
    # Stopping - But When?", 1998, section 2): their geometric mean is sqrt(3).
    runs = [with_val_losses(0.75, 0.5, 0.75), with_val_losses(1.0, 0.75, 0.5, seed=1)]
    found, logs = seen(ValidationLossRiseLimit(0.3), runs), [math.log(1.5), math.log(2)]
    (below, above), interval = t_test(logs, math.log(1.3))
    assert (found.observed, found.threshold) == (pytest.approx(math.sqrt(3) - 1), 0.3)
    assert p_values(found) == pytest.approx((above, below))
    assert tuple(map(math.log1p, bounds(found.interval))) == pytest.approx(interval)
    assert "best epoch: 0.7500 ± 0.3536 (mean ± sd, n=2 seeds), 95 % interval " in found.detail
    assert found.detail.endswith("best epochs [1, 2] of 2; limit 0.3000")


@pytest.mark.parametrize(
    ("final", "epochs"),
    [
        (nan, (0.5, 0.6)),
        (inf, (0.5, 0.6)),
        (0.5, (0.5, nan)),
        (0.5, (nan, 0.5)),
        (0.5, (inf, inf)),
        (1e-9, (0.5, 0.0)),
    ],
)
def test_losses_that_are_no_numbers_are_a_fail(final, epochs):
    runs = [with_val_losses(0.5, 0.5), with_val_losses(final, *epochs)]
    found = seen(ValidationLossRiseLimit(1e9), runs)
    assert (found.settled, *p_values(found)) == ("fail", 0.0, 1.0)
    assert math.isnan(found.observed)
    assert "the validation loss is not finite in 2 seeds" in found.detail


@pytest.mark.parametrize(
    ("final", "epochs"),
    [(0.5, (0.7, 0.5)), (0.0, (0.5, 0.0)), (0.0, (0.5,)), (1e-300, (0.5,)), (0.5, (inf, 0.5))],
)
def test_a_loss_of_nothing_and_one_that_was_recovered_from_are_no_rise(final, epochs):
    runs = [with_val_losses(final, *epochs, seed=seed) for seed in (0, 1)]
    found = seen(ValidationLossRiseLimit(0.3), runs)
    assert (*p_values(found), found.settled) == (1.0, 0.0, None)


def test_a_spread_too_wide_for_floats_is_boundless():
    runs = [with_val_losses(0.5 * rise, 0.7, 0.5, seed=n) for n, rise in enumerate((1.001, 1e100))]
    assert seen(ValidationLossRiseLimit(0.3), runs).interval.high == inf
