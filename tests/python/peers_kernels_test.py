"""Kernels against the machine: rooflines, and the rows that come from benchmark programs."""
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from peers import kernels, models, roofs, sections
from peers.process import EngineFailed


class Steady:
    """A machine that does 100 operations, copies 10 bytes, 20 within a small cache, and reads 5 a nanosecond."""
    rounds = discarded = 0

    def look(self, _):
        return True

    def usual(self, _):
        return {"gflops": 100.0}

    def copy_speed(self, size):
        return 20.0 if size <= 1000 else 10.0

    def read_speed(self, _):
        return 5.0


@pytest.fixture
def machine():
    return roofs.Machine(Steady(), 1000)


def nanoseconds(found):
    return {name: pytest.approx(seconds * 1e9) for name, seconds in (found["parts"] | {"limit": found["limit"]}).items()}


def test_products(machine):
    one = nanoseconds(roofs.product(machine, 20, 30, 40))
    assert one == {"limit": 480, "arithmetic": 480, "operands and result": 4 * (800 + 1200 + 600) / 10}
    two = nanoseconds(roofs.product(machine, 20, 30, 40, threads=2))
    assert two == {name: value / 2 for name, value in {"limit": 480, "arithmetic": 480, "operands and result": 1040}.items()}
    assert nanoseconds(roofs.row_product(machine, 30, 40)) == {"limit": 960, "arithmetic": 24, "weights": 960}


def test_pointwise_convolutions_fill_whole_vectors(machine):
    found = nanoseconds(roofs.pointwise(machine, 8, 24, 10, 16))
    assert found == {"limit": 384, "arithmetic": 512, "weights": 4 * 8 * 24 / 5, "input and output": 4 * 32 * 100 / 10}


def tiles_of(size):
    """By walking over them."""
    return sum(1 for _ in range(0, size, 4) for _ in range(0, size, 4))


@pytest.mark.parametrize("size", [4, 7, 14, 28])
def test_winograd(machine, size):
    channels = filters = 512
    found = roofs.winograd(machine, channels, filters, size)
    assert found["limit"] == pytest.approx(2 * 9 * size**2 * channels * filters / 100e9)
    products = 2 * 36 * tiles_of(size) * channels * filters / 100e9
    # The transforms of so many channels are a small part, those of the weights at most 72 instructions each.
    assert products < found["parts"]["arithmetic"] < products * 1.03 + 2 * 72 * channels * filters / 100e9
    # Reading is slow here, so they are transformed while running.
    weights = [seconds for name, seconds in found["parts"].items() if "weights" in name]
    assert weights == [pytest.approx(36 * channels * filters / 5e9)]
    assert found["parts"]["transformed tiles"] == pytest.approx(2 * 4 * 36 * tiles_of(size) * 1024 / 20e9)


def test_winograd_reads_transformed_weights_where_that_is_quick(machine):
    machine.weather.read_speed = lambda _: 1e4
    assert "transformed weights" in roofs.winograd(machine, 512, 512, 7)["parts"]


def test_reach():
    found = roofs.roof(10.0, arithmetic=8.0, weights=12.0)
    assert (roofs.apart(found), roofs.hidden(found)) == (50, pytest.approx(250 / 3))
    assert [roofs.reach(found, aim) for aim in (50, 51, 83, 84)] == ["in reach", "only overlapped", "only overlapped", "out of reach"]
    own = roofs.moving({"usual_us": 100.0, "percent_of_copy": 80.0, "within_us": 100.0})
    assert roofs.hidden(own) == pytest.approx(80) and roofs.reach(own, 85) == "bound by own instructions"


@pytest.fixture
def session(tmp_path):
    return sections.Session(["tenon"], sections.QUICK, [1], Steady(), tmp_path)


@pytest.fixture
def program(monkeypatch, tmp_path):
    """A function that makes a benchmark program which prints a text, and gives its name."""
    monkeypatch.setattr(kernels, "PROGRAMS", tmp_path)

    def make(text, status=0):
        (tmp_path / "text").write_text(text)
        (tmp_path / "some_benchmark").write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/arguments\ncat {tmp_path}/text\nexit {status}\n")
        (tmp_path / "some_benchmark").chmod(0o755)
        return "some_benchmark"

    return make


def target(program, **names):
    case = kernels.Case("8 x 8", names, lambda machine, counters: roofs.roof(counters["usual_us"], arithmetic=1.0))
    return kernels.Target("Products", program, "peak", 95, [case])


def benchmark(name, **counters):
    return {"name": name, "usual_us": 2.0, "percent_of_peak": 50.0} | counters


def test_rows(program, session, tmp_path):
    made = program(json.dumps({"benchmarks": [benchmark("a/8"), benchmark("b/8", percent_of_peak=40.0, usual_us=2.5)]}))
    (row,) = kernels.rows_of(session, target(made, tenon="a/8", onednn="b/8"))
    ours, theirs = row["engines"]["tenon"], row["engines"]["onednn"]
    assert (ours["value"], ours["seconds"]) == (50, pytest.approx(2e-6)) and theirs["value"] == 40
    assert theirs["ratio"]["value"] == pytest.approx(1.25) and theirs["ratio"]["verdict"] == "faster"
    assert row["roof"] == {"limit": 2.0, "parts": {"arithmetic": 1.0}} and row["left_out"] == {} and row["aim"] == 95
    asked = (tmp_path / "arguments").read_text().splitlines()
    assert len(asked) == 2 * session.effort.rounds and all(f"^({name}/8)$" in "".join(asked) for name in "ab")


def test_what_a_benchmark_says_is_why_it_is_left_out(program, session):
    made = program(json.dumps({"benchmarks": [benchmark("a"), {"name": "b", "error_occurred": True, "error_message": "no kernel"}]}))
    (row,) = kernels.rows_of(session, target(made, tenon="a", onednn="b"))
    assert list(row["engines"]) == ["tenon"] and row["left_out"] == {"onednn": "no kernel"}
    (row,) = kernels.rows_of(session, target(made, tenon="a", onednn="c"))
    assert row["left_out"] == {"onednn": "no such benchmark"}


def test_programs_that_are_missing_or_fail(program, session):
    (row,) = kernels.rows_of(session, target("other", tenon="a"))
    assert row["engines"] == {} and "libbenchmark-dev" in row["left_out"]["tenon"] and "roof" not in row
    with pytest.raises(EngineFailed, match="some_benchmark ended with 3"):
        kernels.answers(program("", 3), ["a"], 0.1)
    with pytest.raises(EngineFailed, match="some_benchmark"):
        kernels.answers(program("no JSON"), ["a"], 0.1)


def test_threads_that_are_not_asked_for_stay_out(program, session, monkeypatch):
    made = program(json.dumps({"benchmarks": [benchmark("a")]}))
    two = kernels.Target("Two", made, "peak", 93, [], threads=2)
    monkeypatch.setattr(kernels, "TARGETS", [target(made, tenon="a"), two])
    assert [row["target"] for row in kernels.kernels(session, [])] == ["Products"]


def test_weights_that_a_run_needs(tmp_path):
    table, weights = (numpy_helper.from_array(np.ones(dims, np.float32), name) for name, dims in (("table", (100, 4)), ("w", (4, 8))))
    nodes = [helper.make_node("Gather", ["table", "i"], ["x"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("i", TensorProto.INT64, [3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 8])], [table, weights])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    assert models.weights(tmp_path / "m.onnx") == 4 * 8 * 4
    graph.node.append(helper.make_node("Transpose", ["table"], ["t"]))
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    assert models.weights(tmp_path / "m.onnx") == 4 * 8 * 4 + 100 * 4 * 4
