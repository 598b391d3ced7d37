"""What inspecting a model gives: small named tuples."""
from typing import NamedTuple


class Value(NamedTuple):
    """An input or output. In `shape`, an int is a size, a str a symbol, None unknown; `shape` is None when even the rank is unknown."""

    name: str
    dtype: object  # numpy.dtype, of the arrays that run() takes and gives
    shape: tuple
    type: str  # ONNX element type: "float32", "bfloat16", "string"
    optional: bool  # an input that may be left out, since it has a default or is nullable
    sequence: bool = False  # a list of arrays, which dtype and shape describe; they may differ where a size is not an int
    nullable: bool = False  # of ONNX's optional types: it may be None

    def __str__(self):
        dims = "..." if self.shape is None else ", ".join("?" if d is None else str(d) for d in self.shape)
        text = f"{self.type}[{dims}]"
        if self.sequence:
            text = f"sequence({text})"
        if self.nullable:
            return f"{self.name}: optional({text})"
        return f"{self.name}: {text}" + (" = default" if self.optional else "")

    def __repr__(self):
        return f"<{self}>"


class Node(NamedTuple):
    """A node of the optimised graph."""

    name: str
    op: str
    domain: str
    opset: int
    kernel: str
    refusals: str
    shape: str
    inputs: tuple
    outputs: tuple
    depth: int
    note: str


class Pass(NamedTuple):
    name: str
    seconds: float
    rewrites: int


class Stats(NamedTuple):
    weight_bytes: int
    run_bytes: int
    run_bytes_peak: int
    plans: int
    sessions_idle: int
    runs: int


class Event(NamedTuple):
    """A step of a run; times in seconds."""

    node: str
    op: str
    kernel: str
    start: float
    duration: float
    shapes: str
    parallel: bool


class Operator(NamedTuple):
    """An operator this build supports; `max_inputs` is None when variadic."""

    domain: str
    name: str
    opset_min: int
    opset_max: int
    min_inputs: int
    max_inputs: object
    max_outputs: int
