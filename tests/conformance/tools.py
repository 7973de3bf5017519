"""Programs that readers of the pages have: a laptop may lack them, CI may not."""

import os
import shutil

import pytest


def tool(name: str) -> str:
    """Return the path of a program, or skip the test for want of it."""
    path = shutil.which(name)
    if path is None:
        assert "CI" not in os.environ, f"CI needs {name}"
        pytest.skip(f"{name} is not installed")
    return path
