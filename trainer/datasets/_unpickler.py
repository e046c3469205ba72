"""Pickles of numbers, read without running any of them.

A pickle is a program: its opcodes may ask for any function of Python and call it. Here they are
carried out by a machine of our own that calls nothing. It knows the opcodes that make lists, dicts,
tuples, sets, strings, bytes and numbers; of the functions that numpy's pickles ask for it knows the
names (``NAMED``), checks what they are given and does what they would do. Everything else is
refused by its name: another function, an object's state, an array of objects. So the worst that a
hostile file can do is to be refused: a size that it declares must be there in bytes, what it may
make of its bytes is bounded by their number (``TIMES``), and nesting costs no stack.

Strings of Python 2 are taken as Latin-1, as numpy's arrays need it.
"""

from __future__ import annotations

import codecs
import math
import pickle
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from erc_demo.errors import UserError

LARGEST = 4 * 2**30  # bytes of a file
TIMES = 4  # bytes of arrays and copies for each byte of the file
PROTOCOL = 5  # the newest that is known here
MOST_AXES = 8
NAMED = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
    **{f"numpy.{core}.multiarray _reconstruct": "array" for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray scalar": "scalar" for core in ("core", "_core")},
    **{f"numpy.{core}.numeric _frombuffer": "buffer" for core in ("core", "_core")},
    **{f"{built} bytes": "bytes" for built in ("builtins", "__builtin__")},
    **{f"{built} set": "set" for built in ("builtins", "__builtin__")},
}
NUMBERS = re.compile(r"b1|[iuf][1248]|f16|[SU]\d{1,6}")  # element types: no objects, no records
BYTE, SHORT, INT, UINT, LONG, DOUBLE = map(struct.Struct, ("<B", "<H", "<i", "<I", "<Q", ">d"))
FLOAT = pickle.BINFLOAT[0]
MAKERS = (pickle.NEWOBJ[0], pickle.NEWOBJ_EX[0], pickle.OBJ[0], pickle.INST[0])  # of objects
BROKEN = (IndexError, KeyError, TypeError, ValueError, OverflowError, MemoryError, struct.error)
PLAIN = (str, bytes, int, float, bool, type(None))  # what a key may be


def read(file: Path) -> Any:
    """What a pickle holds: containers, strings, numbers and arrays of numbers, nothing else."""
    try:
        if file.stat().st_size > LARGEST:
            raise UserError(f"{file} is larger than {LARGEST // 2**30} GB; no file of features is.")
        data = file.read_bytes()
    except OSError as exc:
        raise UserError(f"{file} can't be opened: {exc.strerror}.") from exc
    try:
        return _Machine(data).run()
    except _Odd as exc:
        why = str(exc)
    except BROKEN as exc:
        why = f"is broken or cut off ({type(exc).__name__})"
    raise UserError(
        f"{file} {why}; a pickle of plain containers, strings, numbers and numpy arrays was "
        "wanted, and nothing in it was run. Take the file from its authors again."
    )


class _Odd(Exception):
    """Why a pickle is refused, as the end of a sentence."""


