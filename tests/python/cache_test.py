"""Packed weights kept between loads: what is taken from the cache gives the same bits, and nothing stale or damaged is taken."""
import os
import subprocess
import sys
import time

import numpy as np
import onnx
import pytest
from conftest import make_model
from onnx import TensorProto, helper, numpy_helper

import tenon


def network(seed=0):
    """A table of embeddings, products (one transposed), an LSTM, attention; a convolution with batch normalisation; a plain constant."""
    rng = np.random.default_rng(seed)

    def weights(name, *shape):
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) * 0.1, name)

    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w1"], ["a"]),
        helper.make_node("Gemm", ["a", "w2"], ["b"], transB=1),
        helper.make_node("Unsqueeze", ["b", "axis"], ["steps"]),
        helper.make_node("LSTM", ["steps", "w", "r"], ["l"], hidden_size=64),
        helper.make_node("Conv", ["image", "kernel"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"]),
        helper.make_node("ConvTranspose", ["n", "spread"], ["t"], strides=[2, 2]),
        helper.make_node("Add", ["image", "plain"], ["sum"]),
        helper.make_node("Unsqueeze", ["rows", "first"], ["tokens"]),
        *(helper.make_node("MatMul", ["tokens", f"w{x}"], [f"{x}1"]) for x in "qkv"),
        *(helper.make_node("Reshape", [f"{x}1", "heads"], [f"{x}2"]) for x in "qkv"),
        *(helper.make_node("Transpose", [f"{x}2"], [f"{x}3"], perm=[0, 2, 3, 1] if x == "k" else [0, 2, 1, 3]) for x in "qkv"),
        helper.make_node("MatMul", ["q3", "k3"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["p"]),
        helper.make_node("MatMul", ["p", "v3"], ["attended"]),
    ]
    constants = [
        weights("table", 500, 128), weights("w1", 128, 256), weights("w2", 192, 256), weights("w", 1, 256, 192), weights("r", 1, 256, 64),
        weights("kernel", 64, 32, 3, 3), weights("scale", 64), weights("shift", 64), weights("mean", 64),
        numpy_helper.from_array(rng.uniform(1, 2, 64).astype(np.float32), "variance"), weights("spread", 64, 32, 3, 3),
        weights("wq", 128, 128), weights("wk", 128, 128), weights("wv", 128, 128),
        numpy_helper.from_array(np.array([0], np.int64), "first"), numpy_helper.from_array(np.array([0, 0, 4, 32], np.int64), "heads"),
        weights("plain", 1, 32, 28, 28), numpy_helper.from_array(np.array([1], np.int64), "axis"),
    ]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"]),
              helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 32, 28, 28])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


OUTPUTS = ("l", "t", "sum", "attended")
FEEDS = {"ids": np.array([3, 499, 0, 7], np.int64), "image": np.random.default_rng(1).standard_normal((1, 32, 28, 28)).astype(np.float32)}


def answers(model):
    return [model.run(FEEDS)[name] for name in OUTPUTS]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def settle():
    """A file that was just changed is not cached: a second change might not show in its times."""
    time.sleep(3)


