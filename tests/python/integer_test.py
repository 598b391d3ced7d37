"""Models quantised to 8 bits beside numpy and onnxruntime: as its quantisation tools write them, and operator by operator."""
import itertools

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import make_model
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

import tenon

F, U8, S8, I32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32
DTYPES = {U8: np.uint8, S8: np.int8}


def random_bytes(dtype, dims, seed=0):
    return np.random.default_rng(seed).integers(0, 256, dims).astype(np.uint8).view(DTYPES[dtype])


def run(model, arrays, threads=1, **options):
    return tenon.load(model.SerializeToString(), threads=threads, **options).run(arrays)


def reference(model, arrays):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, arrays)))


@pytest.mark.parametrize("a_type, b_type", list(itertools.product((U8, S8), repeat=2)))
@pytest.mark.parametrize("m, k, n", [(1, 64, 100), (7, 33, 40), (70, 256, 96)])
def test_matmul_integer(a_type, b_type, m, k, n):
    a, b, az, bz = random_bytes(a_type, (3, m, k)), random_bytes(b_type, (k, n), 1), random_bytes(a_type, (), 2), random_bytes(b_type, (n,), 3)
    model = make_model([helper.make_node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])], [("a", a_type, [3, m, k])], [("y", I32, None)],
                       [("b", b), ("az", az), ("bz", bz)])
    want = (a.astype(np.int64) - int(az)) @ (b.astype(np.int64) - bz.astype(np.int64))
    for threads in (1, 2):
        np.testing.assert_array_equal(run(model, {"a": a}, threads)["y"], want)


@pytest.mark.parametrize("scale_type", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_qlinear_matmul_of_two_inputs(scale_type):
    a, b = random_bytes(S8, (2, 5, 40)), random_bytes(U8, (2, 40, 21), 1)
    constants = [("as", scale_type(0.25)), ("az", np.int8(3)), ("bs", scale_type(0.5)), ("bz", np.uint8(100)), ("ys", scale_type(64)), ("yz", np.int8(-9))]
    node = helper.make_node("QLinearMatMul", ["a", "as", "az", "b", "bs", "bz", "ys", "yz"], ["y"])
    model = make_model([node], [("a", S8, a.shape), ("b", U8, b.shape)], [("y", S8, None)],
                       [(n, np.asarray(v)) for n, v in constants], opset=21, ir=10)
    sums = (a.astype(np.int64) - 3) @ (b.astype(np.int64) - 100)
    want = np.clip(np.rint(sums * (0.125 / 64)) - 9, -128, 127)  # the scale is a power of two, so ties are ties everywhere
    np.testing.assert_array_equal(run(model, {"a": a, "b": b})["y"], want)


@pytest.mark.parametrize("opset", [10, 13, 19, 21, 23, 24, 25, 28])
@pytest.mark.parametrize("dtype", [U8, S8])
def test_quantising_there_and_back_in_every_opset(opset, dtype):
    x = np.random.default_rng(4).uniform(-40, 40, (3, 5, 7)).astype(np.float32)
    scale, zero = (np.array([0.25, 0.5, 1, 2, 0.125], np.float32), np.array([0, 3, 7, 1, 100])) if opset >= 13 else (np.float32(0.25), np.array(9))
    model = make_model([helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]), helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])],
                       [("x", F, x.shape)], [("q", dtype, None), ("y", F, None)], [("s", scale), ("z", zero.astype(DTYPES[dtype]))], opset=opset,
                       ir=13 if opset > 24 else 10)
    along = (lambda v: np.reshape(v, (-1, 1))) if opset >= 13 else (lambda v: v)  # axis 1 is the default
    limits = np.iinfo(DTYPES[dtype])
    want = np.clip(np.rint(x / along(scale)) + along(zero), limits.min, limits.max)
    got = run(model, {"x": x})
    np.testing.assert_array_equal(got["q"], want)
    np.testing.assert_array_equal(got["y"], (want - along(zero)) * along(scale))


