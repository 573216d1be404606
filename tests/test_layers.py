"""Who may import whom: read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "efficiency_bench"
FREE = {"records", "target", "errors", "config", "config_checks", "identity", "provenance"}
FREE |= {"whole_file", "cadence"}
MAY_IMPORT = {
    "ledger": FREE,
    "fitting": FREE | {"ledger"},
    "report": FREE | {"ledger", "fitting"},
    "tracking": FREE | {"ledger"},
    "data": FREE,
    "counting": FREE,
    "training": FREE | {"data", "counting", "models"},
    "models": FREE,
    "campaign": FREE
    | {"data", "counting", "models", "training", "ledger", "fitting", "report", "tracking"}
    | {"hydra_app"},
}
ONE_DOOR = {
    "hydra": {"efficiency_bench/hydra_app.py"},
    "wandb": {"efficiency_bench/tracking/wandb_process.py"},
    "wandb_workspaces": {"efficiency_bench/tracking/dashboard.py"},
    # its import takes 5 to 15 s: only in the process that writes files
    "ffcv": {"efficiency_bench/data/ffcv/writer_process.py"},
}


def imports(path: Path) -> set[str]:
    """Modules a file imports anywhere in it, dotted."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files_of(room: str) -> list[Path]:
    folder = ROOT / "models" if room == "models" else PACKAGE / room
    return sorted(folder.glob("**/*.py"))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_below_it(room):
    assert files_of(room)
    for path in files_of(room):
        for name in imports(path):
            if name.startswith("efficiency_bench."):
                other = name.split(".")[1]
                assert other in MAY_IMPORT[room] | {room, "__version__"}, f"{path} imports {name}"


@pytest.mark.parametrize("library", ONE_DOOR)
def test_a_library_with_a_door_is_imported_there_alone(library):
    importing = {
        str(path.relative_to(ROOT))
        for path in [*PACKAGE.glob("**/*.py"), *(ROOT / "models").glob("*.py")]
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert importing == ONE_DOOR[library]


@pytest.mark.parametrize(
    "module",
    [
        "ledger.store",
        "fitting.halving",
        "report.tables",
        "report.charts",
        "report.page",
        "provenance",
        "cli",
        "campaign.sweep_status",
        "campaign.submission",
        "report.status_table",
    ],
)
def test_what_works_afterwards_at_a_desk_never_imports_torch(module):
    code = f"import sys, efficiency_bench.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
