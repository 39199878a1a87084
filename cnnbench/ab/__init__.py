"""A throughput gate: two sides, measured in interleaved pairs of fresh processes."""
