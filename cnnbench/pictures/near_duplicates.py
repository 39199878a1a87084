"""Finds held-out pictures that are trained on in another form: saved again, resized, cropped,
brightened or mirrored. Files of equal content are `data_set.refuse_leaks`' to find.

Digits, product shots on white and scans of text look alike without being the same picture. So two
that look alike are a near-duplicate only if the training pictures' distances from each other do not
explain it. Take the ratio `r` of a picture's distance from the nearest training picture to that
from the fifth nearest. Among strangers in `d` dimensions, however densely they lie,

    P(ratio <= r) = 1 - (1 - r ** d) ** 4

(Facco et al., "Estimating the intrinsic dimension of datasets by a minimal neighborhood
information", 2017). `d` follows from the median ratio of training pictures, each compared with all
others; of those whose fifth nearest picture is about as far away, since a set may be a mixture. Two
pictures are a near-duplicate if that probability, times the number of held-out pictures, is `LEVEL`
at most. So are the `k` held-out pictures of the smallest ratios if too many are among the `k` and
the training pictures with ratios as small (Fisher's exact test, times the number of held-out
pictures). If most training pictures have copies among each other, nothing can be told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import stats

from cnnbench.pictures.data_set import Splits
from cnnbench.pictures.pixels import Pixels

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as JPEG and Pillow use it
_SAME = 0.88  # whole pictures: twins 0.94 and more, strangers up to 0.81
# The best of many crops: twins 0.945 and more, strangers up to 0.925 (two of the drawn dogs).
_SAME_CROPPED = 0.94
# Shares of the width and of the height that a cropped picture has left, and where it lies.
_KEPT = (0.95, 0.9)
_PLACES = (0.0, 0.5, 1.0)
# Grey levels (root mean square) between cells: less is nothing to recognise a picture by.
_FLAT = 1.0
_COARSE_CELLS = 8
_FINE_CELLS = 16
# Measured on 100 photographs of 500 pixels, 100 of 32 pixels and 100 drawn pictures, decoded to
# 64 x 64, each saved as a JPEG of quality 30, halved, brightened by 15 %, mirrored and cropped to
# 95 % in the middle, in a corner and along one side, and to 90 % in the middle. Lowest 0.57.
_CANDIDATE = 0.55
_CANDIDATES_EACH = 32  # strangers' thumbnails reach 0.93, and may be ahead of a cropped twin's
_ROWS_AT_ONCE = 256
_CROPPED_KEPT = 1024  # training pictures whose crops are remembered: 100 kB each
LEVEL = 0.001  # how probable it may be that strangers show such a pair, or so many
_NEIGHBOURS = 5  # three more copies of a training picture don't hide that it is trained on
_SAMPLE = 300  # training pictures that are compared with all others
_WINDOW = 50  # of them, over which a median is taken
_LEAST_TRAIN = 10  # fewer show nothing of each other: whatever looks alike is a near-duplicate
_NO_DISTANCE = 0.001  # of a picture saved again; product shots may be nearer by chance


@dataclass(frozen=True)
class Twins:
    """Positions of a held-out picture and of the training picture that is most like it.

    It is a near-duplicate if the two are closer than strangers in this data set are.
    """

    train: int
    validation: int
    is_near_duplicate: bool


@dataclass(frozen=True)
class NearDuplicates:
    """Names of a training and a held-out picture, for each held-out one with a twin.

    `pairs` are closer than strangers in this data set are, `look_alikes` are not.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    look_alikes: tuple[tuple[str, str], ...] = ()


def near_duplicates(splits: Splits) -> NearDuplicates:
    """Names the held-out pictures that look like a training picture."""
    pairs: list[tuple[str, str]] = []
    look_alikes: list[tuple[str, str]] = []
    for twin in find_near_duplicates(splits.train_pictures(), splits.validation_pictures()):
        names = (splits.train.names[twin.train], splits.validation.names[twin.validation])
        (pairs if twin.is_near_duplicate else look_alikes).append(names)
    return NearDuplicates(tuple(pairs), tuple(look_alikes))


