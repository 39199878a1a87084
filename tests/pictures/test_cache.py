import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnbench.pictures.pixels import decode_pictures, default_cache_directory, load_pixels


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "made" / "on demand"


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


def test_rows_lead_to_the_pixels_of_each_file(load, paths):
    loaded = load(paths)
    rows = [loaded.rows[path] for path in paths]
    assert loaded.pixels[rows].tolist() == decode_pictures(paths, (8, 6)).tolist()


def test_equal_files_share_a_row_and_are_decoded_once(load, paths):
    loaded = load(paths)
    assert loaded.rows[paths[0]] == loaded.rows[paths[3]]
    assert loaded.digests[paths[0]] == loaded.digests[paths[3]]
    assert (loaded.pixels.shape, load.decoded) == ((3, 8, 6, 3), 3)


def test_second_load_decodes_nothing_even_under_other_names(load, paths):
    first = load(paths)
    renamed = [path.rename(path.with_name(f"new{9 - i}.png")) for i, path in enumerate(paths)]
    second = load(renamed[::-1])
    assert (load.decoded, second.path) == (0, first.path)
    assert [second.rows[path] for path in renamed] == [first.rows[path] for path in paths]


def test_another_size_makes_another_entry(load, paths):
    assert load(paths).path != load(paths, (6, 8)).path


def test_changed_picture_makes_another_entry(load, paths):
    before = load(paths)
    Image.new("RGB", (9, 9), "white").save(paths[1])
    after = load(paths)
    assert after.pixels[after.rows[paths[1]]].min() == 255
    assert after.path != before.path


def test_another_loader_makes_another_entry(load, paths, monkeypatch):
    before = load(paths)
    monkeypatch.setattr("cnnbench.pictures.pixels.LOADER_ID", "another Pillow")
    assert load(paths).path != before.path


def test_entry_is_mapped_and_cannot_be_changed(load, paths):
    loaded = load(paths)
    assert isinstance(loaded.pixels, np.memmap)
    assert not loaded.pixels.flags.writeable


def test_path_of_the_entry_is_absolute(tmp_path, paths, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_pixels(paths, (8, 6), Path("cache")).path.parent == tmp_path / "cache"


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


def test_entry_has_its_name_only_when_it_is_whole(cache, paths, monkeypatch):
    def die(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        load_pixels(paths, (8, 6), cache)
    assert list(cache.iterdir()) == []


def test_an_entry_that_another_process_made_meanwhile_is_replaced_by_the_same(cache, paths):
    entries = []

    def overtaken(done, total):
        if not entries:
            entries.append(load_pixels(paths, (8, 6), cache).path)

    loaded = load_pixels(paths, (8, 6), cache, overtaken)
    assert entries == list(cache.iterdir()) == [loaded.path]
    assert (
        loaded.pixels[loaded.rows[paths[1]]].tolist() == decode_pictures(paths, (8, 6))[1].tolist()
    )


def test_unreadable_files_are_named_at_once(cache, paths):
    os.mkfifo(paths[1].with_name("pipe.jpg"))
    with pytest.raises(ValueError, match="2 of 6 pictures cannot be decoded") as caught:
        load_pixels([*paths, paths[1].with_name("pipe.jpg"), Path("gone.png")], (8, 6), cache)
    assert "gone.png: No such file" in str(caught.value)
    assert "pipe.jpg: not a regular file" in str(caught.value)


def test_a_damaged_file_is_named_and_nothing_is_kept(cache, paths):
    paths[1].write_bytes(paths[1].read_bytes()[:100])
    with pytest.raises(ValueError, match=r"1\.png: image file is truncated"):
        load_pixels(paths, (8, 6), cache)
    assert not cache.exists()


def test_entry_that_is_damaged_as_soon_as_written(cache, paths, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: os.ftruncate(file, 0))
    with pytest.raises(OSError, match=r"damaged as soon as written\. Received: entry=.*\.npy"):
        load_pixels(paths, (8, 6), cache)


def test_default_directory_is_named_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNBENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert default_cache_directory() == tmp_path


def test_default_directory_is_the_users_cache_folder(monkeypatch):
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.delenv("CNNBENCH_CACHE_DIR", raising=False)
    assert default_cache_directory() == platformdirs.user_cache_path("cnnbench")
