"""Sides from what people write, in a throw-away repository."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from checkouts import commit, git

from cnnbench.ab.sides import Folder, Side, commit_of, parse_sides, placed, strays
from cnnbench.machine.backends import Place
from cnnbench.models.variants import variant_named

DEFAULT = Side("A", variant_named("documented"), Place("tensorflow", "cpu", 1))


def read(text: str, here: Path) -> Side:
    """Returns A, beside a B that is another."""
    return parse_sides(text, "threads=9", DEFAULT, here)[0]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Two commits: `before`, as a tag and as a branch called `documented`, and `trunk`."""
    top = tmp_path_factory.mktemp("repository").resolve()
    commit(top, {"mymodel.py": "first"}, tag="before")
    git(top, "branch", "documented")
    commit(top, {"mymodel.py": "second", "models/own.py": ""})
    (top / "mymodel.py").write_text("not committed")
    return top


@pytest.mark.parametrize("name", ["functional", "mymodel:build", "my.models:small"])
def test_a_variant_is_a_side(name, tmp_path):
    assert read(name, tmp_path) == replace(DEFAULT, variant=variant_named(name))


@pytest.mark.parametrize("text", ["before", "trunk", "HEAD~1", "refs/tags/before"])
def test_a_revision_is_a_side(text, checkout):
    hashed = git(checkout, "rev-parse", text)
    assert read(text, checkout) == replace(DEFAULT, revision=text, commit=hashed)
    assert read(hashed[:8], checkout).commit == hashed


def test_a_variant_wins_over_a_branch_of_its_name(checkout):
    assert read("documented", checkout).revision is None
    assert read("rev=documented", checkout).revision == "documented"


def test_pairs_say_everything(checkout):
    text = "rev=before, variant=wide,batch_size=64,threads=2,backend=tensorflow"
    assert read(text, checkout) == replace(
        DEFAULT,
        variant=variant_named("wide"),
        batch_size=64,
        place=Place("tensorflow", "cpu", 2),
        revision="before",
        commit=git(checkout, "rev-parse", "before"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", r"^A: expected one of documented,.* revision.* keys rev,.*Received: side='x'"),
        ("", r"A: expected one of.*Received: side=''"),
        ("-n", r"A: expected one of.*Received: side='-n'"),
        ("rev=nothing", r"A: expected a git revision.*Received: rev='nothing'"),
        ("rev=", r"A: expected a git revision.*Received: rev=''"),
        ("variant=x", r"A: Unknown variant.*Received: variant='x'"),
        ("backend=openvino", r"A: backend: expected one of tensorflow, jax, torch. Received: 'op"),
        ("batch_size=0", r"A: batch_size: expected a whole number of at least 1. Received: '0'"),
        ("workload=train", r"A: expected key=value.*threads, backend. Received: key='workload'"),
        ("threads=1,wide", r"A: expected key=value.*Received: key='wide'"),
        ("batch_size=x,threads=y,z=1", r"^A: batch_size: .*\nA: threads: .*\nA: expected"),
    ],
)
def test_what_is_no_side_is_told(text, message, checkout):
    with pytest.raises(ValueError, match=message):
        read(text, checkout)


def test_what_is_wrong_with_both_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"^A: threads: .*\nB: threads: "):
        parse_sides("threads=x", "threads=y", DEFAULT, tmp_path)


def test_without_a_repository_or_git_there_are_no_revisions(checkout, tmp_path, monkeypatch):
    assert commit_of("HEAD", tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert commit_of("before", checkout) is None


def test_a_side_is_plain_data_without_paths(checkout):
    side = replace(read("before", checkout), folder=Folder(checkout))
    at = f"before ({side.commit[:10]})"
    assert str(side) == f"documented at {at}, batch size 32, 1 thread, tensorflow"
    data = side.to_dict()
    assert data["commit"] == side.commit
    assert data["fingerprint"] == DEFAULT.variant.fingerprint()
    assert data["place"] == {"backend": "tensorflow", "device": "cpu", "threads": 1}
    assert str(checkout) not in str(data)


def test_a_side_is_not_compared_with_itself_unless_that_is_written_out(checkout):
    with pytest.raises(ValueError, match=r"A and B are equal.*Received: A='documented', B=None"):
        parse_sides("documented", None, DEFAULT, checkout)
    a, b = parse_sides("before", "HEAD~1", DEFAULT, checkout)
    assert a.equals(b)


@pytest.mark.parametrize("text", ["wide", "threads=2", "batch_size=2", "before"])
def test_without_b_it_is_the_current_folder(text, checkout):
    a, b = parse_sides(text, None, DEFAULT, checkout)
    assert (a, b) == (read(text, checkout), replace(DEFAULT, name="B"))
    assert not a.equals(b)


def test_revisions_are_checked_out_and_removed(checkout, tmp_path, monkeypatch):
    """The user's hooks are not run, nor does a hook of another repository matter."""
    hook = checkout / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    sides = [*parse_sides("before", "trunk", DEFAULT, checkout), DEFAULT]
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    with suppress(KeyboardInterrupt), placed(sides, checkout) as (a, b, here):
        texts = [(side.folder.root / "mymodel.py").read_text() for side in (a, b, here)]
        assert texts == ["first", "second", "not committed"]
        assert a.folder == Folder(a.folder.root, checkout, a.folder.root)
        assert here.folder == Folder(checkout)
        raise KeyboardInterrupt
    assert not a.folder.root.exists()
    assert "\n" not in git(checkout, "worktree", "list")
    assert not (tmp_path / "ran").exists()


def folder_of(side: Side, here: Path) -> Folder:
    with placed([side], here) as (found,):
        assert found.folder.root.is_dir()
        return found.folder


def test_what_git_says_is_told(checkout):
    with pytest.raises(OSError, match=r"git failed: .*0000.*\. Received: .*worktree add"):
        folder_of(replace(DEFAULT, commit="0" * 40), checkout)


def test_the_current_folder_is_entered_in_a_revision(checkout):
    before, trunk = parse_sides("before", "trunk", DEFAULT, checkout)
    assert folder_of(trunk, checkout / "models").root.name == "models"
    with pytest.raises(ValueError, match=r"A: the current folder is not in .*folder='models'"):
        folder_of(before, checkout / "models")


def test_a_revision_of_cnnbench_measures_itself_if_it_can(tmp_path):
    commit(tmp_path, {"cnnbench/__init__.py": ""})
    commit(tmp_path, {"cnnbench/ab/template.py": ""})
    old, new = parse_sides("HEAD~1", "HEAD", DEFAULT, tmp_path)
    folder = folder_of(new, tmp_path)
    assert folder.harness == folder.worktree
    with pytest.raises(ValueError, match=r"A: this revision of cnnbench itself is older"):
        folder_of(old, tmp_path)


def test_modules_come_from_the_revision(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here / "src", here / "new", here / ".venv", there / "src"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(here / ".venv"))  # an environment inside stays
    packages = str(here / ".venv" / "lib")
    paths = ["", str(here), str(here / "src"), str(here / "new"), packages, "/x", "/x"]
    found = Folder(there, here, there).sys_path(paths)
    assert found == [str(there), str(there / "src"), packages, "/x"]
    assert Folder(here).sys_path(paths) == list(dict.fromkeys([str(here), *paths[1:]]))


def test_a_module_of_the_working_copy_is_found(tmp_path, monkeypatch):
    (tmp_path / "stray_of_a_test.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert strays(tmp_path) == []
    __import__("stray_of_a_test")
    assert strays(tmp_path) == ["stray_of_a_test"]
    del sys.modules["stray_of_a_test"]
