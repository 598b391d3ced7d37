"""The shared library as it is shipped."""
import os
import platform
import subprocess
from pathlib import Path

import pytest

LIBRARY = Path(os.environ["TENON_BUILD"]) / "lib/libtenon.so"


def release():
    cache = (LIBRARY.parents[1] / "CMakeCache.txt").read_text()
    return "CMAKE_BUILD_TYPE:STRING=Release" in cache and "TENON_SANITIZE:STRING=\n" in cache


@pytest.mark.skipif(platform.machine() != "x86_64" or not release(), reason="the size is that of a release for x86-64")
def test_stays_under_eight_megabytes(tmp_path):
    subprocess.run(["strip", "--strip-unneeded", "-o", tmp_path / "stripped.so", LIBRARY], check=True)
    assert (tmp_path / "stripped.so").stat().st_size <= 8_000_000
