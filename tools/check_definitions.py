#!/usr/bin/env python3
"""Fails when two files define different things of one name: what the one definition rule forbids and no linker reports.

    tools/check_definitions.py [ROOT]

Looked at are classes and enumerations at namespace scope, and inline, constexpr and template functions and inline variables there, by
qualified name, template arguments and parameters. What only one file knows (unnamed namespaces, `static`) is left out, as is what two
definitions of the linker finds itself. Sources are read, not compiled: names are compared as they are written, macros are not expanded, and what is
defined twice within one file (under #if) counts once. Files that are linked together are compared: the engine with the tests of one
layer, and each program on top of the C API.
Exit code: 0 all well, 1 something is defined twice (each place printed as file:line).
"""
import re
import sys
from collections import defaultdict
from pathlib import Path

ENGINE = ("src", "kernels", "importers", "include")
ON_TOP = ("python", "tools/cli")
SUFFIXES = {".h", ".hpp", ".cc", ".cpp"}

TOKEN = re.compile(r'''
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<directive>(?<![^\n])[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<raw>(?:u8|[uUL])?R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)")
  | (?P<text>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<char>(?:u8|[uUL])?'(?:\\.|[^'\\\n])+')
  | (?P<number>\.?[0-9](?:'?[\w.]|(?<=[eEpP])[+-])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign>::|->|\[\[|\]\]|.)
''', re.VERBOSE | re.DOTALL)
OPEN, CLOSE = ("(", "[", "{"), (")", "]", "}")
MACRO = re.compile(r"[A-Z][A-Z0-9_]*$")
# Words before a name that say nothing about which function is meant.
SPECIFIERS = {"inline", "constexpr", "consteval", "extern", "friend", "HWY_INLINE", "HWY_API", "HWY_ATTR", "HWY_NOINLINE", "HWY_MAYBE_UNUSED"}


def tokens_of(text):
    """(token, line) without comments, directives and attributes."""
    line, hidden = 1, 0
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "mark":
            kind = "raw"
        if kind not in ("space", "directive"):
            if token == "[[":
                hidden += 1
            elif token == "]]" and hidden:
                hidden -= 1
            elif not hidden:
                yield token, line
        line += token.count("\n")


def closing(tokens, at):
    """Where the bracket that opens at `at` closes (the end when it does not)."""
    depth = 0
    for i in range(at, len(tokens)):
        if tokens[i][0] in OPEN:
            depth += 1
        elif tokens[i][0] in CLOSE:
            depth -= 1
            if depth == 0:
                return i
    return len(tokens)


def angle(words, at):
    """Where the template list that opens at `at` closes."""
    depth = 0
    i = at
    while i < len(words):
        if words[i] in OPEN:
            i = closing([(w, 0) for w in words], i)
        elif words[i] == "<":
            depth += 1
        elif words[i] == ">":
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return len(words)


def parameters(words):
    """The types of a parameter list: default arguments and names are dropped."""
    parts, part, i = [], [], 0
    while i < len(words):
        word = words[i]
        if word == ",":
            parts.append(part)
            part = []
        elif word == "<":
            end = angle(words, i)
            part += words[i:end + 1]
            i = end
        elif word in OPEN:
            end = closing([(w, 0) for w in words], i)
            part += words[i:end + 1]
            i = end
        else:
            part.append(word)
        i += 1
    parts.append(part)
    types = []
    for part in parts:
        if "=" in part:
            part = part[:part.index("=")]
        named = len(part) > 1 and re.match(r"[A-Za-z_]\w*$", part[-1]) and part[-2] not in ("::", "const", "typename", "class", "struct")
        types.append(" ".join(part[:-1] if named else part))
    return ", ".join(types)


