import pytest
from factories import measurement

from cnnbench.records.measurements import TimingProof
from cnnbench.speed.timing import Rounds, prove_timing, time_calls, time_rounds, time_steps
from cnnbench.verdicts.checks.speed import check_timer_waits

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


# Work that is queued


class Queue:
    """A device that computes later: a step takes the host little, and the device `STEP`."""

    def __init__(self, dispatch: float = STEP / 64) -> None:
        self.now = self.free = 0.0
        self.dispatch = dispatch
        self.queued: list[int] = []

    def step(self) -> int:
        self.now += self.dispatch
        self.free = max(self.free, self.now) + STEP
        self.queued.append(len(self.queued))
        return self.queued[-1]

    def wait(self, outputs: object = None) -> None:
        self.now = max(self.now, self.free)

    def read(self, output: object) -> None:
        self.wait()
        self.now += STEP / 1024  # the copy

    def clock(self) -> float:
        return self.now


def ignored(outputs: object) -> None:
    pass


def test_queued_work_is_waited_for_at_both_ends():
    queue = Queue()
    queue.step()  # is not yet done when the clock is to start
    seconds = time_steps(queue.step, 4, queue.wait, queue.clock)
    assert seconds == 4 * STEP + queue.dispatch


def test_what_waits_is_given_every_output_of_a_round():
    queue, given = Queue(), []

    def wait(outputs):
        given.append(list(outputs))
        queue.wait()

    time_steps(queue.step, 3, wait, queue.clock)
    assert given == [[], [0, 1, 2]]


def test_rounds_wait_for_their_own_work_alone():
    queue = Queue()
    found = time_rounds(
        queue.step,
        rounds=3,
        warmup_rounds=1,
        synchronize=queue.wait,
        minimum_seconds=0.1,
        clock=queue.clock,
    )
    assert found == Rounds((4 * STEP + queue.dispatch,) * 3, steps_per_round=4)


def test_what_looks_at_the_device_looks_after_each_timed_round():
    work, looks = Work(), []
    time_rounds(
        work.step,
        rounds=3,
        warmup_rounds=2,
        after_round=lambda: looks.append(work.steps),
        minimum_seconds=STEP,
        clock=work.clock,
    )
    assert looks == [4, 5, 6]  # the first step finds the length, two warm up


def proof(queue: Queue, synchronize, steps_per_round: int = 8, **more) -> TimingProof:
    return prove_timing(
        queue.step, synchronize, queue.read, steps_per_round, clock=queue.clock, **more
    )


def test_a_timer_that_waits_proves_it():
    queue = Queue()
    found = proof(queue, queue.wait)
    assert found.steps == (2, 4, 8)
    assert found.seconds == tuple(steps * STEP + queue.dispatch for steps in found.steps)
    assert found.drain_seconds == STEP / 1024
    assert check_timer_waits(measurement(timing=found)).verdict == "pass"


def test_a_timer_that_does_not_wait_is_found_out():
    queue = Queue()
    found = proof(queue, ignored)
    assert found.seconds == tuple(steps * queue.dispatch for steps in found.steps)
    assert found.drain_seconds > STEP
    result = check_timer_waits(measurement(timing=found))
    assert result.verdict == "fail"
    assert "the timer does not wait" in result.detail


def test_a_timer_that_waits_for_the_first_output_alone_is_found_out():
    queue = Queue()

    def first_alone(outputs):
        if outputs:
            queue.now = max(queue.now, queue.free - (len(outputs) - 1) * STEP)

    assert check_timer_waits(measurement(timing=proof(queue, first_alone))).verdict == "fail"


def test_steps_that_return_when_they_are_done_need_no_waiting_for():
    work = Work()
    found = prove_timing(work.step, ignored, ignored, 16, clock=work.clock)
    assert found == TimingProof((4, 8, 16), (4 * STEP, 8 * STEP, 16 * STEP), 0.0)
    assert check_timer_waits(measurement(timing=found)).verdict == "pass"


@pytest.mark.parametrize(
    ("steps_per_round", "steps"), [(1, (1, 2, 4)), (4, (1, 2, 4)), (64, (16, 32, 64))]
)
def test_no_more_steps_are_queued_than_a_round_had(steps_per_round, steps):
    queue = Queue()
    assert proof(queue, queue.wait, steps_per_round).steps == steps


def test_the_shortest_of_several_tries_counts():
    queue, tries = Queue(), iter([4.0, 0.0, 2.0])

    def slow(outputs):
        queue.wait()
        if len(outputs) == 8:
            queue.now += next(tries)  # another process had the device

    found = proof(queue, slow, tries=3)
    assert found.seconds[-1] == pytest.approx(8 * STEP + queue.dispatch)
