"""THE composition root: settings and policy in, everything that runs out. Nothing else constructs collaborators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slack_bolt import App
from slack_sdk import WebClient

from bot.http.metrics import Metrics
from bot.settings import Settings, SettingsError
from bot.slack.app import build_app
from bot.slack.awaited import awaited_by
from bot.slack.blocks.alert import alert as alert_message
from bot.slack.blocks.card import Message
from bot.slack.blocks.digest import digest as digest_message
from bot.slack.blocks.review import review as review_message
from bot.slack.connection import SlackConnection
from bot.slack.desk import Desk
from bot.slack.identity import SlackDirectory
from bot.slack.messages import Messages
from bot.wiring_registries import RegistryRoom
from bot.wiring_registries import renderers as registry_renderers
from core.alerts import Alerts
from core.barriers import Barriers
from core.boards import Boards, local_day
from core.bundles import Bundles
from core.certifying import Certifying
from core.decisions import Decisions
from core.delegating import Delegating
from core.deployments import Deployments
from core.engine import Engine
from core.features import FeatureLooks
from core.glass import Glass
from core.policy.connections import GitHubActions, GitLab, Jenkins, Prometheus, SageMakerEndpoint, Webhook
from core.policy.schema import Policy
from core.ports import Clock, DeployTarget
from core.promotions import Promotions
from core.registration import Registration
from core.retraining import Retraining
from core.rollbacks import Rollbacks
from core.rollouts import Rollouts
from core.sources.feast import FeastSource
from core.sources.prometheus import PrometheusSource
from core.store.boards import Part
from core.store.database import Database
from core.store.messages import card_places
from core.store.writing import Claim
from core.targets.github_actions import GitHubRuns
from core.targets.gitlab import GitLabRuns
from core.targets.jenkins import JenkinsRuns
from core.targets.runs import RunTarget
from core.targets.sagemaker_endpoint import EndpointTarget
from core.targets.standard_webhooks import Secret, parse_secrets
from core.targets.webhook import WebhookTarget
from core.tokens import Tokens

#: No call to Slack takes longer; a claim on a message outlasts several.
SLACK_TIMEOUT = 8
#: What is asked of Slack before a click is answered, which Slack wants within 3 s.
QUICK_TIMEOUT = 2


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


AnyTarget = WebhookTarget | RunTarget | EndpointTarget


@dataclass
class Services:
    """Everything that runs, for the edges to call."""

    settings: Settings
    policy: Policy
    database: Database
    clock: Clock
    engine: Engine
    promotions: Promotions
    decisions: Decisions
    rollbacks: Rollbacks
    registration: Registration
    bundles: Bundles
    deployments: Deployments
    rollouts: Rollouts
    alerts: Alerts
    boards: Boards
    sources: dict[str, PrometheusSource]
    features: FeatureLooks
    retraining: Retraining
    targets: dict[str, AnyTarget]
    tokens: Tokens
    metrics: Metrics
    registries: RegistryRoom
    directory: SlackDirectory
    messages: Messages
    desk: Desk
    app: App
    connection: SlackConnection

    def stop_answering(self) -> None:
        """Let what is being said in Slack be said, then end those threads."""
        self.desk.after.shutdown(wait=True, cancel_futures=True)

    def slack_ready(self) -> str:
        """Why Slack is not connected; "" when it is."""
        return self.connection.problem()

    def target_secrets(self, name: str) -> tuple[Secret, ...]:
        """What a deploy system signs its reports with; empty for a target that the policy no longer has."""
        target = self.targets.get(name)
        return target.secrets if isinstance(target, WebhookTarget) else ()

    def digest(self) -> dict[str, Any]:
        """Today's digest of every channel, as data and as text, without sending it."""
        now = self.clock()
        day = local_day(self.policy, now)
        return {"day": day, "channels": [self._digest_of(channel, day, now) for channel in self.boards.channels()]}

    def send_digest(self) -> list[str]:
        """Send today's digest now to every channel that has not had it; those channels."""
        now = self.clock()
        return self.boards.want(self.boards.channels(), local_day(self.policy, now), now)

    def alert_secret(self, name: str) -> str:
        """What the senders of alerts prove themselves with; "" where the policy names no such source."""
        sender = self.policy.alerts.get(name)
        return (self.settings.secret(sender.token_env) or "") if sender else ""

    def _digest_of(self, channel: str, day: str, now: datetime) -> dict[str, Any]:
        facts = self.boards.channel_digest(channel, day, now)
        return {
            "channel": channel,
            "awaiting_count": facts.awaiting.count,
            "awaiting": [view.ref for view in facts.awaiting.shown],
            "expiring": [view.ref for view in facts.expiring.shown],
            "rolling_out": [view.ref for view in facts.rolling_out.shown],
            "waiting": [view.ref for view in facts.held_up.shown],
            "unreviewed": [view.ref for view in facts.unreviewed.shown],
            "rolled_back": [view.ref for view in facts.rolled_back.shown],
            "text": digest_message(facts, {}).text,
        }


