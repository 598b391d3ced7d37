#!/usr/bin/env python3
"""Tenon beside its peers over the models of the zoo, in one run: latency, load time, resident memory.

    make bench                                      all models, 1 and 2 threads
    make bench BENCH_ARGS='resnet50 --rounds 9'     some, longer
    make bench BENCH_ARGS='--load --loads 9'        load time and memory alone, of every form of the files

One process per engine, model and thread count stays alive over all rounds of its model. A round asks every engine, in shuffled
order, for a batch of timed runs; so all engines see the same weather on a shared machine. The figure of an engine is the median over
rounds of its median in a round, and the ratio to a peer the median of the ratios within each round. Before anything is timed the
outputs of all engines are compared. Load time and memory come from processes of their own that load and run once, one of every engine
in a round, and are compared within it likewise.

A peer is a class with load() and run() below; one that is not installed, or cannot take a model, is left out and said so.
"""
import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))


# -------------------------------------------------------------------------------------------------------------- engines

class Tenon:
    name = "tenon"

    @staticmethod
    def version():
        import tenon
        return tenon.__version__

    def load(self, path, threads):
        import tenon
        self.model = tenon.load(path, threads=threads)

    def bind(self, arrays):
        self.session = self.model.session()
        for name, array in arrays.items():
            self.session.bind_input(name, array)
        for name, array in self.session.run().items():
            self.session.bind_output(name, array.copy())

    def run(self):
        return list(self.session.run().values())


class TenonMapped(Tenon):
    """Weights viewed in a mapping of the file, as onnxruntime has external data by default."""
    name = "tenon-mapped"

    def load(self, path, threads):
        import tenon
        self.model = tenon.load(path, threads=threads, map_weights=True)


class OnnxRuntime:
    name = "onnxruntime"

    @staticmethod
    def version():
        import onnxruntime
        return onnxruntime.__version__

    def load(self, path, threads):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def bind(self, arrays):
        import onnxruntime
        self.binding = self.session.io_binding()
        self.held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in arrays.items()}
        for name, value in self.held.items():
            self.binding.bind_ortvalue_input(name, value)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)

    def run(self):
        self.session.run_with_iobinding(self.binding)
        return self.binding.copy_outputs_to_cpu() if self.want_outputs else None

    want_outputs = False


class OpenVino:
    name = "openvino"

    @staticmethod
    def version():
        import openvino
        return openvino.__version__

    def load(self, path, threads):
        import openvino
        self.model = openvino.Core().compile_model(
            str(path), "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})

    def bind(self, arrays):
        import openvino
        self.request = self.model.create_infer_request()
        self.held = {name: openvino.Tensor(array, shared_memory=True) for name, array in arrays.items()}

    def run(self):
        result = self.request.infer(self.held, share_inputs=True, share_outputs=True)
        return [result[o] for o in self.model.outputs]


ENGINES = {engine.name: engine for engine in (Tenon, TenonMapped, OnnxRuntime, OpenVino)}


def signature(path):
    """[(name, dtype, shape)] of the inputs that are not initializers."""
    import onnx
    model = onnx.load(path, load_external_data=False)
    held = {i.name for i in model.graph.initializer}
    result = []
    for value in model.graph.input:
        if value.name not in held:
            tensor = value.type.tensor_type
            dims = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in tensor.shape.dim]
            result.append((value.name, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, dims))
    return result


# --------------------------------------------------------------------------------------------- the process of one engine

