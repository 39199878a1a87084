"""Which way imports go between the packages, and what importing cnnbench loads."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cnnbench

PACKAGE = Path(cnnbench.__file__).parent
# A package imports from lower floors only, whether at once or inside a function.
FLOORS = (
    ("pictures", "machine", "stats"),
    ("records", "models"),
    ("training", "speed"),
    ("verdicts", "report"),
    ("session", "comparing"),
    ("ab",),
    ("commands", "plugin"),
    ("cli", "checks"),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
HEAVY = ("keras", "tensorflow", "jax", "torch", "pandas", "numpy", "PIL", "scipy")
MOST_ARROWS = 75


def imported(source: str) -> set[str]:
    """Returns what a source imports when it runs, at once or inside a function, as dotted names."""
    tree = ast.parse(source)
    only_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def arrows(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Returns, for each package or loose module, the others that it imports.

    Args:
        sources: texts by path within the package, such as `records/records.py`.
    """
    rooms = {path.partition("/")[0].removesuffix(".py") for path in sources}
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for path, text in sources.items():
        room = path.partition("/")[0].removesuffix(".py")
        for name in imported(text):
            parts = name.split(".")
            if parts[0] == "cnnbench" and len(parts) > 1 and parts[1] in rooms - {room}:
                found[room].add(parts[1])
    return found


def going_up(sources: Mapping[str, str]) -> list[str]:
    """Returns a line for each import that does not go to a lower floor."""
    return [
        f"{room} imports {target}"
        for room, targets in arrows(sources).items()
        for target in sorted(targets)
        if FLOOR.get(target, 99) >= FLOOR.get(room, -1)
    ]


def module_cycle(sources: Mapping[str, str]) -> list[str]:
    """Returns the modules of a cycle of imports, lazy ones included, if there is one."""
    names = {
        "cnnbench." + path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): text
        for path, text in sources.items()
    }
    graph = {
        name: {
            target
            for one in imported(text)
            for target in (one, one.rpartition(".")[0])
            if target in names and target != name
        }
        for name, text in names.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    found = {
        path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8")
        for path in PACKAGE.rglob("*.py")
    }
    del found["__init__.py"]  # the face: it looks names up when they are used
    return found


def heavy_modules(statement: str, folder: Path | None = None) -> list[str]:
    """Returns the heavy packages that a new Python has loaded after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    path = [str(folder)] if folder else []
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*path, *filter(None, sys.path)])},
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    return [name for name in HEAVY if name in loaded]


def test_importing_cnnbench_and_its_plugin_loads_nothing_heavy():
    assert heavy_modules("import cnnbench, cnnbench.plugin, cnnbench.cli") == []


def test_a_module_that_loads_something_heavy_is_found(tmp_path):
    (tmp_path / "keras.py").touch()  # the real one takes seconds
    (tmp_path / "heavy.py").write_text("import keras")
    assert heavy_modules("import heavy", tmp_path) == ["keras"]


@pytest.mark.parametrize("name", cnnbench.__all__)
def test_public_names_exist(name):
    assert getattr(cnnbench, name) is not None
    assert name in dir(cnnbench)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'cnnbench' has no attribute 'nothing'"):
        _ = cnnbench.nothing


def test_every_package_has_a_floor(sources):
    assert set(arrows(sources)) == set(FLOOR)


def test_imports_go_to_lower_floors(sources):
    assert going_up(sources) == []


def test_modules_have_no_cycle(sources):
    assert module_cycle(sources) == []


def test_packages_have_few_arrows(sources):
    assert sum(map(len, arrows(sources).values())) <= MOST_ARROWS


def test_packages_begin_with_a_docstring_and_nothing_else(sources):
    full = [
        path
        for path, text in sources.items()
        if path.endswith("__init__.py")
        and path != "plugin/__init__.py"
        and [type(node) for node in ast.parse(text).body] != [ast.Expr]
    ]
    assert full == []


@pytest.mark.parametrize(
    "source",
    [
        "from cnnbench.session.session import Session",
        "import cnnbench.session.session",
        "def f():\n    from cnnbench.session import session",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from cnnbench.session import session",
    ],
)
def test_an_import_that_goes_up_is_found(source):
    changed = {"records/records.py": source, "session/session.py": ""}
    assert going_up(changed) == ["records imports session"]


def test_an_import_for_types_is_allowed():
    source = "if TYPE_CHECKING:\n    from cnnbench.session.session import Session"
    assert going_up({"records/records.py": source, "session/session.py": ""}) == []


def test_a_cycle_of_imports_inside_functions_is_found():
    inside = "def f():\n    from cnnbench.records import {}"
    changed = {
        "records/records.py": inside.format("journal"),
        "records/journal.py": inside.format("records"),
    }
    assert set(module_cycle(changed)) == {"cnnbench.records.records", "cnnbench.records.journal"}


def test_pyproject_names_every_package():
    """Packages are listed by hand, since `suites/` is installed as one of them."""
    root = PACKAGE.parent
    stated = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = {".".join(path.parent.relative_to(root).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(stated["packages"]) == {*found, "cnnbench.suites"}
