"""By hand: a program for one batch size, and one request that is used again and again."""

from __future__ import annotations

import time

import openvino


def inference(path, pictures, threads):
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(pictures.shape))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(pictures))

    def loop(steps):
        start = time.perf_counter()
        for _ in range(steps):
            request.infer()
        seconds = time.perf_counter() - start
        return seconds, request.get_output_tensor().data.copy()

    return loop
