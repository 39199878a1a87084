"""Where jobs run: one process for each backend, device and number of threads."""