@pytest.mark.parametrize("x_type, w_type", [(U8, S8), (U8, U8), (S8, S8)])
@pytest.mark.parametrize("attributes", [dict(pads=[1, 1, 1, 1]), dict(strides=[2, 2], pads=[1, 0, 0, 1]), dict(dilations=[2, 2]),
                                        dict(auto_pad="SAME_UPPER", strides=[2, 1]), dict(auto_pad="SAME_LOWER"), dict(group=4)])
def test_convolutions(x_type, w_type, attributes):
    x, w = random_bytes(x_type, (2, 8, 13, 12)), random_bytes(w_type, (12, 8 // attributes.get("group", 1), 3, 3), 1)
    xz, wz, bias = random_bytes(x_type, (), 2), random_bytes(w_type, (), 3), np.arange(12, dtype=np.int32) * 500
    sums = make_model([helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], **attributes)], [("x", x_type, x.shape)],
                      [("y", I32, None)], [("w", w), ("xz", xz), ("wz", wz)])
    # float32 holds these sums exactly
    padded = make_model([helper.make_node("Conv", ["x", "w"], ["y"], **attributes)], [("x", F, x.shape)], [("y", F, None)],
                        [("w", w.astype(np.float32) - np.float32(wz))])
    want = reference(padded, {"x": x.astype(np.float32) - np.float32(xz)})["y"]
    np.testing.assert_array_equal(run(sums, {"x": x})["y"], want)

    scales = np.linspace(0.001, 0.002, 12).astype(np.float32)
    constants = [("xs", np.float32(0.02)), ("xz", xz), ("w", w), ("ws", scales), ("wz", np.full(12, wz)), ("ys", np.float32(0.1)),
                 ("yz", np.zeros((), w.dtype) if w_type == S8 else np.uint8(128)), ("b", bias)]
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], **attributes)
    model = make_model([node], [("x", x_type, x.shape)], [("y", w_type, None)], constants)
    exact = (want + bias[:, None, None]) * 0.02 * scales[:, None, None].astype(np.float64) / 0.1 + (0 if w_type == S8 else 128)
    low = -128 if w_type == S8 else 0
    got = run(model, {"x": x}, threads=2)["y"]
    assert np.abs(got - np.clip(exact, low, low + 255)).max() < 0.501


def floats(*dims, seed=0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal(dims) * scale).astype(np.float32)


def encoder_layer(hidden=64, inner=128):
    """The products of an encoder layer: three of one input, two of values that are not constant, two with biases around an activation."""
    nodes, constants = [], []

    def linear(x, name, rows, columns):
        constants.extend([(f"{name}_w", floats(rows, columns, seed=len(constants), scale=rows**-0.5)), (f"{name}_b", floats(columns, seed=len(constants) + 1))])
        nodes.extend([helper.make_node("MatMul", [x, f"{name}_w"], [f"{name}_m"]), helper.make_node("Add", [f"{name}_b", f"{name}_m"], [name])])
        return name

    q, k, v = (linear("x", name, hidden, hidden) for name in "qkv")
    nodes.extend([helper.make_node("Transpose", [k], ["kt"], perm=[0, 2, 1]), helper.make_node("MatMul", [q, "kt"], ["scores"]),
                  helper.make_node("Softmax", ["scores"], ["weights"], axis=-1), helper.make_node("MatMul", ["weights", v], ["mixed"]),
                  helper.make_node("Add", ["mixed", "x"], ["sum"])])
    linear("sum", "up", hidden, inner)
    nodes.append(helper.make_node("Relu", ["up"], ["active"]))
    linear("active", "y", inner, hidden)
    return make_model(nodes, [("x", F, ["batch", "seq", hidden])], [("y", F, None)], constants)


