"""Where programs and libraries ask for the CPU: what benchmarks/cpuid_avx2.cpp needs to hide some of its answers from them."""
import json
import re
import struct
import subprocess
from pathlib import Path

CPUID = b"\x0f\xa2"
BEFORE = 256  # bytes that a disassembler is given to fall into step with the instructions
AFTER = 16  # the longest instruction, so that none that holds the bytes by chance is cut short


def code(data):
    """(offset in the file, address, size) of every part of an x86-64 ELF file that is run; none of other files."""
    if data[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", data, 18)[0] != 62:
        return []
    start, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, start + i * size) for i in range(count)]
    return [(offset, address, length) for kind, flags, offset, address, _, length in headers if kind == 1 and flags & 1]


def sites(path):
    """The addresses of CPUID instructions in a file, as it has them on disk."""
    data, found = path.read_bytes(), []
    for offset, address, length in code(data):
        at = data.find(CPUID, offset, offset + length)
        while at >= 0:
            if instruction(path, address + at - offset):
                found.append(address + at - offset)
            at = data.find(CPUID, at + 1, offset + length)
    return found


def instruction(path, address):
    """Whether CPUID begins at an address: the same bytes are also parts of other instructions."""
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--start-address={max(0, address - BEFORE)}",
                              f"--stop-address={address + AFTER}", path], capture_output=True, text=True, check=True).stdout
    return re.search(rf"^\s*{address:x}:\s+cpuid\s*$", listing, re.MULTILINE) is not None


def needed(file):
    """The libraries that the dynamic linker loads with a program or a library."""
    listing = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in re.findall(r"=> (/\S+)", listing)}


def write_sites(folders, but, out):
    """Writes the list of every program and library under the folders, and of those that they need, which has such instructions.

    `but` is left out. What `out` was made of is kept beside it, so that files which have not changed are not read again.
    """
    memory = out.with_suffix(".json")
    known = json.loads(memory.read_text()) if memory.is_file() else {}
    found = (file for folder in folders for file in folder.rglob("*") if file.is_file())
    files = {file.resolve() for file in found if ".so" in file.name or file.stat().st_mode & 0o100}
    lines, kept = [], {}
    while files:
        file = files.pop()
        state = file.stat()
        key = f"{file} {state.st_size} {state.st_mtime_ns}"
        if key in kept or file == but:
            continue
        if key not in known:
            elf = code(file.read_bytes())
            known[key] = {"sites": sites(file) if elf else [], "needs": [str(library.resolve()) for library in needed(file)] if elf else []}
        kept[key] = known[key]
        files |= {Path(library) for library in known[key]["needs"]}
        if kept[key]["sites"]:
            lines.append(f"{file}\t" + " ".join(f"{address:x}" for address in kept[key]["sites"]))
    memory.write_text(json.dumps(kept))
    out.write_text("\n".join(sorted(lines)) + "\n")
