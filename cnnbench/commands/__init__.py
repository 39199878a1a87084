"""Commands, one per file: its docstring is the help; `add_to` adds arguments, `run` runs it."""
