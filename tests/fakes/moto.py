"""moto's SageMaker and S3 over HTTP, fed by boto3 as a pipeline would: an AWS that Baton's authors did not write.

What moto 5.2 does otherwise than AWS: it keeps no `ModelLifeCycle`, loses whatever an `UpdateModelPackage` does not
name, has every package completed at once and trained and changed by one made-up person, and knows no `UpdateEndpoint`.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx

from tests.fakes.sagemaker import BUCKET, Row

REGION = "eu-central-1"


class Moto:
    """As `tests.fakes.sagemaker.SageMaker`, as far as the contract asks. The environment must name some account."""

    trainer = mover = "fake-user-profile-name"
    forgets = frozenset({"ModelLifeCycle"})

    def __init__(self) -> None:
        import boto3  # both take a second, which most who collect tests never need
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        session = boto3.session.Session(region_name=REGION)
        self.sagemaker, self.s3 = (session.client(each, endpoint_url=self.url) for each in ("sagemaker", "s3"))
        self.empty()

    def empty(self) -> None:
        """Nobody has registered anything; there is a bucket for reports."""
        httpx.post(f"{self.url}/moto-api/reset", trust_env=False, verify=False).raise_for_status()
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self._groups = set[str]()

    def close(self) -> None:
        """End it."""
        self.sagemaker.close()
        self.s3.close()
        self._server.stop()

    def package(self, group: str, report: Any = None, **more: Any) -> int:
        """A pipeline registers a package; its number."""
        if group not in self._groups:
            self.sagemaker.create_model_package_group(ModelPackageGroupName=group)
            self._groups.add(group)
        number = len(self._listed(group)) + 1
        given: Row = {
            "ModelApprovalStatus": "PendingManualApproval",
            "InferenceSpecification": {
                "Containers": [{"Image": "serve:1", "ModelDataUrl": f"s3://models/{group}/{number}.tar.gz"}],
                "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
            },
            "MetadataProperties": {"CommitId": "c0ffee", "Repository": "https://git.example.com/fraud", "GeneratedBy": "arn:run"},
        } | more  # fmt: skip
        if report is not None:
            key = f"{group}/{number}/evaluation.json"
            self.s3.put_object(
                Bucket=BUCKET, Key=key, Body=report if isinstance(report, bytes) else json.dumps(report).encode()
            )
            told = {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/{key}"}
            given["ModelMetrics"] = {"ModelQuality": {"Statistics": told}}
        self.sagemaker.create_model_package(ModelPackageGroupName=group, **given)
        return number

    def row(self, group: str, number: int) -> Row:
        """A package as it is described."""
        found: Row = self.sagemaker.describe_model_package(ModelPackageName=self._listed(group)[number])
        return found

    def decide(self, group: str, number: int, status: str) -> None:
        """Somebody sets a package's status by hand; what was noted is sent along, as moto loses it otherwise."""
        kept = self.row(group, number).get("CustomerMetadataProperties", {})
        self.sagemaker.update_model_package(
            ModelPackageArn=self._listed(group)[number], ModelApprovalStatus=status, CustomerMetadataProperties=kept
        )

    def lose_reports(self) -> None:
        """Every report is deleted."""
        for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.s3.delete_object(Bucket=BUCKET, Key=each["Key"])

    def _listed(self, group: str) -> dict[int, str]:
        pages = self.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        return {
            row["ModelPackageVersion"]: row["ModelPackageArn"]
            for page in pages
            for row in page["ModelPackageSummaryList"]
        }
