"""SageMaker's Model Registry in one region: package groups are models, their versioned packages are versions.

boto3 comes with the extra `baton[sagemaker]` and is imported by the first call; where it is missing, this registry is
out of reach and says so, and the rest of Baton works. Credentials are AWS's own matter: environment, profile, or the role
of the machine. `ModelApprovalStatus` has no compare-and-set either, so as with MLflow the caller holds Baton's lock, and
a package is read before it is written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from core.domain.errors import Conflict, NotFound, Refused, Unavailable
from core.policy.connections import SageMaker
from core.policy.schema import WriteBackMode
from core.ports import ForeignVersion, NotReady, Place, Sighting, WriteBack, Written
from core.registries import sagemaker_read
from core.wire import within

Row = dict[str, Any]

MISSING = "boto3 is not installed, which the registry {} needs; pip install 'baton[sagemaker]' brings it."
PAGE = 100
#: More pages than any registry has, and more time, so that a list that never ends does.
MOST_PAGES, LONGEST_LISTING = 2_000, 300.0
#: Seconds that AWS has for an answer, credentials and all; botocore bounds no more than each read.
TIMEOUT = 15.0
#: What `CustomerMetadataProperties` may hold.
METADATA_KEYS, METADATA_VALUE = 50, 256
DESCRIPTION = 1_024
_NOT_IN_METADATA = re.compile(r"[^A-Za-z0-9 _.:/=+\-@]")
#: Codes that mean: not now.
LATER = ("Throttling", "TooManyRequests", "RequestLimit", "ServiceUnavailable", "InternalFailure", "InternalServer")
APPROVED, REJECTED = "Approved", "Rejected"


def clients(name: str, region: str, endpoint_url: str | None) -> Mapping[str, Any]:
    """boto3's clients of SageMaker and S3, by name. Raises `Unavailable` where boto3 is not installed."""
    try:
        import boto3  # type: ignore[import-untyped,import-not-found,unused-ignore]
        from botocore.config import Config  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise Unavailable(MISSING.format(name)) from None
    config = Config(
        connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"} if endpoint_url else None,
    )  # fmt: skip
    session = boto3.session.Session(region_name=region)
    return {each: session.client(each, endpoint_url=endpoint_url, config=config) for each in ("sagemaker", "s3")}