class _Named:
    """A function that a pickle named: never the function itself."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what


class _Type:
    """The type of an array's elements: its code and the order of its bytes."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    @property
    def made(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Machine:
    """The stack machine of the pickle protocols 0 to 5."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.left = TIMES * len(data) + 2**16
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        values: dict[bytes, Callable[[], Any]] = {  # opcodes that push what they make
            pickle.NONE: lambda: None,
            pickle.NEWTRUE: lambda: True,
            pickle.NEWFALSE: lambda: False,
            pickle.INT: self.whole,
            pickle.LONG: self.whole,
            pickle.FLOAT: lambda: float(self.line()),
            pickle.BININT: lambda: self.number(INT),
            pickle.BININT1: lambda: self.number(BYTE),
            pickle.BININT2: lambda: self.number(SHORT),
            pickle.LONG1: lambda: self.long(BYTE),
            pickle.LONG4: lambda: self.long(INT),
            pickle.STRING: self.quoted,
            pickle.BINSTRING: lambda: self.sized(INT).decode("latin1"),
            pickle.SHORT_BINSTRING: lambda: self.sized(BYTE).decode("latin1"),
            pickle.UNICODE: lambda: self.line().decode("raw-unicode-escape"),
            pickle.BINUNICODE: lambda: self.sized(UINT).decode(),
            pickle.SHORT_BINUNICODE: lambda: self.sized(BYTE).decode(),
            pickle.BINUNICODE8: lambda: self.sized(LONG).decode(),
            pickle.BINBYTES: lambda: self.sized(UINT),
            pickle.SHORT_BINBYTES: lambda: self.sized(BYTE),
            pickle.BINBYTES8: lambda: self.sized(LONG),
            pickle.BYTEARRAY8: lambda: self.sized(LONG),
            pickle.EMPTY_LIST: list,
            pickle.EMPTY_DICT: dict,
            pickle.EMPTY_TUPLE: tuple,
            pickle.EMPTY_SET: set,
            pickle.LIST: self.marked,
            pickle.TUPLE: lambda: tuple(self.marked()),
            pickle.TUPLE1: lambda: (self.stack.pop(),),
            pickle.TUPLE2: lambda: self.last(2),
            pickle.TUPLE3: lambda: self.last(3),
            pickle.DICT: lambda: dict(self.pairs(self.marked())),
            pickle.GET: lambda: self.memo[int(self.line())],
            pickle.BINGET: lambda: self.memo[self.number(BYTE)],
            pickle.LONG_BINGET: lambda: self.memo[self.number(UINT)],
            pickle.GLOBAL: lambda: self.named(self.line().decode(), self.line().decode()),
            pickle.STACK_GLOBAL: lambda: self.named(*self.last(2)),
            pickle.REDUCE: lambda: self.call(*self.last(2)),
        }
        acts: dict[bytes, Callable[[], Any]] = {  # opcodes that change what is there
            pickle.PROTO: self.protocol,
            pickle.FRAME: lambda: self.take(8),
            pickle.MARK: lambda: self.marks.append(len(self.stack)),
            pickle.PUT: lambda: self.keep(int(self.line())),
            pickle.BINPUT: lambda: self.keep(self.number(BYTE)),
            pickle.LONG_BINPUT: lambda: self.keep(self.number(UINT)),
            pickle.MEMOIZE: lambda: self.keep(len(self.memo)),
            pickle.APPEND: lambda: self.add([self.stack.pop()]),
            pickle.APPENDS: lambda: self.add(self.marked()),
            pickle.SETITEM: lambda: self.put(list(self.last(2))),
            pickle.SETITEMS: lambda: self.put(self.marked()),
            pickle.ADDITEMS: lambda: self.join(self.marked()),
            pickle.BUILD: self.build,
        }
        self.values = {code[0]: what for code, what in values.items()}
        self.acts = {code[0]: what for code, what in acts.items()}

    def run(self) -> Any:
        """Carry out every opcode; what is on top at the end."""
        data, stack, values, acts = self.data, self.stack, self.values, self.acts
        while True:
            if self.at >= len(data):
                raise _Odd("is cut off")
            code = data[self.at]
            self.at += 1
            if code == FLOAT:  # by far the most, where features are lists
                stack.append(DOUBLE.unpack_from(data, self.at)[0])
                self.at += DOUBLE.size
            elif code in values:
                stack.append(values[code]())
            elif code in acts:
                acts[code]()
            elif code == pickle.STOP[0]:
                return stack.pop()
            else:
                raise _Odd("makes an object" if code in MAKERS else f"has the opcode {code:#04x}")

    # ---- bytes

    def take(self, count: int) -> bytes:
        start, end = self.at, self.at + count
        if count < 0 or end > len(self.data):
            raise _Odd("is cut off: it declares more than it holds")
        self.at = end
        return self.data[start:end]

    def number(self, form: struct.Struct) -> Any:
        made = form.unpack_from(self.data, self.at)[0]
        self.at += form.size
        return made

    def sized(self, form: struct.Struct) -> bytes:
        return self.take(self.number(form))

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        piece = self.take(end - self.at)
        self.at += 1
        return piece

    def whole(self) -> int | bool:
        """A number in text; 00 and 01 are how protocol 0 writes False and True."""
        text = self.line()
        if text in (b"00", b"01"):
            return text == b"01"
        return self.small(int(text.rstrip(b"L")))

    def long(self, form: struct.Struct) -> int:
        return self.small(int.from_bytes(self.sized(form), "little", signed=True))

    def small(self, number: int) -> int:
        """A whole number that arrays can hold."""
        if not -(2**63) <= number < 2**63:
            raise _Odd("has a whole number of more than 64 bits")
        return number

    def quoted(self) -> str:
        """A string as Python 2 wrote it, in quotes and with escapes."""
        text = self.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise _Odd("has a string without quotes")
        return codecs.escape_decode(text[1:-1])[0].decode("latin1")

    def protocol(self) -> None:
        if self.take(1)[0] > PROTOCOL:
            raise _Odd(f"is of a pickle protocol after {PROTOCOL}")

    def spend(self, count: int) -> None:
        """Count what is copied, so that a small file can't ask for the same bytes over and over."""
        self.left -= count
        if self.left < 0:
            raise _Odd("makes far more numbers than its size could hold")

    # ---- the stack

    def marked(self) -> list[Any]:
        """Everything above the last mark, taken off."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def last(self, count: int) -> tuple[Any, ...]:
        """The uppermost values, taken off."""
        if len(self.stack) < count:
            raise _Odd("is broken")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def keep(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def top(self, kind: type) -> Any:
        """What is on top, which must be of that very type."""
        if type(self.stack[-1]) is not kind:
            raise _Odd(f"fills a {type(self.stack[-1]).__name__} like a {kind.__name__}")
        return self.stack[-1]

    def add(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def put(self, items: list[Any]) -> None:
        self.top(dict).update(self.pairs(items))

    def join(self, items: list[Any]) -> None:
        self.top(set).update(self.keys(items))

    def pairs(self, items: list[Any]) -> list[tuple[Any, Any]]:
        """Keys with their values; they come one after the other."""
        return list(zip(self.keys(items[::2]), items[1::2], strict=True))

    def keys(self, items: list[Any]) -> list[Any]:
        """Values that are quick to compare: a tuple of tuples of … need not be."""
        for one in items:
            if type(one) not in PLAIN:
                raise _Odd(f"has a {type(one).__name__} where a name or a number was wanted")
        return items

    # ---- what numpy's pickles ask for

    def named(self, module: Any, name: Any) -> _Named:
        """A function's name, if it is one of those that are known."""
        if type(module) is not str or type(name) is not str:
            raise _Odd("is broken")
        what = NAMED.get(f"{module} {name}")
        if what is None:
            raise _Odd(f"asks for {f'{module}.{name}'[:80]!r}")
        return _Named(what)

    def call(self, function: Any, given: Any) -> Any:
        """What a known function would make of its arguments."""
        if type(function) is not _Named or type(given) is not tuple:
            raise _Odd(f"calls a {type(function).__name__}")
        what = function.what
        if what == "array":  # empty; its content follows as a state
            if type(given[0]) is not _Named or given[0].what != "ndarray":
                raise _Odd("makes an array of another class")
            return np.empty(0, np.uint8)
        if what == "dtype":
            return self.element(given[0])
        if what == "scalar":
            kind, content = given
            return self.array(kind, (1,), content, "C")[0].item()
        if what == "buffer":
            content, kind, shape, order = given
            return self.array(kind, shape, content, order)
        if what == "encode" and given[1:] == ("latin1",):
            return self.content(given[0])
        if what == "bytes" and not given:
            return b""
        if what == "set" and type(given[0]) is list:
            self.spend(8 * len(given[0]))
            return set(self.keys(given[0]))
        raise _Odd(f"calls {what}")

    def element(self, code: Any) -> _Type:
        if type(code) is not str or not NUMBERS.fullmatch(code):
            objects = type(code) is str and code.startswith(("O", "|O"))
            raise _Odd(
                "holds an array of Python objects" if objects else "holds an array of no numbers"
            )
        return _Type(code)

    def build(self) -> None:
        """The state of an array or of an element type; nothing else may have one."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(state) is not tuple or type(target) not in (_Type, np.ndarray):
            raise _Odd(f"gives a {type(target).__name__} a state")
        if type(target) is _Type:
            order, parts = state[1], state[2:5]
            if order not in ("<", ">", "=", "|") or any(part is not None for part in parts):
                raise _Odd("holds an array of records")
            target.order = order
            return
        _, shape, kind, fortran, content = state
        element, numbers = self.checked(kind, shape, content)
        # In place: what was remembered of the empty array must be the full one.
        target.__setstate__((1, shape, element, bool(fortran), numbers))

    def array(self, kind: Any, shape: Any, content: Any, order: Any) -> np.ndarray:
        element, numbers = self.checked(kind, shape, content)
        return np.frombuffer(numbers, element).reshape(shape, order="F" if order == "F" else "C")

    def checked(self, kind: Any, shape: Any, content: Any) -> tuple[np.dtype[Any], bytes]:
        """An array's element type and its bytes, all of which must be there."""
        if type(content) is list:
            raise _Odd("holds an array of Python objects")
        if type(kind) is not _Type or type(shape) is not tuple or len(shape) > MOST_AXES:
            raise _Odd("holds an array of no numbers")
        if any(type(size) is not int or size < 0 for size in shape):
            raise _Odd("holds an array of no size")
        numbers, element = self.content(content), kind.made
        count = math.prod(shape)
        if count * element.itemsize != len(numbers):
            raise _Odd(f"declares {count:,} numbers in {len(numbers):,} bytes")
        if element.kind == "U":
            letters = np.frombuffer(numbers, element.byteorder + "u4")
            if letters.max(initial=0) > sys.maxunicode:
                raise _Odd("has letters that there are not")
        return element, numbers

    def content(self, given: Any) -> bytes:
        """Bytes, which Python 2 and the oldest protocols write as a string."""
        if type(given) not in (str, bytes):
            raise _Odd(f"has a {type(given).__name__} where bytes were wanted")
        self.spend(len(given))
        return given.encode("latin1") if type(given) is str else given
