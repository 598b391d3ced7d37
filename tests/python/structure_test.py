"""Sequences as lists, optionals as values or None."""
import numpy as np
import pytest
from conftest import ROOT
from onnx import TensorProto, helper

import tenon

F = TensorProto.FLOAT


def sequence(elem, shape=None):
    return helper.make_sequence_type_proto(helper.make_tensor_type_proto(elem, shape))


def optional(type_proto):
    return helper.make_optional_type_proto(type_proto)


def identity(type_proto, **options):
    """y = x of any type."""
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [helper.make_value_info("x", type_proto)],
                              [helper.make_value_info("y", type_proto)])
    return tenon.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), **options)


@pytest.fixture
def choose():
    """chosen = cond ? a : b, sequences of vectors; same = maybe, an optional vector of two elements."""
    return tenon.load(ROOT / "tests/data/sequence.onnx")


def assert_same(got, expected):
    assert isinstance(got, list) and len(got) == len(expected)
    for one, other in zip(got, expected):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype and one.shape == other.shape


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("elem, dtype", [(F, np.float32), (TensorProto.INT64, np.int64), (TensorProto.BOOL, np.bool_), (TensorProto.FLOAT16, np.float16)])
def test_lists_are_sequences(elem, dtype, optimize):
    model = identity(sequence(elem), optimize=optimize)
    arrays = [np.arange(6).reshape(2, 3).astype(dtype), np.zeros((0, 4), dtype), np.array(1, dtype)]
    for container in (list, tuple):
        assert_same(model.run({"x": container(arrays)})["y"], arrays)
    assert model([])["y"] == []


def test_strings():
    got = identity(sequence(TensorProto.STRING))([["mortise", "tenon"], np.array(["ü", ""], object)])["y"]
    assert [list(a) for a in got] == [["mortise", "tenon"], ["ü", ""]]


def test_plain_numbers_take_the_type_of_the_items():
    assert_same(identity(sequence(F))([[1, 2], 3.5])["y"], [np.float32([1, 2]), np.float32(3.5)])


def test_none_is_an_empty_optional():
    for type_proto, value in ((helper.make_tensor_type_proto(F, [2]), np.float32([1, 2])), (sequence(F), [np.float32([1]), np.float32([2, 3])])):
        model = identity(optional(type_proto))
        assert model.run({"x": None})["y"] is None
        assert model.run({})["y"] is None
        got = model.run({"x": value})["y"]
        assert_same(got if isinstance(value, list) else [got], value if isinstance(value, list) else [value])
    assert identity(optional(sequence(F)))([])["y"] == []  # an empty sequence is not none


def test_inputs_and_outputs_share_no_memory():
    for optimize in (True, False):
        x = np.float32([1, 2])
        y = identity(sequence(F), optimize=optimize)([x, x])["y"]
        assert not np.shares_memory(x, y[0])
        z = identity(optional(helper.make_tensor_type_proto(F, [2])), optimize=optimize)(x)["y"]
        assert not np.shares_memory(x, z)


def test_if(choose):
    a, b = [np.float32([1, 2]), np.float32([3])], [np.float32([])]
    out = choose.run({"cond": True, "a": a, "b": b, "maybe": np.float32([4, 5])})
    assert_same(out["chosen"], a)
    np.testing.assert_array_equal(out["same"], [4, 5])
    out = choose(False, a, b)
    assert_same(out["chosen"], b)
    assert out["same"] is None


def test_session(choose):
    session = choose.session()
    a = [np.float32([1, 2]), np.float32([3])]
    session.bind_input("cond", np.array(True))
    session.bind_input("a", a)
    session.bind_input("b", [])
    first = session.run()
    a[1][0] = 7
    second = session.run()
    assert_same(first["chosen"], [np.float32([1, 2]), np.float32([3])])
    assert_same(second["chosen"], [np.float32([1, 2]), np.float32([7])])
    assert second["same"] is None
    with pytest.raises(tenon.ArgumentError, match="expected an array to bind"):
        session.bind_input("a", [[1, 2]])
    with pytest.raises(tenon.ArgumentError, match="is a sequence"):
        session.bind_output("chosen", np.zeros(2, np.float32))


@pytest.mark.parametrize("inputs, error, text", [
    (dict(a=np.float32([1])), tenon.ArgumentError, r"'a': expected a list of arrays, since it is a sequence, got numpy\.ndarray"),
    (dict(a=[np.int64([1])]), tenon.ArgumentError, r"'a\[0\]': an array of int64, expected float32"),
    (dict(a=[None]), tenon.ArgumentError, r"'a\[0\]': expected an array"),
    (dict(a=[np.float32([1]), np.float32([[1]])]), tenon.ShapeError, r"item 1 is float32\[1, 1\], expected sequence\(float32\[n\]\)"),
    (dict(a=None), tenon.ArgumentError, "'a' is missing"),
    (dict(cond=None), tenon.ArgumentError, "'cond' is missing"),
    (dict(maybe=np.float32([1, 2, 3])), tenon.ShapeError, r"'maybe' is float32\[3\], expected optional\(float32\[2\]\)"),
])
def test_wrong_values(choose, inputs, error, text):
    with pytest.raises(error, match=text):
        choose.run({"cond": True, "a": [], "b": [], "maybe": None} | inputs)


def test_values_say_what_they_are(choose):
    cond, a, _, maybe = choose.inputs
    assert (a.sequence, a.nullable, a.optional) == (True, False, False)
    assert (maybe.sequence, maybe.nullable, maybe.optional) == (False, True, True)
    assert (cond.sequence, cond.nullable) == (False, False)
    assert [str(v) for v in choose.inputs] == ["cond: bool[]", "a: sequence(float32[n])", "b: sequence(float32[n])", "maybe: optional(float32[2])"]
    assert str(identity(optional(sequence(F))).outputs[0]) == "y: optional(sequence(float32[...]))"


def test_extra_output_inside_a_model():
    assert tenon.load(ROOT / "tests/data/sequence.onnx", outputs=["a"])(True, [np.float32([1])], [])["a"][0] == 1
