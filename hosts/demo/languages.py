"""Guesses what a file is written in: by its name, its extension, or the interpreter it asks for."""

from __future__ import annotations

import re

BINARY = "Binary data"
PLAIN_TEXT = "Plain text"

_INTERPRETER = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?([A-Za-z]+)")


def _by_extension(languages: dict[str, str]) -> dict[str, str]:
    return {extension: language for language, extensions in languages.items() for extension in extensions.split()}


_TEXT = _by_extension(
    {
        "Assembly": "asm s",
        "C": "c h",
        "C#": "cs",
        "C++": "cc cpp cxx hh hpp hxx",
        "CMake": "cmake",
        "CSS": "css less sass scss",
        "CSV": "csv tsv",
        "Clojure": "clj cljs",
        "Configuration": "cfg conf cnf config desktop in properties rc service",
        "Diff": "diff patch",
        "Elixir": "ex exs",
        "Erlang": "erl hrl",
        "Fortran": "f f90 f95 for",
        "Go": "go",
        "Groff": "1 2 3 4 5 6 7 8 man me ms",
        "Groovy": "gradle groovy",
        "HTML": "htm html xhtml",
        "Haskell": "hs lhs",
        "INI": "ini",
        "JSON": "ipynb json jsonl ndjson",
        "Java": "java",
        "JavaScript": "cjs js jsx mjs",
        "Julia": "jl",
        "Kotlin": "kt kts",
        "Lisp": "el lisp scm",
        "Lua": "lua",
        "M4": "ac m4",
        "Makefile": "mak mk",
        "Markdown": "markdown md",
        "OCaml": "ml mli",
        "Objective-C": "m mm",
        "PHP": "php",
        "Perl": "pl pm pod t",
        "PostScript": "eps ps",
        "PowerShell": "ps1 psm1",
        "Protocol Buffers": "proto",
        "Python": "py pyi pyw pyx",
        "R": "r rmd",
        "Ruby": "gemspec rake rb",
        "Rust": "rs",
        "SQL": "sql",
        "SVG": "svg",
        "Scala": "scala",
        "Shell": "bash fish ksh sh zsh",
        "Swift": "swift",
        "TOML": "toml",
        "Tcl": "tcl tk",
        "TeX": "bib cls sty tex texi texinfo",
        "Template": "j2 jinja mako mustache tmpl",
        "TypeScript": "cts mts ts tsx",
        "Vim script": "vim",
        "XML": "dtd plist rdf rng xml xsd xsl xslt",
        "YAML": "yaml yml",
        "Zig": "zig",
        "reStructuredText": "rst",
    }
)

_BINARY = _by_extension(
    {
        "Archive": "7z bz2 gz lz lz4 lzma rar tar tgz txz whl xz zip zst",
        "Audio": "flac m4a mp3 ogg opus wav",
        "Database": "db sqlite sqlite3",
        "Document": "doc docx odp ods odt pdf ppt pptx xls xlsx",
        "Font": "otf ttf woff woff2",
        "Image": "bmp gif icns ico jpeg jpg png psd tif tiff webp",
        "Object code": "a bin class dll dylib exe jar o pyc pyd so wasm",
        "Translations": "gmo mo",
        "Video": "avi mkv mov mp4 mpeg webm",
    }
)

_NAMES = {
    "cmakelists.txt": "CMake",
    "dockerfile": "Dockerfile",
    "gemfile": "Ruby",
    "gnumakefile": "Makefile",
    "jenkinsfile": "Groovy",
    "makefile": "Makefile",
    "rakefile": "Ruby",
    ".bashrc": "Shell",
    ".gitignore": "Configuration",
    ".profile": "Shell",
}

_INTERPRETERS = {
    "awk": "Awk",
    "bash": "Shell",
    "dash": "Shell",
    "gawk": "Awk",
    "ksh": "Shell",
    "lua": "Lua",
    "make": "Makefile",
    "node": "JavaScript",
    "perl": "Perl",
    "php": "PHP",
    "python": "Python",
    "ruby": "Ruby",
    "sed": "Sed",
    "sh": "Shell",
    "tclsh": "Tcl",
    "wish": "Tcl",
    "zsh": "Shell",
}


def is_binary(name: str, start: bytes) -> bool:
    """Whether a file is something else than text: its extension says so, or its start holds a NUL byte."""
    return _extension(name) in _BINARY or b"\0" in start


def language_of(name: str, start: bytes) -> str:
    """Return the language, or kind, of a file.

    Args:
        name: the file's name without folders.
        start: its first bytes.
    """
    extension = _extension(name)
    if is_binary(name, start):
        return _BINARY.get(extension, BINARY)
    return _NAMES.get(name.lower()) or _TEXT.get(extension) or _by_interpreter(start) or PLAIN_TEXT


def _by_interpreter(start: bytes) -> str | None:
    asked = _INTERPRETER.match(start)
    return None if asked is None else _INTERPRETERS.get(asked[1].decode().lower())


def _extension(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""
