from concurrent.futures import CancelledError, Future

import pytest

from cnnbench.session import progress as progress_module
from cnnbench.session.progress import LOOK_SECONDS, STATUS_SECONDS, Progress


class Watch:
    """A progress with a fake clock, and the lines that it printed."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[str] = []
        self.progress = Progress(self.lines.append, clock=lambda: self.now)

    def told(self) -> list[str]:
        lines = [line.removeprefix("cnnbench: ") for line in self.lines]
        self.lines.clear()
        return lines


@pytest.fixture
def watch() -> Watch:
    return Watch()


def ready(value=None) -> Future:
    future = Future()
    future.set_result(value)
    return future


@pytest.fixture
def slow(watch, monkeypatch):
    """Makes a future that is done after so many looks, each of which takes fake seconds."""

    def make(looks: int, seconds: float) -> Future:
        future, left = Future(), [looks]

        def look(futures, timeout):
            assert timeout == LOOK_SECONDS
            watch.now += seconds
            left[0] -= 1
            if left[0] == 0:
                future.set_result("done")

        monkeypatch.setattr(progress_module, "wait", look)
        return future

    return make


def test_a_cancelled_job_is_an_error(watch):
    future = Future()
    future.cancel()
    with pytest.raises(CancelledError):
        watch.progress.wait(future)


def test_planned_jobs_are_counted_and_timed_when_they_are_finished(watch):
    watch.progress.plan(2)
    watch.progress.plan(1)
    watch.now += 4.0
    watch.progress.finished("train wide seed 0", "accuracy 0.75")
    watch.now += 3.4
    watch.progress.finished("looking for GPUs", "failed: none", counted=False)
    watch.progress.finished("train wide seed 1", "failed: out of memory")
    watch.progress.wait(ready())
    assert watch.told() == [
        "[1/3, 4 s, about 8 s to go] train wide seed 0: accuracy 0.75",
        "[1/3, 7 s, about 15 s to go] looking for GPUs: failed: none",
        "[2/3, 7 s, about 4 s to go] train wide seed 1: failed: out of memory",
    ]


def test_lines_are_printed_once_and_by_the_thread_that_waits(watch):
    watch.progress.finished("train", "failed: no")
    watch.progress.tell("train", {"epoch": 1, "epochs": 2})
    assert watch.told() == []
    future = Future()
    future.set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        watch.progress.wait(future)
    assert len(watch.told()) == 1
    assert watch.progress.wait(ready(42)) == 42
    assert watch.told() == []


def test_what_runs_is_told_now_and_then(watch, slow):
    watch.progress.plan(2)
    watch.progress.tell("train a", {"epoch": 1, "epochs": 10, "loss": 0.5})
    watch.progress.tell("train b", {"epoch": 2, "epochs": 10})
    watch.progress.tell("train a", {"epoch": 3, "epochs": 10})
    assert watch.progress.wait(slow(5, seconds=STATUS_SECONDS * 0.6)) == "done"
    # After 0.6, 1.2, 1.8, 2.4 and 3 times the interval; told at the second and the fourth.
    assert watch.told() == [
        f"[0/2, {seconds} s] train a (epoch 3/10), train b (epoch 2/10)" for seconds in (18, 36)
    ]


def test_a_note_puts_off_the_next_status(watch, slow):
    watch.progress.tell("train a", {"epoch": 1, "epochs": 10})
    watch.now += STATUS_SECONDS * 0.9
    watch.progress.note("something else")
    assert watch.lines == ["cnnbench: something else"]
    watch.progress.wait(slow(2, seconds=STATUS_SECONDS * 0.4))
    assert watch.told() == ["something else"]


def test_nothing_is_told_when_nothing_runs(watch, slow):
    watch.progress.tell("train a", {"epoch": 1, "epochs": 10})
    watch.progress.finished("train a", "done")
    watch.progress.tell("measure b", {"state": "compiling"})
    watch.progress.wait(slow(3, seconds=STATUS_SECONDS * 2))
    assert [line.split("] ")[1] for line in watch.told()] == ["train a: done"]


def test_a_live_line_says_what_runs_and_is_taken_away(slow):
    shown, said = [], []
    progress = Progress(said.append, shown.append, clock=lambda: 100.0)
    progress.plan(2)
    progress.wait(ready())
    assert shown == ["[0/2, 0 s] starting", ""]
    shown.clear()
    progress.tell("train a", {"epoch": 1, "epochs": 10})
    progress.wait(slow(1, seconds=0))
    assert shown == ["[0/2, 0 s] train a (epoch 1/10)"] * 2 + [""]
    progress.finished("train a", "done")
    progress.wait(ready())
    assert shown[3:] == ["[1/2, 0 s, about 0 s to go] train a: done", ""]
    assert said == []


def test_a_live_line_is_taken_away_from_a_wait_that_is_interrupted(monkeypatch):
    def interrupted(futures, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress_module, "wait", interrupted)
    shown = []
    with pytest.raises(KeyboardInterrupt):
        Progress(print, shown.append).wait(Future())
    assert shown == [""]
