"""Image folders as arrays: listed, decoded, cached and split. Knows no model."""

from cnnbench.images.dataset import LeakError, Split, Splits, load_splits
from cnnbench.images.listing import list_pictures

__all__ = ["LeakError", "Split", "Splits", "list_pictures", "load_splits"]
