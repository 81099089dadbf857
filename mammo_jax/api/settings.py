"""Settings given in Python, as the flags of the command line that mean the same."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import inspect
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from mammo_jax.errors import UserError
from mammo_jax.jobs.flags import Annotation, annotation_of

Config = TypeVar("Config")


class SettingError(UserError):
    """A setting that does not exist, or a value that it cannot have; the message names it."""


@dataclasses.dataclass(frozen=True)
class _Setting:
    """One field of a job's configuration."""

    field: dataclasses.Field[Any]
    annotation: Annotation

    def names(self) -> list[str]:
        """The names that the setting has in Python: its own, and those of other flags for it."""
        return [self.field.name, *(alias.lstrip("-").replace("-", "_") for alias in self.annotation.aliases)]


def flags_of(config: type, settings: Mapping[str, Any]) -> list[str]:
    """Write settings as flags.

    Parameters
    ----------
    config : type
        A job's dataclass of settings; those of dataclasses in it are given by their own names.
    settings : mapping
        Name → value. None, numbers, texts, paths, booleans, and sequences of these.

    Raises
    ------
    SettingError
        There is no such setting; the message has the most similar name.
    """
    known = {name: setting for setting in _settings(config) for name in setting.names()}
    flags = []
    for name, value in settings.items():
        if name not in known:
            similar = difflib.get_close_matches(name, known, 1)
            raise SettingError(f"there is no setting {name!r}" + (f"; did you mean {similar[0]!r}?" if similar else ""))
        flags += _flag(name, value, known[name])
    return flags


def _flag(name: str, value: Any, setting: _Setting) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if setting.annotation.kind is bool:
        if not isinstance(value, bool):
            raise SettingError(f"{name}: {value!r} is not True or False")
        if value:
            return [flag]
        return [f"--no-{flag[2:]}"] if setting.annotation.negatable else []
    if isinstance(value, str | Path) or not hasattr(value, "__iter__"):
        return [flag, str(value)]
    return [flag, *(str(item) for item in value)]


def parsed(parse: Callable[[list[str]], Config], flags: list[str]) -> Config:
    """Read flags with a job's parser; what it would print and end with becomes an error.

    Raises
    ------
    SettingError
        A value that a setting cannot have.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return parse(flags)
    except SystemExit as end:
        raise SettingError(end.code if isinstance(end.code, str) else _complaint(printed.getvalue())) from None


def _complaint(printed: str) -> str:
    """The parser's message without its frame, with the names that settings have in Python."""
    lines = [line.strip(" │|") for line in printed.splitlines()[1:]]  # the first is the title
    blocks = itertools.groupby(filter(None, lines), key=lambda line: not line.strip("-─╭╮╰╯"))
    message = next((" ".join(block) for is_rule, block in blocks if not is_rule), "the settings cannot be read")
    message = re.sub(r"^Error parsing [\w.-]+: (?=[a-z_]+[:' ])", "", message)
    return re.sub(r"--([a-z][a-z-]*)", lambda flag: flag[1].replace("-", "_"), message)


def signature_of(config: type, *parameters: inspect.Parameter) -> inspect.Signature:
    """Return a signature with every setting as a keyword, for `help` and completion.

    Parameters
    ----------
    config : type
    *parameters
        What comes before the settings, and in place of those with the same name.
    """
    given = {parameter.name for parameter in parameters}
    keywords = [
        inspect.Parameter(
            setting.field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(setting.field),
            annotation=setting.annotation.kind,
        )
        for setting in _settings(config)
        if setting.field.name not in given
    ]
    return inspect.Signature([*parameters, *keywords])


def _default(field: dataclasses.Field[Any]) -> Any:
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


def _settings(config: type) -> Iterator[_Setting]:
    """Every field of a dataclass and of those in it that has a name on the command line."""
    hints = get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        annotation = annotation_of(hints[field.name])
        if isinstance(annotation.kind, type) and dataclasses.is_dataclass(annotation.kind):
            yield from _settings(annotation.kind)
        elif not annotation.positional:
            yield _Setting(field, annotation)
