"""What a yes was given to, as one digest."""

from __future__ import annotations

import hashlib
import json

from core.domain.model import ModelVersion


def digest(candidate: ModelVersion, champion: ModelVersion | None, policy_version: str) -> str:
    """SHA-256 over artifact digests, metric snapshots, lineage and policy version, in canonical JSON.

    Two promotions with one digest were decided on the same facts; any difference makes another digest.
    """
    facts = {
        "candidate": _facts(candidate),
        "champion": _facts(champion) if champion else None,
        "policy": policy_version,
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _facts(version: ModelVersion) -> dict[str, object]:
    lineage = version.lineage
    return {
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        "metrics": sorted(
            [m.name, m.slice, m.dataset, m.dataset_digest, repr(m.value), m.raw, m.samples or 0]
            for m in version.measurements
        ),
        "lineage": [
            sorted([d.name, d.digest] for d in lineage.data),
            lineage.repo,
            lineage.commit,
            lineage.run_url,
            lineage.trained_by,
        ],
    }
