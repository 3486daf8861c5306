"""SageMaker's model registry, its endpoints and S3, as far as Baton asks them: what boto3 really sends, by AWS's rules."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Row = dict[str, Any]
STATUSES = ("Approved", "Rejected", "PendingManualApproval")
METADATA_VALUE = re.compile(r"[A-Za-z0-9 _.:/=+\-@]{0,256}")
LIFE_CYCLE = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package"
BUCKET = "sagemaker-eu-central-1-123456789012"


#: Nobody's account, and no way to find another.
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}  # fmt: skip


class Refusal(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class SageMaker:
    """`packages` and `objects` are what it holds; `refuse` has the next calls answered with a code; `calls` says which came."""

    packages: list[Row] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, Row]] = field(default_factory=list)
    endpoint: Row = field(default_factory=lambda: {"EndpointConfigName": "by-hand", "EndpointStatus": "InService"})
    made: dict[str, float] = field(default_factory=dict)  #: models and configurations, and when
    for_ever: bool = False
    delay: float = 0.0  #: seconds that each answer takes
    page: int = 2  #: small, so that pages are turned

    trainer, mover = "alice", "mallory"
    forgets = frozenset[str]()  #: what it is told and does not keep

    def __enter__(self) -> SageMaker:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def package(self, group: str, report: Any = None, **more: Any) -> int:
        """A pipeline registers a package; its number."""
        number = 1 + max(
            (row["ModelPackageVersion"] for row in self.packages if row["ModelPackageGroupName"] == group), default=0
        )
        key = f"{group}/{number}/evaluation.json"
        if report is not None:
            self.objects[f"{BUCKET}/{key}"] = report if isinstance(report, bytes) else json.dumps(report).encode()
        quality = {"Statistics": {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/{key}"}}
        self.packages.append(
            {
                "ModelPackageGroupName": group, "ModelPackageVersion": number, "ModelPackageArn": f"{ARN}/{group}/{number}",
                "CreationTime": time.time(), "ModelPackageStatus": "Completed",
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {
                    "Containers": [{"Image": "serve:1", "ImageDigest": "sha256:" + "a" * 64, "ModelDataUrl": f"s3://models/{group}/{number}.tar.gz"}],
                    "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"],
                },
                "MetadataProperties": {"CommitId": "c0ffee", "Repository": "https://git.example.com/fraud", "GeneratedBy": "arn:run"},
                "CreatedBy": {"UserProfileName": self.trainer},
                **({"ModelMetrics": {"ModelQuality": quality}} if report is not None else {}),
                **more,
            }
        )  # fmt: skip
        return number

    def row(self, group: str, number: int | str) -> Row:
        return next(row for row in self.packages if row["ModelPackageArn"] == f"{ARN}/{group}/{number}")

    def decide(self, group: str, number: int, status: str) -> None:
        """Somebody sets a package's status by hand."""
        changed = {"LastModifiedTime": time.time(), "LastModifiedBy": {"UserProfileName": self.mover}}
        self.row(group, number).update(changed, ModelApprovalStatus=status)

    def lose_reports(self) -> None:
        """Every report is deleted."""
        self.objects.clear()

    # -- its calls -----------------------------------------------------------------------------------------------

    def answer(self, call: str, given: Row) -> Row:
        self.calls.append((call, given))
        time.sleep(self.delay)
        if code := self.refuse.get(call):
            raise Refusal(code, f"{code} on purpose", 503 if code == "ServiceUnavailable" else 400)
        return getattr(self, f"_{call}")(given)

    def _ListModelPackageGroups(self, given: Row) -> Row:  # noqa: N802 - AWS's names
        names = dict.fromkeys(row["ModelPackageGroupName"] for row in self.packages)
        return self._paged("ModelPackageGroupSummaryList", [{"ModelPackageGroupName": name} for name in names], given)

    def _ListModelPackages(self, given: Row) -> Row:  # noqa: N802
        group = given.get("ModelPackageGroupName")
        if group is None and given.get("ModelPackageType") != "Versioned":
            return {"ModelPackageSummaryList": []}
        found = [
            {key: row[key] for key in ("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "CreationTime", "ModelApprovalStatus", "ModelPackageStatus")}
            for row in reversed(self.packages)
            if group in (None, row["ModelPackageGroupName"])
            and row["CreationTime"] >= float(given.get("CreationTimeAfter", 0))
            and given.get("ModelApprovalStatus", row["ModelApprovalStatus"]) == row["ModelApprovalStatus"]
        ]  # fmt: skip
        return self._paged("ModelPackageSummaryList", found, given)

    def _paged(self, key: str, rows: list[Row], given: Row) -> Row:
        if self.for_ever:
            return {key: rows[:1], "NextToken": "again"}
        start = int(given.get("NextToken", "0"))
        more = start + self.page < len(rows)
        return {key: rows[start : start + self.page], **({"NextToken": str(start + self.page)} if more else {})}

    def _DescribeModelPackage(self, given: Row) -> Row:  # noqa: N802
        for row in self.packages:
            if row["ModelPackageArn"] == given["ModelPackageName"]:
                return row
        raise Refusal("ValidationException", f"ModelPackage {given['ModelPackageName']} does not exist.")

    def _UpdateModelPackage(self, given: Row) -> Row:  # noqa: N802
        row = self._DescribeModelPackage({"ModelPackageName": given.pop("ModelPackageArn")})
        metadata, cycle = given.get("CustomerMetadataProperties", {}), given.get("ModelLifeCycle")
        wrong = [value for value in metadata.values() if not METADATA_VALUE.fullmatch(value)]
        if wrong or len(metadata) > 50 or given["ModelApprovalStatus"] not in STATUSES:
            raise Refusal("ValidationException", f"does not match: {wrong}")
        if len(given.get("ApprovalDescription", "")) > 1024:
            raise Refusal("ValidationException", "ApprovalDescription is too long")
        if cycle and not all(LIFE_CYCLE.fullmatch(cycle[key]) for key in ("Stage", "StageStatus")):
            raise Refusal("ValidationException", f"ModelLifeCycle {cycle}")
        arn = "arn:aws:sts::123456789012:assumed-role/baton/i-0123"
        row.update(given, LastModifiedTime=time.time(), LastModifiedBy={"IamIdentity": {"Arn": arn}})
        return {"ModelPackageArn": row["ModelPackageArn"]}

    # -- endpoints -----------------------------------------------------------------------------------------------

    def becomes(self, status: str, config: str = "", reason: str = "") -> None:
        """AWS goes on: the update is done, or is undone."""
        self.endpoint = {
            "EndpointStatus": status, "LastModifiedTime": time.time(),
            "EndpointConfigName": config or self.endpoint["EndpointConfigName"],
            **({"FailureReason": reason} if reason else {}),
        }  # fmt: skip

    def _DescribeEndpoint(self, given: Row) -> Row:  # noqa: N802
        if given["EndpointName"] != "fraud":
            raise Refusal("ValidationException", f"Could not find endpoint {given['EndpointName']}.")
        arn = ARN.replace("model-package", "endpoint/fraud")
        return {
            "EndpointName": "fraud",
            "EndpointArn": arn,
            "CreationTime": 1.0,
            "LastModifiedTime": 1.0,
        } | self.endpoint

    def _CreateModel(self, given: Row) -> Row:  # noqa: N802
        return {"ModelArn": self._make("model", given["ModelName"])}

    def _CreateEndpointConfig(self, given: Row) -> Row:  # noqa: N802
        return {"EndpointConfigArn": self._make("endpoint configuration", given["EndpointConfigName"])}

    def _make(self, kind: str, name: str) -> str:
        if f"{kind} {name}" in self.made:
            raise Refusal("ValidationException", f'Cannot create already existing {kind} "{name}".')
        self.made[f"{kind} {name}"] = time.time()
        return ARN.replace("model-package", f"{kind.replace(' ', '-')}/{name}")

    def _DescribeEndpointConfig(self, given: Row) -> Row:  # noqa: N802
        name = given["EndpointConfigName"]
        at = self.made[f"endpoint configuration {name}"]
        return {"EndpointConfigName": name, "EndpointConfigArn": ARN, "ProductionVariants": [], "CreationTime": at}

    def _UpdateEndpoint(self, given: Row) -> Row:  # noqa: N802
        if self.endpoint["EndpointStatus"] != "InService":
            raise Refusal("ValidationException", f"Cannot update in-progress endpoint {given['EndpointName']}.")
        variants = [{"VariantName": "AllTraffic", "VariantStatus": [{"Status": "Baking"}]}]
        pending = {"EndpointConfigName": given["EndpointConfigName"], "ProductionVariants": variants}
        self.becomes("Updating")
        self.endpoint["PendingDeploymentSummary"] = pending
        return {"EndpointArn": ARN}


class _Handler(BaseHTTPRequestHandler):
    fake: SageMaker
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        call = self.headers["X-Amz-Target"].removeprefix("SageMaker.")
        try:
            self._say(200, json.dumps(self.fake.answer(call, body)).encode(), "application/x-amz-json-1.1")
        except Refusal as no:
            said = {"__type": no.code, "message": no.message}
            self._say(no.status, json.dumps(said).encode(), "application/x-amz-json-1.1")

    def do_GET(self) -> None:
        found = self.fake.objects.get(unquote(urlsplit(self.path).path).lstrip("/"))
        if found is None:
            said = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            self._say(404, said, "application/xml")
            return
        last = int((self.headers.get("Range") or "bytes=0-999999999").rpartition("-")[2])
        self._say(206, found[: last + 1], "application/json")

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
