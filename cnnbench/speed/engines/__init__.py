"""One backend on one device: copying, queueing, waiting and reading."""
