"""The `baton` command: parse, call, print. No rules. Whatever is heavy is imported inside the command that needs it."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bot.cli_direct import DONE, REFUSED, audit_app, fail, policy_app, print_json, say, token_app

if TYPE_CHECKING:
    from bot.client import Client


class Group(TyperGroup):
    """Turns every failure into sentences on standard error and an exit code. No traceback ever reaches a person."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        as_json = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except Exception as error:
            from bot.failures import explain

            explained = explain(error)
            if explained is None:
                raise
            if as_json and hasattr(error, "problem"):  # the API's answer is a no
                print_json(error.problem)
            fail(*explained)


app = typer.Typer(
    name="baton",
    cls=Group,
    help="Model promotions asked for, judged, carried out and undone, in Slack.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(token_app, name="token")
app.add_typer(audit_app, name="audit")
app.add_typer(policy_app, name="policy")

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]
Model = Annotated[str, typer.Argument(help="The registered model's name.")]
Version = Annotated[str, typer.Argument(help="The version.")]
Stage = Annotated[str, typer.Argument(help="A stage of the policy.")]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="NAME=NUMBER; as often as needed.")]


def _client() -> Client:
    from bot.client import Client

    return Client.from_environment()


# -- running -----------------------------------------------------------------------------------------------------


@app.command()
def serve() -> None:
    """Run the bot, the HTTP side and the workers."""
    from bot import logs
    from bot.settings import Settings

    settings = Settings.load(slack=True)
    logs.configure(settings.log_level, settings.log_format, settings.known_secrets)
    gc.disable()  # importing makes thousands of classes, none of which is garbage
    from bot.serve import serve as run

    gc.enable()

    run(settings)


