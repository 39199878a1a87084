"""Find held-out pictures that are trained on in another form: saved again, resized, cropped,
brightened or mirrored. Files of equal content are `splitting.find_leaks`' to find.

Pictures are compared by the differences between neighbouring cells of a small grey thumbnail: what
difference hashes keep the signs of (Krawetz, "Kind of Like That", 2013), with their sizes kept,
since signs alone say little about the smooth parts of a picture. The correlation of two such
thumbnails does not change with brightness or contrast. A coarse thumbnail, blurred enough to stand
a slight crop, picks candidates among all pairs; a finer one, held against crops of either picture,
decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from cnnbench.images.rgb import Pixels
from cnnbench.images.splits import Splits

Floats = npt.NDArray[np.float32]

# Rec. 601 luma, as JPEG and Pillow use it.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_COARSE_CELLS = 8
_FINE_CELLS = 16
# Measured on 100 photographs of 500 pixels, 100 of 32 pixels and 100 drawn pictures, decoded to
# 64 x 64, each saved as a JPEG of quality 30, halved, brightened by 15 %, mirrored and cropped to
# 95 % in the middle, in a corner and along one side, and to 90 % in the middle. Lowest 0.57.
_CANDIDATE = 0.55
# Strangers' coarse thumbnails reach 0.93, and may be ahead of a cropped twin's.
_CANDIDATES_EACH = 32
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
_ROWS_AT_ONCE = 256
_CROPPED_KEPT = 1024  # training pictures whose crops are remembered: 100 kB each


@dataclass(frozen=True)
class Twins:
    """A held-out picture and the training picture that is most like it, by position."""

    train: int
    validation: int
    correlation: float


def near_duplicates(splits: Splits) -> tuple[tuple[str, str], ...]:
    """Return the names of a training and of a held-out picture for each held-out one with a twin.

    Args:
        splits: A data set.
    """
    twins = find_near_duplicates(splits.train_pictures(), splits.validation_pictures())
    return tuple(
        (splits.train.names[twin.train], splits.validation.names[twin.validation]) for twin in twins
    )


def find_near_duplicates(train: Pixels, validation: Pixels) -> list[Twins]:
    """Find held-out pictures that are a training picture in another form.

    Args:
        train: Pictures to train on, `(n, height, width, 3)`.
        validation: Held-out pictures, `(m, height, width, 3)`.

    Returns:
        Each held-out picture with a twin, in order, with the twin most like it.
    """
    coarse = _Thumbnails(_COARSE_CELLS, train.shape[1:3])
    fine = _Thumbnails(_FINE_CELLS, train.shape[1:3])
    trained = np.concatenate([coarse.of(part) for part in _parts(train)])

    @lru_cache(_CROPPED_KEPT)
    def crops_of(row: int) -> Floats:
        crops: Floats = fine.cropped(train[row : row + 1])[0]
        return crops

    twins = []
    for start in range(0, len(validation), _ROWS_AT_ONCE):
        part = validation[start : start + _ROWS_AT_ONCE]
        # A mirrored picture is held against the training pictures as they are.
        mirrored = part[:, :, ::-1]
        likeness = np.maximum(coarse.of(part) @ trained.T, coarse.of(mirrored) @ trained.T)
        for row, candidates in _candidates(likeness):
            both = fine.cropped(np.stack([part[row], mirrored[row]]))
            same = [
                Twins(other, start + row, max(found))
                for other in candidates
                if _is_same(*(found := _likeness(both, crops_of(other))))
            ]
            if same:
                twins.append(max(same, key=lambda twin: twin.correlation))
    return twins


def _parts(pictures: Pixels) -> Iterator[Pixels]:
    for start in range(0, len(pictures), _ROWS_AT_ONCE):
        yield pictures[start : start + _ROWS_AT_ONCE]


def _candidates(likeness: Floats) -> Iterator[tuple[int, list[int]]]:
    """Yield each row that has candidates, with the columns of the likeliest ones."""
    for row in np.flatnonzero(likeness.max(axis=1, initial=0.0) >= _CANDIDATE):
        columns = np.flatnonzero(likeness[row] >= _CANDIDATE)
        order = np.argsort(-likeness[row, columns], kind="stable")
        yield int(row), columns[order[:_CANDIDATES_EACH]].tolist()


def _likeness(both: Floats, crops: Floats) -> tuple[float, float]:
    """Return how like a picture is to another.

    Args:
        both: of its crops and of those of its mirror image, `(2, crops, differences)`.
        crops: of the other's crops, `(crops, differences)`.

    Returns:
        The correlation of the whole pictures, and the highest of a whole one with a crop.
    """
    of_other = both[:, 0] @ crops.T
    of_picture = both @ crops[0]
    return float(of_other[:, 0].max()), float(max(of_other.max(), of_picture.max()))


def _is_same(whole: float, cropped: float) -> bool:
    return whole >= _SAME or cropped >= _SAME_CROPPED


class _Thumbnails:
    """Makes thumbnails of pictures of one size: of the whole picture, and of crops of it.

    Args:
        cells: Rows and columns of a thumbnail.
        size: `(height, width)` of the pictures.
    """

    def __init__(self, cells: int, size: tuple[int, int]) -> None:
        self._cells = cells
        places = [(1.0, 0.0), *product(_KEPT[1:], _PLACES)]
        self._rows, self._columns = (
            np.stack([_averages(length, cells, *place) for place in places]) for length in size
        )

    def of(self, pictures: Pixels) -> Floats:
        """Return the normalized differences of whole pictures, `(n, differences)`."""
        return self._differences(self._rows[0] @ _grey(pictures) @ self._columns[0].T)

    def cropped(self, pictures: Pixels) -> Floats:
        """Return those of every crop, the whole picture first, `(n, crops, differences)`."""
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
    """Return differences, `(n, rows * columns)`, less the plane that fits each best."""
    rows, columns = np.indices(shape).reshape(2, -1)
    basis, _ = np.linalg.qr(np.stack([np.ones(len(rows)), rows, columns], axis=1))
    basis = basis.astype(np.float32)
    rest: Floats = differences - (differences @ basis) @ basis.T
    return rest


def _averages(length: int, cells: int, kept: float, place: float) -> Floats:
    """Return the matrix, `(cells, length)`, that averages pixels over cells of equal width.

    Args:
        length: Pixels along this side.
        cells: Cells along this side.
        kept: Share of the side that the cells cover.
        place: Where they begin: 0 is the start of the side and 1 as far from it as they can.
    """
    edges = (np.arange(cells + 1) / cells * kept + place * (1 - kept)) * length
    pixels = np.arange(length)
    # The part of each pixel that lies in each cell.
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    covered = np.maximum(upper - lower, 0)
    matrix: Floats = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
