"""Data movement operators in the opsets that spell them differently, on random arguments, bit for bit against onnxruntime."""
import random

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import tenon

FAR = [2**63 - 1, 2**31 - 1]


def ints(*values):
    return np.array(values, np.int64)


def model_bytes(op, opset, x, initializers, attributes, outputs, symbolic):
    names = [f"i{k}" for k in range(len(initializers))]
    node = helper.make_node(op, ["x", *names], [f"y{k}" for k in range(outputs)], **attributes)
    dtype = helper.np_dtype_to_tensor_dtype(x.dtype)
    shape = [f"d{k}" if symbolic else d for k, d in enumerate(x.shape)]
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", dtype, shape)],
                              [helper.make_tensor_value_info(name, dtype, None) for name in node.output],
                              [numpy_helper.from_array(a, n) for a, n in zip(initializers, names)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()


def cases(seed):
    """(operator, opset, input, initializers, attributes, outputs)"""
    pick, rng = random.Random(seed), np.random.default_rng(seed)
    dtype = pick.choice([np.float32, np.int64, np.float64])
    d = [pick.randint(1, 5), pick.randint(1, 6), pick.randint(1, 7)]
    x = (rng.random(d) * 100).astype(dtype)
    square = (rng.random((d[0], 8, 4, 6)) * 9).astype(np.float32)
    yield "Slice", 9, x, [], dict(starts=[pick.randint(-4, 3)], ends=[pick.choice([pick.randint(-4, 9), *FAR])], axes=[pick.randint(0, 2)]), 1
    yield "Slice", 9, x, [], dict(starts=[0, 1], ends=[3, -1]), 1
    for opset in (10, 13):
        bounds = [ints(pick.randint(-4, 5)), ints(pick.randint(-9, 9)), ints(pick.randint(-3, 2)), ints(pick.choice([-3, -2, -1, 1, 2, 5]))]
        yield "Slice", opset, x, bounds, {}, 1
    yield "Transpose", 13, x, [], dict(perm=pick.sample(range(3), 3)), 1
    target = pick.choice([ints(0, -1), ints(-1), ints(-1, d[2]), ints(0, 0, -1, 1), ints(d[2], d[0], d[1])])
    yield "Reshape", pick.choice([5, 13, 14, 21]), x, [target], {}, 1
    yield "Flatten", pick.choice([9, 11, 13]), x, [], dict(axis=pick.randint(0, 3)), 1
    ones = x[:, None, :, :, None]
    yield "Squeeze", 9, ones, [], dict(axes=[1]), 1
    yield "Squeeze", 11, ones, [], dict(axes=[1, -1]), 1
    yield "Squeeze", 11, ones, [], {}, 1
    yield "Squeeze", 13, ones, [ints(-1)], {}, 1
    yield "Unsqueeze", 9, x, [], dict(axes=[0, 3]), 1
    yield "Unsqueeze", 11, x, [], dict(axes=[-1, 1]), 1
    yield "Unsqueeze", 13, x, [ints(2, -1)], {}, 1
    if d[1] > 1:
        first = pick.randint(1, d[1] - 1)
        yield "Split", pick.choice([7, 11]), x, [], dict(axis=1, split=[first, d[1] - first]), 2
        yield "Split", 13, x, [ints(first, d[1] - first)], dict(axis=-2), 2
        yield "Split", 18, x, [], dict(axis=1, num_outputs=2), 2
    if d[0] % 2 == 0:
        yield "Split", 13, x, [], dict(axis=0), 2
    pads = [pick.randint(-1 if d[k % 3] > 2 else 0, 2) for k in range(6)]
    if dtype != np.int64:
        yield "Pad", 10, x, [], dict(pads=pads, value=1.5), 1
        yield "Pad", 7, x, [], dict(pads=[max(0, p) for p in pads], mode="edge"), 1
    yield "Pad", 13, x, [ints(*pads), np.array(2, dtype)], {}, 1
    yield "Pad", 13, x, [ints(*[min(pick.randint(0, 3), d[k % 3] - 1) for k in range(6)])], dict(mode="reflect"), 1
    yield "Pad", 18, x, [ints(1, 2), np.array(3, dtype), ints(-1)], {}, 1
    yield "Pad", 19, x, [ints(*[pick.randint(0, 3) for _ in range(6)])], dict(mode="wrap"), 1
    yield "Tile", 13, x, [ints(*[pick.randint(0, 3) for _ in range(3)])], {}, 1
    yield "Expand", 13, x[:, :1], [pick.choice([ints(2, 1, 1, 1), ints(d[1], 1)])], {}, 1
    yield "Gather", 13, x, [rng.integers(-d[1], d[1], (2, 3))], dict(axis=1), 1
    yield "Gather", 11, x, [np.array(pick.randint(-d[2], d[2] - 1), np.int32)], dict(axis=-1), 1
    yield "Trilu", 14, x, [np.array(pick.randint(-3, 3))], dict(upper=pick.randint(0, 1)), 1
    for mode in ("DCR", "CRD"):
        yield "DepthToSpace", 13, square, [], dict(blocksize=2, mode=mode), 1
    yield "SpaceToDepth", 13, square, [], dict(blocksize=2), 1
    yield "ReverseSequence", 10, x, [rng.integers(1, d[1] + 1, (d[0],))], dict(batch_axis=0, time_axis=1), 1


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_moves_what_onnxruntime_moves(seed, symbolic):
    for op, opset, x, initializers, attributes, outputs in cases(seed):
        model = model_bytes(op, opset, x, initializers, attributes, outputs, symbolic)
        expected = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})
        got = tenon.load(model).run({"x": x})
        for k, want in enumerate(expected):
            what = f"{op}-{opset} of {x.shape} {x.dtype}, {[a.tolist() for a in initializers]}, {attributes}"
            np.testing.assert_array_equal(np.asarray(got[f"y{k}"]), want, err_msg=what, strict=True)