def find_near_duplicates(train: Pixels, validation: Pixels) -> list[Twins]:
    """Returns each held-out picture that looks like a training picture, with the one most like it.

    All have one size: `(n, height, width, 3)` and `(m, height, width, 3)`.
    """
    trained = _Training(train)
    rows = trained.rows_with_twin(validation)
    if not rows:
        return []
    nearest, distances = trained.neighbours(validation[rows])
    near = np.ones(len(rows), np.bool_)
    if len(train) >= _LEAST_TRAIN:
        sample = np.linspace(0, len(train) - 1, min(len(train), _SAMPLE)).astype(np.intp)
        _, own = trained.neighbours(train[sample], left_out=sample)
        either = _of_a_pair(distances, own), _of_so_many(distances, own, len(validation))
        near = len(validation) * np.minimum(*either) <= LEVEL
    found = zip(nearest[:, 0].tolist(), rows, near.tolist(), strict=True)
    return [Twins(*twins) for twins in found]


def _of_a_pair(distances: Floats, own: Floats) -> npt.NDArray[np.float64]:
    """Returns how probable it is for strangers to be this close, `(m,)`.

    Distances are those of held-out pictures to the nearest training pictures, `(m, neighbours)`,
    `own` those of training pictures to the nearest others, `(n, neighbours)`.
    """
    own = own[np.argsort(own[:, -1])]
    windows = np.lib.stride_tricks.sliding_window_view(_ratios(own), min(_WINDOW, len(own)))
    middle = np.searchsorted(own[:, -1], distances[:, -1]) - windows.shape[1] // 2
    medians = np.median(windows, axis=1).clip(max=0.99)[middle.clip(0, len(windows) - 1)]
    others = _NEIGHBOURS - 1
    dimensions = np.log(1 - 0.5 ** (1 / others)) / np.log(medians)
    chance: npt.NDArray[np.float64] = 1 - (1 - _ratios(distances) ** dimensions) ** others
    return chance


def _of_so_many(distances: Floats, own: Floats, held_out: int) -> npt.NDArray[np.float64]:
    """Returns how probable it is for so many of all held-out pictures to be this close, `(m,)`."""
    ratios, order = _ratios(distances), np.argsort(_ratios(distances))
    ranks = np.arange(1, len(ratios) + 1)
    own_ratios = np.sort(_ratios(own[own[:, 0] <= 1]))
    both = ranks + np.searchsorted(own_ratios, ratios[order], side="right")
    tails = stats.hypergeom.sf(ranks - 1, held_out + len(own), both, held_out)
    chance = np.ones(len(ratios))
    chance[order[: tails.argmin() + 1]] = tails.min()
    return chance


def _ratios(distances: Floats) -> npt.NDArray[np.float64]:
    seen = distances.astype(np.float64).clip(min=_NO_DISTANCE)
    ratios: npt.NDArray[np.float64] = seen[:, 0] / seen[:, -1]
    return ratios


class _Training:
    """Compares pictures with those that are trained on, `(n, height, width, 3)`."""

    def __init__(self, train: Pixels) -> None:
        self._coarse = _Thumbnails(_COARSE_CELLS, train.shape[1:3])
        self._fine = fine = _Thumbnails(_FINE_CELLS, train.shape[1:3])
        self._trained = np.concatenate([self._coarse.of(part) for part in _parts(train)])
        # Without `self`, which would keep 100 MB in a cycle.
        self._crops_of = lru_cache(_CROPPED_KEPT)(lambda row: fine.cropped(train[[row]])[0])

    def rows_with_twin(self, pictures: Pixels) -> list[int]:
        """Returns the position of each picture that looks like a training picture."""
        return [
            row
            for row, likeness in enumerate(self._likeness(pictures))
            if (self._distances(pictures[row], _likeliest(likeness, _CANDIDATE)) <= 1).any()
        ]

    def neighbours(self, pictures: Pixels, left_out: Rows | None = None) -> tuple[Rows, Floats]:
        """Returns positions and distances, `(m, neighbours)`, of the nearest training pictures.

        `left_out` has, for each picture, the training picture to leave out, which is itself.
        """
        positions, distances = [], []
        for row, likeness in enumerate(self._likeness(pictures)):
            if left_out is not None:
                likeness[left_out[row]] = -np.inf
            candidates = _likeliest(likeness, -2.0)
            found = self._distances(pictures[row], candidates)
            order = np.argsort(found, kind="stable")[:_NEIGHBOURS]
            positions.append(candidates[order])
            distances.append(found[order])
        return np.stack(positions), np.stack(distances)

    def _likeness(self, pictures: Pixels) -> Iterator[Floats]:
        """Yields each picture's coarse correlation with every training picture, `(n,)`."""
        for part in _parts(pictures):
            # A mirrored picture is compared with the training pictures as they are.
            both = [self._coarse.of(side) @ self._trained.T for side in (part, part[:, :, ::-1])]
            yield from np.maximum(*both)

    def _distances(self, picture: Pixels, candidates: Rows) -> Floats:
        if not len(candidates):
            return np.zeros(0, np.float32)
        both = self._fine.cropped(np.stack([picture, picture[:, ::-1]]))
        found = [_distance(both, self._crops_of(at)) for at in candidates.tolist()]
        return np.array(found, np.float32)


