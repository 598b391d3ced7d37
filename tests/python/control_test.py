"""If, Loop and Scan as files write them: the batched Scan of opset 8, names of values inside, what runs and inspections tell of bodies."""
import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import tenon
from conftest import make_model

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name, kind, dims=None):
    return helper.make_tensor_value_info(name, kind, dims)


# ---------------------------------------------------------------------------------------------------------- Scan of opset 8

def scan8_body():
    """(sum[2], x[2], y[3]) -> (sum + x, (sum + x) * 2, y + max(x))"""
    nodes = [helper.make_node("Add", ["sum", "x"], ["next"], "accumulate"), helper.make_node("Add", ["next", "next"], ["twice"]),
             helper.make_node("ReduceMax", ["x"], ["most"], axes=[0], keepdims=1), helper.make_node("Add", ["y", "most"], ["shifted"])]
    return helper.make_graph(nodes, "body", [info("sum", FLOAT, [2]), info("x", FLOAT, [2]), info("y", FLOAT, [3])],
                             [info("next", FLOAT, [2]), info("twice", FLOAT, [2]), info("shifted", FLOAT, [3])])


def scan8_model(lens, directions=None, dims=("batch", "time"), **attributes):
    batch, time = dims
    if directions:
        attributes["directions"] = directions
    attributes = {"num_scan_inputs": 2, "body": scan8_body(), **attributes}
    node = helper.make_node("Scan", ["lens" if lens else "", "start", "xs", "ys"], ["final", "twices", "shifteds"], "scan", **attributes)
    inputs = [("lens", INT64, [batch])] * lens + [("start", FLOAT, [batch, 2]), ("xs", FLOAT, [batch, time, 2]), ("ys", FLOAT, [batch, time, 3])]
    return make_model([node], inputs, [("final", FLOAT, [batch, 2]), ("twices", FLOAT, [batch, time, 2]), ("shifteds", FLOAT, [batch, time, 3])],
                      opset=8, ir=3)


def scan8_reference(start, xs, ys, lens, directions):
    """What the specification of opset 8 says, in numpy. Outputs past the end of a sequence are zeros."""
    final, twices, shifteds = start.copy(), np.zeros_like(xs), np.zeros_like(ys)
    for b in range(len(start)):
        n = xs.shape[1] if lens is None else lens[b]
        for t in range(n):
            x = xs[b, n - 1 - t if directions[0] else t]
            y = ys[b, n - 1 - t if directions[1] else t]
            final[b] += x
            twices[b, t] = final[b] * 2
            shifteds[b, t] = y + x.max()
    return final, twices, shifteds


def scan8_inputs(rng, batch, time, lens):
    # Small integers, so that sums are exact in any order.
    return {**({"lens": np.array(lens, np.int64)} if lens is not None else {}), "start": rng.integers(-9, 9, (batch, 2)).astype(np.float32),
            "xs": rng.integers(-9, 9, (batch, time, 2)).astype(np.float32), "ys": rng.integers(-9, 9, (batch, time, 3)).astype(np.float32)}


@pytest.mark.parametrize("directions", [None, [0, 0], [1, 0], [0, 1], [1, 1]])
@pytest.mark.parametrize("lens", [None, [4, 1, 3], [4, 4, 4], [2, 2, 2], [0, 4, 2], [0, 0, 0]])
@pytest.mark.parametrize("dims", [("batch", "time"), (3, 4), (None, None)])
def test_batched_scan_against_the_specification(directions, lens, dims):
    inputs = scan8_inputs(np.random.default_rng(1), 3, 4, lens)
    data = scan8_model(lens is not None, directions, dims).SerializeToString()
    expected = scan8_reference(inputs["start"], inputs["xs"], inputs["ys"], lens, directions or [0, 0])
    model = tenon.load(data)
    out = model.run(inputs)
    for name, want in zip(("final", "twices", "shifteds"), expected):
        np.testing.assert_array_equal(out[name], want)
        np.testing.assert_array_equal(model.run(inputs, outputs=[name])[name], want)
    if lens is None or min(lens) > 0:  # onnxruntime refuses empty sequences
        for got, want in zip(onnxruntime.InferenceSession(data).run(None, inputs), expected):
            np.testing.assert_array_equal(got, want)


