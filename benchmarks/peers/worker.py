"""The process of one engine and one model: loads, then answers requests, one JSON line each, until its input ends.

    python -m peers.worker '{"engine": "tenon", "setup": {...}, "cpus": 1}'

Requests are lists: ["prepare"], ["load"] before the others, ["warm", seconds], ["time", seconds], ["outputs", file],
["callers", count, seconds], ["shapes", {name: [sizes...]}]. An answer {"error": text} tells why not; the process goes on.
"""
import ctypes
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import zoo

from .engines import ENGINES, Setup

clock = time.perf_counter


def resident():
    """(now, peak) in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return tuple(int(fields[field].split()[0]) * 1024 for field in ("VmRSS", "VmHWM"))


class Worker:
    def __init__(self, engine, setup):
        self.setup, self.engine, self.callers = setup, ENGINES[engine](setup), []
        self.usual = 0.0  # seconds of a run, when it is known

    def arrays(self, sizes):
        return {name: np.ascontiguousarray(array) for name, array in zoo.inputs(self.setup.inputs, sizes).items()}

    def load(self):
        """Seconds to load and to the first answer, and bytes: before, after the first answer, at the peak until then; of the outputs."""
        arrays = self.arrays(self.setup.sizes)
        self.engine.open()
        before = resident()[0]
        start = clock()
        self.engine.load()
        loaded = clock()
        caller = self.engine.caller(arrays)
        caller.run()
        first = clock()
        now, peak = resident()
        outputs = sum(array.nbytes for array in caller.outputs())
        if not self.setup.dynamic:
            caller.keep_outputs()
        self.callers.append(caller)
        return {"load": loaded - start, "first": first - start, "before": before, "resident": now, "peak": peak, "outputs": outputs,
                "settings": self.engine.settings()}

    def warm(self, seconds):
        """Until the median of 20 runs moves by less than 1 %, or the time is over."""
        run, end, before, times = self.callers[0].run, clock() + seconds, 0.0, []
        while clock() < end:
            start = clock()
            run()
            times.append(clock() - start)
            if len(times) == 20:
                median = sorted(times)[10]
                if abs(median - before) < 0.01 * median:
                    break
                before, times = median, []
        return {}

    def time(self, seconds):
        """Runs for so long, after some that do not count where a run is short: the process has slept since the last time."""
        run, begin = self.callers[0].run, clock()
        while clock() < begin + (self.usual < seconds) * seconds / 20:
            run()
        times, end, used = [], clock() + seconds, time.process_time()
        now = clock()
        while now < end or not times:
            start = now
            run()
            now = clock()
            times.append(now - start)
        used = time.process_time() - used
        times.sort()
        count, self.usual = len(times), times[len(times) // 2]
        return {"median": times[count // 2], "best": times[0], "p99": times[int(count * 0.99)], "runs": count, "cpu": used / count,
                "resident": resident()[0]}

    def outputs(self, file):
        np.savez(file, *self.callers[0].outputs())
        return {}

    def concurrent(self, count, seconds):
        """Runs a second of so many threads at once, each with buffers of its own over the one loaded model."""
        while len(self.callers) < count:
            caller = self.engine.caller(self.arrays(self.setup.sizes))
            caller.run()
            caller.keep_outputs()
            self.callers.append(caller)
        rates, errors, span = [0.0] * count, [], [0.0, 0.0]

        def begin():
            span[:] = clock(), clock() + seconds

        gate = threading.Barrier(count, begin)

        def work(k):
            run, done = self.callers[k].run, 0
            try:
                run()
                gate.wait()
                while clock() < span[1]:
                    run()
                    done += 1
                rates[k] = done / (clock() - span[0])
            except Exception as error:
                errors.append(error)
                gate.abort()

        threads = [threading.Thread(target=work, args=(k,)) for k in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return {"rate": sum(rates), "resident": resident()[0]}

    def shapes(self, sequences):
        """Of every sequence, one after the other, the seconds of one run for each of its sizes: binding the arrays counts, making them
        does not. And the bytes held after the last."""
        caller, answer = self.callers[0], {}
        for name, sequence in sequences.items():
            answer[name] = 0.0
            for sizes in sequence:
                arrays = self.arrays(sizes)
                start = clock()
                caller.feed(arrays)
                caller.run()
                answer[name] += clock() - start
        return answer | {"resident": resident()[0]}

    def prepare(self):
        self.engine.prepare(self.setup)
        return {}


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped process would stay for ever after its parent
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wish = json.loads(sys.argv[1])
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[-wish["cpus"]:])
    worker = Worker(wish["engine"], Setup(**wish["setup"]))

    def answer(what, *arguments):
        try:
            result = what(*arguments)
        except Exception as error:
            result = {"error": (str(error).strip() or type(error).__name__).splitlines()[0][:200]}
        print(json.dumps(result), file=answers, flush=True)

    requests = {"load": worker.load, "warm": worker.warm, "time": worker.time, "outputs": worker.outputs, "callers": worker.concurrent,
                "shapes": worker.shapes, "prepare": worker.prepare}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answer(requests[name], *arguments)


if __name__ == "__main__":
    main()
