"""The parent's side of the protocol: a process per engine, asked in rounds, between looks at what the machine gives."""
import contextlib
import dataclasses
import json
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROBE = ROOT / "build/release/benchmarks/probe"
HIDE = ROOT / "build/release/benchmarks/libcpuid_avx2.so"
DEADLINE = 600  # seconds that any answer may take


class EngineFailed(Exception):
    """One line that says why an engine is left out, without the folder that this machine has the repository in."""

    def __init__(self, why):
        super().__init__(why.replace(f"{ROOT}/", ""))


class Process:
    """A worker, stopped while others are asked: a pool of threads that spins on between runs would slow them."""

    def __init__(self, engine, setup, cpus):
        self.engine = engine
        wish = json.dumps({"engine": engine, "setup": dataclasses.asdict(setup), "cpus": cpus})
        environment = dict(os.environ, OMP_NUM_THREADS=str(setup.threads), PYTHONDONTWRITEBYTECODE="1",
                           PYTHONPATH=os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT / "tools"), os.environ.get("PYTHONPATH", "")]))
        self.log = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen([sys.executable, "-m", "peers.worker", wish], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, env=environment)

    def ask(self, *request):
        """The answer to a request of peers.worker; EngineFailed when it is an error, the process has ended, or it takes too long."""
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], DEADLINE)[0]:
                self.process.send_signal(signal.SIGSTOP)
                raise EngineFailed(f"no answer in {DEADLINE} s")
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise EngineFailed(self.last_words())
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # a signal takes its time
        answer = json.loads(line)
        if "error" in answer:
            raise EngineFailed(answer["error"])
        return answer

    def last_words(self):
        status = self.process.wait(timeout=60)
        self.log.seek(0)
        words = self.log.read().strip().splitlines()[-1:]
        end = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"
        return f"the process {end}" + (f": {words[0][:150]}" if words else "")

    def close(self):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):  # what a dead process did not read
            self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


def started(engine, setup, cpus):
    """A process that has loaded the model, and its answer."""
    process = Process(engine, setup, cpus)
    try:
        return process, process.ask("load")
    except BaseException:
        process.close()
        raise


class Weather:
    """What the machine gives at the moment, by the probe: multiply-adds, copies, its share of a core; and the time the hypervisor kept."""

    LOST = 0.03  # a round beside a probe that far under the median of the session is measured again

    def __init__(self):
        self.probe = subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seen = {}  # threads -> [speeds]
        self.discarded = self.rounds = 0
        self.ticks_before = self.ticks()

    def ask(self, request):
        self.probe.stdin.write(request + "\n")
        self.probe.stdin.flush()
        return json.loads(self.probe.stdout.readline())

    def look(self, threads):
        """True when the machine gives what it usually does in this session."""
        speeds = self.ask(f"speeds {threads}")
        seen = self.seen.setdefault(threads, [])
        seen.append(speeds)
        return all(speeds[what] >= (1 - self.LOST) * statistics.median(s[what] for s in seen) for what in speeds)

    def usual(self, threads):
        """The medians of the session, {"gflops", "gb_per_s", "share"}."""
        if threads not in self.seen:
            for _ in range(10):
                self.look(threads)
        return {what: statistics.median(s[what] for s in self.seen[threads]) for what in ("gflops", "gb_per_s", "share")}

    def copy_speed(self, size):
        return self.ask(f"copy {size}")["gb_per_s"]

    def into_new_memory(self, size):
        """Seconds to copy so many bytes into memory that is new to the process."""
        return self.ask(f"new {size}")["seconds"]

    def read_speed(self, size):
        return self.ask(f"read {size}")["gb_per_s"]

    @staticmethod
    def ticks():
        """(CPU time that the hypervisor kept, all CPU time) since the machine started."""
        fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return fields[7], sum(fields)

    def summary(self):
        """Of the session, for JSON."""
        stolen, ticks = (now - before for now, before in zip(self.ticks(), self.ticks_before))
        return {"rounds": self.rounds, "discarded": self.discarded, "stolen": stolen / max(ticks, 1),
                "probes": {str(threads): self.usual(threads) for threads in self.seen}}

    def restart(self):
        """Counts anew, and keeps what the probe has seen."""
        self.discarded = self.rounds = 0
        self.ticks_before = self.ticks()

    def close(self):
        self.probe.stdin.close()
        self.probe.stdout.close()
        self.probe.wait()


def interleave(tasks, count, weather, threads):
    """Calls every task in shuffled order, round by round, until `count` rounds in steady weather have passed.

    tasks: {engine: function of the round's number that gives an answer or raises EngineFailed}.
    -> ({engine: [answer of each round]}, {engine: why it was left out}). An unsteady round is discarded and measured again, as many times
    as there are rounds; after that rounds count as they come.
    """
    answers, left_out, again, done = {engine: [] for engine in tasks}, {}, count, 0
    steady = weather.look(threads)
    while done < count:
        order = [engine for engine in tasks if engine not in left_out]
        random.shuffle(order)
        taken = {}
        for engine in order:
            try:
                taken[engine] = tasks[engine](done)
            except EngineFailed as error:
                left_out[engine] = str(error)
        before, steady = steady, weather.look(threads)
        weather.rounds += 1
        if not (before and steady) and again > 0:
            again -= 1
            weather.discarded += 1
            continue
        for engine, answer in taken.items():
            answers[engine].append(answer)
        done += 1
    return {engine: a for engine, a in answers.items() if engine not in left_out}, left_out
