"""What is different about the evidence, as whoever approved it is told."""

from __future__ import annotations

from typing import Any

import pytest

from core.policy.evidence import changes

FACTS: dict[str, Any] = {
    "candidate": {
        "version": "7",
        "digest": "sha256:aa",
        "metrics": {"auc on eval@d1": ["0.95", 1000]},
        "lineage": {"data": {"transactions": "sha256:11"}, "commit": "0123abcd", "trained_by": ""},
    },
    "champion": {"version": "6", "digest": "sha256:bb", "metrics": {}, "lineage": {}},
    "policy": {
        "gates": [
            {"metric": "latency_p99_ms", "at_most": 50.0},
            {"metric": "auc", "slice": "country=DE", "no_worse_by": 0.02},
            {"lineage": ["data", "code"]},
        ],
        "approvals": {"quorum": 2, "from": [{"group": "ml-leads", "at_least": 1}]},
    },
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """FACTS with another value at one place."""

    def put(old: Any, rest: tuple[Any, ...]) -> Any:
        if not rest:
            return to
        key, *left = rest
        if isinstance(old, list):
            return [put(each, tuple(left)) if n == key else each for n, each in enumerate(old)]
        return {**old, key: put(old.get(key), tuple(left))}

    made: dict[str, Any] = put(FACTS, path)
    return made


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (changed("candidate", "digest", to="sha256:cc"), "the candidate's digest from sha256:aa to sha256:cc"),
        (changed("candidate", "metrics", "auc on eval@d1", to=["0.96", 1000]), "the candidate's auc on eval@d1 from 0.95 to 0.96"),
        (changed("candidate", "metrics", "auc on eval@d1", to=["0.95", 900]), "the candidate's samples of auc on eval@d1 from 1000 to 900"),
        (changed("candidate", "metrics", "f1", to=["0.8", 0]), "the candidate's f1 from nothing to 0.8"),
        (changed("candidate", "lineage", "commit", to="4567"), "the candidate's commit from 0123abcd to 4567"),
        (changed("candidate", "lineage", "trained_by", to="erin"), "the candidate's trained by from nothing to erin"),
        (changed("candidate", "lineage", "data", "transactions", to="sha256:22"), "the candidate's data transactions from sha256:11 to sha256:22"),
        (changed("champion", "version", to="5"), "the champion from 6 to 5"),
        (changed("champion", to=None), "the champion from 6 to nobody"),
        (changed("policy", "gates", 0, "at_most", to=45.0), "the policy's gate on latency_p99_ms (at most) from 50 to 45"),
        (changed("policy", "gates", 1, "no_worse_by", to=0.01), "the policy's gate on auc (country=DE) (no worse by) from 0.02 to 0.01"),
        (changed("policy", "gates", to=FACTS["policy"]["gates"][:2]), "the policy's gates from 3 to 2"),
        (changed("policy", "approvals", "quorum", to=3), "the policy's approvals › quorum from 2 to 3"),
        (changed("policy", "approvals", "from", 0, "at_least", to=2), "the policy's approvals › from › 1 › at least from 1 to 2"),
    ],
)  # fmt: skip
def test_a_change_is_said_in_words_that_people_use(after: dict[str, Any], said: str) -> None:
    assert changes(FACTS, after) == [said]


def test_nothing_changed_is_nothing_said() -> None:
    assert changes(FACTS, changed("candidate", "version", to="7")) == []
