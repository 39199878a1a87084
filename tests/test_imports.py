"""What the modules of the package may import, and how long they may be."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cnnbench
from cnnbench.machine.backends import TRAINING_BACKENDS

PACKAGE = Path(cnnbench.__file__).parent
LINES = 300

# A module may import from its own layer and from those above it in this list.
LAYERS = (
    "measurements records variants protocols environment backends places telemetry timing "
    "user_errors seeds pytest_clock stats.* images.*",
    "own_models model batches evaluation inspection journal checks data_checks flops "
    "backend_flops agreement speed_checks peaks.* exporting devices "
    "answers evidence baselines gates training_gates targets option_values option_table options",
    "training sanity keras_steps classifier pictures progress comparison engines.* reference "
    "throughput speed_rows ratios ratio_gate "
    "packing report.*",
    "workers.*",
    "presence references measuring session ab.* jury trainings resampling calibration",
    "pytest_items pytest_fixtures pytest_speed pytest_gates pytest_session commands.*",
    "plugin plugin_speed cli",
)
LAYER = {name: layer for layer, names in enumerate(LAYERS) for name in names.split()}

HEAVY = ("keras", "tensorflow", "jax", "torch", "pandas", "numpy", "PIL", "scipy")
PANDAS = {"report.answers", "report.frames", "report.summary", "report.speeds"}
PANDAS |= {"report.ratio_tables"}
KERAS = {"own_models", "model", "evaluation", "inspection", "training", "sanity", "classifier"}
KERAS |= {"workers.child", "flops", "backend_flops", "exporting"}
KERAS |= {f"engines.{name}" for name in ("keras_model", "quantized", *TRAINING_BACKENDS)}
OTHERS = dict.fromkeys(("variants", "session"), "")  # modules for tests that a check can fail


@dataclass(frozen=True)
class Import:
    """One imported name, as far as it can be read from the source."""

    module: str
    name: str | None
    top_level: bool


def module_names(root: Path) -> dict[str, Path]:
    """Return the modules below the package's `__init__`: `report.frames` and its like."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


MODULES = module_names(PACKAGE)


def imports_of(source: str) -> list[Import]:
    """Return what a module imports when it runs, at once or inside a function."""
    return list(_imports(ast.parse(source), top_level=True))


def _imports(node: ast.AST, top_level: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, None, top_level) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports name the package: from cnnbench.records.runs import ..."
        yield from (Import(node.module or "", alias.name, top_level) for alias in node.names)
    inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = iter(node.orelse)
    for child in children:
        yield from _imports(child, top_level and not inside)