def test_dynamically_quantised_encoder_layer(tmp_path):
    onnx.save(encoder_layer(), tmp_path / "float.onnx")
    quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int8.onnx", weight_type=quantization.QuantType.QInt8)
    model = onnx.load(tmp_path / "int8.onnx")
    assert sum(n.op_type == "MatMulInteger" for n in model.graph.node) >= 5
    rewrites = {p.name: p.rewrites for p in tenon.load(model.SerializeToString()).passes}
    assert rewrites["fuse_integer_scale"] >= 5 and rewrites["fuse_integer_bias"] == 5
    for shape in ((1, 1, 64), (2, 9, 64)):
        x = floats(*shape, seed=5)
        want, plain = reference(model, {"x": x})["y"], run(model, {"x": x}, optimize=False)["y"]
        got = run(model, {"x": x})["y"]
        # A number that falls on the other side of a tie in one layer moves the next by a step.
        step = np.abs(want).max() / 255
        assert np.abs(got - want).max() < 2 * step
        np.testing.assert_allclose(got, plain, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(got, run(model, {"x": x}, threads=2)["y"])


class Images(quantization.CalibrationDataReader):
    def __init__(self):
        self.left = iter([{"x": floats(1, 3, 24, 24, seed=s)} for s in range(4)])

    def get_next(self):
        return next(self.left, None)


def small_network():
    nodes = [helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1] * 4, strides=[2, 2]), helper.make_node("Relu", ["c1"], ["r1"]),
             helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1] * 4, group=16), helper.make_node("Relu", ["c2"], ["r2"]),
             helper.make_node("Conv", ["r2", "w3"], ["c3"]), helper.make_node("GlobalAveragePool", ["c3"], ["p"]),
             helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "w4"], ["y"])]
    constants = [("w1", floats(16, 3, 3, 3, scale=0.3)), ("b1", floats(16, seed=1)), ("w2", floats(16, 1, 3, 3, seed=2, scale=0.4)),
                 ("b2", floats(16, seed=3)), ("w3", floats(32, 16, 1, 1, seed=4, scale=0.3)), ("w4", floats(32, 10, seed=5, scale=0.3))]
    return make_model(nodes, [("x", F, [1, 3, 24, 24])], [("y", F, None)], constants)


@pytest.mark.parametrize("form", [quantization.QuantFormat.QOperator, quantization.QuantFormat.QDQ])
@pytest.mark.parametrize("activations", [quantization.QuantType.QUInt8, quantization.QuantType.QInt8])
def test_statically_quantised_network(form, activations, tmp_path):
    onnx.save(small_network(), tmp_path / "float.onnx")
    quantization.quantize_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", Images(), quant_format=form, per_channel=True,
                                 op_types_to_quantize=["Conv", "MatMul"], activation_type=activations, weight_type=quantization.QuantType.QInt8)
    model = onnx.load(tmp_path / "int8.onnx")
    assert any(n.op_type in ("QLinearConv", "QuantizeLinear") for n in model.graph.node)
    if form == quantization.QuantFormat.QDQ:
        rewrites = {p.name: p.rewrites for p in tenon.load(model.SerializeToString()).passes}
        assert rewrites["fuse_quantized_products"] == 4
    x = floats(1, 3, 24, 24, seed=9)
    want, got = reference(model, {"x": x})["y"], run(model, {"x": x})["y"]
    assert np.abs(got - want).max() < 2 * np.abs(want).max() / 255
    np.testing.assert_array_equal(got, run(model, {"x": x}, threads=2)["y"])


