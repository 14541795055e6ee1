"""An authorizer of the program's own as the library sees it: a C function that calls it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Callable, Optional

from . import _c
from ._c import Hr
from ._info import Info, info_from
from ._operation import Operation, c_function

Authorizer = Callable[[Info], None]
"""A function that allows a restore by returning None, or refuses it by raising an exception.

It is called in each restore, after the backup has been opened and before anything is done; in a dry
run it is not called. The exception is raised by the call that restores.
"""

AsyncAuthorizer = Callable[[Info], Optional[Awaitable[None]]]
"""An authorizer that `AsyncRestorer` may have to await."""


def _authorize(
    operation: Operation, info: _c.BackupInfoPointer, url: int, url_size: int, _: int
) -> int:
    answer = operation.restorer._authorizer(info_from(info.contents))
    answer = operation.answers.settle(answer, "The authorizer")
    if answer is not None:  # False, for example, is not consent
        raise TypeError(f"The authorizer must return None or raise; it returned {answer!r}.")
    return Hr.S_OK


AUTHORIZE = c_function(_c.Authorize, _authorize)
