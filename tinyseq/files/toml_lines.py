"""On which line of a TOML text each key stands, which tomllib does not tell."""

import re
import tomllib

Path = tuple[str | int, ...]

BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
SPACE = re.compile(r"[ \t]*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
OTHER = re.compile(r"[^,\]}\n#]+")


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of every key, table and array element; `text` is TOML that tomllib accepts."""
    return _Scanner(text).document()


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of `path`, or of what holds it; 1 if nothing does."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.counted, self.line = 0, 1
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}
        """For each array of tables, how many have begun."""

    def document(self) -> dict[Path, int]:
        table: Path = ()
        while self.skip(BLANK) < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
        return self.lines

    def header(self) -> Path:
        is_array = self.text.startswith("[[", self.at)
        line = self.current_line()
        self.at += 2 if is_array else 1
        path: Path = ()
        keys = self.key()
        for i, key in enumerate(keys):
            path = (*path, key)
            self.lines.setdefault(path, line)
            if is_array and i == len(keys) - 1:
                self.tables[path] = self.tables.get(path, 0) + 1
            if path in self.tables:
                path = (*path, self.tables[path] - 1)
                self.lines.setdefault(path, line)
        self.at += 2 if is_array else 1
        return path

    def pair(self, table: Path) -> None:
        line = self.current_line()
        path = table
        for key in self.key():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign
        self.skip(SPACE)
        self.value(path)

    def key(self) -> list[str]:
        parts = []
        while True:
            self.skip(SPACE)
            quoted = self.text[self.at] in "\"'"
            start, end = self.at, self.skip(STRING if quoted else BARE_KEY)
            raw = self.text[start:end]
            parts.append(tomllib.loads(f"key = {raw}")["key"] if quoted else raw)
            self.skip(SPACE)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def value(self, path: Path) -> None:
        opening = self.text[self.at]
        if opening in "\"'":
            self.skip(STRING)
        elif opening == "[":
            self.items("]", path)
        elif opening == "{":
            self.items("}", path)
        else:
            self.skip(OTHER)

    def items(self, closing: str, path: Path) -> None:
        """The elements of an array, or the pairs of an inline table."""
        self.at += 1
        count = 0
        while self.text[self.skip(BLANK)] != closing:
            if self.text[self.at] == ",":
                self.at += 1
            elif closing == "}":
                self.pair(path)
            else:
                self.lines.setdefault((*path, count), self.current_line())
                self.value((*path, count))
                count += 1
        self.at += 1

    def skip(self, pattern: re.Pattern[str]) -> int:
        """Go past what the pattern matches here."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return self.at

    def current_line(self) -> int:
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line
