"""The arithmetic of models beside counts by hand, and the difference of outputs."""
import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from peers import flops, reference

F = TensorProto.FLOAT


def operations(nodes, inputs, outputs, arrays, initializers=()):
    model = make_model(nodes, inputs, outputs, initializers)
    return reference.run(model.SerializeToString(), arrays)[1]


def zeros(*dims):
    return np.zeros(dims, np.float32)


def multiplied(x, w, stride, pad):
    """Multiply-adds of a convolution, counted one by one over its output positions, taps outside the image included."""
    count = 0
    height, width = ((x.shape[k] + 2 * pad - w.shape[k]) // stride + 1 for k in (2, 3))
    for _ in range(x.shape[0] * w.shape[0] * height * width):
        count += w[0].size
    return count


@pytest.mark.parametrize("group, stride, pad", [(1, 1, 0), (1, 2, 1), (2, 1, 1), (4, 2, 0)])
def test_convolution(group, stride, pad):
    x, w = zeros(2, 4, 9, 7), zeros(8, 4 // group, 3, 3)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=group, strides=[stride] * 2, pads=[pad] * 4)
    assert operations([node], [("x", F, ["n", 4, 9, 7])], [("y", F, None)], {"x": x}, [("w", w)]) == 2 * multiplied(x, w, stride, pad)


def test_transposed_convolution():
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    got = operations([node], [("x", F, [1, 4, 5, 5])], [("y", F, None)], {"x": zeros(1, 4, 5, 5)}, [("w", zeros(4, 3, 2, 2))])
    assert got == 2 * (4 * 25) * (3 * 4)  # every input element meets every weight of its channel


def test_products_inside_a_model_of_symbolic_size():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "v"], ["y"], transB=1)]
    got = operations(nodes, [("x", F, ["batch", 6])], [("y", F, None)], {"x": zeros(5, 6)}, [("w", zeros(6, 7)), ("v", zeros(3, 7))])
    assert got == 2 * 5 * (6 * 7 + 7 * 3)


def test_batched_product():
    got = operations([helper.make_node("MatMul", ["a", "b"], ["y"])], [("a", F, [3, 1, 4, 5]), ("b", F, [2, 5, 6])], [("y", F, None)],
                     {"a": zeros(3, 1, 4, 5), "b": zeros(2, 5, 6)})
    assert got == 2 * 3 * 2 * 4 * 5 * 6


@pytest.mark.parametrize("op, gates", [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_recurrent(op, gates):
    node = helper.make_node(op, ["x", "w", "r"], ["y"], hidden_size=5, direction="bidirectional")
    got = operations([node], [("x", F, [7, 2, 3])], [("y", F, None)], {"x": zeros(7, 2, 3)},
                     [("w", zeros(2, gates * 5, 3)), ("r", zeros(2, gates * 5, 5))])
    assert got == 2 * 7 * 2 * 2 * gates * 5 * (3 + 5)  # steps, batch, directions


def test_no_arithmetic_that_counts():
    assert operations([helper.make_node("Relu", ["x"], ["y"])], [("x", F, [4])], [("y", F, None)], {"x": zeros(4)}) == 0
    assert flops.wanted(make_model([helper.make_node("Relu", ["x"], ["y"])], [("x", F, [4])], [("y", F, [4])])) == []


def test_difference_is_a_part_of_the_largest():
    want = [np.float32([1, -200, 3])]
    assert reference.difference(want, want) == 0
    assert reference.difference([np.float32([1, -200, 5])], want) == pytest.approx(0.01)
    assert reference.difference([np.float32([[1, -200, 3]])], want) == np.inf
    assert reference.difference([np.float32([1, -200, np.nan])], want) == np.inf
    assert reference.difference([np.float32([1, np.inf, np.nan])], [np.float32([1, np.inf, np.nan])]) == 0
    assert reference.difference([np.float32([1, np.inf])], [np.float32([1, 2])]) == np.inf
    assert reference.difference([np.zeros(0)], [np.zeros(0)]) == 0
