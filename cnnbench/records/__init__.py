"""What was finished, its codec and its journal."""
