"""Commands that open the database themselves, and ask no server: `baton token`, `baton audit`, `baton policy`."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

DONE, REFUSED = 0, 1

token_app = typer.Typer(help="API tokens (directly in the database).", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(help="The audit chain (directly in the database).", no_args_is_help=True, rich_markup_mode=None)
policy_app = typer.Typer(help="The policy file.", no_args_is_help=True, rich_markup_mode=None)


def say(text: str) -> None:
    """A line on standard output."""
    typer.echo(text)


def fail(code: int, *sentences: str) -> NoReturn:
    """Sentences on standard error, and the end of the command with this exit code."""
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise typer.Exit(code)


def print_json(value: object) -> None:
    """A value as JSON on standard output."""
    import json

    say(json.dumps(value, indent=2))


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Who holds it, such as ci-fraud.")],
    scope: Annotated[list[str], typer.Option("--scope", help="register, request, read, admin; with commas between.")],
    owner: Annotated[
        str, typer.Option(help="The Slack id of whoever answers for it and approves nothing it asks.")
    ] = "",
) -> None:
    """Make a token. It is shown once."""
    from bot.direct import create_token

    say(create_token(name, ",".join(scope).split(","), owner))


@token_app.command("list")
def token_list() -> None:
    """List all tokens; never the tokens themselves."""
    from bot.direct import list_tokens

    say(list_tokens())


@token_app.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(help="The token's name.")]) -> None:
    """Withdraw a token, at once and for good."""
    from bot.direct import revoke_token

    say(revoke_token(name))


@policy_app.command("test")
def policy_test(
    file: Annotated[str, typer.Argument(help="The changed policy file; else that of BATON_CONFIG.")] = "",
    since: Annotated[str, typer.Option(help="Only promotions asked for since then, such as 2026-11-01.")] = "",
    model: Annotated[str, typer.Option(help="Only promotions of this model.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="So many, the newest first.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print what differs as JSON.")] = False,
) -> None:
    """Judge past promotions by a changed policy file, and list those whose outcome would differ."""
    from dataclasses import asdict

    from bot import terminal
    from bot.direct import test_policy

    judged, told = 0, []
    for each in test_policy(file, since, model, limit):
        judged += 1
        if each.differs or each.unjudged:
            told.append(each)
            if not as_json:
                say(terminal.judged(each))
    differ = [each for each in told if each.differs]
    if as_json:
        unjudged = [asdict(each) for each in told if each.unjudged]
        print_json({"judged": judged, "differ": [asdict(each) for each in differ], "unjudged": unjudged})
    else:
        say(terminal.differing(len(differ), judged))
    if differ:
        raise typer.Exit(REFUSED)


@audit_app.command("verify")
def audit_verify() -> None:
    """Check that the chain is whole and unchanged."""
    from bot.direct import verify_audit

    sound, sentence = verify_audit()
    if not sound:
        fail(REFUSED, sentence)
    say(sentence)


@audit_app.command("export")
def audit_export(
    since: Annotated[str, typer.Option(help="From this moment on, such as 2026-11-01.")] = "",
    until: Annotated[str, typer.Option(help="Before this moment.")] = "",
    model: Annotated[str, typer.Option(help="Only this model.")] = "",
) -> None:
    """Write the audit events as NDJSON."""
    from bot.direct import export_audit

    for line in export_audit(since, until, model):
        say(line)
