"""Backends, devices and the environment of a run."""
