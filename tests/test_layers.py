"""Which package may import which, checked on the import statements."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "efficiency_bench"

PLAIN = {"records", "errors", "files", "identity", "stop_rule", "target_crossing", "formatting"}
PLAIN |= {"config", "config_checks", "provenance", "dataset_facts", "bounds", "git"}
PLAIN |= {"config_messages", "tuned_rates", "seeds"}
"""Root modules that every package may import."""

TEXT_CONSOLE = {"text_console"}

CORRIDOR = {
    "counting": PLAIN | {"models"},
    "models": PLAIN,
    "data": PLAIN,
    "training": PLAIN | {"data", "counting", "models"},
    "ledger": PLAIN,
    "fitting": PLAIN | {"ledger"},
    "report": PLAIN | TEXT_CONSOLE | {"ledger", "fitting"},
    "verify": PLAIN | TEXT_CONSOLE | {"ledger"},
    "run": PLAIN | TEXT_CONSOLE | {"data", "counting", "models", "training", "ledger"},
}
"""Package -> the packages that it may import, for the core packages."""

OUTBUILDINGS = {"sweep", "plan", "reproducibility", "tracking"}
"""Optional packages: each can be deleted with ``rm -r`` and one line of the command line."""

HYDRA_APP = {"hydra_app"}
MAY_IMPORT = {
    **CORRIDOR,
    **{name: PLAIN | TEXT_CONSOLE | HYDRA_APP | set(CORRIDOR) for name in OUTBUILDINGS},
    "cli": PLAIN | TEXT_CONSOLE | HYDRA_APP | set(CORRIDOR) | OUTBUILDINGS,
    **dict.fromkeys(PLAIN | TEXT_CONSOLE | HYDRA_APP, PLAIN),
}
ONE_DOOR = {
    "hydra": {"efficiency_bench/hydra_app.py"},
    "wandb": {"efficiency_bench/tracking/wandb_process.py"},
    "wandb_workspaces": {"efficiency_bench/tracking/dashboard.py"},
    # its import takes 5 to 15 s: only in the process that writes files
    "ffcv": {"efficiency_bench/data/ffcv/writer_process.py"},
}
TERMINAL = {"typer", "rich"}
MAY_TALK = OUTBUILDINGS | TEXT_CONSOLE | {"cli", "report", "run", "verify"}
"""``run`` shows progress, ``report`` and ``verify`` show tables; nothing else prints."""
SHOWS_ITSELF = {"efficiency_bench/data/fetch.py"}
"""A download takes minutes and shows its own progress, in every command."""


def imports(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_of(room: str) -> list[Path]:
    """Return the files of a package, or of one module at the root."""
    if room == "models":
        return sorted((ROOT / "models").glob("**/*.py"))
    folder = PACKAGE / room
    return sorted(folder.glob("**/*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]


def test_every_package_is_in_the_layer_plan():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert rooms - {"__init__", "__pycache__"} <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_package_imports_only_the_packages_below_it(room):
    assert files_of(room)
    for path in files_of(room):
        for name in imports(path):
            if name.startswith("efficiency_bench."):
                other = name.split(".")[1]
                assert other in MAY_IMPORT[room] | {room, "__version__"}, f"{path} imports {name}"


@pytest.mark.parametrize("library", ONE_DOOR)
def test_a_wrapped_library_is_imported_only_by_its_wrapper(library):
    importing = {
        str(path.relative_to(ROOT))
        for path in [*PACKAGE.glob("**/*.py"), *(ROOT / "models").glob("*.py")]
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert importing == ONE_DOOR[library]


@pytest.mark.parametrize("room", sorted(set(MAY_IMPORT) - MAY_TALK))
def test_only_the_terminal_packages_import_rich(room):
    for path in files_of(room):
        if str(path.relative_to(ROOT)) not in SHOWS_ITSELF:
            assert not {name.split(".")[0] for name in imports(path)} & TERMINAL, path


@pytest.mark.parametrize(
    "module",
    [
        "ledger.store",
        "fitting.halving",
        "report.tables",
        "report.charts",
        "report.page",
        "verify.verify",
        "provenance",
        "cli",
        "sweep.status",
        "sweep.launch",
        "sweep.status_table",
    ],
)
def test_analysis_commands_never_import_torch(module):
    code = f"import sys, efficiency_bench.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
