"""Loops as a practised user of each backend writes them by hand; nothing of cnnbench's is in them.

Each file offers `inference` and, where the backend trains, `training`. Both return a loop: a
function that takes a number of steps, makes them, and returns the seconds that they took and what
the last one came to (probabilities `(batch_size, 1)`, or the loss `()`).
"""
