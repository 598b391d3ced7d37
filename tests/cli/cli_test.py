"""The command line: every command, its JSON, its files, its exit codes."""
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from command import BIN, ROOT, tenon, tenon_json
from onnx import TensorProto, helper, numpy_helper

MODEL = ROOT / "examples/digits/digits.onnx"
IMAGES = ROOT / "examples/digits/images.npy"


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "some.npy"
    np.save(path, np.load(IMAGES)[:3])
    return path


@pytest.fixture
def wanted():
    import onnxruntime
    session = onnxruntime.InferenceSession(MODEL)
    return lambda x: session.run(None, {"image": x})[0]


def save_model(path, nodes, inputs, outputs, initializers=(), opset=17):
    graph = helper.make_graph(nodes, "test", [helper.make_tensor_value_info(*i) for i in inputs], [helper.make_tensor_value_info(*o) for o in outputs],
                              [numpy_helper.from_array(np.asarray(v), n) for n, v in initializers])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.fixture
def identity(tmp_path):
    """One Identity an element type, so that files of any type pass through unchanged."""
    def make(onnx_type, name="x"):
        return save_model(tmp_path / f"identity{onnx_type}.onnx", [helper.make_node("Identity", [name], ["y"])],
                          [(name, onnx_type, None)], [("y", onnx_type, None)])
    return make


# ------------------------------------------------------------------------------------------------------------------ run

def test_run_prints(images):
    out = tenon("run", MODEL, "--input", f"image={images}").stdout
    assert "probabilities: float32[3, 10]" in out and "min" in out and "ran in" in out


def test_run_json_is_right(images, wanted):
    report = tenon_json("run", MODEL, "--input", f"image={images}", "--threads", 1)
    out = report["outputs"]["probabilities"]
    assert (out["dtype"], out["shape"]) == ("float32", [3, 10])
    np.testing.assert_allclose(np.array(out["data"]), wanted(np.load(images)), rtol=1e-3, atol=1e-5)


def test_run_without_a_name_takes_the_first_input(images):
    assert tenon_json("run", MODEL, "-i", images)["outputs"]["probabilities"]["shape"] == [3, 10]


@pytest.mark.parametrize("kind", ["npy", "npz", "npz_named", "npz_compressed", "pb", "json", "json_full", "json_named", "literal"])
def test_run_reads(kind, tmp_path, images, wanted):
    x = np.load(images)
    path = tmp_path / "input"
    argument = None
    if kind == "npy":
        path = images
    elif kind == "npz":
        np.savez(path, image=x)
        argument = path.with_suffix(".npz")
    elif kind == "npz_named":
        np.savez(path, other=np.zeros(3), picture=x)
        argument = f"image={path}.npz:picture"
    elif kind == "npz_compressed":
        np.savez_compressed(path, image=x)
        argument = path.with_suffix(".npz")
    elif kind == "pb":
        path = path.with_suffix(".pb")
        path.write_bytes(numpy_helper.from_array(x, "image").SerializeToString())
    elif kind == "json":
        path = path.with_suffix(".json")
        path.write_text(json.dumps(x.tolist()))
    elif kind == "json_full":
        path = path.with_suffix(".json")
        path.write_text(json.dumps({"dtype": "float32", "shape": list(x.shape), "data": x.reshape(-1).tolist()}))
    elif kind == "json_named":
        argument = path.with_suffix(".json")
        argument.write_text(json.dumps({"image": x.tolist()}))
    else:
        argument = "image=" + json.dumps(x.tolist())
    report = tenon_json("run", MODEL, "--input", argument or f"image={path}")
    np.testing.assert_allclose(np.array(report["outputs"]["probabilities"]["data"]), wanted(x), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype, onnx_type", [
    ("float32", TensorProto.FLOAT), ("float64", TensorProto.DOUBLE), ("float16", TensorProto.FLOAT16), ("int8", TensorProto.INT8),
    ("int16", TensorProto.INT16), ("int32", TensorProto.INT32), ("int64", TensorProto.INT64), ("uint8", TensorProto.UINT8),
    ("uint16", TensorProto.UINT16), ("uint32", TensorProto.UINT32), ("uint64", TensorProto.UINT64), ("bool", TensorProto.BOOL),
])
@pytest.mark.parametrize("form", ["plain", "fortran", "big-endian"])
def test_npy_in_and_out(dtype, onnx_type, form, identity, tmp_path):
    x = np.arange(-6, 6).reshape(2, 3, 2).astype(dtype)
    if form == "fortran":
        np.save(tmp_path / "x.npy", np.asfortranarray(x))
    elif form == "big-endian":
        np.save(tmp_path / "x.npy", x.astype(np.dtype(dtype).newbyteorder(">")))
    else:
        np.save(tmp_path / "x.npy", x)
    tenon("run", identity(onnx_type), "-i", f"x={tmp_path}/x.npy", "-o", f"y={tmp_path}/y.npy", "--save-all", tmp_path / "all.npz")
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(np.load(tmp_path / "all.npz")["y"], x)


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (1, 1, 1, 1, 1)])
def test_npy_shapes(shape, identity, tmp_path):
    np.save(tmp_path / "x.npy", np.ones(shape, np.float32))
    tenon("run", identity(TensorProto.FLOAT), "-i", f"x={tmp_path}/x.npy", "-o", f"y={tmp_path}/y.npy")
    assert np.load(tmp_path / "y.npy").shape == shape


