"""Operators that read or write at positions, and resampling: whole models at each opset, against onnxruntime."""
import itertools

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import make_model
from onnx import TensorProto, helper

import tenon

ort.set_default_logger_severity(4)
RANDOM = np.random.default_rng(1)


def compare(op, inputs, opset, outputs=1, constant=(), atol=0.0, rtol=0.0, **attributes):
    """Runs one node with both engines. inputs: name -> array or None; those named in `constant` are initializers."""
    types = {name: helper.np_dtype_to_tensor_dtype(v.dtype) for name, v in inputs.items() if v is not None}
    node = helper.make_node(op, [name if v is not None else "" for name, v in inputs.items()], [f"y{i}" for i in range(outputs)], "node", **attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info(n, t, inputs[n].shape) for n, t in types.items() if n not in constant],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)],
        [onnx.numpy_helper.from_array(inputs[n], n) for n in constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    for i, out in enumerate(model.graph.output):
        if not out.type.tensor_type.elem_type:
            out.type.tensor_type.elem_type = types["x"]
    feed = {n: v for n, v in inputs.items() if v is not None and n not in constant}
    expected = ort.InferenceSession(model.SerializeToString()).run(None, feed)
    got = tenon.load(model, threads=2).run(feed)
    for i, reference in enumerate(expected):
        result = got[f"y{i}"]
        assert result.dtype == reference.dtype
        if reference.dtype == object or reference.dtype.kind in "biu":
            np.testing.assert_array_equal(result, reference)
        else:
            np.testing.assert_allclose(result.astype(np.float64), reference.astype(np.float64), atol=atol, rtol=rtol)


def values(dtype, *shape):
    if dtype == "str":
        return RANDOM.integers(0, 1000, shape).astype(str).astype(object)
    if dtype == "bool":
        return RANDOM.integers(0, 2, shape).astype(bool)
    return RANDOM.integers(0, 100, shape).astype(dtype)


ANY = ["float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool", "str"]


@pytest.mark.parametrize("dtype", ANY)
@pytest.mark.parametrize("opset", [11, 13, 17])
def test_gather_elements_and_nd(dtype, opset):
    x = values(dtype, 4, 5, 6)
    for axis, index in itertools.product((-3, 0, 1, 2), ("int32", "int64")):
        indices = RANDOM.integers(-4, 4, (4, 5, 6)).astype(index)
        compare("GatherElements", {"x": x, "indices": indices}, opset, axis=axis)
    compare("GatherND", {"x": x, "indices": RANDOM.integers(-4, 4, (3, 2, 2))}, opset)
    if opset >= 12:
        compare("GatherND", {"x": x, "indices": RANDOM.integers(-5, 5, (4, 7, 1))}, opset, batch_dims=1)


@pytest.mark.parametrize("opset, reduction", [(11, None), (13, None), (16, "add"), (16, "mul"), (18, "none"), (18, "add"), (18, "mul"), (18, "max"), (18, "min")])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_scatter(dtype, opset, reduction):
    attributes = {} if reduction is None else {"reduction": reduction}
    repeated = reduction not in (None, "none")
    x = values(dtype, 6, 5, 4)
    for axis in range(3):
        shape = [3, 3, 3]
        pick = [RANDOM.integers(0, x.shape[axis], 3) if repeated else RANDOM.permutation(x.shape[axis])[:3] for _ in range(9)]
        indices = np.moveaxis(np.array(pick).reshape(3, 3, 3), 2, axis)
        compare("ScatterElements", {"x": x, "indices": indices, "updates": values(dtype, *shape)}, opset, axis=axis, **attributes)
    rows = RANDOM.integers(-6, 6, (4, 1)) if repeated else RANDOM.permutation(6)[:4, None] - 6
    compare("ScatterND", {"x": x, "indices": rows, "updates": values(dtype, 4, 5, 4)}, opset, **attributes)
    if opset < 16:
        compare("Scatter", {"x": x, "indices": np.zeros((1, 5, 4), np.int64), "updates": values(dtype, 1, 5, 4)}, 9)


@pytest.mark.parametrize("opset", [9, 11])
@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_one_hot(opset, axis):
    for index, depth, value in [("int64", "int64", "float32"), ("int32", "int32", "float32"), ("int64", "int64", "int64"), ("float32", "float32", "float32")]:
        compare("OneHot", {"x": RANDOM.integers(-5, 5, (3, 4)).astype(index), "depth": np.array([4], depth), "v": np.array([2, 7], value)}, opset,
                constant=("depth",), axis=axis)
    # The depth may be known only when the model runs.
    compare("OneHot", {"x": RANDOM.integers(0, 5, (3,)), "depth": np.array(4, np.int64), "v": np.array([2, 7], np.int64)}, opset, axis=-1)


@pytest.mark.parametrize("opset", [9, 11])
def test_compress_and_non_zero(opset):
    for axis in (None, 0, 1, 2):
        x = values("float32", 4, 5, 6)
        n = x.size if axis is None else x.shape[axis]
        compare("Compress", {"x": x, "c": RANDOM.integers(0, 2, n).astype(bool)}, opset, **({} if axis is None else {"axis": axis}))
    for dtype in ("float32", "int32", "int64", "bool", "uint8"):
        compare("NonZero", {"x": RANDOM.integers(0, 2, (3, 4, 5)).astype(dtype)}, max(opset, 9))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_top_k(dtype):
    x = values(dtype, 5, 30, 4)
    for axis, k, largest in itertools.product((0, 1, -1), (1, 3, 4), (0, 1)):
        compare("TopK", {"x": x, "k": np.array([k])}, 11, outputs=2, constant=("k",), axis=axis, largest=largest)
        compare("TopK", {"x": x, "k": np.array([k])}, 11, outputs=2, axis=axis, largest=largest)
    if dtype.startswith("float"):
        compare("TopK", {"x": x, "k": np.array([3])}, 10, outputs=2, axis=1)
        if dtype == "float32":
            compare("TopK", {"x": x}, 9, outputs=2, axis=1, k=7)


@pytest.mark.parametrize("center", [0, 1])
def test_non_max_suppression(center):
    corners = np.sort(RANDOM.random((2, 200, 2, 2), np.float32), axis=2)
    boxes = np.concatenate([corners[:, :, 0], corners[:, :, 1] * (0.3 if center else 1)], 2).astype(np.float32)
    scores = RANDOM.random((2, 3, 200), np.float32)
    for most, iou, score in itertools.product((5, 1000), (0.0, 0.3, 0.7), (None, 0.2)):
        compare("NonMaxSuppression", {"x": boxes, "scores": scores, "most": np.array([most]), "iou": np.array([iou], np.float32),
                                      "score": None if score is None else np.array([score], np.float32)}, 11, center_point_box=center)


def resize(x, opset, scales=None, sizes=None, roi=None, rtol=1e-5, atol=1e-4, **attributes):
    inputs = {"x": x, "roi": roi, "scales": None if scales is None else np.array(scales, np.float32),
              "sizes": None if sizes is None else np.array(sizes, np.int64)}
    if opset < 13:  # every input before the last has to be there
        inputs["roi"] = np.array([], np.float32) if roi is None else roi
        if sizes is not None:
            inputs["scales"] = np.array([], np.float32)
    while inputs[list(inputs)[-1]] is None:
        inputs.popitem()
    compare("Resize", inputs, opset, constant=[n for n in inputs if n != "x" and inputs[n] is not None], rtol=rtol, atol=atol, **attributes)


@pytest.mark.parametrize("opset", [11, 13, 18, 19])
@pytest.mark.parametrize("coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
def test_resize(opset, coordinates):
    x = RANDOM.random((1, 2, 9, 14), np.float32) * 100
    for h, w in ((18, 28), (5, 7), (13, 30), (9, 20), (1, 1)):
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            resize(x, opset, sizes=[1, 2, h, w], mode="nearest", nearest_mode=nearest, coordinate_transformation_mode=coordinates)
        for mode, outside in (("linear", 0), ("cubic", 0), ("cubic", 1)):
            if mode == "cubic" and coordinates == "pytorch_half_pixel" and h == 1:
                continue
            resize(x, opset, sizes=[1, 2, h, w], mode=mode, exclude_outside=outside, coordinate_transformation_mode=coordinates)


@pytest.mark.parametrize("opset", [11, 13, 18, 19])
def test_resize_by_scales(opset):
    x = RANDOM.random((1, 3, 8, 12), np.float32)
    for scale in (2.0, 0.5, 1.5, 0.6, 2.5, 3.0):
        for mode in ("nearest", "linear", "cubic"):
            resize(x, opset, scales=[1, 1, scale, scale], mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")
            resize(x, opset, scales=[1, 1, scale, scale], mode=mode, coordinate_transformation_mode="half_pixel")


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8", "int32"])
def test_resize_nearest_types(dtype):
    resize(values(dtype, 2, 3, 5, 6), 13, scales=[1, 1, 2, 3], mode="nearest")
    resize(values(dtype, 2, 5, 6, 3), 13, scales=[1, 2, 2, 1], mode="nearest")  # channels last


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_with_antialias(mode):
    x = RANDOM.random((1, 3, 20, 33), np.float32)
    for h, w in ((7, 9), (10, 40), (30, 11), (40, 66)):
        resize(x, 18, sizes=[1, 3, h, w], mode=mode, antialias=1)


def test_resize_crop():
    x = RANDOM.random((1, 1, 8, 9), np.float32)
    for mode in ("nearest", "linear", "cubic"):
        resize(x, 13, sizes=[1, 1, 5, 7], roi=np.array([0, 0, 0.2, 0.3, 1, 1, 0.9, 1.3], np.float32), mode=mode, extrapolation_value=-3.0,
               coordinate_transformation_mode="tf_crop_and_resize")


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_resize_axes_and_policy(policy):
    x = RANDOM.random((1, 2, 8, 12), np.float32)
    for mode in ("nearest", "linear"):
        resize(x, 18, sizes=[10, 10], axes=[2, 3], keep_aspect_ratio_policy=policy, mode=mode)


def test_upsample_and_resize_of_opset_10():
    x = RANDOM.random((1, 2, 5, 6), np.float32)
    for mode, scale in itertools.product(("nearest", "linear"), ([1, 1, 2, 2], [1, 1, 2.5, 3.5])):
        compare("Upsample", {"x": x}, 7, mode=mode, scales=[float(s) for s in scale], rtol=1e-5)
        compare("Upsample", {"x": x, "s": np.array(scale, np.float32)}, 9, constant=("s",), mode=mode, rtol=1e-5)
        compare("Resize", {"x": x, "s": np.array(scale, np.float32)}, 10, constant=("s",), mode=mode, rtol=1e-5)
    compare("Resize", {"x": x, "s": np.array([1, 1, 0.6, 0.4], np.float32)}, 10, constant=("s",), mode="nearest")


@pytest.mark.parametrize("opset", [10, 16])  # onnxruntime has no 22
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align(opset, mode):
    x = RANDOM.random((2, 3, 12, 15), np.float32)
    rois = np.array([[1, 1, 9, 9], [-3, 2, 20, 30], [4, 4, 4.5, 4.5], [0, 0, 14, 11]], np.float32)
    for ratio, extra in itertools.product((0, 2), ({}, {"coordinate_transformation_mode": "output_half_pixel"})):
        if opset == 10 and extra:
            continue
        compare("RoiAlign", {"x": x, "rois": rois, "b": np.array([0, 1, 1, 0])}, opset, mode=mode, output_height=3, output_width=2, sampling_ratio=ratio,
                spatial_scale=0.9, rtol=1e-5, atol=1e-6, **extra)


def bad(op, inputs, opset=18, outputs=1, constant=(), **attributes):
    types = {n: helper.np_dtype_to_tensor_dtype(v.dtype) for n, v in inputs.items() if v is not None}
    model = make_model([helper.make_node(op, [n if v is not None else "" for n, v in inputs.items()], [f"y{i}" for i in range(outputs)], "bad_node", **attributes)],
                       [(n, t, inputs[n].shape) for n, t in types.items() if n not in constant],
                       [(f"y{i}", TensorProto.INT64 if i or op in ("NonZero",) else types["x"], None) for i in range(outputs)],
                       [(n, inputs[n]) for n in constant], opset=opset)
    with pytest.raises(tenon.Error) as caught:
        tenon.load(model).run({n: v for n, v in inputs.items() if v is not None and n not in constant})
    return type(caught.value).__name__, str(caught.value)


@pytest.mark.parametrize("kind, words, case", [
    ("RunError", ["-3", "2"], dict(op="GatherElements", inputs={"x": np.zeros((2, 3), np.float32), "i": np.array([[-3, 0, 0]])}, constant=("i",), axis=0)),
    ("RunError", ["batch", "3", "2"], dict(op="GatherND", inputs={"x": np.zeros((3, 3), np.float32), "i": np.array([[1], [2]])}, constant=("i",), batch_dims=1)),
    ("RunError", ["7", "2"], dict(op="ScatterND", inputs={"x": np.zeros((2, 3), np.float32), "i": np.array([[7]]), "u": np.zeros((1, 3), np.float32)})),
    ("ShapeError", ["9", "3"], dict(op="TopK", inputs={"x": np.zeros((2, 3), np.float32), "k": np.array([9])}, constant=("k",), outputs=2)),
    ("ShapeError", ["9", "3"], dict(op="TopK", inputs={"x": np.zeros((2, 3), np.float32), "k": np.array([9])}, outputs=2)),
    ("ShapeError", ["scale"], dict(op="Resize", inputs={"x": np.zeros((1, 1, 4, 4), np.float32), "r": None, "s": np.array([1, 1, 0, 0], np.float32)}, constant=("s",))),
    ("ShapeError", ["scale"], dict(op="Resize", inputs={"x": np.zeros((1, 1, 4, 4), np.float32), "r": None, "s": np.array([1, 1, np.inf, 2], np.float32)})),
    ("LimitError", ["sizes"], dict(op="Resize", inputs={"x": np.zeros((1, 4, 4, 4), np.float32), "r": None, "s": None,
                                                          "z": np.array([1, 4, 2**40, 2**40])}, constant=("z",))),
    ("ShapeError", ["depth", "-5"], dict(op="OneHot", inputs={"x": np.zeros((2,), np.int64), "d": np.array(-5), "v": np.array([0, 1])}, constant=("d",))),
])
def test_errors_name_the_node_and_the_values(kind, words, case):
    name, text = bad(**case)
    assert name == kind, text
    assert "bad_node" in text
    for word in words:
        assert word in text
