"""One session: options, pictures, workers and journal."""