def own_imports(sources: Mapping[str, str]) -> dict[str, list[tuple[str, bool]]]:
    """Return, for each module of the package, those of the package that it imports."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for name, source in sources.items():
        found[name] = []
        for one in imports_of(source):
            if one.module.split(".")[0] != "cnnbench":
                continue
            module = one.module.removeprefix("cnnbench").removeprefix(".")
            inner = f"{module}.{one.name}".removeprefix(".")
            target = inner if inner in sources else module
            if target:  # the package itself holds a version and no code
                found[name].append((target, one.top_level))
    return found


def layer_of(name: str) -> int | None:
    return LAYER.get(name, LAYER.get(f"{name.split('.')[0]}.*"))


def wrong_imports(sources: Mapping[str, str]) -> list[str]:
    """Return a line for each import that goes up."""
    return [
        f"{name} imports {target}"
        for name, targets in own_imports(sources).items()
        for target, _ in targets
        if (layer_of(target) or 0) > (layer_of(name) or 0)
    ]


def cycle(sources: Mapping[str, str]) -> list[str]:
    """Return the modules of a cycle of imports at module level, if there is one."""
    graph = {
        name: {target for target, top_level in targets if top_level and target != name}
        for name, targets in own_imports(sources).items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def importers(sources: Mapping[str, str], package: str) -> set[str]:
    """Return the modules that import a package, at once or later."""
    return {
        name
        for name, source in sources.items()
        if any(one.module.split(".")[0] == package for one in imports_of(source))
    }


def heavy_modules(statement: str, folder: Path | None = None) -> list[str]:
    """Return the heavy packages that a new Python has loaded after a statement."""
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


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}


# What is loaded


@pytest.mark.parametrize("statement", ["import cnnbench", "import cnnbench.plugin"])
def test_importing_loads_nothing_heavy(statement):
    assert heavy_modules(statement) == []


@pytest.mark.parametrize("name", ["pandas", "keras"])
def test_a_module_that_loads_something_heavy_is_found_out(tmp_path, name):
    (tmp_path / f"{name}.py").touch()  # stands in for the real one, which takes seconds
    (tmp_path / "heavy.py").write_text(f"import {name}")
    assert heavy_modules("import heavy", tmp_path) == [name]


def test_public_names_are_found_when_they_are_used():
    assert cnnbench.Variant("own").name == "own"
    assert set(cnnbench.__all__) <= set(dir(cnnbench))


@pytest.mark.parametrize("name", [name for name in cnnbench.__all__ if name in cnnbench._HOMES])
def test_public_names_are_where_they_are_looked_for(sources, name):
    body = ast.parse(sources[cnnbench._HOMES[name].removeprefix("cnnbench.")]).body
    bound = [getattr(node, "name", None) for node in body]
    bound += [alias.name for node in body for alias in getattr(node, "names", ())]
    bound += [ast.unparse(node.target) for node in body if isinstance(node, ast.AnnAssign)]
    assert name in bound


def test_all_public_names_have_a_home():
    assert set(cnnbench.__all__) == set(cnnbench._HOMES)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'cnnbench' has no attribute 'nothing'"):
        _ = cnnbench.nothing


# Which way imports go


def test_every_module_has_a_layer():
    assert [name for name in MODULES if layer_of(name) is None] == []


def test_every_name_in_the_table_is_a_module():
    known = {*MODULES, *(f"{name.split('.')[0]}.*" for name in MODULES)}
    assert [name for name in LAYER if name not in known] == []


def test_imports_go_one_way(sources):
    assert wrong_imports(sources) == []


def test_imports_have_no_cycle(sources):
    assert cycle(sources) == []


def test_images_know_nothing_of_the_rest(sources):
    outside = [
        f"{name} imports {target}"
        for name, targets in own_imports(sources).items()
        for target, _ in targets
        if name.split(".")[0] == "images" and target.split(".")[0] != "images"
    ]
    assert outside == []


def test_only_frames_and_summary_import_pandas(sources):
    assert importers(sources, "pandas") == PANDAS


def test_only_what_builds_or_trains_models_imports_keras(sources):
    assert importers(sources, "keras") == KERAS


@pytest.mark.parametrize(
    "source",
    [
        "from cnnbench.session.session import Session",
        "from cnnbench import session",
        "import cnnbench.session.session",
        "def f():\n    from cnnbench.session.session import Session",
        "class C:\n    def f(self):\n        if True:\n            import cnnbench.session.session",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from cnnbench.session.session import Session",
    ],
)
def test_an_import_that_goes_up_is_found_out(source):
    assert wrong_imports({**OTHERS, "records": source}) == ["records imports session"]


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n    from cnnbench.session.session import Session",
        "if typing.TYPE_CHECKING:\n    from cnnbench.session.session import Session",
        "from cnnbench import __version__",
        "from cnnbench.models.variants import Variant",
        "import json",
    ],
)
def test_an_import_that_goes_down_or_is_for_types_is_allowed(source):
    assert wrong_imports({**OTHERS, "records": source}) == []


def test_a_cycle_is_found_out():
    changed = {
        "records": "import cnnbench.models.variants",
        "variants": "import cnnbench.records.runs",
    }
    assert set(cycle({**OTHERS, **changed})) == {"records", "variants"}


def test_an_import_inside_a_function_is_no_cycle():
    inside = "def f():\n    import cnnbench.records.runs"
    changed = {"records": "import cnnbench.models.variants", "variants": inside}
    assert cycle({**OTHERS, **changed}) == []


def test_an_import_of_pandas_inside_a_function_is_found_out():
    source = "def f():\n    from pandas.testing import assert_frame_equal"
    assert importers({**OTHERS, "session": source}, "pandas") == {"session"}


# How long files are


def test_no_file_is_too_long():
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {str(path): count for path, count in lengths.items() if count > LINES} == {}
