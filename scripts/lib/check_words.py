"""Checks the texts that users read: links and anchors between Markdown files resolve, and documents, help and messages use no quaint
phrase that makes readers stop.

Prints each fault as FILE:LINE and exits with 1 if there is any. Needs only Python's standard library.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Written by the program, or data.
SKIPPED = ("docs/example-report/", "tests/corpora/", "tests/golden/", "docs/reliability.md", "docs/hostile-files.md")

# Phrases that make readers stop, and what to write instead.
QUAINT = [
    (r"(?<!--)beside", "next to, compared with"),
    (r"whoever", "from any source"),
    (r"nobody|somebody", "no process, another user"),
    (r"so many", "this many, the number of"),
    (r"anew", "again"),
    (r"heed(s|ed)?", "apply, obey"),
    (r"dear(er|est)", "expensive"),
    (r"handed on", "passed on"),
    (r"(go|goes|going|went) on(?! to)", "resume, continue"),
    (r"doing it again", "repeating it"),
    (r"stands? (once|twice|in|at|by|first|there|behind)", "is, must be unique"),
    (r"(is|are) there (once|twice)", "is unique, is duplicated"),
    (r"(is|are) told", "a warning says"),
    (r"(?<!there )(is|are) no (part|setting|settings|label|id|file|store|directory)", "is not a …"),
    (r"misshapen", "has the wrong shape"),
    (r"afresh", "newly"),
    (r"all the same(?! label)", "anyway, equal"),
]
QUAINT = [(re.compile(rf"(?<!\w)(?:{phrase})(?!\w)", re.IGNORECASE), instead) for phrase, instead in QUAINT]

# A comment or a character, which hides quotation marks, or a string literal.
RUST = re.compile(r"""//[^\n]*|b?'(?:\\.|[^'\\])'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def texts(*patterns):
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    names = (path.relative_to(ROOT).as_posix() for path in found)
    return [name for name in names if not name.startswith(SKIPPED)]


def anchor(heading):
    """GitHub's anchor of a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def prose(path):
    """The lines of a Markdown file with their numbers, without those between ``` marks."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= line.startswith("```")
        if not fenced:
            yield number, line


def anchors(path):
    return {anchor(line.lstrip("#").strip()) for _, line in prose(path) if re.match(r"#+ ", line)}


def broken_links(name):
    path = ROOT / name
    for number, line in prose(path):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, wanted = target.partition("#")
            other = (path.parent / file).resolve() if file else path
            if not other.exists():
                yield f"{name}:{number}: {target}: there is no such file"
            elif wanted and wanted not in anchors(other):
                yield f"{name}:{number}: {target}: there is no such heading"


def messages(name):
    """String literals of a Rust file, and in the command line's the doc comments, which are its help; without unit tests."""
    text = (ROOT / name).read_text(encoding="utf-8").split("#[cfg(test)]\nmod ", 1)[0]
    is_help = "/args/" in name
    for found in RUST.finditer(text):
        number, part = text.count("\n", 0, found.start()) + 1, found[0]
        if part.startswith('"') and " " in part:
            # Neither placeholders nor words that only programs read are texts.
            yield number, re.sub(r"\\\n\s*|\{[^{}]*\}", "", part)
        elif is_help and part.startswith("/// "):
            yield number, part


def quaint(name, lines):
    for number, line in lines:
        for phrase, instead in QUAINT:
            if found := phrase.search(line):
                yield f"{name}:{number}: “{found[0]}”: write {instead}"


def main():
    faults = []
    for name in texts("*.md", "docs/**/*.md", "crates/**/*.md", "datasets/**/*.md", "tests/**/*.md", "pipelines/**/*.md"):
        faults += [*broken_links(name), *quaint(name, prose(ROOT / name))]
    for name in texts("crates/*/src/**/*.rs"):
        if "tests" not in pathlib.Path(name).stem and "/tests/" not in name:
            faults += quaint(name, messages(name))
    print("\n".join(faults), end="\n" if faults else "")
    sys.exit(1 if faults else 0)


main()
