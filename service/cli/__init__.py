"""The `darkroom` command: everything an operator types.

Nothing heavy is imported before a command needs it, so that `--help` is instant.
Exit codes: 0 it worked, 1 what was asked for failed, 2 usage or configuration.
"""

import sys


def main() -> None:
    """Run one command, or say in one sentence why not."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the sentence is for older ones
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Darkroom needs Python 3.11 or newer, but this is {found}.")
    from service.cli.app import run

    run()
