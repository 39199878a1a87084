import pytest

from cnnbench.training.protocols import PROTOCOLS, Protocol, protocol_named


@pytest.mark.parametrize(
    ("name", "steps"), [("one-pass", (None, None)), ("documented", (8000, 2000))]
)
def test_protocols_are_as_documented(name, steps):
    assert protocol_named(name) == Protocol(name, 10, 32, *steps)


@pytest.mark.parametrize("name", ["epochs", "steps_per_epoch", "validation_steps"])
def test_each_number_is_scaled_alone(name):
    numbers = dict.fromkeys(("epochs", "steps_per_epoch", "validation_steps"))
    protocol = PROTOCOLS["documented"]
    assert protocol.scaled(**numbers) == protocol
    scaled = protocol.scaled(**numbers | {name: 7})
    assert vars(scaled) == vars(protocol) | {name: 7}


def test_unknown_protocols_list_the_valid_ones():
    message = "Expected one of one-pass, documented. Received: protocol='two-pass'"
    with pytest.raises(ValueError, match=message):
        protocol_named("two-pass")
