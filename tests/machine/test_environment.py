import json
import os
import platform
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from checkouts import commit, git

from cnnbench.machine import environment
from cnnbench.machine.environment import cpu_model, describe, git_state, may_have_gpu, usable_cpus


def test_the_commit_of_the_checkout_and_its_changes(tmp_path):
    commit(tmp_path, {"file.txt": "one"})
    hashed, dirty = git_state(tmp_path)
    assert git(tmp_path, "rev-parse", "HEAD").startswith(hashed)
    assert (len(hashed), dirty) == (10, False)
    inside = tmp_path / "deep"
    inside.mkdir()
    (inside / "untracked.csv").touch()
    assert git_state(inside) == (hashed, False)
    (tmp_path / "file.txt").write_text("two")
    assert git_state(inside) == (hashed, True)
    assert {"commit": hashed, "dirty": True}.items() <= describe(inside).items()


def test_a_checkout_without_a_commit_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == (None, None)
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) == (None, None)


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    commit(tmp_path, {"file.txt": "one"})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == (None, None)


@pytest.mark.parametrize(
    ("hangs", "state"), [("rev-parse", (None, None)), ("status", ("abc", None))]
)
def test_a_git_that_hangs_is_given_up(tmp_path, monkeypatch, hangs, state):
    def run(command, timeout, **options):
        if timeout and hangs in command:
            raise subprocess.TimeoutExpired("git", timeout)
        return subprocess.CompletedProcess(command, 0, "abc\n")

    monkeypatch.setattr(environment.subprocess, "run", run)
    assert git_state(tmp_path) == state


def test_the_identity_is_plain_data(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", (("pytest", "no-such-package-at-all"),))
    identity = describe(tmp_path)
    assert json.loads(json.dumps(identity)) == identity
    names = {"started", "machine", "python", "packages", "flags", "commit", "dirty"}
    assert set(identity) == names
    assert datetime.fromisoformat(identity["started"]).utcoffset().total_seconds() == 0
    assert identity["python"] == platform.python_version()
    assert identity["packages"] == {"pytest": pytest.__version__}
    machine = identity["machine"]
    assert machine["system"] == platform.system()
    assert machine["logical_cpus"] == usable_cpus()
    assert machine["memory_mb"] > 1
    assert machine["cpu"]
    assert list(identity["flags"]) == sorted(identity["flags"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
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
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, "secret-user")
    monkeypatch.setenv("HOME", "/home/secret-user")
    monkeypatch.setenv("KERAS_HOME", "/home/secret-user/.keras")
    monkeypatch.setenv("CUDA_HOME", sys.prefix)
    monkeypatch.setenv("TOKEN", "secret-token")  # changes no backend
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-host")
    text = json.dumps(describe(tmp_path))
    for secret in ("secret", sys.prefix, str(tmp_path), f'"{os.uname().nodename}"'):
        assert secret not in text


def test_usable_cpus_are_those_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert usable_cpus() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cpus() == 6


CPUINFO = "processor\t: 0\nmodel name\t: Example: CPU @ 3 GHz\nmodel name\t: other\n"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [([CPUINFO], "Example: CPU @ 3 GHz"), (["processor: 0"], "riscv64"), (OSError, "riscv64")],
)
def test_a_processor_is_named_by_the_system_or_else_by_its_architecture(
    monkeypatch, cpuinfo, expected
):
    monkeypatch.setattr(Path, "read_text", MagicMock(side_effect=cpuinfo))
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert cpu_model() == expected


@pytest.mark.parametrize(
    ("system", "file", "expected"),
    [
        *(("linux", file, True) for file in environment.GPU_FILES),
        ("linux", "/dev/null", False),
        ("darwin", None, True),
    ],
)
def test_a_driver_or_macos_is_the_sign_of_a_gpu(monkeypatch, system, file, expected):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(os.path, "exists", lambda path: path == file)
    assert may_have_gpu() is expected