def test_batched_scan_of_nothing():
    inputs = scan8_inputs(np.random.default_rng(1), 0, 4, [])
    out = tenon.load(scan8_model(True, [0, 1]).SerializeToString()).run(inputs)
    assert out["final"].shape == (0, 2) and out["twices"].shape[::2] == (0, 2) and out["shifteds"].shape[::2] == (0, 3)


@pytest.mark.parametrize("lens, words", [([5, 1, 1], ["split", "-1"]), ([-1, 4, 4], ["split", "-1"]), ([1, 2], ["lengths", "2", "3"])])
def test_batched_scan_refuses_lengths_that_make_no_sense(lens, words):
    model = tenon.load(scan8_model(True, None).SerializeToString())
    with pytest.raises(tenon.Error) as e:
        model.run(scan8_inputs(np.random.default_rng(1), 3, 4, lens))
    assert all(word in str(e.value) for word in words), e.value
    assert "'scan' (Scan, opset 8)" in str(e.value), e.value


@pytest.mark.parametrize("attributes, words", [
    (dict(directions=[0]), ["directions has 1 elements, expected 2"]), (dict(directions=[0, 2]), ["directions", "2", "reverse"]),
    (dict(num_scan_inputs=0), ["num_scan_inputs is 0", "1 to 3"]), (dict(num_scan_inputs=4), ["num_scan_inputs is 4", "1 to 3"]),
    (dict(scan_input_axes=[0, 0]), ["scan_input_axes", "unknown"])])
def test_batched_scan_refuses_wrong_attributes(attributes, words):
    with pytest.raises(tenon.Error) as e:
        tenon.load(scan8_model(False, **attributes).SerializeToString())
    assert all(word in str(e.value) for word in ["'scan' (Scan, opset 8)", *words]), e.value


def test_scan_without_turns_has_the_shape_a_turn_would_give():
    body = helper.make_graph([helper.make_node("Identity", ["s"], ["t"]), helper.make_node("Concat", ["x", "x"], ["y"], axis=0)], "body",
                             [info("s", FLOAT, ["k"]), info("x", FLOAT, ["n"])], [info("t", FLOAT, ["k"]), info("y", FLOAT, ["m"])])
    model = tenon.load(make_model([helper.make_node("Scan", ["s0", "xs"], ["s", "ys"], num_scan_inputs=1, body=body)],
                                  [("s0", FLOAT, ["k"]), ("xs", FLOAT, ["t", "n"])], [("s", FLOAT, None), ("ys", FLOAT, None)]).SerializeToString())
    for turns in (0, 2):
        out = model.run({"s0": np.ones(2, np.float32), "xs": np.ones((turns, 5), np.float32)})
        assert out["ys"].shape == (turns, 10)


# -------------------------------------------------------------------------------------------------------- names and bodies

def loop_model():
    """v = x, then `trips` times v = relu(v @ w) + (a value from outside)."""
    body = helper.make_graph(
        [helper.make_node("MatMul", ["v", "w"], ["product"], "inner_product"), helper.make_node("Relu", ["product"], ["positive"], "inner_relu"),
         helper.make_node("Add", ["positive", "outer"], ["next"], "inner_add"), helper.make_node("Identity", ["go"], ["go_on"])],
        "body", [info("i", INT64, []), info("go", BOOL, []), info("v", FLOAT, ["n", 4])], [info("go_on", BOOL, []), info("next", FLOAT, ["n", 4])])
    return make_model([helper.make_node("Exp", ["x"], ["outer"], "exp"),
                       helper.make_node("Loop", ["trips", "", "x"], ["y"], "loop", body=body), helper.make_node("Neg", ["y"], ["z"], "neg")],
                      [("trips", INT64, []), ("x", FLOAT, ["n", 4])], [("z", FLOAT, ["n", 4])], [("w", np.eye(4, dtype=np.float32))])