def build(settings: Settings, policy: Policy, database: Database, clock: Clock = utc_now) -> Services:
    """Put everything together; starts nothing. Raises `SettingsError` for a target whose secret is missing."""
    token = _revealed(settings.slack_bot_token)
    # Nothing is repeated behind our back: a post whose answer was lost is looked for first.
    client = WebClient(token=token, base_url=settings.slack_api_url, timeout=SLACK_TIMEOUT, retry_handlers=[])
    quick = WebClient(token=token, base_url=settings.slack_api_url, timeout=QUICK_TIMEOUT, retry_handlers=[])
    metrics = Metrics(database, clock)
    directory = SlackDirectory(quick, {name: list(members) for name, members in policy.groups.items()})
    engine = Engine(database)
    targets = build_targets(settings, policy, clock)
    promotions = Promotions(database, policy, directory, clock, engine)
    adapters: dict[str, DeployTarget] = dict(targets)
    deployments = Deployments(
        database, adapters, engine, clock, settings.public_url, promotions.evaluation, on_hook=metrics.hook
    )
    alerts = Alerts(Rollbacks(promotions))
    boards = Boards(promotions)
    messages = _messages(boards, client, directory, alerts, metrics, settings.pictures)
    database.after_change = messages.kick
    sources, stores = build_sources(settings, policy)
    desk = _desk(boards, Rollouts(promotions, sources), alerts, messages, directory, client, quick)
    app = build_app(desk, _revealed(settings.slack_signing_secret) or "")
    return Services(
        settings=settings,
        policy=policy,
        database=database,
        clock=clock,
        engine=engine,
        promotions=promotions,
        decisions=desk.decisions,
        rollbacks=desk.rollbacks,
        registration=desk.registration,
        bundles=desk.bundles,
        deployments=deployments,
        rollouts=desk.rollouts,
        alerts=alerts,
        boards=boards,
        sources=sources,
        features=FeatureLooks(promotions, stores),
        retraining=Retraining(database, policy, adapters, clock, settings.public_url),
        targets=targets,
        tokens=Tokens(database, clock),
        metrics=metrics,
        registries=RegistryRoom(settings, promotions, desk.registration, metrics),
        directory=directory,
        messages=messages,
        desk=desk,
        app=app,
        connection=SlackConnection(app, client, _revealed(settings.slack_app_token)),
    )


def _messages(
    boards: Boards, client: WebClient, directory: SlackDirectory, alerts: Alerts, metrics: Metrics, pictures: str
) -> Messages:
    promotions = boards.promotions
    database, policy, clock = promotions.database, promotions.policy, promotions.clock
    renderers = {
        "digest": digest_renderer(boards, directory),
        "alert": alert_renderer(alerts),
        **registry_renderers(promotions),
    }
    return Messages(database, client, directory, policy, clock, renderers, metrics.slack_error, pictures=pictures)


