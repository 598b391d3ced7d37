"""Rounds, and the processes of engines: those that answer, fail, die, and compute something else."""
import dataclasses
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import zoo
from conftest import DIGITS
from peers import models, process, reference, sections
from peers.engines import ENGINES, Setup
from peers.engines.base import converted


class Steady:
    """A machine that is steady, or not, as a list says; then for ever."""

    def __init__(self, steady=()):
        self.steady, self.rounds, self.discarded = list(steady), 0, 0

    def look(self, _):
        return self.steady.pop(0) if self.steady else True


def test_rounds_hold_an_answer_of_every_engine():
    seen = []
    tasks = {name: lambda k, name=name: seen.append((k, name)) or (name, k) for name in "abc"}
    answers, left_out = process.interleave(tasks, 20, Steady(), 1)
    assert left_out == {} and all(answers[name] == [(name, k) for k in range(20)] for name in "abc")
    orders = {tuple(name for k, name in seen if k == r) for r in range(20)}
    assert all(sorted(order) == list("abc") for order in orders) and len(orders) > 1  # shuffled


def test_unsteady_rounds_are_measured_again():
    calls = []
    weather = Steady([True, False, True, True])  # unsteady after the first round, which is before the second
    answers, _ = process.interleave({"a": lambda k: calls.append(k) or len(calls)}, 3, weather, 1)
    assert calls == [0, 0, 0, 1, 2] and answers["a"] == [3, 4, 5]
    assert (weather.rounds, weather.discarded) == (5, 2)


def test_a_machine_that_stays_unsteady_ends():
    answers, _ = process.interleave({"a": lambda k: k}, 4, Steady([False] * 100), 1)
    assert answers["a"] == [0, 1, 2, 3]


def test_reasons_name_no_folder_of_the_machine():
    assert str(process.EngineFailed(f"{process.ROOT}/build/zoo/m.onnx: no graph")) == "build/zoo/m.onnx: no graph"


def test_an_engine_that_fails_is_left_out():
    def fails(k):
        if k == 2:
            raise process.EngineFailed("no")
        return k
    answers, left_out = process.interleave({"a": fails, "b": lambda k: k}, 4, Steady(), 1)
    assert answers == {"b": [0, 1, 2, 3]} and left_out == {"a": "no"}


@pytest.fixture
def weather(monkeypatch, tmp_path):
    """A function that gives the weather of a probe that answers so."""
    opened = []

    def make(*answers):
        probe = tmp_path / "probe"
        lines = "\n".join(f"read request; echo '{json.dumps(answer)}'" for answer in answers)
        probe.write_text(f"#!/bin/sh\n{lines}\n")
        probe.chmod(0o755)
        monkeypatch.setattr(process, "PROBE", probe)
        opened.append(process.Weather())
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def speeds(gflops=100.0, gb_per_s=10.0, share=1.0):
    return {"gflops": gflops, "gb_per_s": gb_per_s, "share": share}


@pytest.mark.parametrize("slow", [speeds(gflops=96), speeds(gb_per_s=9.6), speeds(share=0.96)])
def test_a_moment_three_percent_under_the_median_is_unsteady(weather, slow):
    w = weather(speeds(), speeds(), speeds(98), speeds(300), slow, speeds())
    assert [w.look(1) for _ in range(6)] == [True, True, True, True, False, True]
    assert w.usual(1) == speeds()


def test_threads_are_looked_at_apart(weather):
    w = weather(speeds(100), speeds(50), speeds(100), speeds(50))
    assert [w.look(threads) for threads in (2, 1, 2, 1)] == [True] * 4
    assert w.summary()["probes"] == {"2": speeds(100), "1": speeds(50)}
    assert 0 <= w.summary()["stolen"] <= 1


@pytest.fixture
def digits_setup():
    model = models.find(str(DIGITS / "digits.onnx"))
    return Setup(model.path, model.inputs, model.outputs)


