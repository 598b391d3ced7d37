"""Running the command line."""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = os.environ.get("TENON_BIN", str(ROOT / "build/release/bin/tenon"))


def tenon(*arguments, code=0, **kwargs):
    result = subprocess.run([BIN, *map(str, arguments)], capture_output=True, text=True, timeout=120, **kwargs)
    assert result.returncode == code, f"exit code {result.returncode}, expected {code}\n{result.stdout}\n{result.stderr}"
    return result


def tenon_json(*arguments, code=0):
    return json.loads(tenon(*arguments, "--json", code=code).stdout)
