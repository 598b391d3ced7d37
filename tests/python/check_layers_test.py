"""tools/check_layers.py: the repository passes, and a house with a forbidden arrow does not."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools/check_layers.py"


def run(root):
    return subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)


@pytest.fixture
def house(tmp_path):
    """An empty house under the real table, and a function that puts one line into a file of it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/architecture.md").write_text((ROOT / "docs/architecture.md").read_text(encoding="utf-8"), encoding="utf-8")

    def put(path, line):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"// a file\n{line}\n", encoding="utf-8")
        return tmp_path

    return put


def test_the_repository_has_no_forbidden_arrow():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path, line", [
    ("src/base/a.h", '#include "ops/type.h"'),
    ("src/base/a.h", "#include <hwy/highway.h>"),
    ("kernels/x/a.cc", '#include "graph/graph.h"'),
    ("kernels/x/a.cc", "#include <omp.h>"),
    ("src/ops/a.cpp", '#include "graph/graph.h"'),
    ("src/ops/a.cpp", "#include <hwy/highway.h>"),
    ("src/graph/a.cpp", '#include "passes/patch.h"'),
    ("src/graph/a.cpp", '#include "onnx-ml.pb.h"'),
    ("src/passes/a.cpp", '#  include   "plan/plan.h"'),
    ("src/plan/a.cpp", '#include "importers/onnx/convert.h"'),
    ("importers/onnx/a.cpp", '#include "passes/patch.h"'),
    ("src/capi/a.cpp", '#include "tenon/tenon.hpp"'),
    ("include/tenon/tenon.hpp", '#include "base/status.h"'),
    ("python/a.cpp", '#include "base/tensor.h"'),
    ("tools/cli/a.cpp", '#include "graph/graph.h"'),
    ("go/a.go", '#include "capi/handles.h"'),
])
def test_forbidden(house, path, line):
    result = run(house(path, line))
    assert result.returncode == 1
    assert f"{path}:2: " in result.stdout


@pytest.mark.parametrize("path, line", [
    ("src/base/a.cpp", '#include "base/a.h"'),
    ("src/base/parallel.cpp", "#include <omp.h>"),
    ("kernels/x/a.cc", "#include <hwy/highway.h>"),
    ("src/ops/a.cpp", '#include "kernels/table.h"'),
    ("src/plan/a.cpp", '#include "passes/patch.h"'),
    ("importers/onnx/a.cpp", '#include "onnx-ml.pb.h"'),
    ("src/capi/a.cpp", '#include "importers/onnx/import.h"'),
    ("include/tenon/tenon.hpp", '#include "tenon/tenon.h"'),
    ("python/a.cpp", "#include <pybind11/pybind11.h>"),
    ("tools/cli/a.cpp", "#include <tenon/tenon.hpp>"),
    ("tests/ops/a.cpp", '#include "plan/plan.h"'),
    ("src/base/a.h", "#include <vector>"),
])
def test_allowed(house, path, line):
    result = run(house(path, line))
    assert result.returncode == 0, result.stdout


def test_a_missing_table_is_an_error(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/architecture.md").write_text("# nothing\n")
    assert run(tmp_path).returncode == 2