@pytest.fixture
def run_process(digits_setup):
    """A function that starts a process of an engine over the digits, or a setup like it; all are ended."""
    open_ones = []

    def start(engine, **fields):
        open_ones.append(process.Process(engine, dataclasses.replace(digits_setup, **fields), 1))
        return open_ones[-1]

    yield start
    for one in open_ones:
        one.close()


@pytest.mark.parametrize("engine", ["tenon", "tenon-mapped", "onnxruntime"])
def test_process(engine, run_process, digits_setup, tmp_path):
    p = run_process(engine, callers=2)
    start = p.ask("load")
    assert 0 < start["load"] <= start["first"] and start["settings"]
    p.ask("warm", 0.01)
    taken = p.ask("time", 0.02)
    assert 0 < taken["best"] <= taken["median"] <= taken["p99"] and taken["runs"] > 0
    assert p.ask("callers", 2, 0.02)["rate"] > 0
    p.ask("outputs", str(tmp_path / "outputs.npz"))
    with np.load(tmp_path / "outputs.npz") as file:
        got = [file[k] for k in file.files]
    want, _ = reference.run(digits_setup.source, zoo.inputs(digits_setup.inputs, {}))
    assert reference.difference(got, list(want.values())) < 1e-5


@pytest.mark.parametrize("engine", ["tenon", "onnxruntime"])
def test_shapes_change(engine, digits_setup):
    loaded = ENGINES[engine](dataclasses.replace(digits_setup, dynamic=True))
    loaded.load()
    caller = loaded.caller(zoo.inputs(digits_setup.inputs, {}))
    for batch in (1, 3, 2, 3):
        arrays = zoo.inputs(digits_setup.inputs, {"batch": batch}, seed=batch)
        caller.feed(arrays)
        caller.run()
        want, _ = reference.run(digits_setup.source, arrays)
        assert reference.difference(caller.outputs(), list(want.values())) < 1e-5


def test_converted_files_are_made_anew_when_source_or_recipe_changes(tmp_path):
    source, file, made = tmp_path / "m.onnx", tmp_path / "own/m.own", []

    def ask(recipe, age=0):
        source.write_text("model")
        os.utime(source, (time.time() - age,) * 2)
        converted(file, source, recipe, lambda: (file.write_text("own"), made.append(recipe)))

    ask("a", 10)
    ask("a", 10)
    assert made == ["a"]
    ask("b", 10)
    assert made == ["a", "b"]
    ask("b", -10)
    assert made == ["a", "b", "b"]


def test_what_an_engine_says_is_why_it_is_left_out(run_process, tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    p = run_process("tenon", source=str(bad))
    with pytest.raises(process.EngineFailed, match="bad.onnx"):
        p.ask("load")
    with pytest.raises(process.EngineFailed, match="bad.onnx"):  # and it goes on answering
        p.ask("load")


def test_a_process_that_dies_is_told_of(run_process):
    p = run_process("tenon")
    p.ask("load")
    p.process.kill()
    with pytest.raises(process.EngineFailed, match="the process ended by SIGKILL"):
        p.ask("time", 0.01)


def test_a_process_sleeps_while_it_is_not_asked(run_process):
    p = run_process("tenon")
    p.ask("load")
    status = Path(f"/proc/{p.process.pid}/status").read_text()
    assert re.search(r"^State:\s+(\S)", status, re.M)[1] == "T"


def test_running_leaves_out_wrong_outputs(monkeypatch, digits_setup, tmp_path):
    monkeypatch.setattr(reference, "run", lambda *_: ({"probabilities": np.ones((1, 10), np.float32)}, 0))
    model = models.find(str(DIGITS / "digits.onnx"))
    session = sections.Session(["tenon"], sections.QUICK, [1], Steady(), tmp_path)
    with sections.Running(session, model, 1) as running:
        assert running.processes == {} and "the outputs differ by" in running.left_out["tenon"]


def test_what_engines_refuse_beforehand():
    assert ENGINES["tract"].refusal(Setup("m.onnx", [], [], threads=2))
    assert ENGINES["ncnn"].refusal(Setup("m.onnx", [], [], dynamic=True))
    assert all(engine.refusal(Setup("m.onnx", [], [])) is None for engine in ENGINES.values())