@app.command()
def demo(
    tour: Annotated[bool, typer.Option("--tour", help="Play the whole story by itself, then end.")] = False,
    port: Annotated[
        int | None, typer.Option(help="Port of the local Slack's page; 0 takes any.", min=0, max=65535)
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Run all of it on this machine, with a local Slack."""
    from bot.demo import demo as run

    raise typer.Exit(run(tour, port, not no_browser))


@app.command()
def migrate() -> None:
    """Bring the database to this release."""
    from bot.direct import migrate as run

    say(run())


@app.command()
def check(
    online: Annotated[bool, typer.Option("--online", help="Also ask Slack for scopes and channels.")] = False,
) -> None:
    """Validate settings, policy, manifest, database."""
    from bot.check import check as run

    findings = run(online=online)
    say("\n".join(map(str, findings)) or "Everything checked is in order.")
    raise typer.Exit(REFUSED if findings else DONE)


@app.command()
def init() -> None:
    """Write a commented policy file."""
    from bot.direct import init as run

    say(run())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the policy file."""
    from core.policy.schema import Policy

    print_json(Policy.json_schema())


# -- by way of the API -------------------------------------------------------------------------------------------


@app.command()
def register(
    model: Model,
    version: Version,
    signature: Annotated[Path | None, typer.Option(help="The model.sig of OpenSSF model signing.")] = None,
    card: Annotated[Path | None, typer.Option(help="The model card: Markdown, with YAML front matter.")] = None,
    metric: Metrics = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="JSON with metrics, artifact, lineage, tags; - reads standard input.")
    ] = None,
    member: Annotated[list[str] | None, typer.Option("--member", help="Of a bundle: MODEL=VERSION, for each.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a model version with its metrics and lineage."""
    from bot.bodies import papers, version_body
    from bot.client import part
    from bot.terminal import safe

    body = version_body(model, version, metric or [], file, member or [])
    with _client() as client:
        status, answer = client.post(f"/models/{part(model)}/versions", body | papers(signature, card))
    if as_json:
        print_json(answer)
        return
    name = safe(f"{answer['model']} {answer['version']}")
    say(f"Registered {name}." if status == 201 else f"{name} was registered before, the same; nothing changed.")


@app.command()
def measure(
    model: Model,
    version: Version,
    metric: Metrics = None,
    file: Annotated[Path | None, typer.Option("--file", help="JSON with metrics; - reads standard input.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what was measured of a version since it was registered, so that its champion can be re-certified."""
    from bot import terminal
    from bot.bodies import version_body
    from bot.client import part

    body = {"metrics": version_body(model, version, metric or [], file)["metrics"]}
    with _client() as client:
        _, answer = client.post(f"/models/{part(model)}/versions/{part(version)}/measurements", body)
    print_json(answer) if as_json else say(terminal.measured(model, version, answer))


@app.command()
def request(
    model: Model,
    version: Version,
    stage: Stage,
    reason: Annotated[str, typer.Option(help="Why, for those who decide.")] = "",
    as_json: AsJson = False,
) -> None:
    """Ask that a version is promoted to a stage."""
    from bot import terminal

    with _client() as client:
        _, answer = client.post("/promotions", {"model": model, "version": version, "stage": stage, "reason": reason})
    if as_json:
        print_json(answer)
    else:
        say(terminal.promotion(answer))
    if answer["state"] in ("failed", "errored"):
        raise typer.Exit(REFUSED)


@app.command()
def status(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None, as_json: AsJson = False
) -> None:
    """Show what is under way, or all of one model."""
    from bot import terminal
    from bot.client import part

    with _client() as client:
        about = client.get(f"/models/{part(model)}") if model else None
        found = client.get("/promotions", state=None if model else "active", model=model, limit=20 if model else 200)
    if as_json:
        print_json({"model": about, **found} if about else found)
        return
    if about is not None:
        say(terminal.champions(about) + "\n")
    nothing = "No promotion was asked for yet." if model else "No promotion is under way."
    say(terminal.promotions(found["items"]) if found["items"] else nothing)


@app.command()
def show(promotion: Annotated[str, typer.Argument(help="Such as P-12.")], as_json: AsJson = False) -> None:
    """Show one promotion, whole."""
    from bot import terminal
    from bot.client import part

    with _client() as client:
        answer = client.get(f"/promotions/{part(promotion)}")
    print_json(answer) if as_json else say(terminal.promotion(answer))


@app.command()
def evidence(
    promotion: Annotated[str, typer.Argument(help="Such as P-12.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write everything that is known of a promotion as one page and as JSON, for an auditor."""
    from bot.client import part
    from bot.direct import write_evidence

    with _client() as client:
        answer = client.get(f"/promotions/{part(promotion)}/evidence")
    if as_json:
        print_json(answer)
        return
    say(write_evidence(answer, out))
    if not answer["audit"]["sound"]:
        fail(REFUSED, "Its audit events do not verify; the page says which.")


@app.command()
def at(
    model: Model,
    time: Annotated[str, typer.Argument(help="Such as 2026-05-01 or 2026-05-01T12:00; UTC unless it says otherwise.")],
    stage: Annotated[str | None, typer.Argument(help="Only this stage.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show who served then, and by whose word."""
    from datetime import UTC, datetime

    from bot import terminal
    from bot.client import part
    from core.policy import moments

    when = moments.at(time, datetime.now(UTC), "UTC").isoformat()
    with _client() as client:
        if stage:
            answer = client.get(f"/models/{part(model)}/stages/{part(stage)}", at=when)
            found = [answer] if answer["version"] else []
        else:
            answer = client.get("/champions", at=when, model=model, limit=200)
            found = answer["items"]
    print_json(answer) if as_json else say(terminal.served(found) if found else f"Nobody served then ({when}).")


@app.command()
def why(model: Model, version: Version, stage: Stage, as_json: AsJson = False) -> None:
    """Show what stands in a promotion's way."""
    from bot import terminal

    with _client() as client:
        answer = client.get("/why", model=model, version=version, stage=stage)
    print_json(answer) if as_json else say(terminal.blockers(answer["blockers"]))


@app.command()
def rollback(
    model: Model,
    stage: Stage,
    reason: Annotated[str, typer.Option(help="Why.")],
    to: Annotated[str | None, typer.Option("--to", help="To this version; else to the last verified one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put an earlier version back into a stage."""
    from bot import terminal

    body = {"model": model, "stage": stage, "reason": reason} | ({"to_version": to} if to else {})
    with _client() as client:
        _, answer = client.post("/rollbacks", body)
    print_json(answer) if as_json else say(terminal.promotion(answer))


@app.command()
def digest(
    send: Annotated[bool, typer.Option("--send", help="Post today's now, where it was not posted yet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the daily digest would say now, or post it."""
    from bot import terminal

    with _client() as client:
        answer = client.post("/digest", {})[1] if send else client.get("/digest")
    print_json(answer) if as_json else say(terminal.sent(answer) if send else terminal.digest(answer))