def resident():
    """(now, peak) in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(fields[f].split()[0]) * 1024 for f in ("VmRSS", "VmHWM"))


def serve(name, path, threads, sizes):
    """Answers lines on stdin: a JSON list ["time", seconds] or ["outputs", file]."""
    import numpy as np
    import zoo
    engine = ENGINES[name]()
    arrays = {k: np.ascontiguousarray(v) for k, v in zoo.inputs(json.loads(os.environ["TENON_BENCH_SIGNATURE"]), sizes).items()}
    engine.version()  # imports the library, which is not part of the load
    before = resident()[0]
    start = time.perf_counter()
    engine.load(path, threads)
    loaded = time.perf_counter()
    engine.bind(arrays)
    engine.run()
    first = time.perf_counter()
    print(json.dumps({"load": loaded - start, "first": first - start, "before": before, "resident": resident()[0], "peak": resident()[1]}), flush=True)
    for line in sys.stdin:
        what, argument = json.loads(line)
        if what == "outputs":
            engine.want_outputs = True
            np.savez(argument, *engine.run())
            engine.want_outputs = False
            print("{}", flush=True)
            continue
        times = []
        end = time.perf_counter() + argument
        clock = time.perf_counter
        while True:
            begin = clock()
            engine.run()
            now = clock()
            times.append(now - begin)
            if now >= end and len(times) >= 3:
                break
        times.sort()
        print(json.dumps({"median": times[len(times) // 2], "best": times[0], "p99": times[min(len(times) - 1, int(len(times) * 0.99))], "runs": len(times),
                          "resident": resident()[0]}), flush=True)


class Process:
    def __init__(self, engine, path, threads, sizes, inputs):
        environment = dict(os.environ, TENON_BENCH_SIGNATURE=json.dumps(inputs))
        self.engine = engine
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", engine, str(path), str(threads), json.dumps(sizes)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        self.start = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.stderr.read().strip().splitlines()[-1:] or ["the process ended"])
        return json.loads(line)

    def ask(self, what, argument):
        self.process.stdin.write(json.dumps([what, argument]) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


# --------------------------------------------------------------------------------------------------------- one comparison

def compare_outputs(processes, scratch):
    """The largest relative error of each engine's outputs against those of the last engine."""
    import numpy as np
    outputs = {}
    for p in processes:
        file = scratch / f"{p.engine}.npz"
        p.ask("outputs", str(file))
        with np.load(file) as arrays:
            outputs[p.engine] = [arrays[k] for k in arrays.files]
    reference = outputs[processes[-1].engine]
    worst = {}
    for engine, arrays in outputs.items():
        if [a.shape for a in arrays] != [r.shape for r in reference]:
            worst[engine] = float("inf")
            continue
        worst[engine] = max((float(np.max(np.abs(a - r) / (1e-1 + np.abs(r)), initial=0)) for a, r in zip(arrays, reference)), default=0.0)
    return worst


def paired(theirs, mine):
    """Median of the ratios of a peer's figure to Tenon's in the same round; above 1 Tenon is faster or smaller."""
    return statistics.median(t / m for t, m in zip(theirs, mine)) if min(mine, default=0) > 0 else None


def measure(name, path, form, threads, sizes, engines, args, scratch):
    inputs = signature(path)
    result = {"model": name, "form": form, "threads": threads, "sizes": sizes, "engines": {}, "left_out": {}, "loads": {}}
    starts = {e: [] for e in engines}
    processes = []
    # Load time and memory: fresh processes, interleaved; the last ones stay for the timing.
    for repeat in range(args.loads):
        order = list(engines)
        random.shuffle(order)
        for engine in order:
            if engine in result["left_out"]:
                continue
            try:
                p = Process(engine, path, threads, sizes, inputs)
            except (RuntimeError, OSError) as error:
                result["left_out"][engine] = str(error)
                continue
            starts[engine].append(p.start)
            if repeat == args.loads - 1 and not args.load:
                processes.append(p)
            else:
                p.close()
    for engine in (e for e in engines if e not in result["left_out"]):
        figures = {what: [s[what] - (s["before"] if what in ("resident", "peak") else 0) for s in starts[engine]]
                   for what in ("load", "first", "resident", "peak")}
        result["loads"][engine] = figures
    processes.sort(key=lambda p: engines.index(p.engine))
    if not processes:
        return result
    errors = compare_outputs(processes, scratch)
    rounds = {p.engine: [] for p in processes}
    for p in processes:
        p.ask("time", args.seconds / 2)
    for _ in range(args.rounds):
        order = list(processes)
        random.shuffle(order)
        for p in order:
            rounds[p.engine].append(p.ask("time", args.seconds))
    for p in processes:
        mine = rounds[p.engine]
        result["engines"][p.engine] = {
            "latency": statistics.median(r["median"] for r in mine), "best": min(r["best"] for r in mine), "p99": statistics.median(r["p99"] for r in mine),
            "rounds": [r["median"] for r in mine], "memory": mine[-1]["resident"] - statistics.median(s["before"] for s in starts[p.engine]),
            "error": errors[p.engine],
        }
        p.close()
    if "tenon" in rounds:
        for engine, theirs in rounds.items():
            result["engines"][engine]["ratio"] = paired([t["median"] for t in theirs], [m["median"] for m in rounds["tenon"]])
    return result


def milliseconds(seconds):
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def megabytes(count):
    return f"{count / 1e6:.0f} MB"


