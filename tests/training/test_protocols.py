import pytest

from cnnbench.training.protocols import PROTOCOLS, Protocol, protocol_named


def test_each_protocol_stands_under_its_name():
    assert [protocol.name for protocol in PROTOCOLS.values()] == list(PROTOCOLS)


def test_one_pass_is_ten_epochs_of_one_pass():
    assert protocol_named("one-pass") == Protocol(
        "one-pass", epochs=10, batch_size=32, steps_per_epoch=None, validation_steps=None
    )


def test_documented_has_the_steps_of_the_documented_script():
    assert protocol_named("documented") == Protocol(
        "documented", epochs=10, batch_size=32, steps_per_epoch=8000, validation_steps=2000
    )


def test_nothing_to_scale_leaves_a_protocol_as_it_is():
    assert protocol_named("documented").scaled(None, None, None) == protocol_named("documented")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_each_number_is_scaled_alone(position):
    names = ("epochs", "steps_per_epoch", "validation_steps")
    numbers = [None, None, None]
    numbers[position] = 7
    protocol = protocol_named("documented")
    scaled = protocol.scaled(*numbers)
    changed = {name for name in vars(protocol) if getattr(scaled, name) != getattr(protocol, name)}
    assert changed == {names[position]}
    assert getattr(scaled, names[position]) == 7


def test_unknown_protocols_list_the_valid_ones():
    message = "Expected one of one-pass, documented. Received: protocol='two-pass'"
    with pytest.raises(ValueError, match=message):
        protocol_named("two-pass")
