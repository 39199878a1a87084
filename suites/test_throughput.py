"""How fast is each variant? Measurements go to the tables; nothing is judged here."""


def test_training_throughput(cnnbench_training_throughput):
    assert cnnbench_training_throughput.round_seconds


def test_inference_throughput(cnnbench_inference_throughput):
    assert cnnbench_inference_throughput.round_seconds
