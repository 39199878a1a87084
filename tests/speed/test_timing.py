import itertools

import pytest
from factories import measurement

from cnnbench.records.records import TimingProof
from cnnbench.speed.timing import prove_timing, steps_per_round, time_calls, time_steps
from cnnbench.verdicts.checks.speed import check_timer_waits

STEP = 1 / 32  # seconds that floats add up exactly


class Work:
    """Steps that take fake seconds, in turn, and the clock that shows them."""

    def __init__(self, *seconds):
        self.now, self.seconds = 0.0, itertools.cycle(seconds)

    def step(self):
        self.now += next(self.seconds)

    def clock(self):
        return self.now


class Queue:
    """A device that computes later: a step takes the host little, and the device `STEP`."""

    def __init__(self, dispatch=STEP / 64):
        self.now = self.free = 0.0
        self.dispatch, self.queued = dispatch, 0

    def step(self):
        self.now += self.dispatch
        self.free = max(self.free, self.now) + STEP
        self.queued += 1
        return self.queued

    def wait(self, outputs=None):
        self.now = max(self.now, self.free)

    def read(self, output):
        self.wait()
        self.now += STEP / 1024  # the copy

    def clock(self):
        return self.now


def ignored(outputs):
    pass


@pytest.mark.parametrize(("seconds", "steps"), [(1 / 64, 4), (1 / 20, 1), (2.0, 1)])
def test_steps_are_doubled_until_a_round_is_long_enough(seconds, steps):
    work = Work(seconds)
    assert steps_per_round(work.step, ignored, clock=work.clock) == steps


def test_finding_the_length_of_a_round_waits_for_its_work():
    queue = Queue(dispatch=0)
    assert steps_per_round(queue.step, queue.wait, clock=queue.clock) == 2


def test_calls_are_timed_one_by_one():
    work = Work(1.0, 2.0, 0.5)
    assert time_calls(work.step, 3, work.clock) == (1.0, 2.0, 0.5)
    assert time_calls(work.step, 0, work.clock) == ()


def test_queued_work_is_waited_for_at_both_ends():
    queue = Queue()
    queue.step()  # is not yet done when the clock is to start
    seconds = time_steps(queue.step, 4, queue.wait, queue.clock)
    assert seconds == 4 * STEP + queue.dispatch


def test_what_waits_is_given_every_output_of_a_round():
    queue, given = Queue(), []
    time_steps(queue.step, 3, given.append, queue.clock)
    assert given == [[], [1, 2, 3]]


def proof(queue, synchronize, most_steps=8, **more):
    return prove_timing(queue.step, synchronize, queue.read, most_steps, clock=queue.clock, **more)


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
    work = Work(STEP)
    found = prove_timing(work.step, ignored, ignored, 16, clock=work.clock)
    assert found == TimingProof((4, 8, 16), (4 * STEP, 8 * STEP, 16 * STEP), 0.0)
    assert found.linearity == 1.0
    assert check_timer_waits(measurement(timing=found)).verdict == "pass"


@pytest.mark.parametrize(("most", "steps"), [(1, (1, 2, 4)), (64, (16, 32, 64))])
def test_no_more_steps_are_queued_than_a_round_had(most, steps):
    queue = Queue()
    assert proof(queue, queue.wait, most).steps == steps


def test_the_shortest_of_several_tries_counts():
    queue, tries = Queue(), iter([4.0, 0.0, 2.0])

    def slow(outputs):
        queue.wait()
        if len(outputs) == 8:
            queue.now += next(tries)  # another process had the device

    found = proof(queue, slow, tries=3)
    assert found.seconds[-1] == pytest.approx(8 * STEP + queue.dispatch)