def print_table(rows, out=sys.stdout):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for k, row in enumerate(rows):
        print("  ".join(str(cell).ljust(w) if i < 2 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip(), file=out)
        if k == 0:
            print("  ".join("-" * w for w in widths), file=out)


def report_loads(results, engines, out):
    print("\nLoad, load with the first answer, memory after it and at its peak, less what the process held before loading "
          "(ratio: the peer's figure over Tenon's in the same round; above 1 Tenon is faster or smaller)\n", file=out)
    whats = {"load": milliseconds, "first": milliseconds, "resident": megabytes, "peak": megabytes}
    peers = [e for e in engines if e != "tenon"]
    rows = [["model", "files", "threads"] + [f"{what} {e}" for what in whats for e in engines + [f"/ {p}" for p in peers]]]
    for r in results:
        cells, loads = [], r["loads"]
        for what, text in whats.items():
            cells += [text(statistics.median(loads[e][what])) if e in loads else "-" for e in engines]
            for e in peers:
                ratio = paired(loads[e][what], loads["tenon"][what]) if e in loads and "tenon" in loads else None
                cells.append(f"{ratio:.2f}" if ratio else "-")
        rows.append([r["model"], r["form"], str(r["threads"]), *cells])
    print_table(rows, out)


def report(results, engines, out=sys.stdout):
    for threads in sorted({r["threads"] for r in results if r["engines"]}):
        print(f"\nLatency, {threads} thread{'s' if threads > 1 else ''} (ratio: the peer's time over Tenon's in the same round; above 1 Tenon is faster)\n", file=out)
        rows = [["model", "sizes"] + list(engines) + [f"ratio {e}" for e in engines if e != "tenon"] + ["error"]]
        ratios = {e: [] for e in engines}
        for r in (r for r in results if r["threads"] == threads):
            cells = [milliseconds(r["engines"][e]["latency"]) if e in r["engines"] else "-" for e in engines]
            for e in engines:
                if e != "tenon":
                    ratio = r["engines"].get(e, {}).get("ratio")
                    if ratio:
                        ratios[e].append(ratio)
                    cells.append(f"{ratio:.2f}" if ratio else "-")
            error = r["engines"].get("tenon", {}).get("error")
            sizes = ",".join(f"{k}={v}" for k, v in r["sizes"].items())
            rows.append([r["model"], sizes, *cells, f"{error:.0e}" if error is not None else "-"])
        print_table(rows, out)
        for e, values in ratios.items():
            if values:
                print(f"against {e}: median ratio {statistics.median(values):.2f}, geometric mean {statistics.geometric_mean(values):.2f}, "
                      f"worst {min(values):.2f}, best {max(values):.2f}", file=out)
    report_loads(results, engines, out)
    for r in results:
        for engine, why in r["left_out"].items():
            print(f"{r['model']}, {r['threads']} threads: {engine} left out: {why}", file=out)


def main():
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]), json.loads(sys.argv[5]))
        return 0
    import zoo
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="names of zoo models or paths of ONNX files (default: the whole zoo)")
    parser.add_argument("--engines", help="default: tenon,onnxruntime, and tenon-mapped with --load")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one engine in one round")
    parser.add_argument("--loads", type=int, default=3, help="processes that load, for load time and memory")
    parser.add_argument("--load", action="store_true", help="load time and memory only; weights beside the model files and inside, mapped and read")
    parser.add_argument("--inline", action="store_true", help="weights inside the model files instead of beside them")
    parser.add_argument("--json", type=Path, help="write all figures")
    args = parser.parse_args()

    if not args.models and zoo.home() is None:
        print("compare.py: the model zoo is neither in $TENON_ZOO nor in ../shared/zoo; name ONNX files instead", file=sys.stderr)
        return 2
    engines, versions = [], {}
    for name in (args.engines or ("tenon,tenon-mapped,onnxruntime" if args.load else "tenon,onnxruntime")).split(","):
        try:
            versions[name] = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import compare; "
                                             f"print(compare.ENGINES[{name!r}].version())"], check=True, capture_output=True, text=True).stdout.strip()
            engines.append(name)
        except subprocess.CalledProcessError as error:
            print(f"{name} left out: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    print("engines:", ", ".join(f"{e} {versions[e]}" for e in engines), f"on {platform.processor() or platform.machine()}, {os.cpu_count()} CPUs")

    scratch = ROOT / "build/bench"
    scratch.mkdir(parents=True, exist_ok=True)
    results = []
    forms = ("external", "inline") if args.load else ("inline",) if args.inline else ("external",)
    for name in args.models or zoo.SIZES:
        for form in forms if name in zoo.SIZES else ("",):
            path = zoo.path(name, form == "inline") if name in zoo.SIZES else Path(name)
            sizes = zoo.SIZES[name][0] if name in zoo.SIZES else {}
            for threads in map(int, args.threads.split(",")):
                results.append(measure(Path(name).stem, path, form, threads, sizes, engines, args, scratch))
                r = results[-1]["engines"]
                shown = ", ".join(f"{e} {milliseconds(r[e]['latency'])}" for e in r) or ", ".join(
                    f"{e} {milliseconds(statistics.median(f['load']))}" for e, f in results[-1]["loads"].items())
                print(f"{name}, {threads} thread{'s' if threads > 1 else ''}: {shown}", file=sys.stderr, flush=True)
    report(results, engines)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"versions": versions, "machine": platform.uname()._asdict(), "results": results}, indent=1))
        print(f"\nall figures: {args.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
