"""Registering the versions of bundles: each names one version of every member, and never changes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.errors import BadInput, Conflict
from core.domain.model import Actor, Lineage, ModelVersion
from core.policy.schema import Policy
from core.registration import Registration
from core.store import registry
from core.store.tables import Version


class Bundles:
    """Registers through `Registration`, as every version is. Safe to share between threads."""

    def __init__(self, policy: Policy, registration: Registration) -> None:
        self.policy = policy
        self.registration = registration
        self.database = registration.database

    def register(self, actor: Actor, given: ModelVersion) -> tuple[ModelVersion, bool]:
        """Keep a version, of a bundle or of a model; as `Registration.register`, and raises what it raises.

        A bundle's version has the digest and the trainers of its members, and nothing of its own. Raises `BadInput`
        where a member is missing or too many, or where what is no bundle names members, and `NotFound` for a member's
        version that there is not.
        """
        bundle = self.policy.bundles.get(given.model)
        members = dict(given.members)
        if bundle is None:
            if members:
                known = ", ".join(self.policy.bundles) or "none"
                raise BadInput("members", f"{given.model} is no bundle of the policy; its bundles are: {known}.")
            return self.registration.register(actor, given)
        missing = [each for each in bundle.names if each not in members]
        strangers = [each for each in members if each not in bundle.names]
        if missing or strangers:
            wrong = f"no version of {', '.join(missing)}" if missing else f"{strangers[0]}, which is no member"
            raise BadInput(
                "members", f"{given.model} is the bundle of {', '.join(bundle.names)}, and this names {wrong}."
            )
        if given.digest or given.measurements or given.artifact_uri or given.lineage != Lineage():
            raise BadInput(
                "members", f"{given.model} is made of its members; register artifact, metrics and lineage with them."
            )
        return self.registration.register(actor, self._made(given, {each: members[each] for each in bundle.names}))

    def version_of(self, actor: Actor, model: str, members: Mapping[str, str]) -> str:
        """The newest version of a bundle with exactly these members, registered under the next number if need be.

        Raises as `register` does.
        """
        with self.database.read() as session:
            parent = registry.find_model(session, model)
            digest = self._digest(session, members)
            query = select(Version).where(Version.model_id == (parent.id if parent else None), Version.digest == digest)
            there = session.scalars(query.order_by(Version.id.desc())).first()
            if there is not None and there.members is not None:
                return there.version
            taken = {each.version for each in registry.versions(session, model, limit=2_000)} if parent else set()
        numbers = [int(each) for each in taken if re.fullmatch(r"[0-9]{1,15}", each)]
        version = str(max(numbers, default=0) + 1)
        try:
            return self.register(actor, ModelVersion(model, version, "", "", members=tuple(members.items())))[0].version
        except Conflict:  # somebody else took the number just now
            raise Conflict(
                "already-active", f"Somebody else registered {model} {version} just now; try again."
            ) from None

    def _made(self, given: ModelVersion, members: Mapping[str, str]) -> ModelVersion:
        with self.database.read() as session:
            found = [registry.version(session, model, version) for model, version in members.items()]
            digest = self._digest(session, members)
        trainers = ", ".join(dict.fromkeys(each.lineage.trained_by for each in found if each.lineage.trained_by))
        return ModelVersion(
            model=given.model,
            version=given.version,
            artifact_uri="",
            digest=digest,
            lineage=Lineage(trained_by=trainers),
            tags=given.tags,
            members=tuple(members.items()),
        )

    def _digest(self, session: Session, members: Mapping[str, str]) -> str:
        """Over the members' names, versions and digests, whatever their order."""
        found = [registry.version(session, model, version) for model, version in sorted(members.items())]
        canonical = json.dumps([[each.model, each.version, each.digest] for each in found], separators=(",", ":"))
        return f"sha256:{hashlib.sha256(canonical.encode('utf-8')).hexdigest()}"
