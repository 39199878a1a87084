"""Gates: checks with a stated error rate."""
