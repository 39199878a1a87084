"""Sides from what people write, in a throw-away repository."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cnnbench.ab.revisions import checked_out, commit_of, repository
from cnnbench.ab.sides import OWN_HARNESS, Folder, Side, parse_side, parse_sides, placed
from cnnbench.ab.steps import strays
from cnnbench.machine.place import Place
from cnnbench.models.variants import variant_named

DEFAULT = Side("A", variant_named("documented"), Place("tensorflow", "cpu", 1))


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two commits of `mymodel.py`, the first tagged `before`, a branch called `documented`."""
    top = (tmp_path / "repository").resolve()
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch", "trunk")
    for text in ("first", "second"):
        (top / "mymodel.py").write_text(f"TEXT = {text!r}\n")
        git(top, "add", "mymodel.py")
        git(top, "commit", "--quiet", "--message", text)
        if text == "first":
            git(top, "tag", "before")
    git(top, "branch", "documented", "before")
    (top / "mymodel.py").write_text("TEXT = 'not committed'\n")
    return top


def parsed(text: str, folder: Path) -> Side:
    return parse_side(text, DEFAULT, folder)


# What people write


@pytest.mark.parametrize("name", ["functional", "mymodel:build", "my.models:small"])
def test_a_variant_is_a_side(name, tmp_path):
    assert parsed(name, tmp_path) == replace(DEFAULT, variant=variant_named(name))


@pytest.mark.parametrize("text", ["before", "trunk", "HEAD~1", "refs/tags/before"])
def test_a_revision_is_a_side(text, checkout):
    side = parsed(text, checkout)
    assert (side.revision, side.commit) == (text, git(checkout, "rev-parse", text))
    assert side.variant == DEFAULT.variant


def test_a_short_hash_is_kept_in_full(checkout):
    full = git(checkout, "rev-parse", "before")
    assert parsed(full[:8], checkout).commit == full


def test_a_variant_wins_over_a_branch_of_its_name(checkout):
    assert parsed("documented", checkout).revision is None
    side = parsed("rev=documented", checkout)
    assert (side.revision, side.commit) == ("documented", commit_of("before", checkout))


def test_pairs_say_everything(checkout):
    side = parsed("rev=before, variant=wide,batch_size=64,threads=2,backend=tensorflow", checkout)
    assert side == replace(
        DEFAULT,
        variant=variant_named("wide"),
        batch_size=64,
        place=Place("tensorflow", "cpu", 2),
        revision="before",
        commit=commit_of("before", checkout),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "nothing",
            r"A is neither a variant nor a git revision.*documented.*Received: side='no",
        ),
        ("nothing", r"keys rev, variant, batch_size, threads, backend"),
        ("", r"A is neither.*Received: side=''"),
        ("-n", r"A is neither.*Received: side='-n'"),
        ("rev=nothing", r"A: expected a git revision.*Received: rev='nothing'"),
        ("rev=", r"A: expected a git revision.*Received: rev=''"),
        ("variant=x", r"A: Unknown variant.*Received: variant='x'"),
        ("backend=x", r"A: backend: expected one of tensorflow, jax, torch. Received: 'x'"),
        ("backend=openvino", r"A: backend: expected one of"),
        ("batch_size=0", r"A: batch_size: expected a whole number of at least 1. Received: '0'"),
        ("threads=two", r"A: threads: expected a whole number of at least 1. Received: 'two'"),
        ("workload=train", r"A: expected key=value.*threads, backend. Received: 'workload=tr"),
        ("threads=1,wide", r"A: expected key=value.*Received: 'wide'"),
        ("threads=1,threads=2", r"A: each key once. Received: 'threads=2'"),
    ],
)
def test_what_is_no_side_is_told(text, message, checkout):
    with pytest.raises(ValueError, match=message):
        parsed(text, checkout)


def test_all_that_is_wrong_is_told_at_once(checkout):
    with pytest.raises(ValueError, match="A: ") as caught:
        parsed("batch_size=x,threads=y,z=1", checkout)
    assert len(str(caught.value).splitlines()) == 3


def test_without_a_repository_there_are_no_revisions(tmp_path):
    with pytest.raises(ValueError, match="neither a variant nor a git revision"):
        parsed("HEAD", tmp_path)


def test_without_git_there_are_no_revisions(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit_of("before", checkout) is None


def test_a_side_is_plain_data_without_paths(checkout):
    side = replace(parsed("before", checkout), folder=Folder(checkout))
    data = side.to_dict()
    assert data["fingerprint"] == DEFAULT.variant.fingerprint()
    assert data["commit"] == commit_of("before", checkout)
    assert str(checkout) not in str(data)
    assert side.in_words().startswith("documented at before (")


# Both sides


def test_without_b_it_is_the_current_folder(checkout):
    a, b = parse_sides("before", None, DEFAULT, checkout)
    assert (a.name, a.revision) == ("A", "before")
    assert b == replace(DEFAULT, name="B")


def test_what_is_wrong_with_both_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)^A: threads: .*\nB: threads: "):
        parse_sides("threads=x", "threads=y", DEFAULT, tmp_path)


def test_a_side_is_not_compared_with_itself_unless_that_is_written_out(checkout):
    with pytest.raises(ValueError, match=r"A and B are equal.*Received: A='documented', B=None"):
        parse_sides("documented", None, DEFAULT, checkout)
    for text in ("documented", "rev=before", "threads=2"):
        a, b = parse_sides(text, text, DEFAULT, checkout)
        assert a.equals(b)


