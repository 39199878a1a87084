"""Picture files become RGB pixels, once: what is decoded how, what is refused, what is kept."""

import os
import sys
import threading
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
import platformdirs
import pytest
from PIL import Image, ImageFile, features

from cnnbench.pictures import pixels as module
from cnnbench.pictures.pixels import (
    decode_pictures,
    default_cache_directory,
    each_in_threads,
    load_pixels,
)

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def encode(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def decoded(tmp_path):
    """Returns a function that decodes the content of a file, whatever its name says."""

    def decoded(content: bytes, size=(8, 8)) -> np.ndarray:
        (tmp_path / "x.jpg").write_bytes(content)
        return decode_pictures([tmp_path / "x.jpg"], size)[0]

    return decoded


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_usual_formats(decoded, kind):
    pixels = decoded(encode(Image.new("RGB", (9, 9), "white"), kind), (8, 6))
    assert (pixels.shape, pixels.dtype) == ((8, 6, 3), np.uint8)
    assert pixels.min() >= 253


def test_resize_is_antialiased(decoded):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    inner = decoded(encode(Image.fromarray(board.astype(np.uint8))))[1:-1, 1:-1].astype(int)
    assert abs(inner - 127).max() <= 2


SIXTEEN_BITS = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)


@pytest.mark.parametrize(
    "content",
    [
        encode(Image.fromarray(SIXTEEN_BITS)),
        encode(Image.fromarray(SIXTEEN_BITS), "TIFF"),
        b"P5 2 2 65535\n" + SIXTEEN_BITS.astype(">u2").tobytes(),
    ],
    ids=["PNG", "TIFF", "PGM"],
)
def test_sixteen_bit_grey_is_scaled(decoded, content):
    assert decoded(content, (2, 2))[..., 0].tolist() == [[0, 100], [200, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_orientation_is_applied_once(decoded, kind, orientation):
    upright = np.array([[0, 80, 160], [40, 120, 200]], np.uint8)
    # What EXIF says a camera does to the upright picture.
    stored = upright.T if orientation > 4 else upright
    stored = stored[::-1] if orientation in (3, 4, 6, 7) else stored
    stored = stored[:, ::-1] if orientation in (2, 3, 7, 8) else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    assert decoded(content, (2, 3))[..., 0].tolist() == upright.tolist()


def test_unreadable_exif_beside_good_pixels_passes_in_silence(decoded):
    damaged = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01"
    content = encode(Image.new("RGB", (9, 9), "white"), "JPEG", exif=damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(content).min() == 255


PALETTE = Image.new("P", (9, 9), 1)
PALETTE.putpalette([0, 0, 0, 0, 0, 255])
HIDDEN = Image.fromarray(np.full((9, 9), 257 * 9, np.uint16))
RED, BLUE = (Image.new("RGB", (9, 9), name) for name in ("red", "blue"))
MODES = {
    "grey": (encode(Image.new("L", (9, 9), 77)), [77, 77, 77]),
    "16 bits, transparent": (encode(HIDDEN, transparency=257 * 9), [255, 255, 255]),
    "transparent": (encode(Image.new("RGBA", (9, 9), (255, 0, 0, 0))), [255, 255, 255]),
    "half transparent": (encode(Image.new("RGBA", (9, 9), (255, 0, 0, 51))), [255, 204, 204]),
    "grey, transparent": (encode(Image.new("LA", (9, 9), (0, 0))), [255, 255, 255]),
    "palette": (encode(PALETTE), [0, 0, 255]),
    "palette, transparent": (encode(PALETTE, transparency=1), [255, 255, 255]),
    "animation": (encode(RED, "GIF", save_all=True, append_images=[BLUE]), [255, 0, 0]),
    "CMYK": (encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG"), [255, 0, 0]),
}


@pytest.mark.parametrize(("content", "colour"), MODES.values(), ids=MODES)
def test_every_mode_becomes_rgb_on_white(decoded, content, colour):
    assert abs(decoded(content).astype(int) - colour).max() <= 1


REFUSED = {
    "empty": (b"", "the file is empty"),
    "text": (b"not a picture", "damaged, or not a picture in one of .*JPEG"),
    "starts another program": (encode(NOISE, "EPS"), "damaged, or not a picture"),
    "32 bits": (
        encode(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"),
        "grey of more than 16 bits has no defined white",
    ),
    "floats": (encode(Image.new("F", (4, 4), 0.5), "TIFF"), "floating-point pixels have no"),
}
REFUSED |= {
    f"half a {kind}": (
        encode(NOISE, kind)[: len(encode(NOISE, kind)) // 2],
        "truncated|could not create decoder",
    )
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_one_whole_picture_is_named_with_the_reason(decoded, content, reason):
    with pytest.raises(ValueError, match=rf"x\.jpg: .*({reason})"):
        decoded(content)


@pytest.mark.parametrize("limit", [2399, 1000])  # Pillow itself only warns up to twice its limit
def test_a_picture_of_more_pixels_than_pillow_allows_is_refused(decoded, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=r"2400.* pixels|60 x 40 pixels; Pillow allows 2399"):
        decoded(encode(NOISE))


@pytest.mark.parametrize("read", [decode_pictures, load_pixels])
def test_what_is_no_regular_file_is_named_unopened(tmp_path, monkeypatch, read):
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.delattr(Path, "open")  # it would wait for ever
    paths = [tmp_path / "gone.jpg", tmp_path / "pipe.jpg", tmp_path, Path("/dev/zero")]
    with pytest.raises(ValueError, match="4 of 4 pictures cannot be decoded") as caught:
        read(paths, (8, 8), *([tmp_path / "cache"] if read is load_pixels else []))
    assert "gone.jpg: No such file" in str(caught.value)
    for path in paths[1:]:
        assert f"{path}: not a regular file, but a folder, pipe" in str(caught.value)


def test_pillow_set_to_accept_truncated_pictures(decoded, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(RuntimeError, match=r"Received: PIL\.ImageFile\.LOAD_TRUNCATED_IMAGES=True"):
        decoded(encode(NOISE))


def test_many_pictures_keep_their_order_and_are_counted(tmp_path):
    paths = [tmp_path / f"{grey}.png" for grey in range(40)]
    for grey, path in enumerate(paths):
        Image.new("L", (9, 9), grey).save(path)
    counted = []
    pixels = decode_pictures(paths, (2, 3), lambda *call: counted.append(call))
    assert pixels.shape == (40, 2, 3, 3)
    assert pixels[:, 0, 0, 0].tolist() == list(range(40))
    assert counted == [(number, 40) for number in range(1, 41)]


def test_all_problems_are_reported_at_once(tmp_path):
    paths = [tmp_path / f"{i:02}.jpg" for i in range(14)]
    for path in paths[:12]:
        path.touch()
    for path in paths[12:]:
        NOISE.save(path)
    with pytest.raises(ValueError, match="12 of 14 pictures cannot be decoded") as caught:
        decode_pictures(paths, (8, 8))
    message = str(caught.value)
    named = [f"{i:02}.jpg: the file is empty" in message for i in range(14)]
    assert named == [True] * 10 + [False] * 4
    assert "and 2 others\nExpected one whole picture" in message


def test_an_interrupt_stops_the_work():
    begun, interrupted = [], threading.Event()

    def work(position, path):
        begun.append(position)
        # All but the first wait until the user has interrupted.
        assert position == 0 or interrupted.wait(60)

    def interrupt(done, total):
        interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each_in_threads(work, [Path()] * 5_000, interrupt)
    assert len(begun) < 5_000


def test_loader_id_names_what_changes_pixels():
    jpeg = f"libjpeg_turbo {features.version('libjpeg_turbo')}"
    named = (f"Pillow {PIL.__version__}", jpeg, "bilinear", f"decode {module.DECODE_VERSION}")
    assert [word for word in named if word not in module.LOADER_ID] == []


# The cache


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path("made", "on demand")


@pytest.fixture
def paths(tmp_path):
    """Four pictures, of which the last is a copy of the first."""
    rng = np.random.default_rng(0)
    found = [tmp_path / f"{i}.png" for i in range(4)]
    for path in found[:3]:
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(path)
    found[3].write_bytes(found[0].read_bytes())
    return found


@pytest.fixture
def load(cache):
    """Returns a function that loads pixels and counts the pictures that it decodes."""

    def load(paths, size=(8, 6)):
        load.decoded = 0
        return load_pixels(paths, size, cache, lambda done, total: setattr(load, "decoded", total))

    return load


def test_rows_lead_to_the_mapped_pixels_of_each_file_and_equal_files_share_one(cache, load, paths):
    loaded = load(paths)
    rows = [loaded.rows[path] for path in paths]
    assert loaded.pixels[rows].tolist() == decode_pictures(paths, (8, 6)).tolist()
    assert rows[0] == rows[3]
    assert loaded.digests[paths[0]] == loaded.digests[paths[3]]
    assert (loaded.pixels.shape, load.decoded) == ((3, 8, 6, 3), 3)
    assert loaded.path.parent == Path.cwd() / cache
    assert isinstance(loaded.pixels, np.memmap)
    assert not loaded.pixels.flags.writeable


def test_second_load_decodes_nothing_even_under_other_names(load, paths):
    first = load(paths)
    renamed = [path.rename(path.with_name(f"new{9 - i}.png")) for i, path in enumerate(paths)]
    second = load(renamed[::-1])
    assert (load.decoded, second.path) == (0, first.path)
    assert [second.rows[path] for path in renamed] == [first.rows[path] for path in paths]


def test_another_size_picture_or_loader_makes_another_entry(load, paths, monkeypatch):
    entries = [load(paths), load(paths, (6, 8))]
    Image.new("RGB", (9, 9), "white").save(paths[1])
    changed = load(paths)
    monkeypatch.setattr(module, "LOADER_ID", "another Pillow")
    assert len({entry.path for entry in (*entries, changed, load(paths))}) == 4
    assert changed.pixels[changed.rows[paths[1]]].min() == 255


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 no archive either"),
        lambda path: np.save(path, np.zeros((3, 8, 6, 3), np.float32)),
        lambda path: np.save(path, np.zeros((3, 6, 8, 3), np.uint8)),
        lambda path: np.save(path, np.asfortranarray(np.zeros((3, 8, 6, 3), np.uint8))),
    ],
    ids=["truncated", "empty", "archive", "dtype", "shape", "order"],
)
def test_damaged_entry_is_rebuilt(load, paths, damage):
    first = load(paths)
    expected = first.pixels.tolist()
    damage(first.path)
    assert load(paths).pixels.tolist() == expected
    assert load.decoded == 3


def test_entry_has_its_name_only_when_it_is_whole(cache, load, paths, monkeypatch):
    def die(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        load(paths)
    assert list(cache.iterdir()) == []


def test_an_entry_that_another_process_made_meanwhile_is_replaced_by_the_same(cache, paths):
    entries = []

    def overtaken(done, total):
        if not entries:
            entries.append(load_pixels(paths, (8, 6), cache).path)

    loaded = load_pixels(paths, (8, 6), cache, overtaken)
    assert entries == list(cache.absolute().iterdir()) == [loaded.path]
    rows = [loaded.rows[path] for path in paths]
    assert loaded.pixels[rows].tolist() == decode_pictures(paths, (8, 6)).tolist()


def test_entry_that_is_damaged_as_soon_as_written(load, paths, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: os.ftruncate(file, 0))
    with pytest.raises(OSError, match=r"damaged as soon as written\. Received: entry=.*\.npy"):
        load(paths)


def test_default_directory_is_named_by_the_environment_or_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv("CNNBENCH_CACHE_DIR", raising=False)
    assert default_cache_directory() == platformdirs.user_cache_path("cnnbench")
    monkeypatch.setenv("CNNBENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "platformdirs", None)  # slow, and not needed
    assert default_cache_directory() == tmp_path
