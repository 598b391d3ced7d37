"""Runs the ONNX backend suite of the installed onnx package against tenon, and guards the list of tests that pass.

    python backend_suite.py                    run everything, compare with backend_passing.txt, print a table by operator
    python backend_suite.py --update           add newly passing tests to the list (it never loses any)
    python backend_suite.py -f Resize          run the tests whose name or operator contains "Resize", show why each failure failed

The exit status is 1 when a listed test no longer passes. Tests run in two forked workers; one that crashes or hangs fails its test alone.
"""
import argparse
import collections
import multiprocessing
import signal
import sys
import time
import warnings
from multiprocessing import connection
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

PASSING = Path(__file__).with_name("backend_passing.txt")
SECONDS_A_TEST = 30
WORKERS = 2

Case = collections.namedtuple("Case", "name group load rtol atol")  # load() -> (model bytes, input names, output names, [(inputs, outputs)])


def load_node_case(test):
    def array(value):
        return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value

    graph = test.model.graph
    sets = [([array(v) for v in inputs], [array(v) for v in outputs]) for inputs, outputs in test.data_sets]
    return test.model.SerializeToString(), [i.name for i in graph.input], [o.name for o in graph.output], sets


def read_value(path, type_proto):
    data = path.read_bytes()
    if type_proto.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if type_proto.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def load_stored_case(test):
    folder = Path(test.model_dir)
    data = (folder / "model.onnx").read_bytes()
    graph = onnx.ModelProto.FromString(data).graph
    sets = []
    for stored in sorted(folder.glob("test_data_set*")):
        count = {kind: len(list(stored.glob(f"{kind}_*.pb"))) for kind in ("input", "output")}
        sets.append(([read_value(stored / f"input_{i}.pb", graph.input[i].type) for i in range(count["input"])],
                     [read_value(stored / f"output_{i}.pb", graph.output[i].type) for i in range(count["output"])]))
    return data, [i.name for i in graph.input], [o.name for o in graph.output], sets


def collect():
    """Every test of the suite whose model comes with the package, in a fixed order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the suite's own data generation
        nodes = load_model_tests(kind="node")
    operators = {t.name: t.model.graph.node[0].op_type for t in nodes if "_expanded" not in t.name and t.model.graph.node}
    cases = []
    for test in nodes:
        # A test of an operator as a function body counts for the operator.
        base = test.name.split("_expanded")[0]
        cases.append(Case(test.name, operators.get(base, "?"), lambda t=test: load_node_case(t), test.rtol, test.atol))
    for kind in ("simple", "pytorch-converted", "pytorch-operator"):
        for test in sorted(load_model_tests(kind=kind), key=lambda t: t.name):
            cases.append(Case(test.name, kind, lambda t=test: load_stored_case(t), test.rtol, test.atol))
    return cases


def rounds_often(data):
    """Whether a model is several steps of float16, each of which rounds: as many roundings as passes fuse away, which the tolerances do not
    allow for."""
    graph = onnx.ModelProto.FromString(data).graph
    half = any(v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16 for v in graph.output)
    return half and sum(node.op_type != "Constant" for node in graph.node) > 1


def run_case(case, tenon):
    """None when the test passes with every pass and with none, otherwise why not."""
    try:
        data, input_names, output_names, sets = case.load()
        for optimize in (True, False)[: 1 if rounds_often(data) else 2]:
            model = tenon.load(data, threads=1, optimize=optimize)
            for inputs, expected in sets:
                results = model.run(dict(zip(input_names, inputs)))
                Runner.assert_similar_outputs(expected, [results[name] for name in output_names], case.rtol, case.atol)
    except BaseException as error:  # the reason is the result, whatever it is
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
    return None


def work(cases, channel):
    import tenon

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    np.seterr(all="ignore")
    while True:
        index = channel.recv()
        if index is None:
            return
        channel.send((index, run_case(cases[index], tenon)))


class Worker:
    def __init__(self, cases):
        self.cases = cases
        self.index = None
        self.start()

    def start(self):
        fork = multiprocessing.get_context("fork")
        self.channel, theirs = fork.Pipe()
        self.process = fork.Process(target=work, args=(self.cases, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, index):
        self.index = index
        self.deadline = time.monotonic() + SECONDS_A_TEST
        self.channel.send(index)

    def take(self):
        """The finished test, (index, reason), or None when it is still running."""
        if self.channel.poll():
            try:
                result = self.channel.recv()
                self.index = None
                return result
            except EOFError:
                self.process.join()
                return self.replace(f"crash: the process ended with {self.process.exitcode}")
        if time.monotonic() > self.deadline:
            self.process.kill()
            self.process.join()
            return self.replace(f"timeout: more than {SECONDS_A_TEST} s")
        return None

    def replace(self, reason):
        index, self.index = self.index, None
        self.start()
        return index, reason

    def stop(self):
        self.channel.send(None)
        self.process.join(5)


def run(cases):
    """{test name: None or why it fails}."""
    workers = [Worker(cases) for _ in range(min(WORKERS, len(cases)))]
    waiting = collections.deque(range(len(cases)))
    results = {}
    while len(results) < len(cases):
        for worker in workers:
            if worker.index is None and waiting:
                worker.give(waiting.popleft())
        connection.wait([w.channel for w in workers if w.index is not None], timeout=1)
        for worker in workers:
            finished = worker.take() if worker.index is not None else None
            if finished:
                results[cases[finished[0]].name] = finished[1]
    for worker in workers:
        worker.stop()
    return results


def print_table(cases, results):
    passed, total = collections.Counter(), collections.Counter()
    for case in cases:
        total[case.group] += 1
        passed[case.group] += results[case.name] is None
    width = max(len(g) for g in total)
    for group in sorted(total, key=lambda g: (passed[g] == total[g], g)):
        mark = "" if passed[group] == total[group] else "none" if passed[group] == 0 else "some"
        print(f"  {group:<{width}}  {passed[group]:>4} of {total[group]:<4} {mark}".rstrip())
    print(f"{sum(passed.values())} of {sum(total.values())} tests pass")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-f", "--filter", help="only tests whose name or operator contains this")
    parser.add_argument("--update", action="store_true", help="add newly passing tests to the list")
    parser.add_argument("--failures", action="store_true", help="say why each failing test fails (implied by --filter)")
    options = parser.parse_args(arguments)

    started = time.monotonic()
    listed = set(PASSING.read_text().split()) if PASSING.exists() else set()
    cases = collect()
    if options.filter:
        cases = [c for c in cases if options.filter in c.name or options.filter in c.group]
    if not cases:
        print("no such tests")
        return 1
    results = run(cases)
    if options.filter or options.failures:
        for case in cases:
            if results[case.name]:
                print(f"{case.name} ({case.group}): {' '.join(results[case.name].split())[:400]}")
    print_table(cases, results)
    print(f"took {time.monotonic() - started:.0f} s")

    passing = {name for name, reason in results.items() if reason is None}
    new = sorted(passing - listed)
    if options.update and new:
        PASSING.write_text("".join(f"{name}\n" for name in sorted(listed | passing)))
        print(f"added {len(new)} tests to {PASSING.name}")
    elif new:
        print(f"{len(new)} passing tests are not in {PASSING.name} yet (--update adds them)")
    selected = {case.name for case in cases}
    lost = sorted((listed & selected if options.filter else listed) - passing)
    for name in lost:
        print(f"NO LONGER PASSES: {name}: {results.get(name, 'not in this suite')}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
