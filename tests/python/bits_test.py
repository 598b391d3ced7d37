"""Weights of 2, 4 and 8 bits beside numpy and onnxruntime: MatMulNBits, and products of dequantised constants."""
import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import tenon

F, F16 = TensorProto.FLOAT, TensorProto.FLOAT16
DTYPES = {F: np.float32, F16: np.float16}


def model(nodes, inputs, constants, opset=21, contrib=True):
    graph = helper.make_graph(nodes, "bits", [helper.make_tensor_value_info(n, t, d) for n, t, d in inputs],
                              [helper.make_value_info("y", onnx.TypeProto())], [numpy_helper.from_array(a, n) for n, a in constants.items()])
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid("com.microsoft", 1)] * contrib
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    dtype = inputs[0][1]
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", dtype, None))
    return made.SerializeToString()


def pack(codes, bits):
    """Codes along the last dim, the first in the lowest bits of a byte."""
    per_byte = 8 // bits
    padded = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % per_byte)])
    parts = padded.reshape(*codes.shape[:-1], -1, per_byte).astype(np.uint32)
    return sum(parts[..., i] << (bits * i) for i in range(per_byte)).astype(np.uint8)


class Weights:
    """Codes [n, k], a scale and a zero point for each block of a row, and what they mean."""

    def __init__(self, n, k, bits, block, zeros="none", dtype=np.float32, groups=None):
        rng = np.random.default_rng(n + k + bits)
        self.n, self.k, self.bits, self.block, self.blocks = n, k, bits, block, -(-k // block)
        self.codes = rng.integers(0, 2**bits, (n, self.blocks * block)).astype(np.uint8)
        self.scales = rng.uniform(0.01, 0.1, (n, self.blocks)).astype(dtype)
        self.zeros = None
        zero = np.full((n, self.blocks), 2 ** (bits - 1), np.float64)
        if zeros == "packed":
            zero = rng.integers(0, 2**bits, zero.shape)
            self.zeros = pack(zero, bits)
        elif zeros == "floats":
            self.zeros = rng.uniform(0, 2**bits, zero.shape).astype(dtype)
            zero = self.zeros.astype(np.float64)
        at = np.arange(k) // block if groups is None else groups
        self.values = (self.codes[:, :k].astype(np.float64) - zero[:, at]) * self.scales.astype(np.float64)[:, at]

    def constants(self):
        named = {"b": pack(self.codes.reshape(self.n, self.blocks, self.block), self.bits), "s": self.scales}
        return named | ({"z": self.zeros} if self.zeros is not None else {})


def nbits(w, a_dims, dtype=F, bias=None, groups=None, **attributes):
    constants = w.constants()
    names = ["a", "b", "s", "z" if w.zeros is not None else "", "g" if groups is not None else "", "c" if bias is not None else ""]
    if groups is not None:
        constants["g"] = groups.astype(np.int32)
    if bias is not None:
        constants["c"] = bias
    while not names[-1]:
        names.pop()
    node = helper.make_node("MatMulNBits", names, ["y"], domain="com.microsoft", K=w.k, N=w.n, bits=w.bits, block_size=w.block, **attributes)
    return model([node], [("a", dtype, a_dims)], constants)


def kernel_of(data, rows):
    """The kernel of the last node."""
    return tenon.load(data).explain({"rows": rows})[-1].kernel


def run_ours(data, a, **options):
    return tenon.load(data, threads=1, **options).run({"a": a})["y"]


def run_theirs(data, a):
    options = onnxruntime.SessionOptions()  # optimised, it may compute in int8
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"a": a})[0]


def compare(data, a, w, bias=None, theirs=True):
    want = a.astype(np.float64) @ w.values.T + (0 if bias is None else bias.astype(np.float64))
    size = np.abs(a.astype(np.float64)) @ np.abs(w.values.T) + 2.0**w.bits
    unit = 2e-6 if a.dtype == np.float32 else 2e-3
    ours = run_ours(data, a)
    assert ours.dtype == a.dtype and ours.shape == want.shape
    assert np.all(np.abs(ours - want) <= unit * size)
    assert np.all(np.abs(run_ours(data, a, optimize=False) - want) <= unit * size)
    if theirs:
        assert np.all(np.abs(ours.astype(np.float64) - run_theirs(data, a)) <= 2 * unit * size)


def activations(*dims, dtype=F):
    return np.random.default_rng(1).standard_normal(dims).astype(DTYPES[dtype])


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["none", "packed"])
@pytest.mark.parametrize("rows, n, k, block", [(1, 64, 256, 32), (1, 33, 100, 16), (4, 48, 256, 128), (7, 96, 96, 64), (40, 70, 500, 32)])
def test_products_agree(bits, zeros, rows, n, k, block):
    w = Weights(n, k, bits, block, zeros)
    data = nbits(w, ["rows", k])
    assert kernel_of(data, rows) == ("GemmFewBits" if rows <= 8 else "GemmBits")
    compare(data, activations(rows, k), w)


@pytest.mark.parametrize("rows", [1, 20])
def test_float_zero_points_bias_and_batches(rows):
    w = Weights(48, 128, 4, 32, "floats")
    bias = np.linspace(-1, 1, 48, dtype=np.float32)
    compare(nbits(w, ["batch", rows, 128], bias=bias), activations(2, rows, 128), w, bias)


@pytest.mark.parametrize("rows", [1, 3, 20])
@pytest.mark.parametrize("zeros", ["none", "packed", "floats"])
def test_halves(rows, zeros):
    w = Weights(48, 128, 4, 32, zeros, np.float16)
    compare(nbits(w, ["rows", 128], F16), activations(rows, 128, dtype=F16), w)


