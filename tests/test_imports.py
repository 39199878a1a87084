"""Which way imports go between the packages, and what importing cnnbench loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
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
RUNS, SESSION = "cnnbench.records.runs", "cnnbench.session.session"


class WithoutTypes(ast.NodeTransformer):
    """Leaves out what only a type checker imports."""

    def visit_If(self, node: ast.If) -> object:
        return node.orelse if "TYPE_CHECKING" in ast.unparse(node.test) else node


def imported(source: str) -> set[str]:
    """Returns what a source imports when it runs, at once or inside a function, as dotted names."""
    found = set()
    for node in ast.walk(WithoutTypes().visit(ast.parse(source))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def graph_of(sources: dict[str, str]) -> dict[str, set[str]]:
    """Returns, for each module, the others that it imports."""
    return {
        name: {
            target
            for one in imported(text)
            for target in (one, one.rpartition(".")[0])
            if target in sources and target != name
        }
        for name, text in sources.items()
    }


def room(module: str) -> str:
    return module.split(".")[1]


def arrows(sources: dict[str, str]) -> set[tuple[str, str]]:
    """Returns pairs of packages or loose modules, of which the first imports the second."""
    graph = graph_of(sources)
    pairs = {(room(one), room(other)) for one, others in graph.items() for other in others}
    return {(one, other) for one, other in pairs if one != other}


def going_up(sources: dict[str, str]) -> list[str]:
    return [
        f"{one} imports {other}"
        for one, other in sorted(arrows(sources))
        if FLOOR[other] >= FLOOR[one]
    ]


def require_no_cycle(sources: dict[str, str]) -> None:
    """Raises an error that names the modules of a cycle of imports, lazy ones included."""
    TopologicalSorter(graph_of(sources)).prepare()


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Texts by module, but for the face, which looks names up when they are used."""
    root, paths = PACKAGE.parent, {*PACKAGE.rglob("*.py")} - {PACKAGE / "__init__.py"}
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}
    return {names[path].removesuffix(".__init__"): path.read_text("utf-8") for path in paths}


def heavy_modules(statement: str) -> list[str]:
    """Returns the heavy packages that a new Python has loaded after a statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [name for name in HEAVY if name in json.loads(done.stdout)]


def test_importing_cnnbench_and_its_plugin_loads_nothing_heavy():
    assert heavy_modules("import cnnbench, cnnbench.plugin, cnnbench.cli") == []


def test_a_module_that_loads_something_heavy_is_found():
    assert heavy_modules("import cnnbench.stats.intervals") == ["numpy", "scipy"]


@pytest.mark.parametrize("name", cnnbench.__all__)
def test_public_names_exist(name):
    assert getattr(cnnbench, name) is not None
    assert name in dir(cnnbench)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'cnnbench' has no attribute 'nothing'"):
        _ = cnnbench.nothing


def test_imports_go_to_lower_floors_without_a_cycle_and_with_few_arrows(sources):
    assert {room(name) for name in sources} == set(FLOOR)
    assert going_up(sources) == []
    require_no_cycle(sources)
    assert len(arrows(sources)) <= MOST_ARROWS


def test_packages_begin_with_a_docstring_and_nothing_else():
    full = [
        path.parent.name
        for path in PACKAGE.glob("*/**/__init__.py")
        if [type(node) for node in ast.parse(path.read_text("utf-8")).body] != [ast.Expr]
    ]
    assert full == ["plugin"]


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("from cnnbench.session.session import Session", True),
        ("import cnnbench.session.session", True),
        ("def f():\n    from cnnbench.session import session", True),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import cnnbench.session.session", True),
        ("if TYPE_CHECKING:\n    from cnnbench.session.session import Session", False),
    ],
)
def test_an_import_that_goes_up_is_found_unless_it_is_for_types(source, is_found):
    assert going_up({RUNS: source, SESSION: ""}) == ["records imports session"] * is_found


def test_a_cycle_of_imports_inside_functions_is_found():
    inside = "def f():\n    from cnnbench.records import {}"
    changed = {RUNS: inside.format("codec"), "cnnbench.records.codec": inside.format("runs")}
    with pytest.raises(CycleError, match=r"cnnbench\.records\.codec"):
        require_no_cycle(changed)


def test_pyproject_names_every_package():
    """Packages are listed by hand, since `suites/` is installed as one of them."""
    root = PACKAGE.parent
    stated = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = {".".join(path.parent.relative_to(root).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(stated["packages"]) == {*found, "cnnbench.suites"}
