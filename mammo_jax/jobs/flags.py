"""The flags of a job as data: names, values, defaults and texts, read from its configuration class.

tyro parses the flags; `tests/jobs/test_flags.py` holds that it has the same ones. Importing a job takes seconds, since
JAX and TensorFlow come with it, so what is known of all flags lies in `flags.json` as well, written by the job
`write-help`; from there come `--help`, completion and the answer to a misspelt flag.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import docstring_parser
from tyro.conf import FlagCreatePairsOff, Positional

_POSITIONAL = get_args(Positional[int])[1]
Config = TypeVar("Config")

TYPES = {int: "INT", float: "NUMBER", str: "TEXT", Path: "PATH", bool: ""}


@dataclass(frozen=True)
class Flag:
    """One flag, or one positional argument.

    Attributes
    ----------
    names : list of str
        "--out", other names of it, and "--no-…" of a switch; "INPUTS" of a positional argument.
    values : str
        What follows it: "PATH", "{a,b}", "INT INT INT"; empty for a switch.
    default : str
        In words.
    text : str
    choices : list of str
    """

    names: list[str]
    values: str
    default: str
    text: str
    choices: list[str]


@dataclass(frozen=True)
class Annotation:
    """A setting's type, and what its annotation says of its flag.

    Attributes
    ----------
    kind : type
        Without the marks for the parser.
    positional : bool
        Whether it has no name on the command line.
    negatable : bool
        Whether it is a switch with "--no-…".
    name : str or None
        Of the flag, where it is not that of the field.
    aliases : tuple of str
        Other flags for it: "--table".
    """

    kind: Any
    positional: bool
    negatable: bool
    name: str | None
    aliases: tuple[str, ...]


def annotation_of(hint: Any) -> Annotation:
    """Take a field's annotation apart."""
    marks = get_args(hint)[1:] if get_origin(hint) is typing.Annotated else ()
    kind = get_args(hint)[0] if marks else hint
    flag = next((mark for mark in marks if hasattr(mark, "aliases")), None)
    negatable = kind is bool and FlagCreatePairsOff not in marks
    aliases = tuple(flag.aliases or ()) if flag else ()
    return Annotation(kind, _POSITIONAL in marks, negatable, flag.name if flag else None, aliases)


@dataclass(frozen=True)
class FlagGroup:
    """Flags that belong together.

    Attributes
    ----------
    title, text : str
    flags : list of Flag
    """

    title: str
    text: str
    flags: list[Flag]


def flag_groups(config: type, default: Any = None, *, prefixes: bool = True) -> list[FlagGroup]:
    """List the flags of a configuration class; each field that is a dataclass itself is a group.

    Parameters
    ----------
    config : type
        A dataclass with numpydoc attributes.
    default : instance of it, optional
        Whose values are the defaults, in place of the class's own.
    prefixes : bool
        Whether names in groups begin with the group's, as in "--tls.key".
    """
    groups = [FlagGroup("flags", "", [])]
    texts, hints = _texts(config), get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        value = _default_of(field) if default is None else getattr(default, field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            (inner,) = flag_groups(hints[field.name], value, prefixes=prefixes)
            prefix = field.name.replace("_", "-") + "." if prefixes else ""
            named = [
                dataclasses.replace(flag, names=[_prefixed(name, prefix) for name in flag.names])
                for flag in inner.flags
            ]
            groups.append(FlagGroup(field.name.replace("_", " "), _summary(hints[field.name]), named))
        else:
            groups[0].flags.append(_flag(field.name, hints[field.name], value, texts.get(field.name, "")))
    return groups


def load_config(path: str) -> type:
    """Import a configuration class, named as "package.module:Class"."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def from_json(config: type[Config], values: dict[str, Any]) -> Config:
    """Return the configuration that `values` is the JSON of.

    Raises
    ------
    ValueError
        A setting is unknown or has a value that it cannot have.
    """
    hints = get_type_hints(config)
    if not isinstance(values, dict):
        raise ValueError(f"{values!r} is not a table of settings")
    if unknown := values.keys() - hints.keys():
        raise ValueError(f"{', '.join(sorted(unknown))}: no such setting")
    return config(**{name: _from_json(hints[name], value) for name, value in values.items()})


def _from_json(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value)  # type: ignore[arg-type]
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if Path in (hint, *get_args(hint)) else value


def _default_of(field: dataclasses.Field) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _prefixed(name: str, prefix: str) -> str:
    return (
        name.replace("--no-", f"--{prefix}no-", 1) if name.startswith("--no-") else name.replace("--", f"--{prefix}", 1)
    )


def _summary(config: type) -> str:
    return docstring_parser.parse(config.__doc__ or "").short_description or ""


def _texts(config: type) -> dict[str, str]:
    """Text of each attribute; "rows, columns : int" describes both."""
    described = docstring_parser.parse(config.__doc__ or "").params
    return {
        name.strip(): " ".join((entry.description or "").split())
        for entry in described
        for name in entry.arg_name.split(",")
    }


def _flag(name: str, hint: Any, value: Any, text: str) -> Flag:
    annotation = annotation_of(hint)
    written = annotation.name or name.replace("_", "-")
    values, choices = _values(annotation.kind)
    if annotation.positional:
        return Flag([written.upper()], values, _default_text(value), text, choices)
    names = [*annotation.aliases, f"--{written}"]
    if annotation.negatable:
        names.append(f"--no-{written}")
    return Flag(names, values, _default_text(value), text, choices)


def _values(hint: Any) -> tuple[str, list[str]]:
    """What follows a flag of this type, and the values that it may have if they are few."""
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in arguments]
        return "{" + ",".join(choices) + "}", choices
    if get_origin(hint) in (Union, types.UnionType):
        return _values(next(argument for argument in arguments if argument is not type(None)))
    if get_origin(hint) is tuple:
        (one, choices) = _values(arguments[0])
        return (f"{one} ...", choices) if arguments[1:] == (...,) else (" ".join([one] * len(arguments)), choices)
    return TYPES[hint], []


def _default_text(value: Any) -> str:
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(_default_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value in (None, "") else str(value)