def test_strings(identity, tmp_path):
    model = identity(TensorProto.STRING)
    np.save(tmp_path / "x.npy", np.array(["a", "日本", ""]))
    assert tenon_json("run", model, "-i", f"x={tmp_path}/x.npy")["outputs"]["y"]["data"] == ["a", "日本", ""]
    assert tenon_json("run", model, "-i", 'x=["p", "q"]')["outputs"]["y"]["data"] == ["p", "q"]


def test_save_json(images, tmp_path):
    tenon("run", MODEL, "-i", images, "-o", f"probabilities={tmp_path}/p.json")
    assert json.loads((tmp_path / "p.json").read_text())["shape"] == [3, 10]


def test_expect(images, wanted, tmp_path):
    y = wanted(np.load(images))
    np.save(tmp_path / "y.npy", y)
    assert "as expected" in tenon("run", MODEL, "-i", images, "--expect", f"probabilities={tmp_path}/y.npy").stdout
    y[1, 2] += 0.5
    np.save(tmp_path / "y.npy", y)
    assert "1 of 30 elements differ" in tenon("run", MODEL, "-i", images, "--expect", f"probabilities={tmp_path}/y.npy", code=1).stdout
    np.save(tmp_path / "y.npy", y[:2])
    assert "float32[2, 10]" in tenon("run", MODEL, "-i", images, "--expect", f"probabilities={tmp_path}/y.npy", code=1).stdout


def test_random_inputs_and_dims():
    result = tenon("run", MODEL, "--random", "--dim", "batch=5")
    assert "float32[5, 10]" in result.stdout
    result = tenon("run", MODEL, "--random")
    assert "float32[1, 10]" in result.stdout and "--dim 'batch=SIZE'" in result.stderr
    a, b, c = (tenon_json("run", MODEL, "--random", "--quiet", "--seed", seed)["outputs"] for seed in (1, 1, 2))
    assert a == b != c
    assert "float32[7, 10]" in tenon("run", MODEL, "--random", "--shape", "image=7,1,8,8").stdout


def test_extra_output_and_selection(images):
    outputs = tenon_json("run", MODEL, "-i", images, "--extra-output", "logits", "--output", "logits")["outputs"]
    assert list(outputs) == ["logits"]