def test_groups_in_any_order():
    rng = np.random.default_rng(3)
    for groups in (rng.permutation(np.arange(128) // 32), rng.integers(0, 4, 128)):
        w = Weights(40, 128, 4, 32, "packed", groups=groups)
        compare(nbits(w, ["rows", 128], groups=groups), activations(5, 128), w, theirs=False)


def test_threads_change_nothing():
    w = Weights(500, 1024, 4, 32, "packed")
    data = nbits(w, ["rows", 1024])
    for rows in (1, 5, 40):
        a = activations(rows, 1024)
        one, two = (tenon.load(data, threads=n).run({"a": a})["y"] for n in (1, 2))
        np.testing.assert_array_equal(one, two)


def test_external_weights(tmp_path):
    for dtype in (np.int8, ml_dtypes.int4):
        data, values = dequantised(dtype, 512, 96, 32, False, True)
        a = activations(3, 512)
        made = onnx.ModelProto.FromString(data)
        path = tmp_path / f"{np.dtype(dtype).name}.onnx"
        onnx.save(made, path, save_as_external_data=True, location=path.name + ".data", size_threshold=64)
        np.testing.assert_array_equal(tenon.load(path).run({"a": a})["y"], tenon.load(data).run({"a": a})["y"])
    w = Weights(200, 1024, 4, 32, "packed")
    a = activations(2, 1024)
    made = onnx.ModelProto.FromString(nbits(w, ["rows", 1024]))
    onnx.save(made, tmp_path / "nbits.onnx", save_as_external_data=True, location="nbits.data", size_threshold=64)
    np.testing.assert_allclose(tenon.load(tmp_path / "nbits.onnx").run({"a": a})["y"], a @ w.values.T, rtol=1e-3, atol=1e-3)


def test_weights_that_are_no_constants():
    w = Weights(40, 96, 4, 32, "packed")
    node = helper.make_node("MatMulNBits", ["a", "b", "s", "z"], ["y"], domain="com.microsoft", K=96, N=40, bits=4, block_size=32)
    fed = w.constants()
    kinds = {"b": TensorProto.UINT8, "s": F, "z": TensorProto.UINT8}
    data = model([node], [("a", F, ["rows", 96])] + [(n, kinds[n], list(x.shape)) for n, x in fed.items()], {})
    a = activations(3, 96)
    y = tenon.load(data).run({"a": a, **fed})["y"]
    np.testing.assert_allclose(y, a @ w.values.T, rtol=1e-4, atol=1e-4)


def dequantised(dtype, k, n, granularity, trans, zero, through_transpose=False, gemm=False):
    """MatMul (Gemm when `gemm`) of `a` and a DequantizeLinear of a constant [k, n], or [n, k] when `trans`."""
    rng = np.random.default_rng(k + n)
    info = ml_dtypes.iinfo(dtype)
    low, high = int(info.min), int(info.max)
    q = rng.integers(low, high + 1, (k, n))
    axis = 1 if trans else 0
    if granularity == "tensor":
        scale, attributes = rng.uniform(0.01, 0.1, ()), {}
        at = np.zeros((k, n), int), np.zeros((k, n), int)
        full = np.broadcast_to(scale, (k, n))
    elif granularity == "column":
        scale, attributes = rng.uniform(0.01, 0.1, n), {"axis": 1 - axis}
        full = np.broadcast_to(scale[None, :], (k, n))
    else:
        blocks = -(-k // granularity)
        scale, attributes = rng.uniform(0.01, 0.1, (blocks, n)), {"axis": axis, "block_size": granularity}
        full = np.repeat(scale, granularity, axis=0)[:k]
        scale = scale.T if trans else scale
    scale = scale.astype(np.float32)
    zeros = rng.integers(low, high + 1, scale.shape)
    full_zero = 0
    if zero:
        full_zero = np.broadcast_to(zeros, (k, n)) if np.ndim(zeros) < 2 else np.repeat(zeros.T if trans else zeros, granularity, axis=0)[:k]
    values = (q - full_zero) * full.astype(np.float32)
    constants = {"q": np.ascontiguousarray(q.T if trans else q).astype(dtype), "s": scale}
    if zero:
        constants["z"] = zeros.astype(dtype)
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"] + ["z"] * zero, ["w"], **attributes)]
    if trans and not gemm:
        through_transpose = True
    if through_transpose:
        nodes.append(helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]))
    nodes.append(helper.make_node("Gemm", ["a", "w"], ["y"], transB=int(trans)) if gemm else
                 helper.make_node("MatMul", ["a", "t" if through_transpose else "w"], ["y"]))
    return model(nodes, [("a", F, ["rows", k])], constants, contrib=False), values


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, ml_dtypes.int4, ml_dtypes.uint4])
@pytest.mark.parametrize("granularity", ["tensor", "column", 16, 32, 512])
@pytest.mark.parametrize("trans, gemm", [(False, False), (True, False), (True, True), (False, True)])
def test_dequantised_constants(dtype, granularity, trans, gemm):
    for zero in (False, True):
        data, values = dequantised(dtype, 80, 56, granularity, trans, zero, gemm=gemm)
        assert kernel_of(data, 1) == "GemmFewBits"
        for rows in (1, 5, 30):
            a = activations(rows, 80)
            want = a.astype(np.float64) @ values
            size = np.abs(a.astype(np.float64)) @ np.abs(values) + 1
            assert np.all(np.abs(run_ours(data, a) - want) <= 4e-6 * size)
            assert np.all(np.abs(run_ours(data, a, optimize=False) - want) <= 4e-6 * size)
            assert np.all(np.abs(run_theirs(data, a) - want) <= 1e-5 * size)
