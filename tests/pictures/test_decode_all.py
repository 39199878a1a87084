import os
import threading
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageFile, features

from cnnbench.pictures.decode import DECODE_VERSION
from cnnbench.pictures.decode_all import LOADER_ID, decode_each, decode_picture, decode_pictures

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def encode(picture: Image.Image, kind: str, **options) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def colours(content: bytes, size=(4, 4)) -> list[list[int]]:
    """Return the different colours of a decoded picture."""
    return np.unique(decode_picture(content, size).reshape(-1, 3), axis=0).tolist()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_usual_formats(kind):
    pixels = decode_picture(encode(Image.new("RGB", (9, 9), "white"), kind), (8, 6))
    assert (pixels.shape, pixels.dtype) == ((8, 6, 3), np.uint8)
    assert pixels.min() >= 253


def test_size_is_height_then_width(tmp_path):
    path = tmp_path / "x.png"
    NOISE.save(path)
    assert decode_picture(path, (40, 60)).tolist() == np.asarray(NOISE).tolist()


def test_resize_is_antialiased():
    board = np.indices((64, 64)).sum(0) % 2 * 255
    content = encode(Image.fromarray(board.astype(np.uint8)), "PNG")
    inner = decode_picture(content, (8, 8))[1:-1, 1:-1].astype(int)
    assert abs(inner - 127).max() <= 2


