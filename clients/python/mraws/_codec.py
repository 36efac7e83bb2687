r"""Pairs as lines "key TAB value", and back.

A field is JSON text on one line, or a str as it is. A str is written as JSON text
too, with quotes, if it has a tab or a line break, begins with one of `"[{`, or reads
as a number of JSON, true, false, null, NaN, Infinity or -Infinity. Anything else that
is read is a str. Bytes are written as they are and come back as a str, in UTF-8 with
the error handler surrogateescape; so does all text.

A tuple is an array. In a key an array is read as a tuple, in a value as a list. The
names of an object are sorted in a key, so that equal keys have equal bytes.
"""

import json
import re

#: How lines are encoded: bytes that are no UTF-8 survive.
ENCODING = {"encoding": "utf-8", "errors": "surrogateescape"}

_QUOTED = frozenset('"[{')
_FIRST = frozenset('"[{-0123456789tfnNI')  # of all JSON texts
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_LITERALS = {"true": True, "false": False, "null": None, "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_MEMO = 1 << 16  # entries
_MEMO_TEXT = 100  # characters: longer text is not remembered


def _foreign(value):
    """What json writes in place of value, which is none of its types."""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode(**ENCODING)
    item = getattr(value, "item", None)  # scalars of numpy
    if item is not None and getattr(value, "shape", None) == ():
        return item()
    raise TypeError(f"{type(value).__name__} cannot be a key or a value: {value!r:.100}; pass str, bytes, numbers, None, or lists and dicts of them")


_value_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_foreign).encode
_key_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_foreign, sort_keys=True).encode
_ascii_text = json.JSONEncoder(separators=(",", ":")).encode


def encode_str(s):
    """The field of a str."""
    if s and s[0] in _FIRST and (s[0] in _QUOTED or s in _LITERALS or _NUMBER(s)) or "\t" in s or "\n" in s:
        return _writable(_value_text(s), s)
    return s if s.isascii() or _can_be_written(s) else _ascii_text(s)


def _can_be_written(s):
    try:
        s.encode(**ENCODING)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _writable(text, x):
    return text if text.isascii() or _can_be_written(text) else _ascii_text(x)


class _StrFields(dict):
    """encode_str with a memory: fields[s]."""

    def __missing__(self, s):
        field = encode_str(s)
        if len(s) <= _MEMO_TEXT:
            if len(self) >= _MEMO:
                self.clear()
            self[s] = field
        return field


_str_fields = _StrFields()


def encode_key(key):
    """The field of a key."""
    return _encode(key, _key_text)


def encode_value(value):
    """The field of a value."""
    return _encode(value, _value_text)


def _encode(x, text):
    if isinstance(x, str):
        return _str_fields[str.__str__(x)]
    if isinstance(x, (bytes, bytearray)):
        return _str_fields[bytes(x).decode(**ENCODING)]
    field = text(x)
    return field if field.isascii() or _can_be_written(field) else _ascii_text(json.loads(field))


def line_of(pair, where):
    """The line of a pair. where names who made it, for errors."""
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"{where} gave {pair!r:.100}, which is no pair (key, value)")
    key, value = pair
    kind = type(value)
    return (
        (_str_fields[key] if type(key) is str else encode_key(key))
        + "\t"
        + (str(value) if kind is int else _str_fields[value] if kind is str else encode_value(value))
    )


def _read(field):
    """The object of a field that may be JSON text."""
    first = field[0]
    if first in _QUOTED:
        try:
            return json.loads(field)
        except ValueError:
            return field
    if _NUMBER(field):
        try:
            return int(field) if field.lstrip("-").isdigit() else float(field)
        except ValueError:  # more digits than Python reads
            return field
    return _LITERALS.get(field, field)


def _tuples(x):
    return tuple(map(_tuples, x)) if type(x) is list else x


class Values(dict):
    """decode_value with a memory: values[field]."""

    def __missing__(self, field):
        value = decode_value(field)
        if type(value) not in (list, dict) and len(field) <= _MEMO_TEXT:  # those can be changed
            if len(self) >= _MEMO:
                self.clear()
            self[field] = value
        return value


def decode_key(field):
    """The key of a field."""
    if not field or field[0] not in _FIRST:
        return field
    return _tuples(_read(field))


def decode_value(field):
    """The value of a field."""
    if not field or field[0] not in _FIRST:
        return field
    return _read(field)


def pairs_of(lines):
    """Iterate over the pairs of lines of str without line breaks. A line without a
    tab has the value None."""
    values = Values()
    for line in lines:
        key, tab, value = line.partition("\t")
        yield decode_key(key), values[value] if tab else None