def test_values_in_bodies_cannot_be_outputs():
    with pytest.raises(tenon.ArgumentError, match=r"'product': cannot become an output: it is inside a body of node 'loop' \(Loop\)"):
        tenon.load(loop_model().SerializeToString(), outputs=["product"])
    with pytest.raises(tenon.ArgumentError, match="no value of that name"):
        tenon.load(loop_model().SerializeToString(), outputs=["nothing"])
    with pytest.raises(tenon.ArgumentError, match="already"):
        tenon.load(loop_model().SerializeToString(), outputs=["z"])
    model = tenon.load(loop_model().SerializeToString(), outputs=["outer", "y", "x", "w"])
    x = np.ones((2, 4), np.float32)
    out = model.run({"trips": np.array(3), "x": x})
    np.testing.assert_array_equal(out["y"], -out["z"])
    np.testing.assert_allclose(out["outer"], np.exp(x), rtol=1e-6)
    np.testing.assert_array_equal(out["x"], x)
    np.testing.assert_array_equal(out["w"], np.eye(4))


def test_an_outer_value_is_found_although_a_branch_took_its_name():
    branches = [helper.make_graph([helper.make_node(op, ["x"], ["t"])], op, [], [info("t", FLOAT, [2])]) for op in ("Exp", "Neg")]
    model = tenon.load(make_model([helper.make_node("If", ["c"], ["r"], "if", then_branch=branches[0], else_branch=branches[1]),
                                   helper.make_node("Abs", ["r"], ["t"]), helper.make_node("Relu", ["t"], ["y"])],
                                  [("c", BOOL, []), ("x", FLOAT, [2])], [("y", FLOAT, [2])]).SerializeToString(), outputs=["t"])
    out = model.run({"c": np.array(False), "x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(out["t"], [1, 2])


@pytest.mark.parametrize("optimize", [True, False])
def test_values_that_passes_would_fuse_away_can_be_outputs(optimize):
    """Every value of a chain that is fused when nobody looks, beside onnxruntime."""
    rng = np.random.default_rng(3)
    arrays = {"k": rng.standard_normal((8, 4, 3, 3)), "scale": rng.random(8), "shift": rng.random(8), "mean": rng.random(8), "var": rng.random(8) + 1,
              "w": rng.standard_normal((8, 5)), "b": rng.random(5), "eighth": np.array(0.125)}
    nodes = [("Conv", ["x", "k"], "conv"), ("BatchNormalization", ["conv", "scale", "shift", "mean", "var"], "norm"), ("Relu", ["norm"], "relu"),
             ("Dropout", ["relu"], "drop"), ("GlobalAveragePool", ["drop"], "pool"), ("Flatten", ["pool"], "flat"), ("MatMul", ["flat", "w"], "product"),
             ("Add", ["product", "b"], "biased"), ("Sigmoid", ["biased"], "gate"), ("Mul", ["biased", "gate"], "swish"), ("Mul", ["swish", "eighth"], "y")]
    model = make_model([helper.make_node(op, inputs, [output], output) for op, inputs, output in nodes], [("x", FLOAT, ["n", 4, 6, 6])],
                       [("y", FLOAT, None)], [(name, a.astype(np.float32)) for name, a in arrays.items()])
    names = [output for _, _, output in nodes[:-1]]
    x = rng.standard_normal((2, 4, 6, 6)).astype(np.float32)
    model.graph.output.extend(info(name, FLOAT) for name in names)
    expected = dict(zip(["y", *names], onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})))
    del model.graph.output[1:]
    for name in names:
        out = tenon.load(model.SerializeToString(), outputs=[name], optimize=optimize).run({"x": x})
        for got in ("y", name):
            np.testing.assert_allclose(out[got], expected[got], rtol=1e-4, atol=1e-5, err_msg=f"{got} with {name}")


def test_explain_tells_kernels_in_bodies():
    nodes = {n.name: n for n in tenon.load(loop_model().SerializeToString()).explain({"n": 300})}
    assert nodes["loop"].depth == 0 and nodes["neg"].depth == 0
    inner = [n for n in nodes.values() if n.depth == 1]
    assert {"inner_product", "inner_add"} <= {n.name for n in inner}
    assert all(n.kernel for n in inner if n.op != "Identity"), inner
    assert "GemmFewRows: needs at most 4 rows" in nodes["inner_product"].refusals


def test_explain_says_what_is_known_only_while_running():
    model = tenon.load(make_model([helper.make_node("NonZero", ["x"], ["places"], "find"), helper.make_node("Cast", ["places"], ["y"], "cast", to=FLOAT)],
                                  [("x", FLOAT, ["n"])], [("y", FLOAT, None)]).SerializeToString())
    nodes = {n.name: n for n in model.explain({"n": 3})}
    assert "its values tell the shape" in nodes["find"].note
    assert not nodes["cast"].kernel and "chosen while running: 'places' is int64[1, " in nodes["cast"].note


