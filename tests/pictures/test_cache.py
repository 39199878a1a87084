import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnbench.pictures.cache
from cnnbench.pictures.cache import default_cache_directory, load_pixels
from cnnbench.pictures.decode_all import decode_pictures


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
def decoded(monkeypatch):
    """Returns a list that grows by the files of each decoding."""
    calls = []
    decode_each = cnnbench.pictures.cache.decode_each

    def spy(sources, *args, **kwargs):
        calls.append(list(sources))
        return decode_each(sources, *args, **kwargs)

    monkeypatch.setattr("cnnbench.pictures.cache.decode_each", spy)
    return calls


def test_rows_lead_to_the_pixels_of_each_file(cache, paths):
    loaded = load_pixels(paths, (8, 6), cache)
    assert loaded.pixels[loaded.rows].tolist() == decode_pictures(paths, (8, 6)).tolist()


def test_equal_files_share_a_row_and_are_decoded_once(cache, paths, decoded):
    loaded = load_pixels(paths, (8, 6), cache)
    assert loaded.rows[0] == loaded.rows[3]
    assert loaded.digests[0] == loaded.digests[3]
    assert loaded.pixels.shape == (3, 8, 6, 3)
    assert len(decoded[0]) == 3


def test_second_load_decodes_nothing(cache, paths, decoded):
    first, second = (load_pixels(paths, (8, 6), cache) for _ in range(2))
    assert len(decoded) == 1
    assert second.path == first.path
    assert second.pixels.tolist() == first.pixels.tolist()


def test_renaming_decodes_nothing(cache, paths, decoded):
    before = load_pixels(paths, (8, 6), cache)
    renamed = [path.rename(path.with_name(f"new{9 - i}.png")) for i, path in enumerate(paths)]
    after = load_pixels(renamed[::-1], (8, 6), cache)
    assert len(decoded) == 1
    assert after.rows.tolist() == before.rows.tolist()[::-1]


def test_another_size_makes_another_entry(cache, paths):
    assert load_pixels(paths, (8, 6), cache).path != load_pixels(paths, (6, 8), cache).path


def test_changed_picture_makes_another_entry(cache, paths):
    before = load_pixels(paths, (8, 6), cache)
    Image.new("RGB", (9, 9), "white").save(paths[1])
    after = load_pixels(paths, (8, 6), cache)
    assert after.pixels[after.rows[1]].min() == 255
    assert after.path != before.path


def test_another_loader_makes_another_entry(cache, paths, monkeypatch):
    before = load_pixels(paths, (8, 6), cache)
    monkeypatch.setattr("cnnbench.pictures.cache.LOADER_ID", "another Pillow")
    assert load_pixels(paths, (8, 6), cache).path != before.path


def test_entry_is_mapped_and_cannot_be_changed(cache, paths):
    loaded = load_pixels(paths, (8, 6), cache)
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
def test_damaged_entry_is_rebuilt(cache, paths, decoded, damage):
    first = load_pixels(paths, (8, 6), cache)
    expected = first.pixels.tolist()
    damage(first.path)
    assert load_pixels(paths, (8, 6), cache).pixels.tolist() == expected
    assert len(decoded) == 2


def test_interrupted_decoding_leaves_nothing(cache, paths):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_pixels(paths, (8, 6), cache, interrupt)
    assert list(cache.iterdir()) == []


def test_entry_has_its_name_only_when_it_is_whole(cache, paths):
    suffixes = []
    load_pixels(paths, (8, 6), cache, lambda *_: suffixes.extend(p.suffix for p in cache.iterdir()))
    assert suffixes == [".unfinished"] * 3
    assert [path.suffix for path in cache.iterdir()] == [".npy"]


BUILD = """
import sys
from pathlib import Path
import cnnbench.pictures.cache as cache
decode_each = cache.decode_each
def meet(*args, **kwargs):
    print("found no entry", flush=True)
    sys.stdin.readline()
    return decode_each(*args, **kwargs)
cache.decode_each = meet
print(cache.load_pixels([Path(p) for p in sys.argv[2:]], (8, 6), Path(sys.argv[1])).pixels.sum())
"""


def test_two_processes_may_build_the_same_entry_at_once(cache, paths):
    package = Path(cnnbench.pictures.cache.__file__).parents[2]
    command = [sys.executable, "-c", BUILD, str(cache), *map(str, paths)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": str(package)}
    both = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["found no entry\n"] * 2
    outputs = [process.communicate("go\n", timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    loaded = load_pixels(paths, (8, 6), cache)
    assert outputs == [f"{loaded.pixels.sum()}\n"] * 2
    assert list(cache.iterdir()) == [loaded.path]


def test_unreadable_file_is_named(cache, paths):
    with pytest.raises(ValueError, match=r"1 of 5 pictures(.|\n)*gone\.png: No such file"):
        load_pixels([*paths, Path("gone.png")], (8, 6), cache)


def test_unreadable_and_damaged_files_are_named_at_once(cache, paths):
    os.mkfifo(paths[1].with_name("pipe.jpg"))
    damaged = paths[1].with_name("half.png")
    damaged.write_bytes(paths[1].read_bytes()[:100])
    copy = damaged.with_name("copy of half.png")
    copy.write_bytes(damaged.read_bytes())
    with pytest.raises(ValueError, match="3 of 7 pictures cannot be decoded") as caught:
        load_pixels([*paths, damaged, copy, paths[1].with_name("pipe.jpg")], (8, 6), cache)
    message = str(caught.value)
    assert "pipe.jpg: not a regular file" in message
    assert "/half.png: image file is truncated" in message
    assert "/copy of half.png: image file is truncated" in message
    assert list(cache.iterdir()) == []


def test_progress_counts_the_pictures_to_decode(cache, paths):
    calls = []
    for _ in range(2):
        load_pixels(paths, (8, 6), cache, lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_no_paths(cache):
    with pytest.raises(ValueError, match=r"at least one picture file\. Received: paths=\[\]"):
        load_pixels([], (8, 6), cache)


def test_bad_size(cache, paths):
    with pytest.raises(ValueError, match=r"Received: size=\(8, 0\)"):
        load_pixels(paths, (8, 0), cache)


def test_entry_that_is_damaged_as_soon_as_written(cache, paths, monkeypatch):
    monkeypatch.setattr("cnnbench.pictures.cache._open_entry", lambda *_: None)
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
