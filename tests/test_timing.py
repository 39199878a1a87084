import pytest

from cnnbench.timing import Rounds, time_calls, time_rounds

STEP = 1 / 32  # seconds that floats add up exactly


class Work:
    """Steps that take fake seconds, and the clock that shows them."""

    def __init__(self, *seconds: float, then: float = STEP) -> None:
        self.now = 0.0
        self.steps = self.looks = 0
        self._seconds, self._then = list(seconds), then

    def step(self) -> None:
        self.steps += 1
        self.now += self._seconds.pop(0) if self._seconds else self._then

    def clock(self) -> float:
        self.looks += 1
        return self.now


def timed(work: Work, rounds: int = 3, warmup_rounds: int = 0, minimum: float = 0.1) -> Rounds:
    return time_rounds(
        work.step,
        rounds=rounds,
        warmup_rounds=warmup_rounds,
        minimum_seconds=minimum,
        clock=work.clock,
    )


def test_steps_are_doubled_until_a_round_is_long_enough():
    # 1 step lasts 1/32 s, 2 last 1/16, 4 last 1/8.
    assert timed(Work()) == Rounds((0.125, 0.125, 0.125), steps_per_round=4)


def test_a_round_of_just_the_minimum_is_long_enough():
    assert timed(Work(), minimum=STEP).steps_per_round == 1


def test_long_steps_are_rounds_of_their_own():
    assert timed(Work(then=2.0), rounds=2) == Rounds((2.0, 2.0), steps_per_round=1)


def test_warm_up_rounds_are_of_full_length_and_thrown_away():
    found, warm = Work(), Work()
    timed(found, rounds=2, warmup_rounds=0)
    result = timed(warm, rounds=2, warmup_rounds=3)
    assert warm.steps - found.steps == 3 * result.steps_per_round
    assert len(result.seconds) == 2


def test_what_warms_up_slowly_is_measured_when_it_is_warm():
    work = Work(*[STEP] * 7, *[5.0] * 8)
    assert timed(work, warmup_rounds=2).seconds == (0.125,) * 3


def test_rounds_keep_their_own_seconds():
    work = Work(1.0, 2.0, 3.0, 4.0)
    assert timed(work).seconds == (2.0, 3.0, 4.0)


def test_the_clock_is_read_around_rounds_only():
    work = Work()
    timed(work, rounds=3, warmup_rounds=2)
    assert work.looks == 2 * (3 + 2 + 3)  # finding the length, warm-up, rounds


def test_calls_are_timed_one_by_one():
    work = Work(1.0, 2.0, 0.5)
    assert time_calls(work.step, 3, work.clock) == (1.0, 2.0, 0.5)
    assert work.steps == 3


@pytest.mark.parametrize("calls", [0, 1, 5])
def test_as_many_calls_are_timed_as_were_asked_for(calls):
    assert len(time_calls(Work().step, calls, Work().clock)) == calls


def test_the_usual_clock_is_a_real_one():
    assert all(0 <= seconds < 60 for seconds in time_calls(lambda: None, 3))
