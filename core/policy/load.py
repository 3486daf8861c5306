"""Reading the policy file: YAML with line numbers, then the schema, then what only the whole can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath

from pydantic import BaseModel, ValidationError

from core.policy import key_files
from core.policy.checks import cross_check
from core.policy.document import Document, read
from core.policy.findings import Finding, PolicyError, Wrong, place
from core.policy.schema import Policy
from core.policy.words import in_words

__all__ = ["Finding", "PolicyError", "load", "load_file", "missing_secrets"]


def load(text: str, name: str = "baton.yml") -> Policy:
    """The policy that `text` says; `name` is the file's, for the findings and for the files that it names.

    Raises `PolicyError` with everything wrong that can be told at once.
    """
    document = read(text, name)
    if not isinstance(document.value, dict):
        problem = "the file is empty" if document.value is None else "the file is not a mapping"
        raise PolicyError([Finding(name, 1, "", problem, "begin with version: 1, or let baton init write an example")])
    wrong: list[Wrong] = [*key_files.write_out(document.value, FilePath(name).parent)]
    try:
        policy = Policy.model_validate(document.value)
        wrong += cross_check(policy)
    except ValidationError as error:
        wrong += [
            in_words(dict(each), document.value)
            for each in error.errors(include_url=False)
            if not (
                each["type"] == "too_short" and each["input"]
            )  # its items were refused already, each with its reason
        ]
    if wrong:
        raise PolicyError(dict.fromkeys(document.finding(each) for each in wrong))
    return _remember(policy, text, document)


def load_file(path: FilePath) -> Policy:
    """The policy in a file. Raises `PolicyError`, also when the file cannot be read."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        problem = f"the file cannot be read ({error.strerror or 'it cannot be opened'})"
        remedy = "let baton init write one, or set BATON_CONFIG to the path of yours"
        raise PolicyError([Finding(str(path), 1, "", problem, remedy)]) from None
    except (UnicodeDecodeError, ValueError):
        raise PolicyError([Finding(str(path), 1, "", "the file is not text in UTF-8", "save it as UTF-8")]) from None
    return load(text, str(path))


def missing_secrets(policy: Policy, environ: Mapping[str, str]) -> list[Finding]:
    """One finding for every variable that the policy names and neither it nor its `_FILE` twin is set."""
    found = []
    for kind in ("targets", "registries", "sources", "alerts"):
        connections: dict[str, BaseModel] = getattr(policy, kind)
        for name, connection in connections.items():
            for key, variable in _secrets(connection):
                if not environ.get(variable, "").strip() and not environ.get(f"{variable}_FILE", "").strip():
                    remedy = f"set {variable}, or {variable}_FILE to the path of a file with the secret"
                    wrong: Wrong = ((kind, name, key), f"{variable} is not set", remedy)
                    found.append(place(policy._file, policy._lines, wrong))
    return found


def _secrets(connection: BaseModel) -> Iterator[tuple[str, str]]:
    for key, value in connection:
        if key.endswith("_env") and isinstance(value, str):
            yield key, value


def _remember(policy: Policy, text: str, document: Document) -> Policy:
    policy._text, policy._file, policy._lines = text, document.file, document.lines
    return policy
