"""How long compiled steps, and their working memory, are kept: as long as somebody's module runs them."""

import threading
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

from tinyseq.nn.module import Module
from tinyseq.scan.running.program import Program

PROGRAMS_KEPT = 256
LOOSE_KEPT = 8  # of steps that belong to no module, as a function's: how many keep their working memory


class Kept(NamedTuple):
    """A program and the form of its outputs."""

    program: Program
    output_form: Any


class Programs:
    """Programs by the kind of call that they serve, the most recent ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, Kept] = OrderedDict()
        self._loose: OrderedDict[int, Program] = OrderedDict()
        self._users: dict[int, int] = {}  # by id of a program in use: how many modules run it
        self._used: weakref.WeakKeyDictionary[Module, set[int]] = weakref.WeakKeyDictionary()
        self._lock = threading.RLock()  # garbage collection may end a module in the middle of a look-up

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, kind: Any, owner: Any) -> Kept | None:
        """The program for such a call, if there is one; `owner` is the module whose step it is, if any."""
        with self._lock:
            kept = self._kept.get(kind)
            if kept is not None:
                self._kept.move_to_end(kind)
                self._note(kept.program, owner)
            return kept

    def keep(self, kind: Any, owner: Any, kept: Kept) -> Kept:
        """Keep a new program for such calls."""
        with self._lock:
            self._kept[kind] = kept
            if len(self._kept) > PROGRAMS_KEPT:
                self._kept.popitem(last=False)
            self._note(kept.program, owner)
        return kept

    def clear(self) -> None:
        """Forget all programs, and give their working memory back."""
        with self._lock:
            for program in (*[kept.program for kept in self._kept.values()], *self._loose.values()):
                program.release()
            self._kept.clear()
            self._loose.clear()

    def _note(self, program: Program, owner: Any) -> None:
        """Remember who runs the program."""
        key = id(program)
        if not isinstance(owner, Module):
            self._loose[key] = program
            self._loose.move_to_end(key)
            if len(self._loose) > LOOSE_KEPT:
                old, left = self._loose.popitem(last=False)
                if old not in self._users:
                    left.release()
            program.hold()
            return
        used = self._used.setdefault(owner, set())
        if key not in used:
            used.add(key)
            self._users[key] = self._users.get(key, 0) + 1
            program.hold()
            weakref.finalize(owner, self._leave, program).atexit = False

    def _leave(self, program: Program) -> None:
        """A module that ran the program is gone."""
        key = id(program)
        with self._lock:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                if key not in self._loose:
                    program.release()
