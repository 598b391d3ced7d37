"""The graphs of the model zoo against onnxruntime: 1 and 2 threads, fixed shapes, changing shapes through one loaded model, and without
the passes that change them."""
from functools import lru_cache

import numpy as np
import onnxruntime
import pytest
import zoo

import tenon

pytestmark = pytest.mark.skipif(zoo.home() is None, reason="the model zoo is neither in $TENON_ZOO nor in ../shared/zoo")
TOLERANCE = dict(rtol=1e-3, atol=1e-4)


@lru_cache(maxsize=1)
def peer(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(zoo.path(name), options)


def signature(session):
    types = {"tensor(float)": "float32", "tensor(int64)": "int64"}
    return [(i.name, types[i.type], i.shape) for i in session.get_inputs()]


def cases(name, seed=1):
    """(sizes, inputs, what onnxruntime answers) for every shape of the model."""
    session = peer(name)
    for sizes in zoo.SIZES[name]:
        arrays = zoo.inputs(signature(session), sizes, seed)
        yield sizes, arrays, dict(zip([o.name for o in session.get_outputs()], session.run(None, arrays)))


def check(got, wanted, where):
    assert list(got) == list(wanted)
    for name, reference in wanted.items():
        assert got[name].dtype == reference.dtype and got[name].shape == reference.shape, f"{where}: {name}"
        if reference.dtype == np.float32:
            np.testing.assert_allclose(got[name], reference, **TOLERANCE, err_msg=f"{where}: {name}")
        else:
            np.testing.assert_array_equal(got[name], reference, err_msg=f"{where}: {name}")


@pytest.mark.parametrize("name", list(zoo.SIZES))
def test_zoo(name):
    model = tenon.load(zoo.path(name))
    for sizes, arrays, wanted in cases(name):
        one = model.run(arrays, threads=1)
        two = model.run(arrays, threads=2)
        check(one, wanted, f"{name} {sizes}, 1 thread")
        check(two, wanted, f"{name} {sizes}, 2 threads")
        for output in one:
            np.testing.assert_array_equal(one[output], two[output], err_msg=f"{name} {sizes}: {output} depends on the number of threads")
    del model
    # Once more with every dim fixed at load.
    sizes, arrays, wanted = next(cases(name))
    if sizes:
        fixed = tenon.load(zoo.path(name), dims=sizes, threads=2)
        assert all(isinstance(d, int) for value in fixed.inputs for d in value.shape)
        check(fixed(**arrays), wanted, f"{name} fixed at {sizes}")


@pytest.mark.parametrize("name", list(zoo.SIZES))
def test_zoo_without_passes(name):
    """With each pass switched off that changes the model, one at a time, and without any."""
    sizes, arrays, wanted = next(cases(name))
    for off in [p.name for p in tenon.load(zoo.path(name)).passes if p.rewrites]:
        check(tenon.load(zoo.path(name), disabled_passes=[off]).run(arrays), wanted, f"{name} {sizes} without {off}")
    check(tenon.load(zoo.path(name), optimize=False).run(arrays), wanted, f"{name} {sizes} without passes")
