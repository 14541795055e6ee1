"""What tools learn of the public names."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import typing
from typing import Any

import pytest

import licbak

CLASSES = [item for name, item in vars(licbak).items() if name in licbak.__all__]
CLASSES = [item for item in CLASSES if isinstance(item, type)]
DATA = [item for item in CLASSES if dataclasses.is_dataclass(item) or item is licbak.LeftOut]


@pytest.mark.parametrize("item", CLASSES)
def test_hints(item: type) -> None:
    typing.get_type_hints(item)
    for _, method in inspect.getmembers(item, inspect.isfunction):
        if method.__module__.startswith("licbak"):
            typing.get_type_hints(method)


def a(item: Any) -> Any:
    """One of these, with a value in each field."""
    values = {"name": "a", "reason": "b", "total": 3, "licenses_total": None, "version": (1, 1)}
    kinds: dict[Any, Any] = {int: 7, str: "id", bool: True}
    given: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(item).items():
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            given[name] = next(iter(kind))
        elif name in values or kind in kinds:
            given[name] = values.get(name, kinds.get(kind))
    return item(**given)


@pytest.mark.parametrize("item", DATA)
def test_pydantic(item: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(item)
    assert adapter.json_schema()
    assert adapter.validate_json(adapter.dump_json(a(item))) == a(item)


@pytest.mark.parametrize("item", DATA)
def test_cattrs(item: Any) -> None:
    cattrs = pytest.importorskip("cattrs")
    assert cattrs.structure(json.loads(json.dumps(cattrs.unstructure(a(item)))), item) == a(item)


def test_pydantic_keeps_content_as_bytes() -> None:
    pydantic = pytest.importorskip("pydantic")
    license = pydantic.TypeAdapter(licbak.License).validate_python({"name": "a", "content": b"abc"})
    assert license == licbak.License("a", b"abc") and license.size == 3


def test_repr_and_equality_are_of_the_bytes() -> None:
    assert licbak.License("a", bytearray(b"abc")) == licbak.License("a", b"abc")
    assert hash(licbak.License("a", bytearray(b"abc"))) == hash(licbak.License("a", b"abc"))