def _parts(pictures: Pixels) -> list[Pixels]:
    return np.split(pictures, range(_ROWS_AT_ONCE, len(pictures), _ROWS_AT_ONCE))


def _likeliest(likeness: Floats, least: float) -> Rows:
    """Returns the columns of the likeliest candidates."""
    columns = np.flatnonzero(likeness >= least)
    if len(columns) > _CANDIDATES_EACH:
        columns = columns[np.argpartition(-likeness[columns], _CANDIDATES_EACH)[:_CANDIDATES_EACH]]
    return columns


def _distance(both: Floats, crops: Floats) -> float:
    """Returns how far a picture is from another: up to 1 they look alike.

    `both` are its crops and those of its mirror image, `(2, crops, differences)`.
    """
    of_other = both[:, 0] @ crops.T
    of_picture = both @ crops[0]
    whole = float(of_other[:, 0].max())
    cropped = float(max(of_other.max(), of_picture.max()))
    return max(0.0, min((1 - whole) / (1 - _SAME), (1 - cropped) / (1 - _SAME_CROPPED)))


class _Thumbnails:
    """Makes thumbnails of `cells` rows and columns, of pictures of one `size` and of their crops.

    Pictures are compared by the differences between neighbouring cells of a small grey thumbnail:
    what difference hashes keep the signs of (Krawetz, "Kind of Like That", 2013), with their sizes
    kept, since signs alone say little about the smooth parts of a picture. The correlation of two
    such thumbnails does not change with brightness or contrast.
    """

    def __init__(self, cells: int, size: tuple[int, int]) -> None:
        self._cells = cells
        places = [(1.0, 0.0), *product(_KEPT, _PLACES)]
        self._rows, self._columns = (
            np.stack([_averages(length, cells, *place) for place in places]) for length in size
        )

    def of(self, pictures: Pixels) -> Floats:
        """Returns the normalized differences of whole pictures, `(n, differences)`."""
        grey = pictures.astype(np.float32) @ _LUMA
        return self._differences(self._rows[0] @ grey @ self._columns[0].T)

    def cropped(self, pictures: Pixels) -> Floats:
        """Returns those of every crop, the whole picture first, `(n, crops, differences)`."""
        grey = (pictures.astype(np.float32) @ _LUMA)[:, None, None]
        thumbnails = self._rows[:, None] @ grey @ self._columns.transpose(0, 2, 1)
        flat = self._differences(thumbnails.reshape(-1, self._cells, self._cells))
        return flat.reshape(len(pictures), -1, flat.shape[-1])

    def _differences(self, thumbnails: npt.NDArray[np.floating]) -> Floats:
        parts = []
        for differences in (np.diff(thumbnails, axis=2), np.diff(thumbnails, axis=1)):
            # Light that falls off evenly or towards the corners, as on skies and walls, is no
            # likeness: the plane that fits best is taken out.
            basis = _plane(differences.shape[1:])
            flat = differences.reshape(len(differences), -1)
            parts.append(flat - (flat @ basis) @ basis.T)
        joined = np.concatenate(parts, axis=1)
        least = _FLAT * np.sqrt(joined.shape[1])
        lengths = np.linalg.norm(joined, axis=1, keepdims=True)
        normalized: Floats = joined / np.maximum(lengths, least)
        return normalized


@lru_cache
def _plane(shape: tuple[int, int]) -> npt.NDArray[np.floating]:
    """Returns an orthonormal basis of the planes over rows and columns, `(rows * columns, 3)`."""
    rows, columns = np.indices(shape).reshape(2, -1)
    basis, _ = np.linalg.qr(np.stack([np.ones(len(rows)), rows, columns], axis=1))
    return basis.astype(np.float32)


def _averages(length: int, cells: int, kept: float, place: float) -> Floats:
    """Returns the matrix, `(cells, length)`, that averages pixels over cells of equal width.

    They cover the share `kept` of the side: from its beginning at `place` 0, to its end at 1.
    """
    edges = (np.arange(cells + 1) / cells * kept + place * (1 - kept)) * length
    pixels = np.arange(length)
    # The part of each pixel that lies in each cell.
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    covered = np.maximum(upper - lower, 0)
    matrix: Floats = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
