"""Image folders as arrays: listed, decoded, cached and split. Knows no model."""