def test_explain_survives_a_branch_that_does_not_fit():
    branches = [helper.make_graph([helper.make_node("Reshape", ["x", "dims"], ["r"], op)], op, [], [info("r", FLOAT, None)],
                                  [helper.make_tensor("dims", INT64, [1], [size])]) for op, size in (("good", 6), ("bad", 7))]
    model = tenon.load(make_model([helper.make_node("If", ["c"], ["y"], "if", then_branch=branches[0], else_branch=branches[1])],
                                  [("c", BOOL, []), ("x", FLOAT, ["n"])], [("y", FLOAT, None)]).SerializeToString())
    nodes = {n.name: n for n in model.explain({"n": 6})}
    assert nodes["if"].kernel == "If" and "cannot be planned" in nodes["if"].note and "'bad'" in nodes["if"].note


def test_profiles_tell_of_bodies():
    model = tenon.load(loop_model().SerializeToString(), threads=1)
    profile = tenon.Profile()
    model.run({"trips": np.array(3), "x": np.ones((2, 4), np.float32)}, profile=profile)
    events = profile.events
    names = [e.node for e in events]
    assert names.count("inner_add") == 3 and names.count("loop") == 1
    assert all(e.kernel and "[2, 4]" in e.shapes for e in events), events
    loop = next(e for e in events if e.node == "loop")
    inner = [e for e in events if e.node.startswith("inner")]
    assert all(loop.start <= e.start and e.start + e.duration <= loop.start + loop.duration for e in inner)
    assert {e["name"] for e in json.loads(profile.json())["traceEvents"]} >= {"loop", "inner_product", "neg"}


# ------------------------------------------------------------------------------------------------------ some of the outputs

def test_a_step_that_would_fail_is_not_run_for_other_outputs():
    model = tenon.load(make_model([helper.make_node("Gather", ["x", "i"], ["picked"], "pick"), helper.make_node("Neg", ["x"], ["y"])],
                                  [("x", FLOAT, [3]), ("i", INT64, [1])], [("picked", FLOAT, [1]), ("y", FLOAT, [3])]).SerializeToString())
    inputs = {"x": np.arange(3, dtype=np.float32), "i": np.array([7])}
    with pytest.raises(tenon.Error, match="pick"):
        model.run(inputs)
    np.testing.assert_array_equal(model.run(inputs, outputs=["y"])["y"], [0, -1, -2])
    session = model.session()
    for name, value in inputs.items():
        session.bind_input(name, value)
    session.want_outputs(["y"])
    assert list(session.run()) == ["y"]
    session.want_outputs(None)
    with pytest.raises(tenon.Error, match="pick"):
        session.run()
    with pytest.raises(tenon.ArgumentError, match="no output 'q'"):
        session.want_outputs(["q"])


def test_each_output_alone_is_what_it_is_among_all():
    """Every backend test of an operator with several outputs."""
    import backend_suite

    listed = set(backend_suite.PASSING.read_text().split())
    seen = 0
    for case in backend_suite.collect():
        if case.name not in listed:
            continue
        data, input_names, output_names, sets = case.load()
        if len(output_names) < 2:
            continue
        seen += 1
        model = tenon.load(data, threads=1)
        for inputs, _ in sets:
            given = dict(zip(input_names, inputs))
            every = model.run(given)
            for name in output_names:
                alone = model.run(given, outputs=[name])
                assert list(alone) == [name]
                np.testing.assert_array_equal(alone[name], every[name], err_msg=f"{case.name} {name}")
    assert seen > 50


def test_a_file_may_leave_the_first_output_out():
    model = tenon.load(make_model([helper.make_node("LayerNormalization", ["x", "one"], ["", "mean"], "norm")], [("x", FLOAT, ["n", 4])],
                                  [("mean", FLOAT, ["n", 1])], [("one", np.ones(4, np.float32))]).SerializeToString())
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_allclose(model.run({"x": x})["mean"], x.mean(1, keepdims=True), rtol=1e-6)
