"""The Python module: loading, inspecting, running, errors."""
import copy
import gc
import io
import mmap
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import DIGITS, ROOT, make_model
from onnx import TensorProto, helper

import tenon

MODEL = DIGITS / "digits.onnx"


# ----------------------------------------------------------------------------------------------------------------- load

@pytest.mark.parametrize("source", [
    str(MODEL), MODEL, MODEL.read_bytes(), bytearray(MODEL.read_bytes()), memoryview(MODEL.read_bytes()),
    np.frombuffer(MODEL.read_bytes(), np.uint8), onnx.load(MODEL),
], ids=["str", "Path", "bytes", "bytearray", "memoryview", "array", "ModelProto"])
def test_load_from(source, images):
    assert tenon.load(source)(images[:2])["probabilities"].shape == (2, 10)


def test_load_from_file_and_stream(images):
    with open(MODEL, "rb") as file:
        assert tenon.load(file)(images[:1])["probabilities"].shape == (1, 10)
    assert tenon.load(io.BytesIO(MODEL.read_bytes()))(images[:1])["probabilities"].shape == (1, 10)

    class Slow:  # hands out a few bytes at a time
        def __init__(self):
            self.file = io.BytesIO(MODEL.read_bytes())

        def read(self, n):
            return self.file.read(min(n, 777))

    assert tenon.load(Slow())(images[:1])["probabilities"].shape == (1, 10)


def test_load_from_mmap(images):
    with open(MODEL, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        model = tenon.load(mapped)
    assert model(images[:1])["probabilities"].shape == (1, 10)


def test_the_source_is_not_used_after_load(tmp_path, images):
    path = tmp_path / "m.onnx"
    path.write_bytes(MODEL.read_bytes())
    model = tenon.load(path)
    wanted = model(images[:3])["probabilities"]
    path.write_bytes(b"")
    np.testing.assert_array_equal(model(images[:3])["probabilities"], wanted)


def test_a_failing_reader_keeps_its_exception():
    class Broken:
        def read(self, n):
            raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        tenon.load(Broken())


def test_missing_file():
    with pytest.raises(tenon.FileError) as caught:
        tenon.load("/nonexistent/model.onnx")
    assert caught.value.code == tenon.Code.IO
    assert isinstance(caught.value, OSError)
    assert "/nonexistent/model.onnx" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"garbage", MODEL.read_bytes()[:1000]], ids=["empty", "garbage", "truncated"])
def test_malformed(data):
    with pytest.raises(tenon.LoadError):
        tenon.load(data)


def test_wrong_source_type():
    with pytest.raises(TypeError):
        tenon.load(3.5)


def test_progress():
    calls = []
    tenon.load(MODEL, progress=lambda stage, done, total: calls.append((stage, done, total)))
    assert calls and all(isinstance(stage, str) and 0 <= done <= total for stage, done, total in calls)


def test_progress_that_raises_ends_the_load():
    def stop(stage, done, total):
        raise ZeroDivisionError("enough")

    with pytest.raises(ZeroDivisionError, match="enough"):
        tenon.load(MODEL, progress=stop)


def test_dims_fix_symbols(images):
    model = tenon.load(MODEL, dims={"batch": 2})
    assert model.inputs[0].shape == (2, 1, 8, 8)
    assert model.outputs[0].shape == (2, 10)
    with pytest.raises(tenon.ShapeError):
        model(images[:3])