class SageMakerRegistry:
    """One region's registry, as `core.ports.Registry`. Safe to share between threads."""

    def __init__(self, name: str, settings: SageMaker, made: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._settings = settings
        self._made = made
        self._arns: dict[tuple[str, int], str] = {}

    def close(self) -> None:
        """Let go of the connections."""
        for each in (self._made or {}).values():
            each.close()

    def models(self) -> Iterator[str]:
        """The names of its package groups."""
        for row in self._pages("list_model_package_groups", "ModelPackageGroupSummaryList"):
            yield str(row.get("ModelPackageGroupName"))

    def recent(self, since: datetime) -> Iterator[Sighting]:
        """Packages of any group created at `since` or later, newest first."""
        yield from self._sightings(
            self._pages(
                "list_model_packages", "ModelPackageSummaryList", ModelPackageType="Versioned",
                SortBy="CreationTime", SortOrder="Descending", CreationTimeAfter=since,
            )
        )  # fmt: skip

    def versions(self, model: str, above: int) -> Iterator[Sighting]:
        """A group's packages with a number above `above`, rising."""
        found = (each for each in self._sightings(self._packages(model)) if each.number > above)
        yield from sorted(found, key=lambda each: each.number)

    def read(self, model: str, version: str) -> ForeignVersion | NotReady:
        """Everything that Baton needs to register the package, once it is complete."""
        row = self._describe(model, version)
        status = str(row.get("ModelPackageStatus"))
        if status != "Completed":
            final = status in ("Failed", "Deleting")
            return NotReady(f"The package {model} {version} is {status} in {self.name}.", final)
        notes: list[str] = []
        measured = sagemaker_read.measurements(row, self._settings, self._report, notes)
        given = sagemaker_read.version(row, model, version, measured, notes)
        return ForeignVersion(self.name, given, tuple(notes), row.get("ModelApprovalStatus") == "PendingManualApproval")

    def write_back(self, decision: WriteBack) -> Written:
        """Set approval status, description, metadata and life cycle in one call; when all stands there already, none."""
        subject = f"{decision.model} {decision.version}"
        row = self._describe(decision.model, decision.version)
        status, withdrawn = str(row.get("ModelApprovalStatus")), False
        if decision.mode == "status":
            moves = decision.decision in ("approved", "adopted")
            there = self.current(decision.model, decision.mode, decision.target) if moves else None
            if moves and there not in (None, decision.version, decision.previous):
                said = f"{there} of {decision.model} was approved in {self.name} past Baton, so {subject} was left as it is."
                return Written("moved", f"In {self.name}, {said}")
            status = APPROVED if moves else REJECTED
            if moves and decision.undoes and there and there == decision.previous != decision.version:
                withdrawn = self._update(replace(decision, version=there, decision="rolled_back"), REJECTED)
        if not self._update(decision, status, row) and not withdrawn:
            return Written("unchanged", f"{subject} is {status} in {self.name} already.")
        return Written("written", f"{subject} is {status} in {self.name}.")

    def current(self, model: str, mode: WriteBackMode, target: str) -> str | None:
        """The package that serves by its approval: the one that Baton approved last, or a newer one that somebody else
        approved since. Where the last one is approved no longer, the one before it; None where there is none.
        """
        if mode != "status":
            return None
        ours: list[tuple[str, int]] = []
        others: list[int] = []
        for row in self._packages(model, ModelApprovalStatus=APPROVED):
            number = int(row["ModelPackageVersion"])
            said = self._describe(model, str(number)).get("CustomerMetadataProperties") or {}
            if said.get("baton_decision") in ("approved", "adopted"):
                ours += [(said.get("baton_decided_at", ""), number)] if said.get("baton_stage") == target else []
            else:
                others.append(number)
        last = max(ours)[1] if ours else 0
        newest = max([last, *others])
        return str(newest) if newest else None

    def held(self, places: Collection[Place]) -> dict[Place, str | None]:
        """What each of many places holds now."""
        found: dict[Place, str | None] = {}
        for place in places:
            with suppress(Refused):
                found[place] = self.current(place.model, place.mode, place.target)
        return found

    def moved_by(self, place: Place, found: str, expected: str) -> str:
        """Who changed one of the two packages last: an approval that was given, or one that was taken away."""
        rows = []
        for version in filter(str.isdecimal, (found, expected)):
            with suppress(Refused):
                rows.append((version, self._describe(place.model, version)))
        known = [(row["LastModifiedTime"], version, row) for version, row in rows if row.get("LastModifiedTime")]
        if not known:
            return ""
        at, version, row = max(known, key=lambda each: each[0])
        who = sagemaker_read.person(row.get("LastModifiedBy"))
        when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"{place.model} {version} was last changed by {who}, {when}." if who else ""

    def target(self, mode: WriteBackMode, model: str, stage: str, last: bool) -> str:  # noqa: ARG002
        """What a decision for Baton's `stage` moves: the approval, of which a package has one."""
        return stage if mode == "status" else ""

    def named(self, mode: WriteBackMode, target: str) -> str:  # noqa: ARG002
        """A place in words, without its model."""
        return "the approval status" if mode == "status" else "nothing"

    @property
    def _clients(self) -> Mapping[str, Any]:
        if self._made is None:
            self._made = clients(self.name, self._settings.region, self._settings.endpoint_url)
        return self._made

    # -- asking AWS ----------------------------------------------------------------------------------------------

    def _packages(self, model: str, **more: Any) -> Iterator[Row]:
        return self._pages(
            "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=model,
            SortBy="CreationTime", SortOrder="Descending", **more,
        )  # fmt: skip

    def _sightings(self, rows: Iterator[Row]) -> Iterator[Sighting]:
        for row in rows:
            model, number, at = row.get("ModelPackageGroupName"), row.get("ModelPackageVersion"), row["CreationTime"]
            if isinstance(model, str) and isinstance(number, int) and number > 0:
                self._arns[model, number] = str(row["ModelPackageArn"])
                yield Sighting(model, number, at.astimezone(UTC))

    def _arn(self, model: str, number: int) -> str:
        if (model, number) not in self._arns:
            for _ in self._sightings(self._packages(model)):
                if (model, number) in self._arns:
                    break
            else:
                raise NotFound("not-in-registry", f"The registry {self.name} has no {model} {number} any more.")
        return self._arns[model, number]

    def _describe(self, model: str, version: str) -> Row:
        number = int(version) if version.isascii() and version.isdecimal() else 0
        try:
            return self._call("describe_model_package", ModelPackageName=self._arn(model, number))
        except NotFound:
            self._arns.pop((model, number), None)
            raise NotFound(
                "not-in-registry",
                f"The registry {self.name} has no {model} {version} any more: the package or its group was deleted.",
            ) from None

    def _report(self, bucket: str, key: str, most: int) -> bytes:
        """The first bytes of an object. Raises `Unavailable`, `NotFound` or `Conflict`."""

        def read() -> bytes:
            answer = self._clients["s3"].get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{most}")
            body: bytes = answer["Body"].read(most + 1)
            return body

        with _spoken(self.name, "get_object"):
            return within(TIMEOUT, read)

    def _pages(self, call: str, key: str, **given: Any) -> Iterator[Row]:
        token: str | None = None
        seen, started = set[str](), time.monotonic()
        for pages in range(1, MOST_PAGES + 1):
            page = self._call(call, MaxResults=PAGE, **given, **({"NextToken": token} if token else {}))
            yield from page.get(key) or []
            token = page.get("NextToken")
            if not token:
                return
            if token in seen or pages == MOST_PAGES or time.monotonic() - started > LONGEST_LISTING:
                said = f"The registry {self.name} hands out page after page without end; it was left after {pages}."
                raise Unavailable(said)
            seen.add(token)

    def _call(self, call: str, **given: Any) -> Row:
        def ask() -> Row:
            found: Row = getattr(self._clients["sagemaker"], call)(**given)
            return found

        with _spoken(self.name, call):
            return within(TIMEOUT, ask)

    def _update(self, decision: WriteBack, status: str, row: Row | None = None) -> bool:
        """Have the package say so; False where it does already."""
        there = row or self._describe(decision.model, decision.version)
        wanted = self._wanted(decision, there, status)
        if all(there.get(key) == value for key, value in wanted.items()):
            return False
        self._call("update_model_package", ModelPackageArn=self._arn(decision.model, int(decision.version)), **wanted)
        return True

    def _wanted(self, decision: WriteBack, row: Row, status: str) -> Row:
        """Always together: SageMaker replaces the metadata as a whole."""
        noted = {
            "baton_request": decision.request,
            "baton_decision": decision.decision,
            "baton_decided_by": decision.decided_by,
            "baton_decided_at": decision.decided_at,
            "baton_deployment": decision.deployment,
            "baton_stage": decision.target,
            "baton_report_url": decision.report_url,
        }
        kept: dict[str, str] = dict(row.get("CustomerMetadataProperties") or {})
        kept |= {key: _NOT_IN_METADATA.sub(" ", value)[:METADATA_VALUE] for key, value in noted.items() if value}
        words = f"Baton {decision.request}: {decision.decision} by {decision.decided_by or 'the policy'}"
        wanted: Row = {
            "ModelApprovalStatus": status,
            "ApprovalDescription": clean(words, DESCRIPTION),
            "CustomerMetadataProperties": dict(sorted(kept.items(), key=_ours_first)[:METADATA_KEYS]),
        }
        if decision.target:
            stage = re.sub(r"[^A-Za-z0-9]+", "-", decision.target).strip("-")[:63] or "stage"
            wanted["ModelLifeCycle"] = {
                "Stage": stage, "StageStatus": status, "StageDescription": clean(words, DESCRIPTION),
            }  # fmt: skip
        return wanted


def clean(text: str, limit: int) -> str:
    """Foreign words on one line."""
    return " ".join(text.split())[:limit]


def _ours_first(entry: tuple[str, str]) -> bool:
    return not entry[0].startswith("baton_")


class _spoken:  # noqa: N801 - reads as a word of the `with` it stands in
    """Turns what boto3 raises into Baton's own errors, each with one sentence."""

    def __init__(self, name: str, call: str) -> None:
        self.name, self.call = name, call

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        if error is None or isinstance(error, Unavailable):
            return
        if isinstance(error, TimeoutError):
            raise Unavailable(f"The registry {self.name} gave no answer within {TIMEOUT:g} s.") from None
        from botocore.exceptions import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
            BotoCoreError,
            ClientError,
        )

        if isinstance(error, ClientError):
            raise self._refused(error) from error
        if isinstance(error, BotoCoreError):
            words = clean(str(error), 200)
            raise Unavailable(f"The registry {self.name} was not reached: {words}.") from error

    def _refused(self, error: Any) -> Exception:
        said = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        code, words = str(said.get("Code")), clean(str(said.get("Message")), 200)
        sentence = f"The registry {self.name} answered {code} to {self.call}: {words}"
        if status >= 500 or code.startswith(LATER):
            return Unavailable(sentence)
        if "Expired" in code or code in (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "AccessDeniedException",
        ):
            return Unavailable(f"{sentence} Renew or widen the credentials that Baton runs with.")
        if code in ("ResourceNotFound", "NoSuchKey", "NoSuchBucket", "404") or "does not exist" in words:
            return NotFound("not-in-registry", sentence)
        return Conflict("registry-refused", sentence)
