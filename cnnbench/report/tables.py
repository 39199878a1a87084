"""The schema of every table, written once. Names contain units; nothing is rounded."""

from __future__ import annotations

# The key columns of most tables.
KEY = ("variant", "seed", "backend", "device", "dtype", "batch_size")
_KEY = " ".join(KEY)
_COLUMNS = {
    "runs": f"""{_KEY} protocol threads epochs steps_per_epoch train_accuracy val_accuracy
        train_loss val_loss initial_loss generalization_gap parameters seconds evaluation_seconds
        unchanged_weights prediction_difference worst_dead_share weights_sha256 fingerprint data
        data_hash validation_pictures commit""",
    "epochs": f"{_KEY} epoch loss accuracy val_loss val_accuracy monitor_loss",
    "rounds": f"{_KEY} workload process round steps seconds",
    "throughput": f"""{_KEY} workload process threads images_per_second step_time_ms
        step_time_iqr_ms latency_p50_ms latency_p90_ms latency_p99_ms first_step_seconds copy_ms
        peak_memory_mb out_of_memory equal_share probability_difference accuracy_difference
        queue_linearity drain_ms placed_on weight_dtype compute_dtype tf32 flops_per_picture
        backend_flops_per_picture percent_of_peak watts joules_per_1000 clock_mhz throttled concerns
        rounds steps_per_round warmup_rounds latency_calls fingerprint data_hash
        commit""",
    "peaks": """backend device dtype threads matmul_flops_per_second
        convolution_flops_per_second""",
    "checks": f"""check {_KEY} verdict observed threshold low high p_value alpha values detail""",
    "predictions": f"{_KEY} picture true_class predicted_class probability probability_of_true",
}
# The columns of a pandas dtype other than float64; only an Int64 may be missing.
_DTYPES = {
    "str": """variant backend device dtype protocol weights_sha256 fingerprint data data_hash
        workload out_of_memory placed_on weight_dtype compute_dtype tf32 throttled concerns check
        verdict detail picture true_class predicted_class commit""",
    "Int64": "seed batch_size values validation_pictures",
    "int64": """threads epochs steps_per_epoch parameters unchanged_weights epoch process round
        steps rounds steps_per_round warmup_rounds latency_calls""",
}
_DTYPE = {name: dtype for dtype, names in _DTYPES.items() for name in names.split()}
# The pandas dtype of every column of every table.
SCHEMA = {
    table: {name: _DTYPE.get(name, "float64") for name in names.split()}
    for table, names in _COLUMNS.items()
}
