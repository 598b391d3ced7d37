import enum
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__version__: str

class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...

class _SupportsDLPack(Protocol):
    def __dlpack__(self) -> Any: ...

_Array = npt.ArrayLike | _SupportsDLPack | memoryview
_Input = _Array | Sequence[_Array] | None  # a list or tuple of arrays for a sequence; None for an empty optional or a default
_Output = np.ndarray[Any, Any] | Any  # an array; a list of arrays for a sequence; None for an empty optional. Any spares callers a check

def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | _Reader | Any,
    *,
    threads: int = 0,
    dims: Mapping[str, int] | None = None,
    outputs: Iterable[str] = (),
    optimize: bool = True,
    map_weights: bool = False,
    overridable_initializers: bool = False,
    onednn: bool = True,
    strict: bool = False,
    openmp: bool = False,
    memory_limit: int = 0,
    timeout: float | None = None,
    cancel: Cancel | None = None,
    progress: Callable[[str, int, int], object] | None = None,
    base_directory: str | os.PathLike[str] | None = None,
    disabled_passes: Iterable[str] = (),
    pass_step_limit: int = 0,
    max_plans: int = 0,
    verify_checksums: bool = False,
    cache_directory: str | os.PathLike[str] | None = None,
) -> Model: ...

class Model:
    """A loaded model. Any number of threads may run it at once."""
    def run(
        self,
        inputs: Mapping[str, _Input],
        outputs: Iterable[str] | str | None = None,
        *,
        threads: int = 0,
        timeout: float | None = None,
        cancel: Cancel | None = None,
        profile: Profile | None = None,
    ) -> dict[str, _Output]: ...
    def __call__(self, *arrays: _Input, **named: _Input) -> dict[str, _Output]: ...
    def session(self) -> Session: ...
    def explain(self, dims: Mapping[str, int] = ...) -> list[Node]: ...
    def graph(self, format: str = "text") -> str: ...
    def trim(self) -> None: ...
    @property
    def inputs(self) -> tuple[Value, ...]: ...
    @property
    def outputs(self) -> tuple[Value, ...]: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def name(self) -> str: ...
    @property
    def producer(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def parameter_count(self) -> int: ...
    @property
    def parameter_bytes(self) -> int: ...
    @property
    def load_seconds(self) -> float: ...
    @property
    def cache_file(self) -> str: ...
    @property
    def cache_bytes(self) -> int: ...
    @property
    def cache_note(self) -> str: ...
    @property
    def nodes(self) -> list[Node]: ...
    @property
    def passes(self) -> list[Pass]: ...
    @property
    def stats(self) -> Stats: ...

class Session:
    """The buffers of one caller, for runs on bound arrays. One thread at a time."""
    def __init__(self, model: Model) -> None: ...
    def bind_input(self, name: str, array: _Input) -> None: ...
    def bind_output(self, name: str, array: np.ndarray[Any, Any] | None) -> None: ...
    def want_outputs(self, names: Sequence[str] | None) -> None: ...
    def run(
        self,
        *,
        threads: int = 0,
        timeout: float | None = None,
        cancel: Cancel | None = None,
        profile: Profile | None = None,
    ) -> dict[str, _Output]: ...
    @property
    def outputs(self) -> dict[str, _Output]: ...
    @property
    def model(self) -> Model: ...

class Cancel:
    """Stops the loads and runs it was given to, from any thread."""
    def __init__(self) -> None: ...
    def set(self) -> None: ...
    def reset(self) -> None: ...
    @property
    def is_set(self) -> bool: ...

class Profile:
    """A recording of the steps of the runs it is given to."""
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    @property
    def events(self) -> list[Event]: ...
    def json(self) -> str: ...
    def clear(self) -> None: ...

def build_info() -> dict[str, Any]: ...
def supported_operators() -> list[Operator]: ...

class Value(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...] | None
    type: str
    optional: bool
    sequence: bool = False
    nullable: bool = False

class Node(NamedTuple):
    name: str
    op: str
    domain: str
    opset: int
    kernel: str
    refusals: str
    shape: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
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
    node: str
    op: str
    kernel: str
    start: float
    duration: float
    shapes: str
    parallel: bool

class Operator(NamedTuple):
    domain: str
    name: str
    opset_min: int
    opset_max: int
    min_inputs: int
    max_inputs: int | None
    max_outputs: int

class Code(enum.IntEnum):
    OK = 0
    ARGUMENT = 1
    LOAD = 2
    SHAPE = 3
    RUN = 4
    LIMIT = 5
    CANCELLED = 6
    NOMEM = 7
    IO = 8
    INTERNAL = 9

class Error(Exception):
    code: Code
    message: str
    text: str
    node: str
    op: str
    domain: str
    opset: int
    tensor: str
    source: str

class ArgumentError(Error, ValueError): ...
class LoadError(Error): ...
class ShapeError(Error): ...
class RunError(Error): ...
class LimitError(Error): ...
class CancelledError(Error): ...
class OutOfMemoryError(Error, MemoryError): ...
class FileError(Error, OSError): ...
class InternalError(Error): ...