def definition(words, body):
    """What a declaration before `body` ("{", ";" or "=") defines, as a key without its namespace, or None."""
    head = ""
    while words[:1] == ["template"]:
        end = angle(words, 1)
        head += "template<" + parameters(words[2:end]) + "> "
        words = words[end + 1:]
        if words[:1] == ["requires"]:  # up to the declaration itself: part of what is meant
            head += "requires "
    while words and words[0] in ("export", "extern"):
        words = words[1:]
    for keyword in ("class", "struct", "union", "enum"):
        if words[:1] != [keyword]:
            continue
        if body != "{":
            return None
        rest = words[2:] if words[1:2] in (["class"], ["struct"]) else words[1:]
        if rest[:1] == ["alignas"]:
            rest = rest[closing([(w, 0) for w in rest], 1) + 1:]
        while len(rest) > 1 and MACRO.match(rest[0]) and re.match(r"[A-Za-z_]", rest[1]):
            rest = rest[1:]
        if not rest or not re.match(r"[A-Za-z_]\w*$", rest[0]) or "(" in rest[:1]:
            return None
        name, i = rest[0], 1
        while rest[i:i + 1] == ["::"]:  # a class of another one, defined outside of it
            name += "::" + rest[i + 1]
            i += 2
        if rest[i:i + 1] == ["<"]:
            end = angle(rest, i)
            name += "<" + " ".join(rest[i + 1:end]) + ">"
            i = end + 1
        # `struct X f() {` defines no class.
        return name if not rest[i:] or rest[i] in (":", "final") else None
    if "static" in words or words[:1] in (["using"], ["typedef"], ["static_assert"], ["friend"]):
        return None
    # The name of a function stands before the first list of parameters.
    i = 0
    while i + 1 < len(words):
        word = words[i]
        if word == "<":
            i = angle(words, i)
        elif word == "=":
            break
        elif re.match(r"[A-Za-z_]\w*$", word) and words[i + 1] == "(" and word not in ("decltype", "noexcept", "requires", "alignas", "sizeof"):
            if MACRO.match(word):
                i = closing([(w, 0) for w in words], i + 1)
            elif body != "{" or "::" in words[i - 1:i] or "operator" in words[:i + 1]:
                return None
            elif not head and not {"inline", "constexpr", "consteval", "HWY_INLINE", "HWY_API"} & set(words[:i]):
                return None  # the linker sees to it
            else:
                end = closing([(w, 0) for w in words], i + 1)
                result = " ".join(w for w in words[:i] if w not in SPECIFIERS) if head else ""
                after = " ".join(words[end + 1:]) if "requires" in words[end:] else ""
                return f"{head}{result + ' ' if result else ''}{word}({parameters(words[i + 2:end])}){' ' + after if after else ''}"
        elif word == "(":
            i = closing([(w, 0) for w in words], i)
        i += 1
    if "inline" in words and "operator" not in words:
        before = words[:words.index("=")] if "=" in words else words
        before = before[:before.index("[")] if "[" in before else before
        if len(before) > 2 and "(" not in before and re.match(r"[A-Za-z_]\w*$", before[-1]):
            return before[-1]
    return None


def definitions(text):
    """(qualified key, line) of everything the file defines that other files can see."""
    tokens = list(tokens_of(text))
    scopes = []  # of the braces that are open: the name of a namespace, "" for one that adds none, None for an unnamed one
    start = i = 0
    while i < len(tokens):
        token, line = tokens[i]
        words = [t for t, _ in tokens[start:i]]
        if token == "(" or (token == "[" and words):
            i = closing(tokens, i) + 1
        elif token == "{":
            while words and MACRO.match(words[0]) and words[1:2] == ["namespace"]:
                words = words[1:]
            if words[:2] == ["inline", "namespace"]:
                words = words[1:]
            if words[:1] == ["namespace"]:
                scopes.append("".join(words[1:]) or None)
                start = i = i + 1
            elif words[:2] == ["extern", '"C"']:
                scopes.append("")
                start = i = i + 1
            else:
                if None not in scopes and (key := definition(words, "{")):
                    yield "::".join([s for s in scopes if s] + [key]), tokens[start][1]
                i = closing(tokens, i) + 1
                # A class ends with a semicolon; a function does not. `= {...}` and `x{...}` go on as well.
                kind = next((w for w in words if w in ("class", "struct", "union", "enum", "=")), None)
                if i < len(tokens) and tokens[i][0] == ";":
                    i += 1
                    start = i
                elif kind is None or "(" in words:
                    start = i
        elif token == "}":
            if scopes:
                scopes.pop()
            start = i = i + 1
        elif token == ";":
            if None not in scopes and words and (key := definition(words, ";")):
                yield "::".join([s for s in scopes if s] + [key]), tokens[start][1]
            # Macros that need no semicolon may come in front; their names are passed over.
            start = i = i + 1
        else:
            i += 1


def check(root):
    """What is defined in more than one file of a program under `root`, each as lines of text."""
    def files(folder):
        return [p for p in (root / folder).rglob("*") if p.suffix in SUFFIXES]

    found = {}  # file -> {key: line}

    def read(file):
        if file not in found:
            found[file] = {}
            for key, line in definitions(file.read_text(encoding="utf-8", errors="replace")):
                found[file].setdefault(key, line)
        return found[file]

    engine = [f for folder in ENGINE for f in files(folder)]
    programs = [engine] + [files("include") + files(folder) for folder in ON_TOP]
    for layer in sorted(p for p in root.glob("tests/*") if p.is_dir() and not (p / "CMakeLists.txt").exists()):  # else a program on top
        programs.append(engine + files("tests/support") + files(layer.relative_to(root).as_posix()))
    problems = {}
    for program in programs:
        places = defaultdict(set)
        for file in program:
            for key, line in read(file).items():
                places[key].add(f"{file.relative_to(root).as_posix()}:{line}")  # a set: tests/support is there twice in its own program
        for key, where in places.items():
            if len(where) > 1:
                problems.setdefault(key, set()).update(where)
    return [f"{' and '.join(sorted(where))}: {key} is defined more than once" for key, where in sorted(problems.items())]


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
    problems = check(root)
    for problem in problems:
        print(problem)
    print(f"check_definitions: {len(problems)} name{'' if len(problems) == 1 else 's'} defined more than once")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
