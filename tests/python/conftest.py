import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits"
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "benchmarks"), str(ROOT / "tools")]


def make_model(nodes, inputs, outputs, initializers=(), opset=17, ir=8, **kwargs):
    """An onnx.ModelProto; inputs and outputs are (name, TensorProto type, dims)."""
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(*o) for o in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in initializers])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, **kwargs)


@pytest.fixture(scope="session")
def digits():
    import tenon
    return tenon.load(DIGITS / "digits.onnx", threads=1)


@pytest.fixture(scope="session")
def images():
    return np.load(DIGITS / "images.npy")


@pytest.fixture
def add_model():
    """z = x + y, float32, dims n and m free."""
    return make_model([helper.make_node("Add", ["x", "y"], ["z"], "add")],
                      [("x", TensorProto.FLOAT, ["n", "m"]), ("y", TensorProto.FLOAT, ["n", "m"])], [("z", TensorProto.FLOAT, ["n", "m"])])


@pytest.fixture
def slow_model():
    """Many big matrix products in a row: seconds of work, for tests that stop it."""
    n, steps = 512, 3000
    nodes = [helper.make_node("MatMul", [f"t{i}", "w"], [f"t{i + 1}"], f"mm{i}") for i in range(steps)]
    return make_model(nodes, [("t0", TensorProto.FLOAT, [n, n])], [(f"t{steps}", TensorProto.FLOAT, [n, n])],
                      [("w", (np.eye(n) * 0.999).astype(np.float32))])
