"""Reports and recipes compared with each other."""