def _desk(
    boards: Boards, rollouts: Rollouts, alerts: Alerts, messages: Messages, directory: SlackDirectory,
    client: WebClient, quick: WebClient,
) -> Desk:  # fmt: skip
    promotions = boards.promotions
    registration = Registration(promotions.database, promotions.clock)
    return Desk(
        promotions=promotions,
        boards=boards,
        decisions=Decisions(promotions),
        rollbacks=alerts.rollbacks,
        alerts=alerts,
        barriers=Barriers(promotions),
        delegating=Delegating(promotions),
        glass=Glass(promotions),
        rollouts=rollouts,
        registration=registration,
        bundles=Bundles(promotions.policy, registration),
        directory=directory,
        messages=messages,
        client=client,
        quick=quick,
    )


def build_sources(settings: Settings, policy: Policy) -> tuple[dict[str, PrometheusSource], dict[str, FeastSource]]:
    """The policy's metric sources and its feature stores. Raises `SettingsError` for a token that is missing."""
    metrics: dict[str, PrometheusSource] = {}
    stores: dict[str, FeastSource] = {}
    problems = []
    for name, each in policy.sources.items():
        if isinstance(each, Prometheus):
            metrics[name] = PrometheusSource(str(each.url))
            continue
        token = settings.secret(each.token_env) if each.token_env else ""
        if token is None or (each.token_env and not token):
            problems.append(f"{each.token_env} is not set; the source {name} cannot be asked without it.")
        stores[name] = FeastSource(str(each.url), token or "")
    if problems:
        raise SettingsError(problems)
    return metrics, stores


def build_targets(settings: Settings, policy: Policy, clock: Clock) -> dict[str, AnyTarget]:
    """The policy's deploy targets. Raises `SettingsError` naming every secret that is missing or unusable."""
    targets: dict[str, AnyTarget] = {}
    problems = []
    for name, target in policy.targets.items():
        if isinstance(target, SageMakerEndpoint):
            targets[name] = EndpointTarget(name, target)
            continue
        variable = target.secret_env if isinstance(target, Webhook) else target.token_env
        secret = settings.secret(variable)
        if not secret:
            problems.append(f"{variable} is not set; the target {name} cannot be asked without it.")
            continue
        try:
            targets[name] = _target(name, target, secret, clock)
        except ValueError as error:
            problems.append(f"{variable}{':' if isinstance(target, Webhook) else ''} {error}")
    if problems:
        raise SettingsError(problems)
    return targets


def _target(name: str, target: Any, secret: str, clock: Clock) -> AnyTarget:
    match target:
        case GitHubActions():
            return RunTarget(name, GitHubRuns(target, secret), clock)
        case Jenkins():
            return RunTarget(name, JenkinsRuns(target, secret), clock)
        case GitLab():
            return RunTarget(name, GitLabRuns(target, secret), clock)
        case _:
            return WebhookTarget(name, str(target.url), parse_secrets(secret), clock)


def alert_renderer(alerts: Alerts) -> Callable[[Claim], Message]:
    """How what asks something of a channel is drawn: what alerts propose, and champions past their review period."""
    certifying = Certifying(alerts.promotions)

    def render(claimed: Claim) -> Message:
        if "certification" in claimed.body:
            return review_message(certifying.show(claimed.body["certification"]))
        return alert_message(alerts.show(claimed.body["proposal"]))

    return render


def digest_renderer(boards: Boards, directory: SlackDirectory) -> Callable[[Claim], Message]:
    """How a digest is drawn when it is posted: from the database as it is then."""

    def render(claimed: Claim) -> Message:
        draw = boards.personal_digest if claimed.body.get("person") else boards.channel_digest
        facts = draw(claimed.channel, claimed.body["day"], boards.promotions.clock())
        database, now = boards.promotions.database, boards.promotions.clock()
        awaited = {view.id: awaited_by(database, directory, boards.policy, view, now) for view in facts.awaiting.shown}
        named = [view.id for part in vars(facts).values() if isinstance(part, Part) for view in part.shown]
        with database.read() as session:
            places = card_places(session, named)
        return digest_message(facts, awaited, {each: directory.permalink(*place) for each, place in places.items()})

    return render


def _revealed(secret: Any) -> str | None:
    return secret.get_secret_value() if secret is not None else None
