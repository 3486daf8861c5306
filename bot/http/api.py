"""The JSON API: registering, asking, looking, undoing. Each call is one use case of the core; no rules live here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Depends, FastAPI, Query, Response
from starlette.responses import StreamingResponse

from bot import evidence, evidence_html
from bot.http import answers, schemas
from bot.http.entrance import SLASH
from bot.http.pages import Cursor, Limit, after_id, after_pair, after_text, page
from bot.http.services import Services
from bot.http.tokens import needs
from core import certifying, evidence_file
from core.domain.errors import BadInput
from core.domain.model import Actor, State
from core.store import audit, champions, promotions, registries, registry, review_tables

Json = dict[str, Any]
MayRead = Annotated[Actor, Depends(needs("read"))]
MayRegister = Annotated[Actor, Depends(needs("register"))]
MayRequest = Annotated[Actor, Depends(needs("request"))]
At = Annotated[str | None, Query(max_length=64, description="Such as 2026-11-23T10:00:00Z; now unless told.")]

PREFIX = "/api/v1"
AUDIT_PAGE = 500
SKEW = timedelta(minutes=1)
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": schemas.Problem, "description": "Refused: a problem document with one sentence."},
    "5XX": {"model": schemas.Problem, "description": "Could not be done now, or broke."},
}


class Api:
    """The routes under /api/v1 that tokens open."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def register(self, app: FastAPI) -> None:
        """Add the routes to `app`."""
        for method, path, endpoint, status, tag in (
            ("POST", "/models/{model}/versions", self.register_version, 201, "models"),
            ("GET", "/models", self.list_models, 200, "models"),
            ("GET", "/models/{model}", self.get_model, 200, "models"),
            ("GET", "/models/{model}/versions", self.list_versions, 200, "models"),
            ("GET", "/models/{model}/versions/{version}", self.get_version, 200, "models"),
            ("POST", "/models/{model}/versions/{version}/measurements", self.measure_version, 201, "models"),
            ("GET", "/models/{model}/stages/{stage}", self.get_champion, 200, "models"),
            ("GET", "/champions", self.list_champions, 200, "models"),
            ("POST", "/promotions", self.request_promotion, 201, "promotions"),
            ("GET", "/promotions", self.list_promotions, 200, "promotions"),
            ("GET", "/promotions/{promotion}", self.get_promotion, 200, "promotions"),
            ("GET", "/promotions/{promotion}/evidence", self.get_evidence, 200, "promotions"),
            ("POST", "/promotions/{promotion}/cancel", self.cancel_promotion, 200, "promotions"),
            ("GET", "/why", self.why, 200, "promotions"),
            ("POST", "/rollbacks", self.request_rollback, 201, "promotions"),
            ("GET", "/digest", self.digest, 200, "promotions"),
            ("POST", "/digest", self.send_digest, 200, "promotions"),
            ("GET", "/audit", self.audit, 200, "audit"),
        ):
            app.add_api_route(
                PREFIX + path, endpoint, methods=[method], status_code=status, tags=[tag], responses=REFUSALS
            )

    # -- models --------------------------------------------------------------------------------------------------

    def register_version(self, model: str, body: schemas.VersionIn, actor: MayRegister, response: Response) -> Json:
        """Register a version. 201; 200 when the same was registered before; 409 when it differs from what was."""
        kept, created = self.services.bundles.register(actor, body.to_version(_name(model)))
        response.headers["Location"] = _link("models", kept.model, "versions", kept.version)
        response.status_code = 201 if created else 200
        return answers.version(kept)

    def list_models(self, _: MayRead, limit: Limit = 50, cursor: Cursor = None, prefix: str = "") -> Json:
        """Registered models by name."""
        after = after_text(cursor)
        with self.services.database.read() as session:
            found = registry.models(session, prefix, after, limit + 1)
        return page(found, limit, answers.model_line, lambda line: line.name)

    def get_model(self, model: str, _: MayRead) -> Json:
        """A model: its newest version, and the champion of every stage."""
        name = _name(model)
        with self.services.database.read() as session:
            row = registry.model_row(session, name)
            newest = registry.versions(session, name, limit=1)
            serving = registry.champions_of(session, name)
        return {
            "name": row.name,
            "created_at": answers.moment(row.created_at),
            "newest": newest[0].version if newest else None,
            "champions": {
                stage: {"version": version, "since": answers.moment(since)}
                for stage, (version, since) in serving.items()
            },
        }

    def list_versions(self, model: str, _: MayRead, limit: Limit = 50, cursor: Cursor = None) -> Json:
        """A model's versions, newest first."""
        before = after_id(cursor)
        with self.services.database.read() as session:
            found = registry.versions(session, _name(model), before=before, limit=limit + 1)
        return page(found, limit, answers.version_line, lambda line: line.id)

    def get_version(self, model: str, version: str, _: MayRead) -> Json:
        """A version with everything registered of it."""
        with self.services.database.read() as session:
            found = registry.version(session, _name(model), _name(version))
            fresh = review_tables.measured(session, found.id, datetime.min.replace(tzinfo=UTC))
            origin, said = registries.notes(session, found.id)
        papers: Json = {
            "signature": json.loads(found.signature) if found.signature else None,
            "card": found.card or None,
        }
        later = [answers.metric(each) | {"at": answers.moment(at)} for at, each in fresh]
        taken = {"registry": {"name": origin, "said": said}} if origin else {}
        return answers.version(found) | papers | {"fresh": later} | taken

    def measure_version(self, model: str, version: str, body: schemas.MeasurementsIn, actor: MayRegister) -> Json:
        """Say what was measured of a version after it was registered; its own measurements stay what they are."""
        given = body.to_measurements()
        at = self.services.clock()
        certifying.measure(self.services.database, at, actor, _name(model), _name(version), given)
        return {"at": answers.moment(at), "metrics": [answers.metric(each) for each in given]}

    def get_champion(self, model: str, stage: str, _: MayRead, at: At = None) -> Json:
        """Who serves a stage, or served it at a moment (`at`, such as 2026-11-23T10:00:00Z); nulls for nobody."""
        when = self._when(at)
        with self.services.database.read() as session:
            found = champions.champion_at(session, _name(model), _name(stage), when)
        if found is None:
            self._known_stage(_name(stage))
        return answers.champion(_name(model), _name(stage), when, found)

    def list_champions(
        self, _: MayRead, at: At = None, model: str | None = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Json:
        """Who serves every stage of every model, or of one, or served it at a moment; by model and stage."""
        when, after = self._when(at), after_pair(cursor)
        with self.services.database.read() as session:
            found = champions.champions_at(session, when, model, after, limit + 1)
        return page(
            found,
            limit,
            lambda each: answers.champion(each.model, each.stage, when, each),
            lambda each: json.dumps([each.model, each.stage]),
        )

    def _when(self, at: str | None) -> datetime:
        now = self.services.clock()
        return _moment(at, now) if at is not None else now

    # -- promotions ----------------------------------------------------------------------------------------------

    def request_promotion(self, body: schemas.PromotionIn, actor: MayRequest, response: Response) -> Json:
        """Ask that a version becomes the champion of a stage. Gates are judged at once: see `state` and `gates`."""
        found = self.services.promotions.request(actor, body.model, body.version, body.stage, body.reason)
        response.headers["Location"] = _link("promotions", found.ref)
        return answers.promotion(found)

    def list_promotions(
        self,
        _: MayRead,
        state: str | None = None,
        model: str | None = None,
        stage: str | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Json:
        """Promotions, newest first. `state` may also be `active`: those that have not ended."""
        if state and state not in {*State, "active"}:
            raise BadInput("state", f"state is “{state[:40]}”; write active, or one of {', '.join(State)}.")
        if stage:
            self._known_stage(stage)
        before = after_id(cursor)
        with self.services.database.read() as session:
            if model:
                registry.model_row(session, model)
            found = promotions.page(session, state or None, model or None, stage or None, before, limit + 1)
        return page(found, limit, answers.promotion, lambda view: view.id)

    def get_promotion(self, promotion: str, _: MayRead) -> Json:
        """One promotion, with its gates, decisions and deployments."""
        wanted = promotions.number(promotion)
        with self.services.database.read() as session:
            return answers.promotion(promotions.load(session, wanted))

    def get_evidence(self, promotion: str, _: MayRead, format: Literal["html", "json"] = "json") -> Response:
        """Everything that is known of one promotion, as JSON or as one page that needs nothing else."""
        wanted = promotions.number(promotion)
        with self.services.database.read() as session:
            made = evidence.document(evidence_file.collect(session, wanted, self.services.clock()))
        headers = {"Content-Disposition": f'attachment; filename="baton-P-{wanted}.{format}"'}
        if format == "html":
            headers["Content-Security-Policy"] = evidence_html.POLICY
            return Response(evidence_html.page(made), media_type="text/html", headers=headers)
        return Response(evidence_html.data(made), media_type="application/json", headers=headers)

    def cancel_promotion(self, promotion: str, actor: MayRequest, body: schemas.CancelIn | None = None) -> Json:
        """Withdraw a promotion that waits, or stop one that is being deployed."""
        wanted = promotions.number(promotion)
        reason = body.reason if body else ""
        return answers.promotion(self.services.promotions.cancel(actor, wanted, reason))

    def why(self, model: str, version: str, stage: str, _: MayRead) -> Json:
        """Everything that stands, or would stand, between a version and a stage, and what would clear it."""
        found = self.services.promotions.why(model, version, stage)
        return {
            "model": model,
            "version": version,
            "stage": stage,
            "blocked": any(each.blocking for each in found),
            "blockers": [answers.blocker(each) for each in found],
        }

    def request_rollback(self, body: schemas.RollbackIn, actor: MayRequest, response: Response) -> Json:
        """Put an earlier version back into a stage: `to_version`, else the last that was verified there."""
        found = self.services.rollbacks.request(actor, body.model, body.stage, body.to_version, body.reason)
        response.headers["Location"] = _link("promotions", found.ref)
        return answers.promotion(found)

    def digest(self, _: MayRead) -> Json:
        """What the daily digest says now, as data and as text. Nothing is posted."""
        return self.services.digest()

    def send_digest(self, _: MayRequest) -> Json:
        """Post today's digest now, to every channel that has not had it; once a channel and day, whoever asks."""
        return {"sent_to": self.services.send_digest()}

    # -- audit ---------------------------------------------------------------------------------------------------

    def audit(
        self,
        _: MayRead,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
        model: str | None = None,
    ) -> StreamingResponse:
        """The audit events with `seq` above `after`, oldest first, one JSON object a line."""
        return StreamingResponse(self._lines(after, limit, model), media_type="application/x-ndjson")

    def _lines(self, after: int, limit: int | None, model: str | None) -> Iterator[bytes]:
        """Page by page, so that no transaction stays open while somebody reads slowly."""
        left = limit
        narrowed = {"model": model} if model and registry.storable(model) else {}
        while left is None or left > 0:
            size = min(AUDIT_PAGE, left or AUDIT_PAGE)
            with self.services.database.read() as session:
                found = [audit.as_dict(each) for each in audit.events(session, after, size, **narrowed)]
            for each in found:
                yield json.dumps(each, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            if len(found) < size:
                return
            after = found[-1]["seq"]
            left = None if left is None else left - len(found)

    def _known_stage(self, stage: str) -> None:
        self.services.policy.known_stage(stage)


def _name(part: str) -> str:
    """A name out of an address; see `entrance.SLASH`."""
    return part.replace(SLASH, "/")


def _link(*parts: str) -> str:
    return f"{PREFIX}/" + "/".join(quote(part, safe="") for part in parts)


def _moment(text: str, now: datetime) -> datetime:
    """A moment as RFC 3339 writes it. Raises `BadInput`. A "+" that a query turned into a blank is put back."""
    hint = "write a moment such as 2026-11-23T10:00:00Z"
    mended = re.sub(r" (\d\d:?\d\d)$", r"+\1", text.strip())
    try:
        found = datetime.fromisoformat(mended)
    except ValueError:
        raise BadInput("at", f"at is “{text[:40]}”; {hint}.") from None
    if found.tzinfo is None:
        raise BadInput("at", f"at is “{text[:40]}”, which names no time zone; {hint}.")
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        raise BadInput("at", f"at is “{text[:40]}”, which no calendar holds; {hint}.") from None
    if found > now + SKEW:
        raise BadInput("at", f"at is “{text[:40]}”, which is still to come; nobody knows the champion of then.")
    return found
