"""What the process is told from outside: the environment, or a `.env` file beside it.

`Settings.load()` finds every wrong variable at once and says one sentence for each. Secrets are `SecretStr`; any secret
`X` may be given as `X_FILE`. A variable that is set to nothing counts as not set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError

SLACK_API = "https://slack.com/api/"
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
PictureMode = Literal["auto", "text", "off"]


class SettingsError(Exception):
    """Something in the environment is wrong. `problems` holds a sentence for each variable, never a secret's value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _port(value: object) -> int:
    text = str(value).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError(f"is “{text[:40]}”; write a port number from 1 to 65535, such as 8080.")
    return int(text)


def _host(value: object) -> str:
    text = str(value).strip()
    if not text or any(char.isspace() or char in "/@" for char in text):
        raise ValueError(f"is “{text[:80]}”; write a host name or an address, such as 127.0.0.1.")
    return text


def _url(value: object) -> str:
    text = str(value).strip()
    try:
        parts = urlsplit(text)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        well_formed = False
    if not well_formed or "@" in text or parts.query or parts.fragment:
        raise ValueError(
            "is not an address; write http:// or https://, a host and maybe a path, such as https://baton.example.com."
        )
    return text.rstrip("/")


def _api_url(value: object) -> str:
    return f"{_url(value)}/"


def _word(value: object, allowed: tuple[str, ...]) -> str:
    text = str(value).strip().lower()
    if text not in allowed:
        raise ValueError(f"is “{text[:40]}”; write one of {', '.join(allowed)}.")
    return text


def _token(value: object, prefix: str, where: str) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if not text.startswith(prefix) or not text.isascii() or any(char.isspace() for char in text):
        raise ValueError(
            f"does not look like one; it begins with {prefix} and is found in Slack's app settings under {where}."
        )
    return value


def _database(value: object) -> object:
    from core.store.database import normalise

    try:
        normalise(value.get_secret_value() if isinstance(value, SecretStr) else str(value))
    except ValueError as wrong:
        raise ValueError(str(wrong).removeprefix("BATON_DATABASE_URL ")) from None
    return value


class Settings(BaseModel):
    """The settings of contract section 2. Construct with `load`."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: Annotated[SecretStr, BeforeValidator(_database)] = Field(
        SecretStr("sqlite:///baton.db"), alias="BATON_DATABASE_URL"
    )
    config: Path = Field(Path("baton.yml"), alias="BATON_CONFIG")
    host: Annotated[str, BeforeValidator(_host)] = Field("127.0.0.1", alias="BATON_HOST")
    port: Annotated[int, BeforeValidator(_port)] = Field(8080, alias="BATON_PORT")
    given_public_url: Annotated[str, BeforeValidator(_url)] | None = Field(None, alias="BATON_PUBLIC_URL")
    slack_bot_token: (
        Annotated[SecretStr, BeforeValidator(lambda v: _token(v, "xoxb-", "“OAuth & Permissions”"))] | None
    ) = Field(None, alias="SLACK_BOT_TOKEN")
    slack_app_token: (
        Annotated[SecretStr, BeforeValidator(lambda v: _token(v, "xapp-", "“Basic Information”, “App-Level Tokens”"))]
        | None
    ) = Field(None, alias="SLACK_APP_TOKEN")
    slack_signing_secret: SecretStr | None = Field(None, alias="SLACK_SIGNING_SECRET")
    slack_api_url: Annotated[str, BeforeValidator(_api_url)] = Field(SLACK_API, alias="SLACK_API_URL")
    log_level: Annotated[LogLevel, BeforeValidator(lambda v: _word(v, ("debug", "info", "warning", "error")))] = Field(
        "info", alias="BATON_LOG_LEVEL"
    )
    log_format: Annotated[LogFormat, BeforeValidator(lambda v: _word(v, ("text", "json")))] | None = Field(
        None, alias="BATON_LOG_FORMAT"
    )
    pictures: Annotated[PictureMode, BeforeValidator(lambda v: _word(v, ("auto", "text", "off")))] = Field(
        "auto", alias="BATON_PICTURES"
    )
    _environ: dict[str, str] = PrivateAttr(default_factory=dict)
    _known: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def load(
        cls, environ: Mapping[str, str] | None = None, *, slack: bool = False, env_file: Path | None = None
    ) -> Self:
        """Read the environment over the `.env` file. With `slack`, the two Slack secrets must be there.

        `environ` stands in for the process's own (no `.env` is read then, unless `env_file` names one).
        Raises `SettingsError` with every problem found.
        """
        given = environment(environ, env_file)
        problems: list[str] = []
        for secret in SECRETS:
            try:
                given[secret] = secret_from(given, secret) or ""
            except ValueError as wrong:
                problems.append(str(wrong))
                given[secret] = ""
        if slack:
            wrong_already = " ".join(problems)
            problems += [
                f"{name} is not set; {hint}"
                for name, hint in REQUIRED_BY_SERVE.items()
                if not given[name] and name not in wrong_already
            ]
        try:
            settings = cls.model_validate({name: value for name, value in given.items() if value.strip()})
        except ValidationError as invalid:
            problems += _sentences(invalid)
        if problems:
            raise SettingsError(problems)
        settings._environ.update(given)
        settings._remember()
        return settings

    @property
    def public_url(self) -> str:
        """How others reach Baton, without a trailing slash."""
        if self.given_public_url:
            return self.given_public_url
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"http://{host}:{self.port}"

    @property
    def socket_mode(self) -> bool:
        """True when Slack is reached by Socket Mode, False when it calls `/slack/events`."""
        return self.slack_app_token is not None

    def secret(self, name: str) -> str | None:
        """The secret in the variable `name` (a target's, a registry's), or in the file that `NAME_FILE` names.

        None when neither is set. Raises `SettingsError` when the file cannot be read, or both are set.
        """
        try:
            found = secret_from(self._environ, name)
        except ValueError as wrong:
            raise SettingsError([str(wrong)]) from None
        if found:
            self._known.extend(found.split())  # a target may have several, parted by blanks
        return found

    def known_secrets(self) -> list[str]:
        """Every secret's value that was read so far, for the log to blot out; grows as targets are set up."""
        return self._known

    def _remember(self) -> None:
        from core.store.database import normalise

        given = (self.slack_bot_token, self.slack_app_token, self.slack_signing_secret)
        self._known.extend(secret.get_secret_value() for secret in given if secret)
        password = normalise(self.database_url.get_secret_value()).password
        if password:
            self._known.extend([password, quote(password, safe="")])


