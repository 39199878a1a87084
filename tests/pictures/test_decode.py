import os
import tempfile
import threading
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageFile, features

from cnnbench.pictures.pixels import DECODE_VERSION, LOADER_ID, decode_pictures

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def encode(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes, size=(8, 8)) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix="x.jpg") as file:
        Path(file.name).write_bytes(content)
        return decode_pictures([Path(file.name)], size)[0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_usual_formats(kind):
    pixels = decoded(encode(Image.new("RGB", (9, 9), "white"), kind), (8, 6))
    assert (pixels.shape, pixels.dtype) == ((8, 6, 3), np.uint8)
    assert pixels.min() >= 253


def test_size_is_height_then_width():
    assert decoded(encode(NOISE), (40, 60)).tolist() == np.asarray(NOISE).tolist()


def test_resize_is_antialiased():
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
def test_sixteen_bit_grey_is_scaled(content):
    assert decoded(content, (2, 2))[..., 0].tolist() == [[0, 100], [200, 255]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_orientation_is_applied_once(kind, orientation):
    upright = np.array([[0, 80, 160], [40, 120, 200]], np.uint8)
    # What EXIF says a camera does to the upright picture.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    assert decoded(content, (2, 3))[..., 0].tolist() == upright.tolist()


def test_unreadable_exif_beside_good_pixels_passes_in_silence():
    damaged = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01"
    content = encode(Image.new("RGB", (9, 9), "white"), "JPEG", exif=damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(content).min() == 255


PALETTE = Image.new("P", (9, 9), 1)
PALETTE.putpalette([0, 0, 0, 0, 0, 255])
HIDDEN = Image.fromarray(np.full((9, 9), 257 * 9, np.uint16))
RED, BLUE = (Image.new("RGB", (9, 9), name) for name in ("red", "blue"))


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        (encode(Image.new("L", (9, 9), 77)), [77, 77, 77]),
        (encode(HIDDEN, transparency=257 * 9), [255, 255, 255]),
        (encode(Image.new("RGBA", (9, 9), (255, 0, 0, 0))), [255, 255, 255]),
        (encode(Image.new("RGBA", (9, 9), (255, 0, 0, 51))), [255, 204, 204]),
        (encode(Image.new("LA", (9, 9), (0, 0))), [255, 255, 255]),
        (encode(PALETTE), [0, 0, 255]),
        (encode(PALETTE, transparency=1), [255, 255, 255]),
        (encode(RED, "GIF", save_all=True, append_images=[BLUE]), [255, 0, 0]),
        (encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG"), [255, 0, 0]),
    ],
    ids=[
        "grey",
        "16 bits, transparent",
        "transparent",
        "half transparent",
        "grey, transparent",
        "palette",
        "palette, transparent",
        "first frame of an animation",
        "CMYK",
    ],
)
def test_every_mode_becomes_rgb_on_white(content, colour):
    assert abs(decoded(content).astype(int) - colour).max() <= 1


def bomb(limit):
    """Returns a picture of more pixels than Pillow allows, which itself warns up to twice that."""
    return pytest.param(
        encode(NOISE), limit, r"2400.* pixels|60 x 40 pixels; Pillow allows 2399", id=f"{limit}"
    )


@pytest.mark.parametrize(
    ("content", "limit", "reason"),
    [
        (b"", None, "the file is empty"),
        (b"not a picture", None, "damaged, or not a picture in one of .*JPEG"),
        (encode(NOISE, "EPS"), None, "damaged, or not a picture"),  # would start another program
        (
            encode(Image.fromarray(np.full((4, 4), 70000, np.int32)), "TIFF"),
            None,
            "grey of more than 16 bits has no defined white",
        ),
        (
            encode(Image.new("F", (4, 4), 0.5), "TIFF"),
            None,
            "floating-point pixels have no defined white",
        ),
        bomb(2399),
        bomb(1000),
        *(
            pytest.param(
                encode(NOISE, kind)[: len(encode(NOISE, kind)) // 2],
                None,
                "truncated|could not create decoder",
                id=f"truncated {kind}",
            )
            for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
        ),
    ],
)
def test_what_is_not_one_whole_picture_is_named_with_the_reason(
    monkeypatch, content, limit, reason
):
    if limit:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=rf"x\.jpg: .*({reason})"):
        decoded(content)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.jpg: No such file"):
        decode_pictures([tmp_path / "gone.jpg"], (8, 8))


def test_pipe_is_refused_unopened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "x.jpg")
    monkeypatch.delattr(Path, "open")  # it would wait for ever
    with pytest.raises(ValueError, match=r"x\.jpg: not a regular file, but a folder, pipe"):
        decode_pictures([tmp_path / "x.jpg"], (8, 8))


def test_folder_and_device_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"2 of 2 pictures(.|\n)*not a regular file"):
        decode_pictures([tmp_path, Path("/dev/zero")], (8, 8))


def test_pillow_set_to_accept_truncated_pictures(monkeypatch):
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
    assert "and 2 others" in message
    assert "Fetch these files again" in message


def test_an_interrupt_stops_the_work(tmp_path, monkeypatch):
    first, other = tmp_path / "first.png", tmp_path / "other.png"
    for path in (first, other):
        NOISE.save(path)
    opened, interrupted = [], threading.Event()

    def open_one(file, **_):
        opened.append(file.name)
        # All but the first wait until the user has interrupted.
        assert file.name == str(first) or interrupted.wait(60)
        return Image.new("RGB", (9, 9))

    def interrupt(done, total):
        interrupted.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(Image, "open", open_one)
    with pytest.raises(KeyboardInterrupt):
        decode_pictures([first, *[other] * 5_000], (8, 8), interrupt)
    assert len(opened) < 5_000


def test_loader_id_names_what_changes_pixels():
    jpeg = f"libjpeg_turbo {features.version('libjpeg_turbo')}"
    named = (f"Pillow {PIL.__version__}", jpeg, "bilinear", f"decode {DECODE_VERSION}")
    assert [word for word in named if word not in LOADER_ID] == []