def test_extra_outputs(images):
    model = tenon.load(MODEL, outputs=["logits"])
    assert [o.name for o in model.outputs] == ["probabilities", "logits"]
    out = model(images[:4])
    e = np.exp(out["logits"] - out["logits"].max(1, keepdims=True))
    np.testing.assert_allclose(out["probabilities"], e / e.sum(1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_without_optimisation_the_results_are_the_same(images):
    plain = tenon.load(MODEL, optimize=False)
    np.testing.assert_allclose(plain(images)["probabilities"], tenon.load(MODEL)(images)["probabilities"], rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------------------------------------------------- inspect

def test_inspect(digits):
    image, = digits.inputs
    assert (image.name, image.dtype, image.shape, image.type, image.optional) == ("image", np.dtype("float32"), ("batch", 1, 8, 8), "float32", False)
    assert digits.outputs[0].shape == ("batch", 10)
    assert digits.metadata == {"task": "handwritten digits", "data": "scikit-learn load_digits"}
    assert digits.parameter_count >= 13_000
    assert digits.name == "digits"
    assert str(MODEL) in digits.source
    assert digits.load_seconds > 0
    assert {"Conv", "Gemm", "Softmax"} <= {node.op for node in digits.nodes} and all(node.opset == 17 for node in digits.nodes if node.op == "Gemm")
    assert all(p.seconds >= 0 for p in digits.passes)
    assert "Conv" in digits.graph()
    assert digits.graph("dot").lstrip().startswith("digraph")
    with pytest.raises(ValueError):
        digits.graph("png")


def test_explain_names_kernels(digits):
    assert any(node.kernel for node in digits.explain({"batch": 4}))


def test_repr(digits):
    assert repr(digits) == "<tenon.Model 'digits' (image: float32[batch, 1, 8, 8]) -> (probabilities: float32[batch, 10])>"
    assert repr(digits.inputs[0]) == "<image: float32[batch, 1, 8, 8]>"
    assert "digits" in repr(digits.session())
    assert repr(tenon.Cancel()) == "<tenon.Cancel>"


def test_build_info():
    info = tenon.build_info()
    assert info["version"] == tenon.__version__
    assert info["cpus"] >= 1
    assert info["ir"][0] <= 3 and info["opset"][0] <= 7 and info["opset"][1] >= 23
    assert info["onednn"]


@pytest.mark.parametrize("onednn", [True, False])
def test_onednn_is_opened_only_when_wanted(onednn):
    program = f"""
import tenon
tenon.load({str(ROOT / 'tests/data/first_layer.onnx')!r}, onednn={onednn})
with open("/proc/self/maps") as maps:
    opened = "libdnnl" in maps.read()
info = tenon.build_info()
there = info["onednn"].startswith("oneDNN ") and not info["cpu"].startswith("SSE4")
assert opened == ({onednn} and there), info
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.mark.parametrize("size", [4, 14, 60])
def test_strict_convolutions_round_as_the_direct_sum(size):
    rng = np.random.default_rng(5)
    x, w = rng.uniform(-1, 1, (1, 256, size, size)).astype(np.float32), rng.uniform(-1, 1, (32, 256, 3, 3)).astype(np.float32)
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    expected = sum(np.einsum("fc,cyx->fyx", w[:, :, i, j].astype(np.float64), padded[:, i:i + size, j:j + size], optimize=True)
                   for i in range(3) for j in range(3))
    model = make_model([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], [("x", TensorProto.FLOAT, x.shape)],
                       [("y", TensorProto.FLOAT, [1, 32, size, size])], [("w", w)])
    errors = {}
    for strict in (False, True):
        loaded = tenon.load(model, strict=strict)
        assert any(node.kernel == "ConvWinograd" for node in loaded.explain()) != strict
        errors[strict] = np.abs(loaded.run({"x": x})["y"][0] - expected).max() / np.abs(expected).max()
    assert errors[True] < 3e-6 and errors[False] < 4e-5
    if size > 4:  # tiles of 2x2 outputs are as accurate
        assert errors[True] < errors[False]


def test_supported_operators():
    names = {op.name for op in tenon.supported_operators() if op.domain == ""}
    assert {"Conv", "MatMul", "Add", "LSTM", "If", "Loop", "Scan", "Resize"} <= names


# ------------------------------------------------------------------------------------------------------------------ run

def test_accuracy(digits, images):
    labels = np.load(DIGITS / "labels.npy")
    assert (digits(images)["probabilities"].argmax(1) == labels).mean() > 0.97


def test_run_by_name_and_position(digits, images):
    by_name = digits.run({"image": images[:5]})
    assert list(by_name) == ["probabilities"]
    np.testing.assert_array_equal(by_name["probabilities"], digits(images[:5])["probabilities"])
    np.testing.assert_array_equal(by_name["probabilities"], digits(image=images[:5])["probabilities"])
    np.testing.assert_array_equal(by_name["probabilities"], digits.run({"image": images[:5]}, ["probabilities"])["probabilities"])
    np.testing.assert_array_equal(by_name["probabilities"], digits.run({"image": images[:5]}, "probabilities")["probabilities"])


def test_two_inputs(add_model):
    model = tenon.load(add_model)
    x, y = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(model(x, y)["z"], x + y)
    np.testing.assert_array_equal(model(x, y=y)["z"], x + y)
    np.testing.assert_array_equal(model.run({"y": y, "x": x})["z"], x + y)


def test_wrong_arguments(add_model):
    model = tenon.load(add_model)
    x = np.ones((2, 3), np.float32)
    with pytest.raises(tenon.ArgumentError, match="'x', 'y'"):
        model.run({"x": x, "q": x})
    with pytest.raises(tenon.ArgumentError, match="'z'"):
        model.run({"x": x, "y": x}, ["nothing"])
    with pytest.raises(tenon.ArgumentError, match="y"):
        model.run({"x": x})
    with pytest.raises(tenon.ArgumentError, match="2 inputs, got 3"):
        model(x, x, x)
    with pytest.raises(tenon.ArgumentError, match="twice"):
        model(x, x, x=x)
    with pytest.raises(tenon.Error, match="float64"):
        model(x.astype(np.float64), x)
    with pytest.raises(tenon.Error):
        model(x, np.ones((2, 3, 4), np.float32))
    with pytest.raises(tenon.ArgumentError, match="object"):
        model(object(), x)
    with pytest.raises(ValueError):
        model.run({"x": x, "y": x}, timeout=-1)


def test_outputs_belong_to_the_caller(digits, images):
    first = digits(images[:2])["probabilities"]
    kept = first.copy()
    second = digits(images[2:4])["probabilities"]
    np.testing.assert_array_equal(first, kept)
    assert first.flags.writeable and not np.shares_memory(first, second)
    first[:] = 0
    np.testing.assert_array_equal(digits(images[:2])["probabilities"], kept)


def test_an_output_outlives_the_model(images):
    model = tenon.load(MODEL)
    out = model(images[:2])["probabilities"]
    kept = out.copy()
    del model
    gc.collect()
    np.testing.assert_array_equal(out, kept)


def test_changing_batch(digits, images):
    whole = digits(images)["probabilities"]
    for n in (1, 2, 7, 1, 64, 3, 0):
        np.testing.assert_allclose(digits(images[:n])["probabilities"], whole[:n], rtol=1e-5, atol=1e-6)


def test_same_bits_for_any_thread_count(digits, images):
    one = digits.run({"image": images}, threads=1)["probabilities"]
    two = digits.run({"image": images}, threads=2)["probabilities"]
    np.testing.assert_array_equal(one, two)


def test_many_threads_share_a_model(digits, images):
    whole = digits(images)["probabilities"]

    def work(i):
        n = 1 + i % 5
        return np.array_equal(digits(images[i:i + n])["probabilities"], digits(images[i:i + n])["probabilities"]) and np.allclose(
            digits(images[i:i + n])["probabilities"], whole[i:i + n], rtol=1e-5, atol=1e-6)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(200)))


def test_memory_stays_flat_over_changing_shapes(images):
    def resident():
        return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) * 1024

    model = tenon.load(MODEL, threads=1)
    for n in range(1, 100):
        model(images[:n])
    before = resident()
    for k in range(1000):
        model(images[: 1 + k * 7 % 100])
    assert resident() - before < 8e6


def test_profile(digits, images):
    profile = tenon.Profile()
    digits.run({"image": images[:4]}, profile=profile)
    assert len(profile) == len(profile.events) > 0
    assert all(event.duration >= 0 and event.op for event in profile.events)
    assert '"traceEvents"' in profile.json() or profile.json().lstrip().startswith("[")
    profile.clear()
    assert len(profile) == 0


def test_stats_and_trim(digits, images):
    digits(images[:2])
    assert digits.stats.runs > 0 and digits.stats.weight_bytes > 0
    digits.trim()
    assert digits.stats.plans <= 1 and digits.stats.sessions_idle == 0
    assert digits(images[:2])["probabilities"].shape == (2, 10)


# -------------------------------------------------------------------------------------------------------- stop and limit

def test_timeout(slow_model):
    model = tenon.load(slow_model, threads=1)
    start = time.perf_counter()
    with pytest.raises(tenon.LimitError):
        model.run({"t0": np.ones((512, 512), np.float32)}, timeout=0.1)
    assert time.perf_counter() - start < 3
    assert model.stats.runs == 1


def test_cancel_from_another_thread_needs_the_gil_released(slow_model):
    model = tenon.load(slow_model, threads=1)
    cancel = tenon.Cancel()
    threading.Timer(0.2, cancel.set).start()
    start = time.perf_counter()
    with pytest.raises(tenon.CancelledError):
        model.run({"t0": np.ones((512, 512), np.float32)}, cancel=cancel)
    assert time.perf_counter() - start < 3
    assert cancel.is_set
    cancel.reset()
    assert not cancel.is_set


def test_keyboard_interrupt_cancels_a_run(slow_model):
    model = tenon.load(slow_model, threads=1)
    handler = signal.getsignal(signal.SIGINT)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.run({"t0": np.ones((512, 512), np.float32)})
    assert time.perf_counter() - start < 3
    assert signal.getsignal(signal.SIGINT) is handler


def test_handlers_set_between_runs_are_called(digits, images, slow_model):
    before, seen = signal.getsignal(signal.SIGINT), []
    try:
        for mine in (lambda *_: seen.append("a"), lambda *_: seen.append("b")):
            digits(images[:1])
            signal.signal(signal.SIGINT, mine)
            os.kill(os.getpid(), signal.SIGINT)
            digits(images[:1])
            os.kill(os.getpid(), signal.SIGINT)
        assert seen == ["a", "a", "b", "b"]
        signal.signal(signal.SIGINT, before)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        model = tenon.load(slow_model.SerializeToString())
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            model.run({"t0": np.ones((512, 512), np.float32)})
        # One that ends the process does, though a run came before.
        code = "import os, signal, sys, tenon; m = tenon.load(sys.argv[1]); m.session; " \
               "signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT); os._exit(0)"
        ended = subprocess.run([sys.executable, "-c", code, str(MODEL)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert ended.returncode == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(tenon.LimitError):  # the next run is not cancelled
        model.run({"t0": np.ones((512, 512), np.float32)}, timeout=0.1)


# --------------------------------------------------------------------------------------------------------------- errors

def test_error_fields():
    bad = make_model([helper.make_node("Conv", ["x", "w"], ["y"], "bad_node", group=3)],
                     [("x", TensorProto.FLOAT, [1, 4, 5, 5])], [("y", TensorProto.FLOAT, None)], [("w", np.ones((4, 4, 3, 3), np.float32))])
    with pytest.raises(tenon.ShapeError) as caught:
        tenon.load(bad)
    error = caught.value
    assert (error.code, error.node, error.op, error.opset) == (tenon.Code.SHAPE, "bad_node", "Conv", 17)
    assert "group" in error.text and "bad_node" in str(error)
    assert isinstance(error, tenon.Error) and not isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is tenon.ShapeError and again.node == "bad_node" and str(again) == str(error)
    assert str(copy.copy(error)) == str(error)


def test_every_code_has_a_class():
    from tenon import _errors
    for code in tenon.Code:
        if code != tenon.Code.OK:
            error = _errors.make(int(code), "m", "t", "n", "o", "d", 1, "x", "s")
            assert error.code == code and isinstance(error, tenon.Error) and str(error) == "m"


# -------------------------------------------------------------------------------------------------------------- sessions

def test_session_reads_and_writes_bound_arrays(digits, images):
    session = digits.session()
    x = images[:3].copy()
    y = np.empty((3, 10), np.float32)
    session.bind_input("image", x)
    session.bind_output("probabilities", y)
    out = session.run()
    assert out["probabilities"] is y
    np.testing.assert_array_equal(y, digits(images[:3])["probabilities"])
    x[:] = images[10:13]
    session.run()
    np.testing.assert_array_equal(y, digits(images[10:13])["probabilities"])
    session.bind_output("probabilities", None)
    np.testing.assert_array_equal(session.run()["probabilities"], digits(images[10:13])["probabilities"])
    assert session.model is digits


def test_session_refuses_what_it_would_have_to_copy(digits, images):
    session = digits.session()
    with pytest.raises(tenon.ArgumentError, match="contiguous"):
        session.bind_input("image", images[::2])
    with pytest.raises(tenon.ArgumentError):
        session.bind_input("image", images[:1].tolist())
    read_only = np.empty((1, 10), np.float32)
    read_only.flags.writeable = False
    with pytest.raises(tenon.ArgumentError, match="writable"):
        session.bind_output("probabilities", read_only)
    with pytest.raises(tenon.ArgumentError, match="image"):
        session.bind_input("nothing", images)


def test_a_session_keeps_the_model_alive(images):
    session = tenon.load(MODEL).session()
    gc.collect()
    session.bind_input("image", images[:1].copy())
    assert session.run()["probabilities"].shape == (1, 10)


def test_bound_arrays_are_released(images):
    session = tenon.load(MODEL).session()
    x = images[:1].copy()
    alive = weakref.ref(x)
    session.bind_input("image", x)
    del x
    gc.collect()
    assert alive() is not None
    session.bind_input("image", None)
    gc.collect()
    assert alive() is None


# --------------------------------------------------------------------------------------------------------------- package

def test_stubs_name_everything():
    stub = (Path(tenon.__file__).parent / "__init__.pyi").read_text()
    for name in tenon.__all__:
        assert f"class {name}" in stub or f"def {name}" in stub, name
    for cls in (tenon.Model, tenon.Session, tenon.Cancel, tenon.Profile):
        for name in vars(cls):
            if not name.startswith("_"):
                assert f"def {name}(" in stub, f"{cls.__name__}.{name}"
    assert (Path(tenon.__file__).parent / "py.typed").exists()


def test_nothing_is_reported_at_exit():
    code = f"import tenon, numpy as np; m = tenon.load({str(MODEL)!r}); out = m(np.zeros((1, 1, 8, 8), np.float32)); print(out['probabilities'].shape)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "(1, 10)\n", "")
