"""What the environment may say, and what is said when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import Settings, SettingsError

SLACK = {"SLACK_BOT_TOKEN": "xoxb-1-abcdef", "SLACK_SIGNING_SECRET": "0123456789abcdef"}


def problems(environ: dict[str, str], *, slack: bool = False) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ, slack=slack)
    return list(caught.value.problems)


def test_nothing_set_means_the_defaults_of_the_contract() -> None:
    settings = Settings.load({})
    assert settings.database_url.get_secret_value() == "sqlite:///baton.db"
    assert settings.config == Path("baton.yml")
    assert (settings.host, settings.port, settings.public_url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.slack_bot_token is None
    assert not settings.socket_mode
    assert (settings.log_level, settings.log_format) == ("info", None)


def test_set_to_nothing_is_not_set() -> None:
    assert Settings.load({"BATON_PORT": "", "SLACK_APP_TOKEN": " "}).port == 8080


def test_everything_can_be_set() -> None:
    settings = Settings.load(
        SLACK
        | {
            "BATON_DATABASE_URL": "postgresql://baton@db/baton",
            "BATON_CONFIG": "/etc/baton.yml",
            "BATON_HOST": "::1",
            "BATON_PORT": "9000",
            "SLACK_APP_TOKEN": "xapp-1-A-2",
            "SLACK_API_URL": "http://127.0.0.1:3000/api",
            "BATON_LOG_LEVEL": "DEBUG",
            "BATON_LOG_FORMAT": "json",
        },
        slack=True,
    )
    assert settings.public_url == "http://[::1]:9000"
    assert settings.slack_api_url == "http://127.0.0.1:3000/api/"
    assert settings.socket_mode
    assert (settings.log_level, settings.log_format) == ("debug", "json")


@pytest.mark.parametrize("url", ["https://baton.example.com", "https://baton.example.com/"])
def test_addresses_are_the_same_with_or_without_a_slash_at_the_end(url: str) -> None:
    assert Settings.load({"BATON_PUBLIC_URL": url}).public_url == "https://baton.example.com"
    assert Settings.load({"SLACK_API_URL": url}).slack_api_url == "https://baton.example.com/"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BATON_PORT", "eighty", "BATON_PORT is “eighty”; write a port number from 1 to 65535, such as 8080."),
        ("BATON_PORT", "65536", "BATON_PORT is “65536”; write a port number from 1 to 65535, such as 8080."),
        ("BATON_PORT", "-1", "BATON_PORT is “-1”; write a port number from 1 to 65535, such as 8080."),
        ("BATON_PORT", "٨٠", "BATON_PORT is “٨٠”; write a port number from 1 to 65535, such as 8080."),
        ("BATON_HOST", "http://x", "BATON_HOST is “http://x”; write a host name or an address, such as 127.0.0.1."),
        ("BATON_LOG_LEVEL", "loud", "BATON_LOG_LEVEL is “loud”; write one of debug, info, warning, error."),
        ("BATON_LOG_FORMAT", "xml", "BATON_LOG_FORMAT is “xml”; write one of text, json."),
        (
            "BATON_PUBLIC_URL",
            "baton.example.com",
            "BATON_PUBLIC_URL is not an address; write http:// or https://, a host and maybe a path, "
            "such as https://baton.example.com.",
        ),
        (
            "BATON_DATABASE_URL",
            "mysql://root:hunter22@db/x",
            "BATON_DATABASE_URL names 'mysql', which Baton cannot use; "
            "write sqlite:///baton.db or postgresql+psycopg://user@host/name.",
        ),
        (
            "BATON_DATABASE_URL",
            "hunter22",
            "BATON_DATABASE_URL is not a database URL; "
            "write sqlite:///baton.db or postgresql+psycopg://user@host/name.",
        ),
        (
            "SLACK_BOT_TOKEN",
            "xoxp-hunter22",
            "SLACK_BOT_TOKEN does not look like one; it begins with xoxb- and is found in Slack's app settings under "
            "“OAuth & Permissions”.",
        ),
    ],
)
def test_a_wrong_variable_gets_one_sentence_that_never_holds_a_secret(name: str, value: str, said: str) -> None:
    assert problems({name: value}) == [said]
    assert "hunter22" not in said


@pytest.mark.parametrize(
    "url", ["http://", "https://u:p@h", "http://h:99999", "http://h/?a=b", "ftp://h", "http://[::1"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    assert problems({"BATON_PUBLIC_URL": url})[0].startswith("BATON_PUBLIC_URL is not an address; ")


def test_every_problem_is_said_at_once() -> None:
    found = problems({"BATON_PORT": "x", "BATON_LOG_LEVEL": "y"}, slack=True)
    assert len(found) == 4
    assert {each.split()[0] for each in found} == {
        "BATON_PORT",
        "BATON_LOG_LEVEL",
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    }


def test_any_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("xoxb-from-a-file\n")
    settings = Settings.load({"SLACK_BOT_TOKEN_FILE": str(file), "HOOK_SECRET_FILE": str(file), "OTHER": "open"})
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-from-a-file"
    assert settings.secret("HOOK_SECRET") == "xoxb-from-a-file"
    assert settings.secret("OTHER") == "open"
    assert settings.secret("MISSING") is None


def test_a_secrets_file_that_is_no_use_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert "which cannot be read (No such file or directory)" in problems({"SLACK_APP_TOKEN_FILE": "/nowhere"})[0]
    assert "which is empty" in problems({"SLACK_APP_TOKEN_FILE": str(empty)})[0]
    assert "it is not text in UTF-8" in problems({"SLACK_APP_TOKEN_FILE": str(binary)})[0]
    assert problems({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_BOT_TOKEN_FILE": str(empty)}) == [
        "SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set; keep one of them."
    ]
    with pytest.raises(SettingsError, match="HOOK_SECRET_FILE names"):
        Settings.load({"HOOK_SECRET_FILE": "/nowhere"}).secret("HOOK_SECRET")


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text('BATON_PORT=9001\nBATON_HOST="0.0.0.0"\nHOOK_SECRET=abc\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATON_PORT", "9002")
    settings = Settings.load()
    assert (settings.port, settings.host) == (9002, "0.0.0.0")
    assert settings.secret("HOOK_SECRET") == "abc"
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        Settings.load()


def test_no_secret_shows_in_a_representation() -> None:
    settings = Settings.load(
        SLACK
        | {"BATON_DATABASE_URL": "postgresql://u:hunter22@h/d", "SLACK_APP_TOKEN": "xapp-hidden", "HOOK": "shh-hook"}
    )
    shown = f"{settings!r} {settings} {settings.model_dump()}"
    for secret in ("xoxb-1-abcdef", "0123456789abcdef", "hunter22", "xapp-hidden", "shh-hook"):
        assert secret not in shown
    assert set(settings.known_secrets()) >= {"xoxb-1-abcdef", "0123456789abcdef", "hunter22", "xapp-hidden"}
