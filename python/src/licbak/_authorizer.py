"""An authorizer of the program's own as the library sees it: a C function that calls it."""

from __future__ import annotations

from typing import Callable

from . import _c
from ._c import Hr
from ._host import Host, call_host
from ._info import Info, info_from

Authorizer = Callable[[Info], None]
"""A function that allows a restore by returning None, or refuses it by raising an exception.

It is called on a thread of the library in each restore, after the backup has been opened and before
anything is done; in a dry run it is not called. The exception is raised by the call that restores.
"""


class HostAuthorizer(Host):
    """Passes the library's question to an authorizer, and keeps its exception."""

    def set_on(self, handle: int) -> int:
        """Gives the library the C function."""
        return int(_c.set_authorizer(handle, _AUTHORIZE, self.key()))


def _authorize(info: _c.BackupInfoPointer, url: int, url_size: int, context: int) -> int:
    def ask(authorizer: Callable[[Info], object]) -> int:
        answer = authorizer(info_from(info.contents))
        if answer is not None:  # False, or a coroutine that nobody awaits, is not consent
            raise TypeError(f"The authorizer must return None or raise; it returned {answer!r}.")
        return Hr.S_OK

    return call_host(context, ask)


_AUTHORIZE = _c.Authorize(_authorize)
