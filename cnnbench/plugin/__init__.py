"""The pytest plugin. Its hooks are in the modules of this package that `pytest_plugins` names.

Loaded in every pytest run of every project that has cnnbench installed: nothing heavier than
dataclasses is imported here, and nothing is printed, opened or started until a test asks for one
of the fixtures.
"""

pytest_plugins = (
    "cnnbench.plugin.fixtures",
    "cnnbench.plugin.terminal",
    "cnnbench.plugin.hooks",
)
