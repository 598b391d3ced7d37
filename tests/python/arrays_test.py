"""Arrays in and out: dtypes, memory that is shared and memory that is not, strings, DLPack."""
import gc
import sys
import weakref

import ml_dtypes
import numpy as np
import pytest
from conftest import make_model
from onnx import TensorProto, helper
from tenon import _tenon

import tenon

STANDARD = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
NARROW = ["bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "int4", "uint4"]
NARROW += [name for name in ("float4_e2m1fn", "float8_e8m0fnu", "int2", "uint2") if hasattr(ml_dtypes, name)]


def roundtrip(value):
    return _tenon._roundtrip(value)


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name)) if name in NARROW else np.dtype(name)


@pytest.mark.parametrize("name", STANDARD + NARROW)
def test_every_dtype_keeps_memory_and_type(name):
    x = np.arange(1, 7).reshape(2, 3).astype(dtype_of(name))
    y = roundtrip(x)
    assert y.dtype == x.dtype and y.shape == (2, 3)
    np.testing.assert_array_equal(y, x)
    # ml_dtypes leaves the upper bits of these open, so they are copied.
    assert np.shares_memory(x, y) == (name not in ("int4", "uint4", "int2", "uint2"))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1,) * 8])
def test_shapes(shape):
    x = np.ones(shape, np.float32)
    assert roundtrip(x).shape == shape


@pytest.mark.parametrize("x", [
    np.arange(12, dtype=np.float32).reshape(3, 4).T,
    np.arange(12, dtype=np.int64)[::2],
    np.arange(12, dtype=">f4").reshape(3, 4),
    np.arange(12, dtype=np.float64)[::-1],
    np.frombuffer(b"\0" + np.arange(4, dtype=np.float32).tobytes(), np.uint8)[1:].view(np.float32),
], ids=["transposed", "strided", "big-endian", "reversed", "unaligned"])
def test_odd_memory_is_copied(x):
    y = roundtrip(x)
    np.testing.assert_array_equal(y, x)
    assert y.flags.c_contiguous and y.dtype.isnative


def test_read_only_input():
    x = np.ones(3, np.float32)
    x.flags.writeable = False
    np.testing.assert_array_equal(roundtrip(x), x)


def test_inputs_are_held_as_long_as_needed_and_no_longer():
    x = np.ones((4, 4), np.float32)
    alive = weakref.ref(x)
    y = roundtrip(x)
    before = sys.getrefcount(x)
    del y
    gc.collect()
    assert sys.getrefcount(x) == before - 1
    y = roundtrip(x)
    del x
    gc.collect()
    assert alive() is not None and y.sum() == 16
    del y
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("x", [
    np.array(["a", "bc", ""], dtype=object), np.array([["ä", "日本"], ["", "x"]]), np.array([b"raw", b"bytes"]), "scalar", ["one", "two"],
], ids=["object", "U", "S", "str", "list"])
def test_strings(x):
    y = roundtrip(x)
    want = np.asarray(x)
    assert y.dtype == object and y.shape == want.shape
    text = [s.decode() if isinstance(s, bytes) else s for s in want.reshape(-1).tolist()]
    assert y.reshape(-1).tolist() == text


def test_strings_that_are_not_utf8_survive():
    assert roundtrip(np.array([b"\xff\xfe"], dtype=object))[0].encode("utf-8", "surrogateescape") == b"\xff\xfe"


def test_other_objects_in_arrays_are_refused():
    with pytest.raises(tenon.ArgumentError, match="int"):
        roundtrip(np.array([1, "a"], dtype=object))
    with pytest.raises(tenon.ArgumentError, match="datetime64"):
        roundtrip(np.array(["2020-01-01"], dtype="datetime64[D]"))
    with pytest.raises(tenon.ArgumentError, match="dict"):
        roundtrip({})


def test_buffers():
    np.testing.assert_array_equal(roundtrip(bytearray(b"\1\2\3")), [1, 2, 3])
    np.testing.assert_array_equal(roundtrip(memoryview(np.arange(3, dtype=np.int16))), [0, 1, 2])


class OverDLPack:
    """An array that shows nothing but DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("name", [n for n in STANDARD if n != "bool"])
def test_dlpack_shares_memory(name):
    x = np.arange(6).reshape(2, 3).astype(name)
    y = roundtrip(OverDLPack(x))
    np.testing.assert_array_equal(y, x)
    assert y.dtype == x.dtype and np.shares_memory(x, y)


def test_dlpack_strided_and_lifetime():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(roundtrip(OverDLPack(x.T)), x.T)
    alive = weakref.ref(x)
    y = roundtrip(OverDLPack(x))
    del x
    gc.collect()
    assert alive() is not None and y[2, 3] == 11
    del y
    gc.collect()
    assert alive() is None


def test_outputs_speak_dlpack_and_buffer():
    y = roundtrip(np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(np.from_dlpack(y), y)
    assert memoryview(y).nbytes == 16


# ------------------------------------------------------------------------------------------------- through a real model

def cast_model(source, target):
    return make_model([helper.make_node("Cast", ["x"], ["y"], "cast", to=target)], [("x", source, ["n"])], [("y", target, ["n"])], opset=21, ir=10)


def test_bfloat16_through_a_model():
    model = tenon.load(cast_model(TensorProto.FLOAT, TensorProto.BFLOAT16))
    x = np.array([1.0, 0.3, -2.5, 1e30], np.float32)
    y = model(x)["y"]
    assert y.dtype == ml_dtypes.bfloat16 and model.outputs[0].type == "bfloat16"
    np.testing.assert_array_equal(y, x.astype(ml_dtypes.bfloat16))
    back = tenon.load(cast_model(TensorProto.BFLOAT16, TensorProto.FLOAT))
    np.testing.assert_array_equal(back(y)["y"], y.astype(np.float32))


def test_plain_numbers_take_the_type_of_the_input(add_model):
    model = tenon.load(add_model)
    z = model([[1, 2], [3, 4]], [[0.5, 0.5], [0.5, 0.5]])["z"]
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, np.array([[1.5, 2.5], [3.5, 4.5]], np.float32))


def test_an_output_that_is_an_input():
    model = tenon.load(make_model([helper.make_node("Identity", ["x"], ["y"])], [("x", TensorProto.FLOAT, ["n"])], [("y", TensorProto.FLOAT, ["n"])]))
    x = np.arange(5, dtype=np.float32)
    y = model(x)["y"]
    np.testing.assert_array_equal(y, x)
    y[:] = -1
    np.testing.assert_array_equal(x, np.arange(5, dtype=np.float32))