def residual_network():
    """What regions of convolutions are made of: strides, one filter a channel, sums, pools, channels that fill no four, and a product."""
    nodes = [helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1] * 4, strides=[2, 2]), helper.make_node("Relu", ["c1"], ["r1"]),
             helper.make_node("MaxPool", ["r1"], ["m1"], kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4),
             helper.make_node("Conv", ["m1", "w2"], ["c2"]), helper.make_node("Relu", ["c2"], ["r2"]),
             helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], pads=[1] * 4, group=36), helper.make_node("Relu", ["c3"], ["r3"]),
             helper.make_node("Conv", ["r3", "w4"], ["c4"]), helper.make_node("Add", ["c4", "m1"], ["a1"]), helper.make_node("Relu", ["a1"], ["s1"]),
             helper.make_node("Conv", ["s1", "w5"], ["c5"], pads=[1] * 4, strides=[2, 2]), helper.make_node("Conv", ["s1", "w6"], ["c6"], strides=[2, 2]),
             helper.make_node("Add", ["c5", "c6"], ["a2"]), helper.make_node("GlobalAveragePool", ["a2"], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
             helper.make_node("Gemm", ["f", "w7", "b7"], ["y"], transB=1)]
    constants = [("w1", floats(18, 3, 3, 3, scale=0.3)), ("b1", floats(18, seed=1)), ("w2", floats(36, 18, 1, 1, seed=2, scale=0.3)),
                 ("w3", floats(36, 1, 3, 3, seed=3, scale=0.4)), ("b3", floats(36, seed=4)), ("w4", floats(18, 36, 1, 1, seed=5, scale=0.3)),
                 ("w5", floats(32, 18, 3, 3, seed=6, scale=0.2)), ("w6", floats(32, 18, 1, 1, seed=7, scale=0.3)),
                 ("w7", floats(10, 32, seed=8, scale=0.3)), ("b7", floats(10, seed=9))]
    return make_model(nodes, [("x", F, [1, 3, 24, 24])], [("y", F, None)], constants)


@pytest.mark.parametrize("form", [quantization.QuantFormat.QOperator, quantization.QuantFormat.QDQ])
@pytest.mark.parametrize("activations", [quantization.QuantType.QUInt8, quantization.QuantType.QInt8])
def test_quantised_network_with_sums(form, activations, tmp_path):
    onnx.save(residual_network(), tmp_path / "float.onnx")
    quantization.quantize_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", Images(), quant_format=form, per_channel=True,
                                 activation_type=activations, weight_type=quantization.QuantType.QInt8)
    model = onnx.load(tmp_path / "int8.onnx")
    rewrites = {p.name: p.rewrites for p in tenon.load(model.SerializeToString()).passes}
    assert rewrites["assign_layouts"] == 7  # one of the sums reads what a pool gives
    x = floats(1, 3, 24, 24, seed=9)
    want, got = reference(model, {"x": x})["y"], run(model, {"x": x})["y"]
    assert np.abs(got - want).max() < 3 * np.abs(want).max() / 255
    np.testing.assert_array_equal(got, run(model, {"x": x}, threads=2)["y"])
    apart = run(model, {"x": x}, disabled_passes=["assign_layouts"])["y"]
    np.testing.assert_array_equal(got, apart)


@pytest.mark.parametrize("quantised", [False, True])
def test_convolutions_of_sizes_that_data_decides(quantised):
    def weights(*dims):
        return np.random.default_rng(5).integers(-100, 100, dims).astype(np.int8 if quantised else np.float32)

    rows = [helper.make_node("NonZero", ["m"], ["i"]), helper.make_node("Squeeze", ["i", "axis"], ["rows"]),
            helper.make_node("Gather", ["x", "rows"], ["g"], axis=2)]
    if quantised:
        rows += [helper.make_node("QLinearConv", [x, "s", "z", w, "s", "wz", "ys", "z"], [y]) for x, w, y in (("g", "w1", "c"), ("c", "w2", "y"))]
    else:
        rows += [helper.make_node("Conv", [x, w], [y]) for x, w, y in (("g", "w1", "c"), ("c", "w2", "y"))]
    constants = [("axis", np.array([0])), ("w1", weights(18, 8, 3, 3)), ("w2", weights(16, 18, 1, 1))]
    if quantised:
        constants += [("s", np.float32(0.02)), ("z", np.uint8(9)), ("wz", np.int8(0)), ("ys", np.float32(60))]
    dtype = U8 if quantised else F
    model = make_model(rows, [("x", dtype, [1, 8, 12, 9]), ("m", TensorProto.BOOL, [12])], [("y", dtype, None)], constants)
    x = random_bytes(U8, (1, 8, 12, 9)) if quantised else floats(1, 8, 12, 9)
    arrays = {"x": x, "m": np.arange(12) % 3 != 0}
    want = reference(model, arrays)["y"].astype(np.float64)
    np.testing.assert_allclose(run(model, arrays)["y"].astype(np.float64), want, rtol=0, atol=0 if quantised else 1e-5 * np.abs(want).max())