def test_grey_becomes_rgb():
    assert colours(encode(Image.new("L", (9, 9), 77), "PNG")) == [[77, 77, 77]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled(kind):
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    pixels = decode_picture(encode(Image.fromarray(values), kind), (2, 2))
    assert pixels[..., 0].tolist() == [[0, 100], [200, 255]]


def test_sixteen_bit_pgm_is_scaled():
    values = np.array([0, 257 * 100, 257 * 200, 65535], ">u2")
    pixels = decode_picture(b"P5 2 2 65535\n" + values.tobytes(), (2, 2))
    assert pixels[..., 0].tolist() == [[0, 100], [200, 255]]


def test_sixteen_bit_grey_with_a_transparent_value_is_white_there():
    grey = Image.fromarray(np.full((4, 4), 257 * 9, np.uint16))
    assert colours(encode(grey, "PNG", transparency=257 * 9)) == [[255, 255, 255]]


def test_thirty_two_bit_grey_is_refused():
    grey = Image.fromarray(np.full((4, 4), 70000, np.int32))
    with pytest.raises(ValueError, match="grey of more than 16 bits has no defined white"):
        decode_picture(encode(grey, "TIFF"), (4, 4))


def test_floating_point_is_refused():
    with pytest.raises(ValueError, match="floating-point pixels have no defined white"):
        decode_picture(encode(Image.new("F", (4, 4), 0.5), "TIFF"), (4, 4))


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
    assert decode_picture(content, (2, 3))[..., 0].tolist() == upright.tolist()


def test_unreadable_exif_beside_good_pixels_passes_in_silence():
    damaged = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01"
    content = encode(Image.new("RGB", (9, 9), "white"), "JPEG", exif=damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert colours(content) == [[255, 255, 255]]


def test_transparency_shows_white():
    assert colours(encode(Image.new("RGBA", (9, 9), (255, 0, 0, 0)), "PNG")) == [[255, 255, 255]]


def test_half_transparency_is_mixed_with_white():
    assert colours(encode(Image.new("RGBA", (9, 9), (255, 0, 0, 51)), "PNG")) == [[255, 204, 204]]


def test_grey_with_alpha_shows_white():
    assert colours(encode(Image.new("LA", (9, 9), (0, 0)), "PNG")) == [[255, 255, 255]]


def test_palette_with_transparency_shows_white():
    picture = Image.new("P", (9, 9), 1)
    picture.putpalette([0, 0, 0, 0, 0, 255])
    assert colours(encode(picture, "PNG")) == [[0, 0, 255]]
    assert colours(encode(picture, "PNG", transparency=1)) == [[255, 255, 255]]


def test_cmyk_becomes_rgb():
    ((red, green, blue),) = colours(encode(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG"))
    assert red > 250
    assert max(green, blue) < 5


def test_first_frame_of_an_animation():
    first, second = Image.new("RGB", (9, 9), "red"), Image.new("RGB", (9, 9), "blue")
    content = encode(first, "GIF", save_all=True, append_images=[second])
    assert colours(content) == [[255, 0, 0]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_truncated_file_is_named(tmp_path, kind):
    path = tmp_path / "half.jpg"
    content = encode(NOISE, kind)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"half\.jpg: .*(truncated|could not create decoder)"):
        decode_picture(path, (8, 8))


def test_empty_file_is_named(tmp_path):
    (tmp_path / "x.jpg").touch()
    with pytest.raises(ValueError, match=r"x\.jpg: the file is empty"):
        decode_picture(tmp_path / "x.jpg", (8, 8))


def test_text_file_is_named(tmp_path):
    (tmp_path / "x.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match=r"x\.jpg: damaged, or not a picture in one of .*JPEG"):
        decode_picture(tmp_path / "x.jpg", (8, 8))


def test_format_that_starts_other_programs_is_refused():
    with pytest.raises(ValueError, match=r"sources\[0\]: damaged, or not a picture in one of"):
        decode_picture(encode(NOISE, "EPS"), (8, 8))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.jpg: No such file"):
        decode_picture(tmp_path / "gone.jpg", (8, 8))


def test_pipe_is_refused_unopened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "x.jpg")
    # Opening it would wait for ever.
    monkeypatch.delattr(Path, "open")
    with pytest.raises(ValueError, match=r"x\.jpg: not a regular file, but a folder, pipe"):
        decode_picture(tmp_path / "x.jpg", (8, 8))


def test_folder_and_device_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"2 of 2 pictures(.|\n)*not a regular file"):
        decode_pictures([tmp_path, Path("/dev/zero")], (8, 8))


@pytest.mark.parametrize("limit", [2399, 1000])
def test_decompression_bomb_is_refused(monkeypatch, limit):
    # Pillow itself only warns up to twice its limit.
    content = encode(NOISE, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=r"2400.* pixels|60 x 40 pixels; Pillow allows 2399"):
        decode_picture(content, (8, 8))


def test_pillow_set_to_let_truncated_pictures_pass(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(RuntimeError, match=r"Received: PIL\.ImageFile\.LOAD_TRUNCATED_IMAGES=True"):
        decode_picture(encode(NOISE, "PNG"), (8, 8))


@pytest.mark.parametrize("size", [(0, 8), (8,), (8, 8, 3)])
def test_bad_size(size):
    with pytest.raises(ValueError, match=r"size of \(height, width\).*Received: size=\("):
        decode_picture(encode(NOISE, "PNG"), size)


def test_many_pictures_keep_their_order():
    contents = [encode(Image.new("L", (9, 9), grey), "PNG") for grey in range(40)]
    pixels = decode_pictures(contents, (2, 3), threads=4)
    assert pixels.shape == (40, 2, 3, 3)
    assert pixels[:, 0, 0, 0].tolist() == list(range(40))


def test_number_of_threads_does_not_change_pixels():
    contents = [encode(NOISE, "JPEG")] * 4
    one, four = (decode_pictures(contents, (8, 8), threads=n) for n in (1, 4))
    assert one.tolist() == four.tolist()


def test_all_problems_are_reported_at_once(tmp_path):
    paths = [tmp_path / f"{i:02}.jpg" for i in range(14)]
    for path in paths[:12]:
        path.touch()
    for path in paths[12:]:
        NOISE.save(path)
    with pytest.raises(ValueError, match="12 of 14 pictures cannot be decoded") as caught:
        decode_pictures(paths, (8, 8))
    message = str(caught.value)
    assert [f"{i:02}.jpg: the file is empty" in message for i in range(14)] == [True] * 10 + [
        False
    ] * 4
    assert "and 2 others" in message
    assert "Fetch these files again" in message


def test_error_of_the_consumer_stops_the_work(monkeypatch):
    decoded, failed = [], threading.Event()

    def decode(file, size):
        decoded.append(size)
        # All but the first wait until the consumer has failed.
        assert len(decoded) == 1 or failed.wait(60)
        return np.zeros((*size, 3), np.uint8)

    def consume(position, pixels):
        failed.set()
        raise OSError("No space left on device")

    monkeypatch.setattr("cnnbench.pictures.decode_all.decode_file", decode)
    with pytest.raises(OSError, match="No space left"):
        decode_each([b"x"] * 5_000, (8, 8), consume, threads=2)
    assert len(decoded) < 5_000


def test_progress_counts_pictures():
    calls = []
    contents = [encode(NOISE, "PNG")] * 3
    decode_each(contents, (8, 8), lambda *_: None, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_loader_id_names_what_changes_pixels():
    jpeg = f"libjpeg_turbo {features.version('libjpeg_turbo')}"
    named = (f"Pillow {PIL.__version__}", jpeg, "bilinear", f"decode {DECODE_VERSION}")
    assert [word for word in named if word not in LOADER_ID] == []
