"""A store of the program's own as the library sees it: C functions that call its methods.

`Host` is what a store has in common with an authorizer.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, Callable, Optional

from . import _c
from ._c import Hr
from ._licenses import Format, License, Right

# The library gets keys, and calls functions that are never freed. A host lives as long as its
# restorer or an operation on it.
_hosts: weakref.WeakValueDictionary[int, Host] = weakref.WeakValueDictionary()


class Host:
    """Passes the library's calls to an object of the program, and keeps its exceptions."""

    def __init__(self, called: Any) -> None:
        self.called = called
        self.raised: Optional[BaseException] = None

    def key(self) -> int:
        """The context for the C functions."""
        _hosts[id(self)] = self
        return id(self)

    def take_raised(self) -> Optional[BaseException]:
        """The exception that the object has raised since the last call of this function."""
        raised, self.raised = self.raised, None
        return raised

    def call(self, function: Callable[[Any], int]) -> int:
        """Gives the object to `function`, and keeps its exception."""
        try:
            return function(self.called)
        except BaseException as error:
            self.raised = error
            return Hr.E_ABORT


class HostStore(Host):
    """A store."""

    def functions(self) -> _c.Store:
        """The C functions; NULL for each method that the store lacks."""
        functions = _c.Store(struct_size=ctypes.sizeof(_c.Store), context=self.key())
        for name, function in _FUNCTIONS:
            if hasattr(self.called, name):
                setattr(functions, name, function)
        return functions


def call_host(context: int, function: Callable[[Any], int]) -> int:
    """Gives the object of this key to `function`, and keeps its exception."""
    host = _hosts.get(context)
    return Hr.E_HANDLE if host is None else host.call(function)


def _enumerate(context: int, emit: Any, emit_context: int) -> int:
    def give_all(store: Any) -> int:
        for license in store.enumerate():
            hr = _give(license, emit, emit_context)
            if _c.failed(hr):
                return hr
        return Hr.S_OK

    return call_host(context, give_all)


def _get(context: int, name: bytes, emit: Any, emit_context: int) -> int:
    def give_one(store: Any) -> int:
        license = store.get(name.decode())
        return Hr.S_OK if license is None else _give(license, emit, emit_context)

    return call_host(context, give_one)


def _put(context: int, license: _c.LicensePointer) -> int:
    def put(store: Any) -> int:
        store.put(_whole(license))
        return Hr.S_OK

    return call_host(context, put)


def _merge(
    context: int,
    mine: _c.LicensePointer,
    theirs: _c.LicensePointer,
    emit: Any,
    emit_context: int,
) -> int:
    def merge(store: Any) -> int:
        license = store.merge(_whole(mine), _whole(theirs))
        return Hr.S_OK if license is None else _give(license, emit, emit_context)

    return call_host(context, merge)


_FUNCTIONS = (
    ("enumerate", _c.Enumerate(_enumerate)),
    ("get", _c.Get(_get)),
    ("put", _c.Put(_put)),
    ("merge", _c.Merge(_merge)),
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


def _give(license: License, emit: Any, emit_context: int) -> int:
    if license.content is None:
        raise ValueError(f"The store must give the licence {license.name!r} with its content.")
    if not -(2**63) <= license.modified_ns < 2**63:  # C would take only the lower bits
        raise ValueError(f"modified_ns of the licence {license.name!r} must fit into 64 bits.")
    content = bytes(license.content)
    return int(
        emit(
            _c.License(
                struct_size=ctypes.sizeof(_c.License),
                name=c_text(license.name),
                key_id=None if license.key_id is None else c_text(license.key_id),
                content=ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p),
                content_size=len(content),
                modified=license.modified_ns,
                backup_right=Right(license.right),
            ),
            emit_context,
        )
    )


def c_text(text: str) -> bytes:
    """A name or key ID for the library, which would read it only up to a NUL."""
    if "\0" in text:
        raise ValueError(f"A licence's name or key ID must not have a NUL: {text!r}.")
    return text.encode()
