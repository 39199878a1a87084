import json
import os
import platform
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from cnnbench.machine import environment
from cnnbench.machine.environment import cpu_model, describe, git_state, may_have_gpu, usable_cpus

IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]


@pytest.fixture(autouse=True)
def own_git(tmp_path, monkeypatch):
    """Neither the user's git configuration nor a checkout around the tests counts."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *IDENTITY, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A git checkout with one committed file."""
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "file.txt").write_text("one")
    git(root, "add", "file.txt")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    return [value]


# Commit


def test_the_commit_of_the_checkout(checkout):
    commit, dirty = git_state(checkout)
    assert git(checkout, "rev-parse", "HEAD").startswith(commit)
    assert (len(commit), dirty) == (10, False)


def test_a_folder_inside_the_checkout_has_its_commit(checkout):
    inside = checkout / "deep"
    inside.mkdir()
    assert git_state(inside) == git_state(checkout)


def test_a_changed_file_is_dirty(checkout):
    (checkout / "file.txt").write_text("two")
    assert git_state(checkout)[1] is True


def test_a_staged_file_is_dirty(checkout):
    (checkout / "new.txt").touch()
    git(checkout, "add", "new.txt")
    assert git_state(checkout)[1] is True


def test_an_untracked_file_is_not_dirty(checkout):
    (checkout / "reports.csv").touch()
    assert git_state(checkout)[1] is False


def test_a_checkout_without_a_commit_has_none(tmp_path):
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) == (None, None)


def test_outside_git_there_is_no_commit(tmp_path):
    assert git_state(tmp_path) == (None, None)


def test_without_git_there_is_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert git_state(checkout) == (None, None)


def test_a_git_that_hangs_is_given_up(checkout, monkeypatch):
    def hang(*arguments, timeout, **options):
        raise subprocess.TimeoutExpired("git", timeout)

    monkeypatch.setattr(environment.subprocess, "run", hang)
    assert git_state(checkout) == (None, None)


def test_a_state_that_git_does_not_tell_is_not_clean(checkout, monkeypatch):
    answers = {"rev-parse": "abc", "status": None}
    monkeypatch.setattr(environment, "_git", lambda root, command, *rest: answers[command])
    assert git_state(checkout) == ("abc", None)


# Identity


def test_the_identity_is_plain_data(tmp_path):
    identity = describe(tmp_path)
    assert json.loads(json.dumps(identity)) == identity
    assert list(identity) == [
        "started",
        "machine",
        "python",
        "packages",
        "flags",
        "commit",
        "dirty",
    ]


def test_the_identity_names_commit_and_changes(checkout):
    (checkout / "file.txt").write_text("two")
    identity = describe(checkout)
    assert (identity["commit"], identity["dirty"]) == (git_state(checkout)[0], True)


def test_the_start_is_in_utc(tmp_path):
    assert describe(tmp_path)["started"].endswith("+00:00")
    assert datetime.fromisoformat(describe(tmp_path)["started"]).microsecond == 0


def test_the_machine_is_named_in_numbers(tmp_path):
    machine = describe(tmp_path)["machine"]
    assert machine["system"] == platform.system()
    assert machine["logical_cpus"] >= 1
    assert machine["memory_mb"] > 1
    assert machine["cpu"]


def test_python_and_packages_have_versions(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("pytest", "no-such-package-at-all"))
    identity = describe(tmp_path)
    assert identity["python"] == platform.python_version()
    assert identity["packages"] == {"pytest": pytest.__version__}


def test_variables_that_change_backends_are_kept_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("XLA_FLAGS", "--a=1 --b=2")
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    flags = describe(tmp_path)["flags"]
    assert (flags["OMP_NUM_THREADS"], flags["XLA_FLAGS"]) == ("3", "--a=1 --b=2")
    assert "SECRET_TOKEN" not in flags
    assert list(flags) == sorted(flags)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/anna/keras", "<path>"),
        ("/home/my name/keras", "<path>"),
        ("~/keras", "<path>"),
        ("C:\\Users\\anna", "C:<path>"),
        ("--dump=/home/anna/x --b=2 --c=/root", "--dump=<path> --b=2 --c=<path>"),
        ("--a=1 --b=2", "--a=1 --b=2"),
        ("-1", "-1"),
        ("", ""),
    ],
)
def test_variables_are_kept_without_paths(tmp_path, monkeypatch, value, shown):
    monkeypatch.setenv("XLA_FLAGS", value)
    assert describe(tmp_path)["flags"]["XLA_FLAGS"] == shown


def test_a_report_can_be_given_away(tmp_path, monkeypatch):
    home = "/home/secret-user"
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, "secret-user")
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("KERAS_HOME", f"{home}/.keras")
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={home}/dump --xla_fast=1")
    monkeypatch.setenv("CUDA_HOME", sys.prefix)
    for module in (platform, socket):
        name = "node" if module is platform else "gethostname"
        monkeypatch.setattr(module, name, lambda: "secret-host")
    identity = describe(tmp_path)
    text = json.dumps(identity)
    assert "secret" not in text
    assert sys.prefix not in text
    assert str(tmp_path) not in text
    assert os.uname().nodename not in leaves(identity)


# Machine


def test_usable_cpus_are_those_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert usable_cpus() == 3


def test_systems_without_affinity_count_all_cpus(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cpus() == 6


def test_the_processor_is_named_as_the_system_names_it(monkeypatch):
    text = "processor\t: 0\nmodel name\t: Example: CPU @ 3 GHz\nmodel name\t: other\n"
    monkeypatch.setattr(Path, "read_text", lambda path: text)
    assert cpu_model() == "Example: CPU @ 3 GHz"


def test_a_processor_without_a_name_has_its_architecture(monkeypatch):
    def absent(path):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert cpu_model() == "riscv64"


@pytest.mark.parametrize("sign", ["/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", None])
def test_a_device_file_is_the_sign_of_a_gpu(monkeypatch, sign):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os.path, "exists", lambda path: path == sign)
    assert may_have_gpu() is (sign is not None)


def test_macos_may_always_have_a_gpu(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    assert may_have_gpu()
