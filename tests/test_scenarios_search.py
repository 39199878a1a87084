import pytest

from cnnbench.scenarios.search import Search, highest_rate


class Server:
    """Holds rates up to a limit; some tries fail without a reason."""

    def __init__(self, limit, unlucky=()):
        self.limit, self.unlucky, self.tried = limit, unlucky, []

    def holds(self, rate):
        self.tried.append(rate)
        return rate <= self.limit and len(self.tried) - 1 not in self.unlucky


def found(server: Server, tries: int = 30, step: float = 1.05) -> Search:
    return highest_rate(server.holds, 100.0, tries=tries, step=step)


@pytest.mark.parametrize("limit", [7.0, 12.5, 33.0, 50.0, 90.0, 99.9])
def test_the_highest_rate_is_found_within_a_step(limit):
    rate = found(Server(limit)).rate
    assert rate <= limit < rate * 1.05


def test_the_search_starts_at_half_the_ceiling_and_halves_logarithms():
    server = Server(100.0)
    found(server, step=1.2)
    assert server.tried == pytest.approx([50, 50 * 2**0.5, 50 * 2**0.75])


def test_a_rate_that_fails_is_tried_twice():
    server = Server(30.0)
    found(server, tries=4)
    assert server.tried == pytest.approx([50, 50, 25, 50 / 2**0.5])


@pytest.mark.parametrize("unlucky", [0, 1, 2])
def test_one_unlucky_try_changes_nothing(unlucky):
    assert found(Server(90.0, (unlucky,))).rate == pytest.approx(found(Server(90.0)).rate)


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_there_are_no_more_tries_than_allowed(tries):
    server = Server(30.0)
    assert found(server, tries).tries == len(server.tried) <= tries


def test_a_bound_out_of_reach_is_given_up():
    server = Server(0.0)
    assert found(server) == Search(None, 8)
    assert min(server.tried) == 100 / 16
