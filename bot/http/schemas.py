"""What the API takes: request bodies as pydantic reads them, and as the core wants them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, WithJsonSchema

from core.domain.errors import BadInput
from core.domain.model import DatasetRef, Lineage, Measurement, ModelVersion
from core.registration import METRICS_LIMIT, measured

_NUMBER = {
    "anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}, {"type": "null"}],
    "description": "A number. NaN, the infinities and null are kept as no data, which never passes a gate.",
}


class Body(BaseModel):
    """Unknown fields are refused, so that a misspelling is not lost."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class Dataset(Body):
    """A data set; a bare text is its name."""

    name: str
    digest: str = ""


class Metric(Body):
    """One measured number."""

    name: str
    value: Annotated[SkipValidation[Any], WithJsonSchema(_NUMBER)]
    slice: str = Field(default="", description="Which part of the data, such as country=DE; empty for the whole.")
    dataset: Annotated[Dataset | None, BeforeValidator(_named)] = Field(
        None, description="What it was measured on: a name, or a name and a digest."
    )
    samples: int | None = Field(None, ge=0, description="How many examples it was measured on.")


class Artifact(Body):
    """What is deployed."""

    uri: str = ""
    digest: str = Field(min_length=1, description="Such as sha256:2c26b46b…")


class Code(Body):
    """The code that trained it."""

    repo: str = ""
    commit: str = ""


class LineageIn(Body):
    """Where it came from."""

    data: list[Annotated[Dataset, BeforeValidator(_named)]] = []
    code: Code = Code()
    run_url: str = ""
    retraining: str = Field(default="", description="The request that asked for this training, such as R-12.")
    trained_by: str = Field(default="", description="An e-mail address or a Slack id; this person cannot approve it.")


class VersionIn(Body):
    """A model version to register."""

    version: str
    model: str | None = Field(None, description="May be left out; when given, the same as in the address.")
    signature: dict[str, Any] | None = Field(
        None, description="A sigstore bundle (model.sig of OpenSSF model signing)."
    )
    card: str = Field(default="", description="The model card: Markdown, with YAML front matter.")
    metrics: list[Metric] = Field([], max_length=METRICS_LIMIT)
    artifact: Artifact | None = None
    lineage: LineageIn = LineageIn()
    tags: dict[str, str] = {}
    members: dict[str, str] = Field({}, description="Of a bundle: a version of every member, by model.")

    def to_version(self, model: str) -> ModelVersion:
        """As the core takes it. Raises `BadInput`; the core checks the rest."""
        if self.model is not None and self.model != model:
            raise BadInput(
                "model", f"model is “{self.model[:80]}”, but the address says “{model[:80]}”; make them agree."
            )
        lineage = self.lineage
        digests = {each.name: each.digest for each in lineage.data}
        return ModelVersion(
            model=model,
            version=self.version,
            artifact_uri=self.artifact.uri if self.artifact else "",
            digest=self.artifact.digest if self.artifact else "",
            signature=json.dumps(self.signature, sort_keys=True) if self.signature is not None else "",
            card=self.card,
            lineage=Lineage(
                data=tuple(DatasetRef(each.name, each.digest) for each in lineage.data),
                repo=lineage.code.repo,
                commit=lineage.code.commit,
                run_url=lineage.run_url,
                trained_by=lineage.trained_by,
                retraining=lineage.retraining,
            ),
            measurements=tuple(self._measurement(index, each, digests) for index, each in enumerate(self.metrics)),
            tags=self.tags,
            members=tuple(self.members.items()),
        )

    @staticmethod
    def _measurement(index: int, metric: Metric, digests: dict[str, str]) -> Measurement:
        """A data set that is only named has the digest that the lineage gives it."""
        value, raw = measured(f"metrics[{index}].value", metric.value)
        dataset = metric.dataset
        return Measurement(
            name=metric.name,
            value=value,
            raw=raw,
            slice=metric.slice,
            dataset=dataset.name if dataset else "",
            dataset_digest=(dataset.digest or digests.get(dataset.name, "")) if dataset else "",
            samples=metric.samples,
        )


class MeasurementsIn(Body):
    """What was measured of a version after it was registered."""

    metrics: list[Metric] = Field(max_length=METRICS_LIMIT, json_schema_extra={"minItems": 1})

    def to_measurements(self) -> tuple[Measurement, ...]:
        """As the core takes them. Raises `BadInput`."""
        return tuple(VersionIn._measurement(index, each, {}) for index, each in enumerate(self.metrics))


class PromotionIn(Body):
    """A promotion to ask for."""

    model: str
    version: str
    stage: str
    reason: str = ""


class CancelIn(Body):
    """Why a promotion is withdrawn."""

    reason: str = ""


class RollbackIn(Body):
    """A rollback to ask for; without `to_version`, to the last version that was verified there."""

    model: str
    stage: str
    to_version: str | None = None
    reason: str


class ReportIn(Body):
    """What a deploy system reports of a deployment."""

    state: Literal["in_progress", "succeeded", "failed"]
    url: str = Field(default="", max_length=2_000)
    message: str = Field(default="", max_length=10_000)
    deployment: str | None = Field(default=None, description="May be left out; when given, the same as in the address.")


class Problem(BaseModel):
    """An RFC 9457 problem document. `detail` is one sentence for people; `slug` never changes."""

    type: str
    title: str
    status: int
    detail: str
    slug: str
    field: str | None = None
