"""tools/check_definitions.py: the repository passes, two definitions of one name do not, and what C++ allows is let pass."""
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools/check_definitions.py"


def run(root):
    return subprocess.run([sys.executable, SCRIPT, root], capture_output=True, text=True)


def run_on(root, first, second, paths=("kernels/x/a.h", "kernels/y/b.cc")):
    """Two files, each with its text in namespace tenon."""
    for path, text in zip(paths, (first, second)):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#include <vector>  // {{\nnamespace tenon {{\nconst char* text = "}} {{";\n{text}\n}}  // namespace tenon\n', encoding="utf-8")
    return run(root)


def test_the_repository_defines_nothing_twice():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("first, second, name", [
    ("struct Range { int begin; };", "struct Range final : Base { long begin; };", "tenon::Range"),
    ("namespace kernels { class Range {}; }", "}\nnamespace tenon::kernels {\nclass Range { int x; };", "tenon::kernels::Range"),
    ("enum class Kind : uint8_t { kOne };", "enum class Kind { kOne, kTwo };", "tenon::Kind"),
    ("template <class T>\nstruct Wide { using type = T; };", "template <class U> struct Wide {};", "tenon::Wide"),
    ("template <> struct Wide<float> {};", "template <> struct Wide< float > { int x; };", "tenon::Wide<float>"),
    ("struct alignas(64) Line { char x[64]; };", "struct Line {};", "tenon::Line"),
    ("struct [[nodiscard]] Status {};", "class Status {};", "tenon::Status"),
    ("inline int twice(int x) { return 2 * x; }", "inline int twice(int value = 1) { return value + value; }", "tenon::twice(int)"),
    ("constexpr long most(const std::vector<long>& v) { return v[0]; }", "inline long most(const std::vector<long>& w) noexcept { return 0; }",
     "tenon::most(const std :: vector < long > &)"),
    ("template <class T> T half(T x) { return x / 2; }", "template <class T> T half(T y) { return y / 2; }", "half(T)"),
    ("inline constexpr int kSide = 4;", "inline constexpr int kSide = 8;", "tenon::kSide"),
    ("inline constexpr int kSide = most(4);", "constexpr inline int kSide{8};", "tenon::kSide"),
    ("MACRO(one, two)\ninline int f() { return 1; }", "ANOTHER(three);\ninline int f() { return 2; }", "tenon::f()"),
])
def test_defined_twice(tmp_path, first, second, name):
    result = run_on(tmp_path, first, second)
    assert result.returncode == 1, result.stdout
    assert f"kernels/x/a.h:4 and kernels/y/b.cc:{4 + second.count(chr(10))}: " in result.stdout and name in result.stdout


@pytest.mark.parametrize("first, second", [
    ("struct Range { int begin; };", "namespace { struct Range { long begin; }; }"),
    ("struct Range { int begin; };", "namespace inner { struct Range { long begin; }; }"),
    ("struct Range { int begin; };", "struct Range;\nenum class Kind : int;\nRange range();"),
    ("struct Range { int begin; };", "struct Outer { struct Range { long begin; }; };"),
    ("struct Range { int begin; };", "void f() { struct Range { long begin; }; }"),
    ("struct Range { int begin; };", "struct Range make() { return {}; }"),
    ("template <> struct Wide<float> {};", "template <> struct Wide<double> {};"),
    ("inline int f(int x) { return x; }", "inline int f(long x) { return 1; }"),
    ("inline int f(int x) { return x; }", "static inline int f(int x) { return x + 1; }"),
    ("inline int f(int x) { return x; }", "inline int f(int x);\nint g() { return f(1); }"),
    ("template <class T> requires(sizeof(T) == 4) T f(T x) { return x; }", "template <class T> requires(sizeof(T) == 8) T f(T x) { return x; }"),
    ("constexpr int kSide = 4;", "constexpr int kSide = 8;"),
    ("int f(int x) { return x; }", "int f(int x) { return 2; }"),  # the linker's to find
    ("inline const auto f = [] { return 1; };", "struct A { inline int f() { return 2; } };"),
    ("// struct Range {};\n/* struct Range {}; */", 'const char* r = R"(struct Range {};)";\nstruct Range {};'),
    ("#define RANGE struct Range {};", "struct Range {};"),
    ("#if A\nstruct Range {};\n#else\nstruct Range { int x; };\n#endif", "struct Other { bool operator==(const Other&) const = default; };"),
    ("struct Outer { bool operator==(const Outer&) const = default; };", "inline bool operator==(const A&, const A&) { return true; }"),
])
def test_allowed(tmp_path, first, second):
    result = run_on(tmp_path, first, second)
    assert result.returncode == 0, result.stdout


def test_only_what_is_linked_together_is_compared(tmp_path):
    one, other = "struct Range { int begin; };", "struct Range { long begin; };"
    assert run_on(tmp_path / "a", one, other, ("src/base/a.h", "tests/base/b.cpp")).returncode == 1
    assert run_on(tmp_path / "b", one, other, ("tests/ops/a.cpp", "tests/base/b.cpp")).returncode == 0
    assert run_on(tmp_path / "c", one, other, ("src/base/a.h", "tools/cli/b.cpp")).returncode == 0
    assert run_on(tmp_path / "d", one, other, ("include/tenon/tenon.hpp", "tools/cli/b.cpp")).returncode == 1
