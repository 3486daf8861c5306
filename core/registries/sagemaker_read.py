"""What a SageMaker model package says of itself, as a version that Baton can register."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from core.domain.errors import Conflict, NotFound
from core.domain.model import DatasetRef, Lineage, Measurement, ModelVersion
from core.policy.connections import SageMaker
from core.registries.limits import DIGEST_LIMIT, METRICS_LIMIT, NAME_LIMIT, TAGS_LIMIT, URI_LIMIT, unfit
from core.registries.mlflow_metrics import name_and_slice

Row = dict[str, Any]
#: (bucket, key, most bytes) -> the object's first bytes.
Fetch = Callable[[str, str, int], bytes]
LARGEST_REPORT = 1_000_000
#: SageMaker's own buckets are called so; others are named in the policy.
DEFAULT_BUCKETS = "sagemaker-"


def version(row: Row, model: str, number: str, measured: tuple[Measurement, ...], notes: list[str]) -> ModelVersion:
    """The package as Baton registers it."""
    containers = [each for each in (row.get("InferenceSpecification") or {}).get("Containers") or [] if each]
    first = containers[0] if containers else {}
    uri = first.get("ModelDataUrl") or _deep(first, "ModelDataSource", "S3DataSource", "S3Uri") or ""
    known = {
        str(key): str(value)
        for key, value in (row.get("CustomerMetadataProperties") or {}).items()
        if not str(key).startswith("baton_") and not unfit(str(key), NAME_LIMIT, named=True)
    }
    told = row.get("MetadataProperties") or {}
    name = known.get("dataset_name", "")
    return ModelVersion(
        model=model,
        version=number,
        artifact_uri="" if unfit(str(uri), URI_LIMIT) else str(uri),
        digest=_digest(containers, notes),
        lineage=Lineage(
            data=(DatasetRef(name, known.get("dataset_digest", "")),) if name else (),
            repo=_text(told.get("Repository"), URI_LIMIT),
            commit=_text(told.get("CommitId"), DIGEST_LIMIT),
            run_url=_text(told.get("GeneratedBy"), URI_LIMIT),
            trained_by=_text((row.get("CreatedBy") or {}).get("UserProfileName"), NAME_LIMIT),
        ),
        measurements=measured,
        tags=dict(list(known.items())[:TAGS_LIMIT]),
    )


def measurements(row: Row, settings: SageMaker, fetch: Fetch, notes: list[str]) -> tuple[Measurement, ...]:
    """The numbers of the package's model quality report; whatever is no finite number is no data, and said."""
    address = _deep(row, "ModelMetrics", "ModelQuality", "Statistics", "S3Uri")
    if not address:
        notes.append("The package names no model quality report, so it has no metrics.")
        return ()
    parts = urlsplit(str(address))
    bucket, key = parts.netloc, parts.path.lstrip("/")
    allowed = bucket in settings.buckets if settings.buckets else bucket.startswith(DEFAULT_BUCKETS)
    if parts.scheme != "s3" or not allowed:
        notes.append(f"Its metrics are in the bucket {bucket[:63]}, which the policy does not let Baton read.")
        return ()
    try:
        raw = fetch(bucket, key, LARGEST_REPORT)
        report = json.loads(raw[:LARGEST_REPORT])  # one that is larger breaks off, and is no JSON
    except (NotFound, Conflict) as no:
        notes.append(no.sentence)
        return ()
    except (ValueError, RecursionError) as error:
        notes.append(
            f"Its model quality report is no JSON that Baton reads ({str(error)[:100]}), so it has no metrics."
        )
        return ()
    known = row.get("CustomerMetadataProperties") or {}
    found = _named(report, settings.metrics) if settings.metrics else _listed(report)
    return tuple(
        _measurement(name, value, str(known.get("dataset_name", "")), str(known.get("dataset_digest", "")), notes)
        for name, value in list(found)[:METRICS_LIMIT]
        if not unfit(name, NAME_LIMIT, named=True)
    )


def _named(report: Any, paths: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """What the policy says where to find; what is not there is no data."""
    for name, path in paths.items():
        yield name, _deep(report, *path.split("."))


def _listed(report: Any) -> Iterator[tuple[str, Any]]:
    """SageMaker's own shape: `{"binary_classification_metrics": {"auc": {"value": 0.91, …}}}`."""
    for group in report.values() if isinstance(report, dict) else ():
        for name, entry in group.items() if isinstance(group, dict) else ():
            if isinstance(entry, dict) and "value" in entry and not isinstance(entry["value"], dict | list):
                yield str(name), entry["value"]


def _measurement(key: str, value: Any, dataset: str, digest: str, notes: list[str]) -> Measurement:
    name, part = name_and_slice(key)
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if math.isfinite(number):
        return Measurement(name, number, slice=part, dataset=dataset, dataset_digest=digest)
    shown = "nothing" if value is None else str(value)[:40]
    notes.append(f"{key} is {shown}, which is no number, so there is no data for it.")
    return Measurement(name, None, raw=shown, slice=part, dataset=dataset, dataset_digest=digest)


def _digest(containers: list[Row], notes: list[str]) -> str:
    """SHA-256 over what SageMaker says the package is made of."""
    made = [
        {key: each.get(key) for key in ("Image", "ImageDigest", "ModelDataUrl", "ModelDataETag", "ModelDataSource")}
        for each in containers
    ]
    if any(not each.get("ImageDigest") or not each.get("ModelDataETag") for each in containers):
        notes.append(
            "SageMaker gave no digest of the image or of the model data, so the digest covers their addresses."
        )
    return f"sha256:{hashlib.sha256(json.dumps(made, sort_keys=True, default=str).encode()).hexdigest()}"[:DIGEST_LIMIT]


def _deep(row: Any, *keys: str) -> Any:
    for key in keys:
        row = row.get(key) if isinstance(row, dict) else None
    return row


def person(said: Any) -> str:
    """Who did something, as SageMaker tells it: a user of its studio, or whom IAM knows; "" for nobody."""
    identity = _deep(said, "IamIdentity")
    arn = str(_deep(identity, "Arn") or "")
    name = _deep(said, "UserProfileName") or arn.partition("/")[2] or arn or _deep(identity, "PrincipalId")
    return _text(name, NAME_LIMIT)


def _text(value: Any, limit: int) -> str:
    text = str(value or "")
    return "" if unfit(text, limit) else text
