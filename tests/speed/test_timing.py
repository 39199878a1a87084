import pytest
from factories import measurement

from cnnbench.records.records import TimingProof
from cnnbench.speed.timing import prove_timing, steps_per_round, time_calls, time_steps
from cnnbench.verdicts.checks.speed import check_timer_waits

STEP = 1 / 32  # seconds that floats add up exactly


class Device:
    """Computes later: a step takes the host `dispatch` seconds, and the device `work`."""

    def __init__(self, dispatch=STEP / 64, work=STEP):
        self.now = self.free = 0.0
        self.dispatch, self.work, self.queued = dispatch, work, 0

    def step(self):
        self.now += self.dispatch
        self.free = max(self.free, self.now) + self.work
        self.queued += 1
        assert self.queued < 1000, "a clock that does not wait would never end a round"
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


@pytest.mark.parametrize(
    ("device", "steps"),
    [(Device(1 / 64, work=0), 4), (Device(1 / 20, work=0), 1), (Device(dispatch=0), 2)],
)
def test_steps_are_doubled_until_a_round_and_what_it_queued_is_long_enough(device, steps):
    assert steps_per_round(device.step, device.wait, clock=device.clock) == steps


def test_calls_are_timed_one_by_one():
    clock = iter([0.0, 1.0, 1.0, 3.0, 3.0, 3.5]).__next__
    assert time_calls(lambda: None, 3, clock) == (1.0, 2.0, 0.5)


def test_queued_work_is_waited_for_at_both_ends():
    device = Device()
    device.step()  # is not yet done when the clock is to start
    seconds = time_steps(device.step, 4, device.wait, device.clock)
    assert seconds == 4 * STEP + device.dispatch


def test_what_waits_is_given_every_output_of_a_round():
    device, given = Device(), []
    time_steps(device.step, 3, given.append, device.clock)
    assert given == [[], [1, 2, 3]]


def proof(device, synchronize, most_steps=8, **more):
    return prove_timing(
        device.step, synchronize, device.read, most_steps, clock=device.clock, **more
    )


def test_a_timer_that_waits_proves_it():
    device = Device()
    found = proof(device, device.wait)
    assert found.steps == (2, 4, 8)
    assert found.seconds == tuple(steps * STEP + device.dispatch for steps in found.steps)
    assert found.drain_seconds == STEP / 1024
    assert check_timer_waits(measurement(timing=found)).verdict == "pass"


def test_a_timer_that_does_not_wait_is_found_out():
    device = Device()
    found = proof(device, ignored)
    assert found.seconds == tuple(steps * device.dispatch for steps in found.steps)
    assert found.drain_seconds > STEP
    result = check_timer_waits(measurement(timing=found))
    assert result.verdict == "fail"
    assert "the timer does not wait" in result.detail


def test_a_timer_that_waits_for_the_first_output_alone_is_found_out():
    device = Device()

    def first_alone(outputs):
        if outputs:
            device.now = max(device.now, device.free - (len(outputs) - 1) * STEP)

    assert check_timer_waits(measurement(timing=proof(device, first_alone))).verdict == "fail"


def test_steps_that_return_when_they_are_done_need_no_waiting_for():
    device = Device(STEP, work=0)
    found = prove_timing(device.step, ignored, ignored, 16, clock=device.clock)
    assert found == TimingProof((4, 8, 16), (4 * STEP, 8 * STEP, 16 * STEP), 0.0)
    assert found.linearity == 1.0
    assert check_timer_waits(measurement(timing=found)).verdict == "pass"


def test_at_least_four_steps_are_queued():
    device = Device()
    assert proof(device, device.wait, most_steps=1).steps == (1, 2, 4)


def test_the_shortest_of_several_tries_counts():
    device, tries = Device(), iter([4.0, 0.0, 2.0])

    def slow(outputs):
        device.wait()
        if len(outputs) == 8:
            device.now += next(tries)  # another process had the device

    found = proof(device, slow, tries=3)
    assert found.seconds[-1] == pytest.approx(8 * STEP + device.dispatch)
