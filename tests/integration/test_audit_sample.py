"""The program of docs/reference/audit.md verifies a real chain."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from core.domain.model import Actor
from core.store import audit
from core.store.database import Database
from tests.unit.test_docs import samples


def verified(lines: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    (source,) = samples("verify_audit.py")
    path = folder / "verify_audit.py"
    path.write_text(source, encoding="utf-8")
    return subprocess.run([sys.executable, path], input="\n".join(lines), capture_output=True, text=True, check=False)


def test_the_audit_sample_verifies_a_real_chain_and_finds_a_change(database: Database, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with database.change() as session:
        for number, reason in enumerate(("größer, „besser“ 🚀", "<!channel>", "\u202ereversed", "1e-05")):
            facts = {"reason": reason, "value": 10.0 ** -(number * 3), "none": None}
            audit.append(session, now, Actor.user("U01ALICE", "Alice"), "noted", audit.Subject(model="m"), facts)
    with database.read() as session:
        lines = [json.dumps(audit.as_dict(event)) for event in audit.events(session)]
        head = audit.verify(session).head
    good = verified(lines, tmp_path)
    assert good.returncode == 0, good.stderr
    assert good.stdout.strip() == f"4 events, head {head}"
    changed = [*lines[:2], lines[2].replace("Alice", "Carol"), lines[3]]
    assert verified(changed, tmp_path).stderr.strip() == "event 3 was changed"
    assert "does not follow" in verified([lines[0], *lines[2:]], tmp_path).stderr
