"""pydantic's errors as sentences: where, what is wrong, what would be right."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel

from core.policy.fields import Part, shown
from core.policy.findings import Path, Wrong, nearest
from core.policy.schema import Policy
from core.policy.stages import GATE_KEYS

#: What a missing key may look like.
_EXAMPLES = {
    "version": "version: 1",
    "slack": 'slack: {channel: "#ml-promotions"}',
    "channel": 'channel: "#ml-promotions"',
    "stages": "stages, with the stage first in which versions arrive",
    "at": 'at: "09:00"',
    "target": "the name of one of the targets",
    "secret_env": "the name of the environment variable with the secret, such as HOOK_SECRET",
    "token_env": "the name of the environment variable with the token",
    "url": "an address such as https://deploy.example.com/hook",
    "group": "the name of one of the groups",
}


def in_words(error: Mapping[str, Any], content: Any) -> Wrong:
    """One of pydantic's errors about `content`, for people."""
    path = _path(error["loc"], content)
    context = error.get("ctx") or {}
    if error["type"] == "policy":
        return (*path, *context["at"]), context["problem"], context["remedy"]
    if error["type"] == "extra_forbidden":
        return _unknown_key(path, error["loc"])
    speak = _WORDS.get(error["type"])
    if speak is None:
        said = str(error["msg"])
        return path, f"{shown(error['input'])} cannot be used: {said[:1].lower()}{said[1:]}", "mend it"
    problem, remedy, *at = speak(error["input"], {**context, "key": str(path[-1]) if path else ""})
    return (*path, *at), problem, remedy


def _path(loc: tuple[str | int, ...], content: Any) -> Path:
    """Without the names of models that pydantic puts in for members of unions, and its mark for keys."""
    path: list[str | int] = []
    here: Any = content
    for step in loc:
        inside = here if isinstance(here, dict) else dict(enumerate(here)) if isinstance(here, list) else {}
        if step in inside:
            here = inside[step]
        elif step == "[key]" or step in _MODEL_NAMES:
            continue
        path.append(step)
    return tuple(path)


def _unknown_key(path: Path, loc: tuple[str | int, ...]) -> Wrong:
    known = sorted(_keys(loc[:-1]))
    meant = nearest(str(path[-1]), known)
    remedy = f"write {meant}, or remove it" if meant else f"remove it (known are {', '.join(known)})"
    return path, "this key is not known", remedy


def _keys(loc: tuple[str | int, ...]) -> set[str]:
    """The keys that the model at a place has."""
    here: list[Any] = [Policy]
    for step in loc:
        here = [inner for each in here for inner in _inside(each, step)]
    models = [each for each in here if isinstance(each, type) and issubclass(each, BaseModel)]
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _inside(annotation: Any, step: str | int) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation.__name__ == step:
            yield annotation
        for name, field in annotation.model_fields.items():
            if (field.alias or name) == step:
                yield from _members(field.annotation)
    elif typing.get_origin(annotation) in (tuple, dict):
        yield from _members([each for each in typing.get_args(annotation) if each is not Ellipsis][-1])


def _members(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) is Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for each in typing.get_args(annotation):
            yield from _members(each)
    else:
        yield annotation


def _model_names(model: type[BaseModel]) -> Iterator[str]:
    for each in model.__subclasses__():
        yield each.__name__
        yield from _model_names(each)


_MODEL_NAMES = frozenset(_model_names(Part))


def _not(what: str, remedy: str) -> Callable[[Any, Mapping[str, Any]], tuple[str, ...]]:
    def speak(given: Any, _: Mapping[str, Any]) -> tuple[str, ...]:
        if given is None:
            return "is empty", f"{remedy}, or remove the line"
        return f"{shown(given)} is not {what}", remedy

    return speak


def _missing(_: Any, context: Mapping[str, Any]) -> tuple[str, ...]:
    return "is missing", f"add {_EXAMPLES.get(context['key'], 'it')}"


def _literal(given: Any, context: Mapping[str, Any]) -> tuple[str, ...]:
    expected = str(context["expected"]).replace("'", "").replace("True", "true")
    return ("is empty" if given is None else f"{shown(given)} is not known here"), f"write {expected}"


def _type(given: Any, context: Mapping[str, Any]) -> tuple[str, ...]:
    kinds = context["kinds"]
    if not isinstance(given, dict):
        return _mapping(given, context)
    if "type" not in given:
        return "type is missing", f"add one of {kinds}"
    return f"{shown(given['type'])} is not a known type", f"write one of {kinds}", "type"


def _gate(given: Any, context: Mapping[str, Any]) -> tuple[str, ...]:
    if not isinstance(given, dict):
        return _not("a gate", "write one such as {metric: auc, at_least: 0.90}")(given, context)
    kinds = [key for key in GATE_KEYS if key in given]
    if kinds:
        return f"mixes {' and '.join(kinds)}", "write a gate for each"
    for key in given:
        meant = nearest(key, GATE_KEYS)
        if meant:
            return "this key is not known", f"write {meant}", key
    return f"has none of {', '.join(GATE_KEYS)}", "write a gate such as {metric: auc, at_least: 0.90}"


_list = _not("a list", "write a list, such as [one, two]")
_mapping = _not("a mapping", "write keys and their values")
_text = _not("text", "write it in quotes")
_bool = _not("true or false", "write true or false")

_WORDS: dict[str, Callable[[Any, Mapping[str, Any]], tuple[str, ...]]] = {
    "missing": _missing,
    "literal_error": _literal,
    "policy_type": _type,
    "policy_gate": _gate,
    "tuple_type": _list,
    "list_type": _list,
    "dict_type": _mapping,
    "model_type": _mapping,
    "model_attributes_type": _mapping,
    "string_type": _text,
    "bool_type": _bool,
    "bool_parsing": _bool,
    "too_short": lambda _, context: ("is empty", f"write at least {context['min_length']}"),
    "too_long": lambda _, context: ("is too long", f"write at most {context['max_length']}"),
    "string_too_long": lambda _, context: ("is too long", f"write at most {context['max_length']} characters"),
}