def test_profile_is_a_chrome_trace(images, tmp_path):
    tenon("run", MODEL, "-i", images, "--profile", tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    assert any(event.get("ph") == "X" and event.get("dur", 0) >= 0 for event in events)


# ----------------------------------------------------------------------------------------------------------- exit codes

@pytest.mark.parametrize("arguments, code, text", [
    ([], 2, "subcommand"),
    (["fly"], 2, ""),
    (["run"], 2, "model"),
    (["run", MODEL, "--nonsense"], 2, "nonsense"),
    (["run", MODEL, "--random", "--dim", "batch"], 2, "NAME=SIZE"),
    (["run", MODEL, "--random", "--shape", "image=a"], 2, "--shape"),
    (["run", MODEL, "-i", "image=/nonexistent.npy"], 3, "nonexistent"),
    (["run", MODEL, "-i", "/nonexistent.npy"], 3, "nonexistent"),
    (["run", MODEL, "-i", f"image={ROOT / 'README.md'}"], 3, "not a .npy file"),
    (["run", MODEL, "--random", "-o", "probabilities=/nonexistent/x.npy"], 3, "cannot write"),
    (["run", MODEL], 11, "image"),
    (["run", MODEL, "-i", "nothing=1"], 11, "image"),
    (["run", ROOT / "README.md", "--random"], 12, "README.md"),
    (["run", "/nonexistent.onnx"], 18, "/nonexistent.onnx"),
    (["inspect", "/nonexistent.onnx"], 18, "/nonexistent.onnx"),
    (["bench", "/nonexistent.onnx"], 18, "/nonexistent.onnx"),
    (["optimize", "/nonexistent.onnx"], 18, "/nonexistent.onnx"),
])
def test_exit_codes(arguments, code, text):
    result = tenon(*arguments, code=code)
    assert text in result.stderr + result.stdout
    assert "terminate" not in result.stderr


def test_shape_error_exit_code(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 2), np.float32))
    assert "image" in tenon("run", MODEL, "-i", f"image={tmp_path}/x.npy", code=13).stderr


def test_errors_as_json():
    error = tenon_json("run", ROOT / "README.md", code=12)["error"]
    assert error["code"] == "load" and "README.md" in error["message"]
    assert tenon_json("run", MODEL, "-i", "/nonexistent.npy", code=3)["error"]["code"] == "command"


@pytest.mark.parametrize("damage", ["magic", "header", "short", "huge", "object"])
def test_malformed_npy(damage, tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((2, 3), np.float32))
    data = path.read_bytes()
    if damage == "magic":
        data = b"\x00" + data[1:]
    elif damage == "header":
        data = data[:20]
    elif damage == "short":
        data = data[:-4]
    elif damage == "huge":
        data = data.replace(b"(2, 3)", b"(9223372036854775807, 9)")
    else:
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
        data = path.read_bytes()
    path.write_bytes(data)
    assert str(path) in tenon("run", MODEL, "-i", f"image={path}", code=3).stderr


def slow(path):
    """Minutes of work in many nodes."""
    n = 512
    nodes = [helper.make_node("MatMul", [f"t{i}", "w"], [f"t{i + 1}"], f"mm{i}") for i in range(3000)]
    return save_model(path, nodes, [("t0", TensorProto.FLOAT, [n, n])], [("t3000", TensorProto.FLOAT, [n, n])], [("w", np.eye(n, dtype=np.float32))])


def test_timeout(tmp_path):
    start = time.monotonic()
    tenon("run", slow(tmp_path / "slow.onnx"), "--random", "--timeout", 0.3, code=15)
    assert time.monotonic() - start < 10