@pytest.fixture(scope="module", params=["inline", "external"])
def path(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / "m.onnx"
    onnx.save_model(network(), path, save_as_external_data=request.param == "external", location="m.data", size_threshold=0)
    settle()
    return path


def test_the_second_load_takes_all_large_weights_and_gives_the_same_bits(path, tmp_path):
    expected = answers(tenon.load(path))
    directory = tmp_path / "made" / "when missing"
    first = tenon.load(path, cache_directory=directory)
    assert first.cache_bytes == 0 and first.cache_note == "" and same(answers(first), expected)
    assert os.stat(directory).st_mode & 0o077 == 0
    second = tenon.load(path, cache_directory=directory)
    assert second.cache_file == first.cache_file and os.path.exists(second.cache_file)
    assert second.cache_bytes > 0.95 * second.stats.weight_bytes
    assert same(answers(second), expected)
    os.remove(second.cache_file)  # nothing depends on its name
    assert same(answers(second), expected)
    assert os.listdir(directory) == []


@pytest.mark.parametrize("zeros", [False, True])
def test_weights_of_few_bits_are_told_by_codes_scales_and_zero_points(tmp_path, zeros):
    rng = np.random.default_rng(5)
    n, k, block = 512, 1024, 32
    fields = {"codes": rng.integers(0, 256, (n, k // block, block // 2), np.uint8), "scales": rng.uniform(0.1, 1, n * k // block)}
    fields |= {"zeros": rng.integers(0, 256, n * k // block // 2, np.uint8)} if zeros else {}
    x = rng.standard_normal((2, k)).astype(np.float32)
    for change in (None, *fields):
        if change:
            fields[change] = fields[change][::-1].copy()
        node = helper.make_node("MatMulNBits", ["x", *fields], ["y"], domain="com.microsoft", K=k, N=n, bits=4, block_size=block)
        constants = [(name, a.astype(np.float32) if name == "scales" else a) for name, a in fields.items()]
        model = make_model([node], [("x", TensorProto.FLOAT, [2, k])], [("y", TensorProto.FLOAT, [2, n])], constants)
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        onnx.save_model(model, tmp_path / "m.onnx")
        settle()
        expected = tenon.load(tmp_path / "m.onnx").run({"x": x})["y"]
        for taken in (False, True):
            model = tenon.load(tmp_path / "m.onnx", cache_directory=tmp_path / "cache")
            assert (model.cache_bytes > 0) == taken
            assert np.array_equal(model.run({"x": x})["y"], expected)


def test_mapped_models_use_it_too(path, tmp_path):
    expected = answers(tenon.load(path))
    tenon.load(path, cache_directory=tmp_path, map_weights=True)
    second = tenon.load(path, cache_directory=tmp_path, map_weights=True)
    assert second.cache_bytes > 0 and same(answers(second), expected)


def test_options_that_change_the_packing_have_files_of_their_own(path, tmp_path):
    variants = [{}, {"disabled_passes": ["pack_weights"]}, {"dims": {"n": 4}}, {"onednn": False}, {"strict": True}, {"optimize": False}]
    files = {tenon.load(path, cache_directory=tmp_path, **v).cache_file for v in variants}
    assert len(files) == len(variants)
    expected = answers(tenon.load(path))
    assert same(answers(tenon.load(path, cache_directory=tmp_path)), expected)


@pytest.mark.parametrize("external", [False, True])
def test_a_changed_model_is_never_answered_from_the_old_weights(tmp_path, external):
    path, directory = tmp_path / "m.onnx", tmp_path / "cache"
    for seed in (1, 2):
        (tmp_path / "m.data").unlink(missing_ok=True)  # onnx appends
        onnx.save_model(network(seed), path, save_as_external_data=external, location="m.data", size_threshold=0)
        young = tenon.load(path, cache_directory=directory)
        expected = answers(tenon.load(path))
        assert young.cache_bytes == 0 and "changed in the last seconds" in young.cache_note
        assert same(answers(young), expected)
        settle()
        for _ in range(2):
            assert same(answers(tenon.load(path, cache_directory=directory)), expected)
    assert len(os.listdir(directory)) == 1
    # In place and with the old time put back.
    data = tmp_path / ("m.data" if external else "m.onnx")
    before = os.stat(data)
    onnx.save_model(network(3), tmp_path / "n.onnx", save_as_external_data=external, location="n.data", size_threshold=0)
    data.write_bytes((tmp_path / ("n.data" if external else "n.onnx")).read_bytes())
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    settle()
    assert same(answers(tenon.load(path, cache_directory=directory)), answers(tenon.load(path)))


def test_damaged_files_are_written_again(path, tmp_path):
    expected = answers(tenon.load(path))
    file = tenon.load(path, cache_directory=tmp_path).cache_file
    whole = open(file, "rb").read()
    for damaged in (b"", b"TENON", whole[:5000], whole[:-1], b"\0" * len(whole), whole[:20] + b"\xff" * 30 + whole[50:]):
        with open(file, "wb") as f:
            f.write(damaged)
        model = tenon.load(path, cache_directory=tmp_path)
        assert model.cache_bytes == 0 and same(answers(model), expected)
        assert tenon.load(path, cache_directory=tmp_path).cache_bytes > 0


def test_what_cannot_be_written_does_not_fail_the_load(path, tmp_path):
    (tmp_path / "file").write_text("in the way")
    model = tenon.load(path, cache_directory=tmp_path / "file")
    assert "file" in model.cache_note and same(answers(model), answers(tenon.load(path)))


def test_small_models_and_those_from_memory_keep_nothing(path, tmp_path):
    small = make_model([helper.make_node("Add", ["x", "c"], ["y"])], [("x", TensorProto.FLOAT, [4])], [("y", TensorProto.FLOAT, [4])],
                       [("c", np.ones(4, np.float32))])
    onnx.save_model(small, tmp_path / "small.onnx")
    settle()
    model = tenon.load(tmp_path / "small.onnx", cache_directory=tmp_path / "cache")
    assert "no large weights" in model.cache_note and not os.path.exists(model.cache_file)
    with open(path, "rb") as f:
        assert tenon.load(f, cache_directory=tmp_path / "cache", base_directory=path.parent).cache_file == ""
    assert not os.path.exists(tmp_path / "cache")


def test_processes_that_load_at_once(path, tmp_path):
    code = ("import sys, tenon, numpy as np\n"
            "for _ in range(5): m = tenon.load(sys.argv[1], cache_directory=sys.argv[2])\n"
            "x = m.run({'ids': np.arange(4), 'image': np.ones((1, 32, 28, 28), np.float32)})\n"
            "print(float(x['l'].sum()), float(x['t'].sum()))")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), str(tmp_path)], stdout=subprocess.PIPE, env=env) for _ in range(4)]
    printed = {run.communicate()[0] for run in runs}
    assert len(printed) == 1 and all(run.returncode == 0 for run in runs)
    assert len(os.listdir(tmp_path)) == 1
