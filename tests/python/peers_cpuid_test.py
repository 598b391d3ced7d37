"""Which CPUID instructions of a program are found, and what it sees when they are answered in the CPU's place."""
import os
import platform
import subprocess
from pathlib import Path

import pytest
from peers import cpuid
from peers.process import HIDE

pytestmark = pytest.mark.skipif(platform.system() != "Linux" or platform.machine() != "x86_64", reason="CPUID and ELF")

# The instruction twice, and its bytes as a part of two others and as data.
PROGRAM = r"""
#include <stdio.h>
static const unsigned char data[] = {0x0f, 0xa2};
static unsigned leaf_7(void) {
  unsigned a = 7, b, c = 0, d;
  __asm__ volatile("leaf_7_cpuid: cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return b;
}
static unsigned most(void) {
  unsigned a = 0, b, c = 0, d;
  __asm__ volatile("most_cpuid: cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return a;
}
int main(void) {
  unsigned x, y;
  __asm__ volatile("movl $0x12a20f34, %0" : "=r"(x));
  __asm__ volatile("movl $0xa20f1234, %0" : "=r"(y));
  printf("%u %u %u %u", most(), leaf_7() >> 16 & 1, leaf_7() >> 5 & 1, x + y + data[0]);
  return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cpuid")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["cc", "-O0", "program.c", "-o", "program"], cwd=folder, check=True)
    return folder / "program"


def symbols(program):
    lines = (line.split() for line in subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines())
    return {words[-1]: int(words[0], 16) for words in lines if len(words) == 3}


def test_instructions_are_found_and_no_other_bytes(program):
    named = symbols(program)
    assert program.read_bytes().count(cpuid.CPUID) >= 5
    assert cpuid.sites(program) == sorted([named["leaf_7_cpuid"], named["most_cpuid"]])


def test_the_list_knows_programs_and_what_they_need_and_follows_changes(program, tmp_path):
    listed = tmp_path / "list"
    cpuid.write_sites([program.parent], tmp_path, listed)
    lines = dict(line.split("\t") for line in listed.read_text().splitlines())
    assert [int(word, 16) for word in lines[str(program)].split()] == cpuid.sites(program)
    assert not any(path.endswith("program.c") for path in lines)
    first = listed.read_text()
    cpuid.write_sites([program.parent], tmp_path, listed)
    assert listed.read_text() == first
    cpuid.write_sites([program.parent], program, listed)
    assert str(program) not in listed.read_text()


def test_a_program_sees_no_wider_vectors(program, tmp_path):
    """Needs what `make bench-peers` builds."""
    if not HIDE.is_file():
        pytest.skip("not built")
    listed = tmp_path / "list"
    cpuid.write_sites([program.parent], HIDE, listed)
    most, avx512, avx2, sum_ = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    hidden = subprocess.run([program], capture_output=True, text=True, check=True,
                            env=dict(os.environ, LD_AUDIT=str(HIDE), TENON_CPUID_SITES=str(listed))).stdout.split()
    assert hidden == [most, "0", avx2, sum_]
    assert avx512 == str(int("avx512f" in Path("/proc/cpuinfo").read_text().split()))
    wrong = subprocess.run([program], capture_output=True, text=True, check=False,
                           env=dict(os.environ, LD_AUDIT=str(HIDE), TENON_CPUID_SITES="none"))
    assert wrong.returncode == 3 and "TENON_CPUID_SITES" in wrong.stderr