def test_interrupt(tmp_path):
    process = subprocess.Popen([BIN, "run", slow(tmp_path / "slow.onnx"), "--random"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130 and "cancel" in errors


# -------------------------------------------------------------------------------------------------------------- inspect

def test_inspect():
    out = tenon("inspect", MODEL).stdout
    for text in ("image: float32[batch, 1, 8, 8]", "probabilities: float32[batch, 10]", "task: handwritten digits", "Gemm", "13,7", "parameters"):
        assert text in out, text


def test_inspect_json():
    report = tenon_json("inspect", MODEL, "--nodes")
    assert report["inputs"] == [{"name": "image", "dtype": "float32", "shape": ["batch", 1, 8, 8], "optional": False,
                                  "sequence": False, "nullable": False}]
    assert report["metadata"]["task"] == "handwritten digits"
    assert report["operators"]["Conv"] == 2
    assert sum(report["operators"].values()) == len(report["nodes"]) == report["node_count"]
    assert report["parameters"] > 13_000


def test_inspect_kernels():
    report = tenon_json("inspect", MODEL, "--kernels", "--dim", "batch=8")
    convolutions = [n for n in report["nodes"] if n["kernel"].startswith("Conv")]
    assert len(convolutions) == 2
    assert any(n["refusals"] for n in report["nodes"])
    assert "kernel" in tenon("inspect", MODEL, "--kernels").stdout


def test_inspect_graph(tmp_path):
    assert "Conv" in tenon("inspect", MODEL, "--text").stdout
    tenon("inspect", MODEL, "--dot", tmp_path / "g.dot")
    assert (tmp_path / "g.dot").read_text().lstrip().startswith("digraph")


def test_inspect_svg(tmp_path):
    if shutil.which("dot"):
        tenon("inspect", MODEL, "--svg", tmp_path / "g.svg")
        assert "<svg" in (tmp_path / "g.svg").read_text()
    result = tenon("inspect", MODEL, "--svg", tmp_path / "h.svg", code=3, env={"PATH": "/nonexistent"})
    assert "graphviz" in result.stderr.lower()


# ---------------------------------------------------------------------------------------------------------------- bench

def test_bench():
    out = tenon("bench", MODEL, "--seconds", 0.2, "--warmup", 0.05, "--dim", "batch=4").stdout
    for text in ("load", "first run", "resident", "p50", "p99", "runs/s", "operator", "kernel", "Conv", "float32[4, 1, 8, 8]"):
        assert text in out, text


def test_bench_json():
    report = tenon_json("bench", MODEL, "--runs", 20, "--warmup", 0, "--quiet")
    assert report["runs"] == 20
    assert 0 < report["min"] <= report["p50"] <= report["p90"] <= report["p99"] <= report["max"]
    assert abs(sum(o["share"] for o in report["operators"]) - 1) < 1e-6
    assert report["resident_bytes"] > 1e6


def test_bench_callers_and_nodes():
    report = tenon_json("bench", MODEL, "--runs", 10, "--warmup", 0, "--callers", 3, "--by-node", "--quiet")
    assert report["runs"] == 30 and report["callers"] == 3
    assert all("node" in o for o in report["operators"])


# ------------------------------------------------------------------------------------------------------------- optimize

def test_optimize():
    out = tenon("optimize", MODEL, "--check").stdout
    assert "nodes before" in out and "same results" in out
    report = tenon_json("optimize", MODEL)
    assert report["nodes_after"] <= report["nodes_before"] == 11
    assert report["rewrites"] == sum(p["rewrites"] for p in report["passes"])


@pytest.mark.parametrize("suffix, text", [(".txt", "Conv"), (".dot", "digraph")])
def test_optimize_writes(suffix, text, tmp_path):
    tenon("optimize", MODEL, "-o", tmp_path / f"g{suffix}")
    assert text in (tmp_path / f"g{suffix}").read_text()


def test_optimize_without_a_pass():
    passes = tenon_json("optimize", MODEL)["passes"]
    busy = next((p["name"] for p in passes if p["rewrites"]), None)
    if busy:
        after = tenon_json("optimize", MODEL, "--disable-pass", busy)["passes"]
        assert all(p["rewrites"] == 0 for p in after if p["name"] == busy)
    assert tenon_json("optimize", MODEL, "--pass-steps", 1)["rewrites"] <= 1


# ------------------------------------------------------------------------------------------------------------------ oneDNN

FIRST_LAYER = ROOT / "tests/data/first_layer.onnx"  # a convolution that oneDNN does faster where it is there at all


def kernels(model, *arguments, **environment):
    result = tenon("inspect", model, "--kernels", "--json", *arguments, env={**os.environ, **environment})
    return next(n for n in json.loads(result.stdout)["nodes"] if n["op"] == "Conv")


def test_onednn_is_used_and_switched_off():
    version = tenon_json("version")
    there = version["onednn"].startswith("oneDNN ") and not version["cpu"].startswith("SSE4")
    assert kernels(FIRST_LAYER)["kernel"] == ("ConvOneDnn" if there else "ConvPlainInput")
    off = kernels(FIRST_LAYER, "--no-onednn")
    assert off["kernel"] == "ConvPlainInput" and "ConvOneDnn: " in off["refusals"]


def test_strict_switches_winograd_off(tmp_path):
    w = numpy_helper.from_array(np.ones((32, 32, 3, 3), np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 32, 28, 28]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], "g", [x], [y], [w])
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    assert kernels(tmp_path / "m.onnx")["kernel"] == "ConvWinograd"
    assert kernels(tmp_path / "m.onnx", "--strict")["kernel"] == "ConvDirect"


def test_without_the_onednn_module(tmp_path):
    for model in (FIRST_LAYER, MODEL):
        node = kernels(model, TENON_ONEDNN=str(tmp_path / "none.so"))
        assert node["kernel"] != "ConvOneDnn"
    assert "none.so" in tenon("version", env={**os.environ, "TENON_ONEDNN": str(tmp_path / "none.so")}).stdout
    assert "module is not there" in kernels(FIRST_LAYER, TENON_ONEDNN=str(tmp_path / "none.so"))["refusals"]
    np.save(tmp_path / "x.npy", np.random.default_rng(2).standard_normal((1, 3, 512, 512), dtype=np.float32))
    outputs = []
    for environment in ({}, {"TENON_ONEDNN": str(tmp_path / "none.so")}):
        tenon("run", FIRST_LAYER, "--input", f"x={tmp_path / 'x.npy'}", "--save-all", tmp_path / "y.npz", env={**os.environ, **environment})
        outputs.append(np.load(tmp_path / "y.npz")["y"])
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------------------------------- version, help, completion

def test_version():
    report = tenon_json("version", "--operators")
    assert re.fullmatch(r"\d+\.\d+\.\d+", report["version"])
    assert report["operator_count"] == len(report["operators"]) > 100
    assert report["version"] in tenon("version").stdout
    assert report["version"] in tenon("--version").stdout


def test_help_documents_exit_codes():
    out = tenon("--help").stdout
    assert "Exit codes" in out and "130" in out
    for command in ("run", "inspect", "bench", "optimize", "version", "completion"):
        assert command in out
        assert "--help" in tenon(command, "--help").stdout


def test_bash_completion():
    script = tenon("completion", "bash").stdout
    probe = script + '\nCOMP_WORDS=(tenon bench --se); COMP_CWORD=2; _tenon; printf "%s\\n" "${COMPREPLY[@]}"'
    assert set(subprocess.run(["bash", "-c", probe], capture_output=True, text=True).stdout.split()) == {"--seed", "--seconds"}
    probe = script + '\nCOMP_WORDS=(tenon ins); COMP_CWORD=1; _tenon; printf "%s\\n" "${COMPREPLY[@]}"'
    assert subprocess.run(["bash", "-c", probe], capture_output=True, text=True).stdout.split() == ["inspect"]


def test_zsh_completion():
    script = tenon("completion", "zsh").stdout
    assert script.startswith("#compdef tenon") and "--json" in script
    if shutil.which("zsh"):
        assert subprocess.run(["zsh", "-n"], input=script, text=True).returncode == 0


def test_closed_pipe_is_no_crash():
    process = subprocess.Popen([BIN, "version", "--operators"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait(timeout=10) in (0, 3)
    assert b"terminate" not in process.stderr.read()


def test_progress_bar_only_on_a_terminal(tmp_path):
    """A long load shows a bar on a terminal and nothing in a pipe."""
    n = 2048
    path = save_model(tmp_path / "big.onnx", [helper.make_node("MatMul", ["x", "w0"], ["y"])], [("x", TensorProto.FLOAT, [1, n])],
                      [("y", TensorProto.FLOAT, [1, n])], [("w0", np.zeros((n, n), np.float32))])
    assert tenon("inspect", path).stderr == ""
    main, child = pty.openpty()
    process = subprocess.Popen([BIN, "inspect", str(path)], stdout=subprocess.DEVNULL, stderr=child)
    os.close(child)
    assert process.wait(timeout=60) == 0
    os.close(main)


def test_cache(tmp_path):
    weights = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    model = save_model(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], [("x", TensorProto.FLOAT, [1, 256])],
                       [("y", TensorProto.FLOAT, [1, 256])], [("w", weights)])
    assert "not kept for the next load" in tenon("inspect", model, "--cache", tmp_path / "cache").stdout
    time.sleep(3)  # files changed just now are not kept
    for taken in (0, weights.nbytes):
        assert tenon_json("inspect", model, "--cache", tmp_path / "cache")["cache_bytes"] == taken
    out = [tmp_path / f"{name}.npy" for name in "ab"]
    np.save(tmp_path / "x.npy", weights[:1])
    tenon("run", model, "-i", f"x={tmp_path / 'x.npy'}", "-o", f"y={out[0]}")
    tenon("run", model, "-i", f"x={tmp_path / 'x.npy'}", "-o", f"y={out[1]}", "--cache", tmp_path / "cache")
    assert out[0].read_bytes() == out[1].read_bytes()
