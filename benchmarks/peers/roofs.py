"""Rooflines: what a kernel's algorithm takes at the least on this machine, part by part, whoever writes it.

A roof is {"limit": seconds that stand for 100 % of the machine, "parts": {name: seconds}}. The part "arithmetic" is the multiply-adds at
the probe's peak; "own instructions", in its place, what a kernel's own take, where these have no least number. Every other part is bytes
that must move at the speed the probe has for so many: those of operands and results as copies are, those of weights as they are read. Parts
that overlap hide each other, so a kernel ends up between apart() and hidden().
"""
from pathlib import Path

FLOAT = 4
OWN = "own instructions"


class Machine:
    """The seconds that a thread takes for operations and bytes, by the probe.

    weather: process.Weather. cached: bytes that stay in a core's own cache while they are worked on.
    """

    def __init__(self, weather, cached):
        self.weather, self.cached = weather, cached

    def arithmetic(self, operations):
        return operations / self.weather.usual(1)["gflops"] * 1e-9

    def copied(self, size):
        """Of bytes of which some are read and the others written, once each."""
        return size / self.weather.copy_speed(size) * 1e-9

    def copied_within(self, size):
        """The same in pieces that stay in the core's cache."""
        return size / self.weather.copy_speed(min(size, self.cached)) * 1e-9

    def read(self, size):
        return size / self.weather.read_speed(size) * 1e-9


def cache():
    """Half the bytes of a core's second cache, of 1 MiB where the system does not say."""
    file = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
    text = file.read_text().strip() if file.is_file() else "1024K"
    return int(text.rstrip("KM")) * (1 << 20 if text.endswith("M") else 1 << 10) // 2


def roof(limit, **parts):
    return {"limit": limit, "parts": {name.replace("_", " "): seconds for name, seconds in parts.items()}}


def product(machine, m, n, k, threads=1):
    """Threads share the rows, so each has its part of everything."""
    least = machine.arithmetic(2 * m * n * k / threads)
    return roof(least, arithmetic=least, operands_and_result=machine.copied(FLOAT * (m * k + k * n + m * n)) / threads)


def row_product(machine, n, k):
    """One row times weights, whose reading is the limit."""
    least = machine.read(FLOAT * k * n)
    return roof(least, arithmetic=machine.arithmetic(2 * n * k), weights=least)


def pointwise(machine, channels, filters, size, block=1):
    """A 1x1 convolution of an image of size x size, in vectors of `block` filters of which the last may be partly filled."""
    pixels, whole = size * size, (filters + block - 1) // block * block
    limit, arithmetic = (machine.arithmetic(2 * channels * n * pixels) for n in (filters, whole))
    return roof(limit, arithmetic=arithmetic, weights=machine.read(FLOAT * channels * filters),
                input_and_output=machine.copied(FLOAT * (channels + filters) * pixels))


def winograd(machine, channels, filters, size, _=1):
    """A 3x3 convolution with stride 1 by F(4x4, 3x3), beside the multiply-adds of the direct algorithm as the limit.

    Every begun tile of 4x4 outputs counts as a whole one. Its transforms take 144 instructions a channel and 100 a filter, those of the
    weights 72, each in the place of a multiply-add (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 4.3).
    Weights are either transformed ahead, four times as many bytes to read, or while running, whichever is shorter.
    """
    tiles, pixels, weights = ((size + 3) // 4) ** 2, size * size, channels * filters
    instructions = tiles * (36 * weights + 144 * channels + 100 * filters)
    shared = {"input_and_output": machine.copied(FLOAT * (channels + filters) * pixels),
              "transformed_tiles": machine.copied_within(2 * FLOAT * 36 * tiles * (channels + filters))}
    limit = machine.arithmetic(2 * 9 * weights * pixels)
    ahead = {"arithmetic": machine.arithmetic(2 * instructions), "transformed_weights": machine.read(36 * FLOAT * weights)}
    running = {"arithmetic": machine.arithmetic(2 * (instructions + 72 * weights)), "weights": machine.read(9 * FLOAT * weights)}
    ways = [roof(limit, **way, **shared) for way in (ahead, running)]
    return min(ways, key=lambda way: sum(way["parts"].values()))


def moving(counters):
    """A kernel that copies limit which ran beside it, unless it takes longer with its operands in the cache."""
    least = counters["usual_us"] * counters["percent_of_copy"] * 1e-8
    return roof(least, own_instructions=counters["within_us"] * 1e-6, operands_and_result=least)


def apart(found):
    """Percent of the limit when the parts follow each other."""
    return 100 * found["limit"] / sum(found["parts"].values())


def hidden(found):
    """Percent of the limit when computing and moving bytes hide each other as far as they can."""
    parts = found["parts"]
    computing = parts.get("arithmetic") or parts[OWN]
    return 100 * found["limit"] / max(computing, sum(parts.values()) - computing)


def reach(found, aim):
    """Whether `aim`, a percentage of the limit, is under the roof, in words."""
    beyond = f"bound by {OWN}" if OWN in found["parts"] else "out of reach"
    return "in reach" if aim <= apart(found) else "only overlapped" if aim <= hidden(found) else beyond