#: What is read through `X_FILE` too; a target's own secrets are read by `Settings.secret`.
SECRETS = ("BATON_DATABASE_URL", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET")
REQUIRED_BY_SERVE = {
    "SLACK_BOT_TOKEN": "copy it from Slack's app settings, “OAuth & Permissions” (it begins with xoxb-).",
    "SLACK_SIGNING_SECRET": "copy it from Slack's app settings, “Basic Information”.",
}


def environment(environ: Mapping[str, str] | None = None, env_file: Path | None = None) -> dict[str, str]:
    """The `.env` file's variables under those of the environment. Raises `SettingsError` for a file that is no text."""
    path = env_file or Path(".env")
    from_file: dict[str, str] = {}
    if (environ is None or env_file is not None) and path.is_file():
        try:
            read = dotenv_values(path, interpolate=False, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as wrong:
            raise SettingsError([f"{path} cannot be read ({_why(wrong)}); mend it or remove it."]) from None
        from_file = {name: value for name, value in read.items() if value is not None}
    return from_file | dict(os.environ if environ is None else environ)


def secret_from(given: Mapping[str, str], name: str) -> str | None:
    """The variable, or the contents of the file that `NAME_FILE` names. Raises `ValueError` with a sentence."""
    value, path = given.get(name, "").strip(), given.get(f"{name}_FILE", "").strip()
    if value and path:
        raise ValueError(f"{name} and {name}_FILE are both set; keep one of them.")
    if not path:
        return value or None
    try:
        value = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError) as wrong:
        raise ValueError(
            f"{name}_FILE names “{path[:200]}”, which cannot be read ({_why(wrong)}); "
            "write the path of a file that holds the secret."
        ) from None
    if not value:
        raise ValueError(f"{name}_FILE names “{path[:200]}”, which is empty; put the secret into it.")
    return value


def _why(wrong: Exception) -> str:
    return (wrong.strerror or "it cannot be opened") if isinstance(wrong, OSError) else "it is not text in UTF-8"


def _sentences(invalid: ValidationError) -> Iterator[str]:
    """One sentence for each variable: its name and what the validator said."""
    for error in invalid.errors(include_url=False, include_input=False):
        context: dict[str, Any] = error.get("ctx") or {}
        yield f"{error['loc'][0]} {context.get('error') or error['msg']}"
