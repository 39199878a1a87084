"""A finished record in a few words, for people who wait."""

from __future__ import annotations

from cnnbench.records import Measurement, Record, SanityRun, TrainingRun
from cnnbench.report.tables import throughput_row


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
        return f"{throughput_row(record)['images_per_second']:.0f} images/s on {record.device}"
    return "done"
