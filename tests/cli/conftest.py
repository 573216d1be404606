"""A short run trained by the command line, and the command line in this process."""

from subprocess import CompletedProcess

import pytest

from efficiency_bench.cli import main
from tests.cli.users import SHORT
from tests.commands import command
from tests.tiny import TINY


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which one short run was trained by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    options = ("experiment=shufflenet_v2_x1_0", *TINY, *SHORT, "run_dir=run", "ledger_dir=ledger")
    result = command("train", *options, "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result, options


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """The entry point in this process, in an empty folder: torch is imported once for all."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["efficiency-bench", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return CompletedProcess(arguments, left.value.code, printed.out, printed.err)

    return run
