"""How far two pictures are from being the same one, cropped or mirrored.

Pictures are compared by the differences between neighbouring cells of a small grey thumbnail: what
difference hashes keep the signs of (Krawetz, "Kind of Like That", 2013), with their sizes kept,
since signs alone say little about the smooth parts of a picture. The correlation of two such
thumbnails does not change with brightness or contrast.
"""

from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from cnnbench.pictures.decode import Pixels

Floats = npt.NDArray[np.float32]

# Rec. 601 luma, as JPEG and Pillow use it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Whole pictures: twins 0.94 and more, strangers up to 0.81.
_SAME = 0.88
# The best of many crops: twins 0.945 and more, strangers up to 0.925 (two of the drawn dogs).
_SAME_CROPPED = 0.94
# Shares of the width and of the height that a cropped picture has left, and where it lies.
_KEPT = (1.0, 0.95, 0.9)
_PLACES = (0.0, 0.5, 1.0)
# Grey levels (root mean square) between neighbouring cells: a picture with less has nothing to be
# recognised by.
_FLAT = 1.0


def distance(both: Floats, crops: Floats) -> float:
    """Returns how far a picture is from another.

    Args:
        both: of its crops and of those of its mirror image, `(2, crops, differences)`.
        crops: of the other's crops, `(crops, differences)`.
    """
    of_other = both[:, 0] @ crops.T
    of_picture = both @ crops[0]
    whole = float(of_other[:, 0].max())
    cropped = float(max(of_other.max(), of_picture.max()))
    return max(0.0, min((1 - whole) / (1 - _SAME), (1 - cropped) / (1 - _SAME_CROPPED)))


class Thumbnails:
    """Makes thumbnails of `cells` rows and columns, of whole pictures and of crops of them.

    All pictures have one `size`, `(height, width)`.
    """

    def __init__(self, cells: int, size: tuple[int, int]) -> None:
        self._cells = cells
        places = [(1.0, 0.0), *product(_KEPT[1:], _PLACES)]
        self._rows, self._columns = (
            np.stack([_averages(length, cells, *place) for place in places]) for length in size
        )

    def of(self, pictures: Pixels) -> Floats:
        """Returns the normalized differences of whole pictures, `(n, differences)`."""
        return self._differences(self._rows[0] @ _grey(pictures) @ self._columns[0].T)

    def cropped(self, pictures: Pixels) -> Floats:
        """Returns those of every crop, the whole picture first, `(n, crops, differences)`."""
        grey = _grey(pictures)[:, None, None]
        thumbnails = self._rows[:, None] @ grey @ self._columns.transpose(0, 2, 1)
        flat = self._differences(thumbnails.reshape(-1, self._cells, self._cells))
        return flat.reshape(len(pictures), -1, flat.shape[-1])

    def _differences(self, thumbnails: npt.NDArray[np.floating]) -> Floats:
        across, down = np.diff(thumbnails, axis=2), np.diff(thumbnails, axis=1)
        # Light that falls off evenly or towards the corners, as on skies and walls, is no likeness.
        across, down = (_less_plane(d.reshape(len(d), -1), d.shape[1:]) for d in (across, down))
        joined = np.concatenate([across, down], axis=1)
        least = _FLAT * np.sqrt(joined.shape[1])
        lengths = np.linalg.norm(joined, axis=1, keepdims=True)
        normalized: Floats = joined / np.maximum(lengths, least)
        return normalized


def _grey(pictures: Pixels) -> Floats:
    grey: Floats = pictures.astype(np.float32) @ _LUMA
    return grey


def _less_plane(differences: Floats, shape: tuple[int, int]) -> Floats:
    """Returns differences, `(n, rows * columns)`, less the plane that fits each best."""
    basis = _plane(shape)
    rest: Floats = differences - (differences @ basis) @ basis.T
    return rest


@lru_cache
def _plane(shape: tuple[int, int]) -> npt.NDArray[np.floating]:
    """Returns an orthonormal basis of the planes over rows and columns, `(rows * columns, 3)`."""
    rows, columns = np.indices(shape).reshape(2, -1)
    basis, _ = np.linalg.qr(np.stack([np.ones(len(rows)), rows, columns], axis=1))
    return basis.astype(np.float32)


def _averages(length: int, cells: int, kept: float, place: float) -> Floats:
    """Returns the matrix, `(cells, length)`, that averages pixels over cells of equal width.

    The cells cover the share `kept` of the side. At `place` 0 they begin where it begins, at 1
    they end where it ends.
    """
    edges = (np.arange(cells + 1) / cells * kept + place * (1 - kept)) * length
    pixels = np.arange(length)
    # The part of each pixel that lies in each cell.
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    covered = np.maximum(upper - lower, 0)
    matrix: Floats = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