@pytest.mark.parametrize("text", ["wide", "threads=2", "batch_size=2", "backend=jax", "before"])
def test_sides_that_differ_are_not_equal(text, checkout):
    a, b = parse_sides(text, None, DEFAULT, checkout)
    assert not a.equals(b)


# Where a side's code lies


def test_a_side_without_a_revision_stands_here(tmp_path):
    with placed((DEFAULT,), tmp_path, tmp_path) as (side,):
        assert side.folder == Folder(tmp_path.resolve())
        assert side.harness == OWN_HARNESS


def test_a_revision_is_checked_out_and_removed(checkout, tmp_path):
    sides = (parsed("before", checkout), replace(parsed("trunk", checkout), name="B"))
    with placed(sides, checkout, tmp_path) as (base, head):
        texts = [(side.folder.root / "mymodel.py").read_text() for side in (base, head)]
        assert texts == ["TEXT = 'first'\n", "TEXT = 'second'\n"]
        assert base.folder.working_copy == checkout
        assert base.folder.root == base.folder.worktree
        assert base.harness == OWN_HARNESS
    assert not base.folder.root.exists()
    assert git(checkout, "worktree", "list").count("\n") == 0
    assert (checkout / "mymodel.py").read_text() == "TEXT = 'not committed'\n"


def test_a_checkout_is_removed_after_an_error_too(checkout, tmp_path):
    commit = str(commit_of("before", checkout))
    with pytest.raises(KeyboardInterrupt), checked_out(commit, checkout, tmp_path / "w"):
        raise KeyboardInterrupt
    assert not (tmp_path / "w").exists()
    assert git(checkout, "worktree", "list").count("\n") == 0


def test_what_git_says_is_told(checkout, tmp_path):
    with (
        pytest.raises(OSError, match=r"git can't check a revision out: .*Received: commit='0000"),
        checked_out("0" * 40, checkout, tmp_path / "w"),
    ):
        pass


def test_hooks_of_the_user_do_not_run(checkout, tmp_path):
    hook = checkout / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    with checked_out(str(commit_of("before", checkout)), checkout, tmp_path / "w"):
        assert not (tmp_path / "ran").exists()


def test_inside_a_git_hook_this_repository_is_meant(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    assert repository(checkout) == checkout


def test_a_revision_is_entered_where_the_user_stands(checkout, tmp_path):
    (checkout / "models").mkdir()
    (checkout / "models" / "own.py").touch()
    git(checkout, "add", "models")
    git(checkout, "commit", "--quiet", "--message", "third")
    with placed((parsed("trunk", checkout),), checkout / "models", tmp_path) as (side,):
        assert (side.folder.root / "own.py").is_file()
    with (
        pytest.raises(ValueError, match=r"A: the current folder is not in .*folder='models'"),
        placed((parsed("before", checkout),), checkout / "models", tmp_path),
    ):
        pass


def test_a_revision_of_cnnbench_measures_itself_if_it_can(checkout, tmp_path):
    package = checkout / "cnnbench"
    (package / "ab").mkdir(parents=True)
    (package / "__init__.py").touch()
    git(checkout, "add", "cnnbench")
    git(checkout, "commit", "--quiet", "--message", "old cnnbench")
    (package / "ab" / "template.py").touch()
    git(checkout, "add", "cnnbench")
    git(checkout, "commit", "--quiet", "--message", "new cnnbench")
    with placed((parsed("trunk", checkout),), checkout, tmp_path) as (side,):
        assert side.harness == side.folder.worktree
    with (
        pytest.raises(ValueError, match=r"A: this revision of cnnbench itself is older.*trunk~1"),
        placed((parsed("trunk~1", checkout),), checkout, tmp_path),
    ):
        pass


# What a process imports


def test_modules_come_from_the_revision(tmp_path):
    working_copy, worktree = tmp_path / "here", tmp_path / "there"
    for folder in (working_copy / "src", working_copy / "new", worktree / "src"):
        folder.mkdir(parents=True)
    paths = ["", str(working_copy), str(working_copy / "src"), str(working_copy / "new"), "/x"]
    found = Folder(worktree, working_copy, worktree).sys_path(paths)
    assert found == (str(worktree), str(worktree / "src"), "/x")


def test_without_a_revision_paths_stay(tmp_path):
    assert Folder(Path("/here")).sys_path(["", "/a", "/b", "/a"]) == ("/here", "/a", "/b")


def test_an_environment_inside_the_working_copy_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "here" / ".venv"))
    packages = str(tmp_path / "here" / ".venv" / "lib")
    folder = Folder(Path("/there"), tmp_path / "here", tmp_path / "there")
    assert folder.sys_path([packages]) == ("/there", packages)


def test_a_module_of_the_working_copy_is_found_out(tmp_path, monkeypatch):
    (tmp_path / "stray_of_a_test.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("stray_of_a_test")
    monkeypatch.delitem(sys.modules, "stray_of_a_test", raising=False)
    assert strays(tmp_path) == []
    __import__("stray_of_a_test")
    assert strays(tmp_path) == ["stray_of_a_test"]
    monkeypatch.delitem(sys.modules, "stray_of_a_test")
