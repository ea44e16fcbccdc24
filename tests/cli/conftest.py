"""The command, run in this process."""

import pytest

from tinyseq.cli import main


@pytest.fixture
def command(capsys):
    """Run `tinyseq ARGUMENTS` in this process: exit code, standard output, standard error."""

    def run(*arguments):
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def refused(command):
    """Run a command that is refused: the sentence on standard error that goes with exit code 2."""

    def run(*arguments):
        code, _, err = command(*arguments)
        assert code == 2
        assert "Traceback" not in err
        assert err.endswith("\n")
        return err.rstrip("\n")

    return run
