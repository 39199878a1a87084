"""The suites, which are installed as `cnnbench.suites`."""
