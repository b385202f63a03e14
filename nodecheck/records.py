"""``dataclass``, ``field`` and ``replace`` as the standard library has them, but quick to define.

The standard ones write and compile methods for each class at every start: for the 250 classes of a
run that is 100 of 340 ms, and 3 MB. Here all classes share theirs. A type checker sees the standard
ones, and a test holds the two beside each other for every kind of class that the program has. What
no class here uses is missing: ``ClassVar``, ``InitVar``, keyword-only fields, a ``repr`` of what
contains itself, copies by ``copy`` and ``pickle`` of what is frozen.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace

    __all__ = ["dataclass", "field", "replace"]
else:
    _NOTHING = object()

    class _Field:
        """What a class says of one field."""

        __slots__ = ("compare", "default", "factory", "repr")

        def __init__(self, default, factory, repr, compare):  # noqa: A002 - the standard's name
            self.default = default
            self.factory = factory
            self.repr = repr
            self.compare = compare

    def field(*, default=_NOTHING, default_factory=None, repr=True, compare=True):  # noqa: A002
        """Say more of a field than its type and default."""
        return _Field(default, default_factory, repr, compare)

    def replace(record, /, **changes):
        """Return a copy with some fields changed; ``__post_init__`` judges it like any other."""
        kept = {name: getattr(record, name) for name in record.__match_args__}
        return type(record)(**(kept | changes))

    def dataclass(cls=None, /, *, frozen=False, slots=False, order=False):
        """Make a class a record of its annotated fields."""

        def wrap(cls):
            return _make(cls, frozen, slots, order)

        return wrap if cls is None else wrap(cls)

    def _make(cls, frozen, slots, order):
        own = {}
        for name in cls.__dict__.get("__annotations__", ()):  # noqa: RUF063 - inspect costs 5 ms
            said = cls.__dict__.get(name, _NOTHING)
            own[name] = said if isinstance(said, _Field) else field(default=said)
        fields = getattr(cls, "__record__", {}) | own
        members = {
            **cls.__dict__,
            **_SHARED,
            **(_FROZEN if frozen else {"__hash__": None}),
            **(_ORDER if order else {}),
            "__record__": fields,
            "__match_args__": tuple(fields),
        }
        for name, item in own.items():
            if type(item.default).__hash__ is None:
                msg = f"{cls.__name__}.{name}: one default for all records; use default_factory"
                raise ValueError(msg)
            if slots or item.default is _NOTHING:
                members.pop(name, None)
            else:
                members[name] = item.default
        if slots:
            members["__slots__"] = tuple(own)
        for name in ("__dict__", "__weakref__"):  # of the class that is replaced
            members.pop(name, None)
        made = type(cls)(cls.__name__, cls.__bases__, members)
        made.__qualname__ = cls.__qualname__
        return made

    def _init(self, /, *values, **named):
        cls = type(self)
        fields = cls.__record__
        if len(values) > len(fields):
            msg = f"{cls.__name__} has {len(fields)} fields; {len(values)} values were given"
            raise TypeError(msg)
        put = object.__setattr__
        for name, value in zip(fields, values, strict=False):
            put(self, name, value)
        for name, item in islice(fields.items(), len(values), None):
            put(self, name, named.pop(name) if name in named else _default(cls, name, item))
        if named:
            msg = f"{cls.__name__} has no field, or was given it twice: {', '.join(named)}"
            raise TypeError(msg)
        if hasattr(cls, "__post_init__"):
            self.__post_init__()

    def _default(cls, name, item):
        if item.factory is not None:
            return item.factory()
        if item.default is _NOTHING:
            msg = f"{cls.__name__} needs a value for {name}"
            raise TypeError(msg)
        return item.default

    def _compared(self):
        fields = type(self).__record__
        return tuple([getattr(self, name) for name, item in fields.items() if item.compare])

    def _repr(self):
        cls = type(self)
        told = [
            f"{name}={getattr(self, name)!r}" for name, item in cls.__record__.items() if item.repr
        ]
        return f"{cls.__qualname__}({', '.join(told)})"

    def _comparison(method):
        """Return one that compares records of one class by their fields, like tuples."""

        def compare(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return method(_compared(self), _compared(other))

        return compare

    def _hash(self):
        return hash(_compared(self))

    def _refuse(self, name, _value=None):
        msg = f"{type(self).__name__}.{name} cannot be changed"
        raise AttributeError(msg)

    _SHARED = {"__init__": _init, "__repr__": _repr, "__eq__": _comparison(tuple.__eq__)}
    _FROZEN = {"__hash__": _hash, "__setattr__": _refuse, "__delattr__": _refuse}
    _ORDER = {
        "__lt__": _comparison(tuple.__lt__),
        "__le__": _comparison(tuple.__le__),
        "__gt__": _comparison(tuple.__gt__),
        "__ge__": _comparison(tuple.__ge__),
    }
