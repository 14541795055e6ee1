"""A store of the program's own as the library sees it: C functions that call its methods."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any, Optional

from . import _c
from ._c import Hr
from ._licenses import Format, License, Right
from ._operation import Operation, c_function


def store_functions(store: object) -> _c.Store:
    """The C functions for a store; NULL for each method that it lacks."""
    functions = _c.Store(struct_size=ctypes.sizeof(_c.Store))
    for name, function in _FUNCTIONS:
        if hasattr(store, name):
            setattr(functions, name, function)
    return functions


def _ask(operation: Operation, method: str, *arguments: Any) -> tuple[Any, str]:
    """The answer of a method of the store, and the method's name for people."""
    store = operation.restorer._store
    what = f"{type(store).__qualname__}.{method}"
    return operation.answers.settle(getattr(store, method)(*arguments), what), what


def _enumerate(operation: Operation, _: int, emit: Any, emit_context: int) -> int:
    licenses, what = _ask(operation, "enumerate")
    for number, license in enumerate(_each(operation, licenses, what)):
        hr = _give(license, f"Item {number} of {what}", emit, emit_context)
        if _c.failed(hr):
            return hr
    return Hr.S_OK


def _each(operation: Operation, licenses: Any, what: str) -> Iterator[Any]:
    if hasattr(licenses, "__aiter__"):
        return operation.answers.each(licenses, what)
    try:
        return iter(licenses)
    except TypeError:
        raise TypeError(f"{what} must return an iterable of License, not {licenses!r}.") from None


def _get(operation: Operation, _: int, name: bytes, emit: Any, emit_context: int) -> int:
    license, what = _ask(operation, "get", name.decode())
    if license is None:
        return Hr.S_OK
    return _give(license, f"The answer of {what}({name.decode()!r})", emit, emit_context)


def _put(operation: Operation, _: int, license: _c.LicensePointer) -> int:
    try:
        _ask(operation, "put", _whole(license))
    except Exception as error:
        if not operation.passes_over(error):
            raise
        return Hr.E_ABORT
    return Hr.S_OK


def _merge(
    operation: Operation,
    _: int,
    mine: _c.LicensePointer,
    theirs: _c.LicensePointer,
    emit: Any,
    emit_context: int,
) -> int:
    version, what = _ask(operation, "merge", _whole(mine), _whole(theirs))
    if version is None:
        return Hr.S_OK
    name = mine.contents.name.decode()
    return _give(version, f"The answer of {what} about {name!r}", emit, emit_context)


_FUNCTIONS = (
    ("enumerate", c_function(_c.Enumerate, _enumerate)),
    ("get", c_function(_c.Get, _get)),
    ("put", c_function(_c.Put, _put)),
    ("merge", c_function(_c.Merge, _merge)),
)


def _whole(license: _c.LicensePointer) -> License:
    told = license.contents
    return license_of(told, ctypes.string_at(told.content, told.content_size))


def license_of(told: _c.License, content: Optional[bytes]) -> License:
    """The Python object for a licence from the library."""
    return License(
        name=told.name.decode(),
        content=content,
        key_id=told.key_id.decode() if told.key_id is not None else None,
        modified_ns=told.modified,
        right=Right(told.backup_right),
        format=Format(told.format),
        size=told.content_size,
    )


def _give(license: Any, what: str, emit: Any, emit_context: int) -> int:
    if not isinstance(license, License):
        raise TypeError(f"{what} must be a License, not {license!r}.")
    if license.content is None:
        raise ValueError(f"{what}, the licence {license.name!r}, must have its content.")
    if not -(2**63) <= license.modified_ns < 2**63:  # C would take only the lower bits
        raise ValueError(f"{what}: modified_ns of {license.name!r} must fit into 64 bits.")
    return int(
        emit(
            _c.License(
                struct_size=ctypes.sizeof(_c.License),
                name=c_text(license.name, f"{what}: the name"),
                key_id=None
                if license.key_id is None
                else c_text(license.key_id, f"{what}: the key_id"),
                content=ctypes.cast(ctypes.c_char_p(license.content), ctypes.c_void_p),
                content_size=len(license.content),
                modified=license.modified_ns,
                backup_right=Right(license.right),
            ),
            emit_context,
        )
    )


def c_text(text: str, what: str) -> bytes:
    """A name or key ID for the library, which would read it only up to a NUL."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {text!r}.")
    if "\0" in text:
        raise ValueError(f"{what} must not have a NUL: {text!r}.")
    return text.encode()
