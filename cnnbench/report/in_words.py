"""A finished record in a few words, for people who wait."""

from __future__ import annotations

from cnnbench.records.records import Measurement, Peak, Record, SanityRun, TrainingRun


def in_words(record: Record) -> str:
    """Returns what a job came to, in one line."""
    if isinstance(record, TrainingRun):
        return (
            f"held-out accuracy {record.val_accuracy:.3f}, gap {record.generalization_gap:+.3f}, "
            f"{record.seconds:.1f} s"
        )
    if isinstance(record, SanityRun):
        return f"accuracy {record.accuracy:.3f}, loss {record.loss:.3f}, {record.seconds:.1f} s"
    if isinstance(record, Measurement):
        if record.out_of_memory:
            return "the batch does not fit into memory"
        return f"{record.images_per_second:.0f} images/s"
    if isinstance(record, Peak):
        found = (record.matmul_flops_per_second, record.convolution_flops_per_second)
        known = [f"{value / 1e9:.0f} GFLOP/s" for value in found if value is not None]
        return f"{' and '.join(known) or 'not available'} (matrix product, convolution)"
    return "done"
