"""``nodecheck.records`` beside the standard library's dataclasses: equal classes, equal answers."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import pytest

from nodecheck import records

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE: Final = Path(__file__).parents[2] / "nodecheck"
MODULES: Final = [path for path in PACKAGE.rglob("*.py") if "records" in path.read_text("utf-8")]
T = TypeVar("T")

Kind = Any
"""The classes that one of the two makes of the bodies below."""


def classes(by: Any) -> Kind:  # noqa: ANN401 - one of two modules
    """Make one class of every kind that the program has."""

    @by.dataclass(frozen=True, slots=True)
    class Fact:
        """A fact."""

        a: int
        b: str = "b"
        c: tuple[int, ...] = ()
        hidden: str = by.field(default="hidden", repr=False)
        note: str = by.field(default="", compare=False)

        def twice(self) -> int:
            return 2 * self.a

    @by.dataclass(frozen=True, slots=True)
    class More(Fact):
        d: dict[str, int] = by.field(default_factory=dict)

    class Plain(Fact):
        pass

    @by.dataclass(frozen=True, slots=True, order=True)
    class Ordered:
        major: int
        minor: int = 0

    @by.dataclass(frozen=True, slots=True)
    class Judged:
        a: int

        def __post_init__(self) -> None:
            if self.a < 0:
                msg = "negative"
                raise ValueError(msg)

    @by.dataclass(slots=True)
    class Draft:
        a: int = 1
        items: list[int] = by.field(default_factory=list)

    @by.dataclass
    class Open:
        needed: str
        a: int = 1

    @by.dataclass(frozen=True)
    class Shut:
        a: int = 1

    @by.dataclass(frozen=True, slots=True)
    class Box(Generic[T]):
        content: T

    return SimpleNamespace(**{name: item for name, item in locals().items() if name != "by"})


def shared(default: object) -> type:
    """Return a class to decorate, whose one field has this default."""
    return type("Shared", (), {"__annotations__": {"a": "object"}, "a": default})


STANDARD: Final = classes(dataclasses)
OWN: Final = classes(records)

CASES: Final[tuple[tuple[str, Callable[[Kind, Any], object]], ...]] = (
    ("repr", lambda k, _: repr(k.Fact(1, note="n"))),
    ("repr of a subclass", lambda k, _: repr(k.More(1))),
    ("repr of a plain subclass", lambda k, _: repr(k.Plain(1))),
    ("generic", lambda k, _: repr(k.Box("x")) + str(k.Box[int].__origin__ is k.Box)),
    ("names", lambda k, _: (k.Fact.__name__, k.Fact.__qualname__, k.Fact.__module__)),
    ("doc", lambda k, _: k.Fact.__doc__),
    ("match", lambda k, _: (k.Fact.__match_args__, k.More.__match_args__)),
    ("method", lambda k, _: k.Fact(2).twice()),
    ("by name", lambda k, _: repr(k.Fact(c=(1,), a=2))),
    ("equal", lambda k, _: k.Fact(1) == k.Fact(1)),
    ("differ", lambda k, _: k.Fact(1) == k.Fact(2)),
    ("hidden counts", lambda k, _: k.Fact(1, hidden="x") == k.Fact(1)),
    ("uncompared does not", lambda k, _: k.Fact(1, note="x") == k.Fact(1)),
    ("of another class", lambda k, _: k.Fact(1) == k.Plain(1)),
    ("of another type", lambda k, _: k.Fact(1) == (1, "b", (), "hidden")),
    ("hash", lambda k, _: len({k.Fact(1), k.Fact(1, note="x"), k.Fact(2)})),
    ("hash of a mutable field", lambda k, _: hash(k.More(1))),
    ("hash of a mutable record", lambda k, _: hash(k.Draft())),
    ("order", lambda k, _: min(k.Ordered(2), k.Ordered(1, 5), k.Ordered(1)).minor),
    ("order of equals", lambda k, _: (k.Ordered(1) <= k.Ordered(1), k.Ordered(1) > k.Ordered(1))),
    ("order, at least", lambda k, _: (k.Ordered(1) >= k.Ordered(1), k.Ordered(2) < k.Ordered(1))),
    ("order beside another", lambda k, _: k.Ordered(1) < 2),
    ("no order", lambda k, _: k.Fact(1) < k.Fact(2)),
    ("no value", lambda k, _: k.Fact()),
    ("no value between", lambda k, _: k.Open(a=2)),
    ("too many", lambda k, _: k.Judged(1, 2)),
    ("unknown", lambda k, _: k.Fact(1, z=2)),
    ("twice", lambda k, _: k.Fact(1, a=2)),
    ("a default that records would share", lambda _, r: r.dataclass(shared([]))),
    ("one that they may", lambda _, r: repr(r.dataclass(shared((1,)))())),
    ("judged", lambda k, _: k.Judged(-1)),
    ("factories", lambda k, _: k.More(1).d is k.More(1).d),
    ("replaced", lambda k, r: repr(r.replace(k.Fact(1, note="n"), a=5, b="x"))),
    ("replaced and judged", lambda k, r: r.replace(k.Judged(1), a=-1)),
    ("replaced, unknown", lambda k, r: r.replace(k.Judged(1), z=1)),
    ("assigned", lambda k, _: setattr(k.Fact(1), "a", 2)),
    ("assigned, no slots", lambda k, _: setattr(k.Shut(), "a", 2)),
    ("deleted", lambda k, _: delattr(k.Fact(1), "a")),
    ("new attribute of a draft", lambda k, _: setattr(k.Draft(), "z", 2)),
    ("slots", lambda k, _: (k.Fact.__slots__, k.More.__slots__, hasattr(k.Fact(1), "__dict__"))),
    ("no slots", lambda k, _: (k.Open("x").__dict__, k.Shut.a, hasattr(k.Open, "needed"))),
)


def outcome(case: Callable[[Kind, Any], object], kinds: Kind, by: object) -> object:
    """Return what a case returns, or the kind of its error."""
    try:
        return case(kinds, by)
    except (AttributeError, TypeError, ValueError) as error:
        return next(
            kind for kind in (AttributeError, TypeError, ValueError) if isinstance(error, kind)
        )


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_a_record_answers_as_a_dataclass(case: Callable[[Kind, Any], object]) -> None:
    assert outcome(case, OWN, records) == outcome(case, STANDARD, dataclasses)


def test_a_draft_is_filled_in() -> None:
    draft = OWN.Draft()
    draft.items.append(3)
    draft.a = 2
    assert (draft, OWN.Draft()) == (OWN.Draft(2, [3]), OWN.Draft(1, []))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda k: k.Fact(), "Fact needs a value for a"),
        (lambda k: k.Fact(1, z=2), "Fact has no field, or was given it twice: z"),
        (lambda k: k.Judged(1, 2), "Judged has 1 fields; 2 values were given"),
        (lambda k: setattr(k.Fact(1), "a", 2), "Fact.a cannot be changed"),
    ],
)
def test_an_error_names_class_and_field(body: Callable[[Kind], object], says: str) -> None:
    with pytest.raises((TypeError, AttributeError), match=says):
        body(OWN)


def declarations() -> list[tuple[str, ast.ClassDef]]:
    """Return every dataclass of the program."""
    return [
        (f"{path.stem}.{node.name}", node)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in ast.unparse(item) for item in node.decorator_list)
    ]


@pytest.mark.parametrize(
    "node", [node for _, node in declarations()], ids=[name for name, _ in declarations()]
)
def test_no_class_asks_for_what_is_missing(node: ast.ClassDef) -> None:
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    for item in fields:
        assert not {"ClassVar", "InitVar", "KW_ONLY"} & set(ast.unparse(item.annotation).split("["))
        assert not isinstance(item.value, ast.List | ast.Dict | ast.Set), "one for all records"
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    assert not methods & {*vars(dataclasses.dataclass(frozen=True)(type("C", (), {})))} - {
        "__post_init__",
        "__module__",
    }


def test_the_program_has_records() -> None:
    assert len(declarations()) > 250
