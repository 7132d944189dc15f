"""The mark by which a handler asks for something that the host owns."""

from __future__ import annotations

from typing import Annotated, TypeAlias, TypeVar

from attrs import frozen

R = TypeVar("R")


@frozen
class ResourceMark:
    """Found among the metadata of an annotation, it makes the parameter a resource."""


RESOURCE = ResourceMark()

Resource: TypeAlias = Annotated[R, RESOURCE]
"""`Resource[Pool]` marks a parameter that the host fills by its name; type checkers see `Pool`."""
