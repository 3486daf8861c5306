"""Years of use, straight into the tables: the same SQL on SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Connection, text

from bench.databases import careless
from core.store.audit import GENESIS

MODELS = 1000
AT = "'2026-01-01 00:00:00.000000'"

#: Only on a fresh database: rows number themselves from 1, and the statements count on it.
STATEMENTS = (
    f"INSERT INTO models (name, created_at) SELECT 'model-' || (i - 1), {AT} FROM numbers WHERE i <= {MODELS} ORDER BY i",
    f"""INSERT INTO model_versions (model_id, version, artifact_uri, digest, lineage, tags, content_digest, registered_by,
        registered_at)
        SELECT 1 + i % {MODELS}, 'v' || i, 's3://models/' || i, 'sha256:' || i, '{{}}', '{{}}', 'sha256:' || i, 'token:ci', {AT}
        FROM numbers WHERE i <= :versions ORDER BY i""",
    """INSERT INTO measurements (version_id, name, slice, value, raw, dataset, dataset_digest, samples)
        SELECT i, 'auc', '', 0.9, '', 'eval', 'sha256:1', 100 FROM numbers WHERE i <= :versions ORDER BY i""",
    f"""INSERT INTO policies (version, text, loaded_at) VALUES ('old', '', {AT})""",
    f"""INSERT INTO promotions (kind, state, model_id, version_id, stage, requester, requester_name, reason, rules,
        policy_version, verdicts, evidence_digest, created_at, updated_at, ended_at, end_reason, ended_by, ended_by_name)
        SELECT 'promotion', 'succeeded', 1 + i % {MODELS}, i, 'production', 'token:ci', 'ci', '', '{{"name": "production"}}',
        'old', '[]', '', {AT}, {AT}, {AT}, '', '', '' FROM numbers WHERE i <= :promotions ORDER BY i""",
    f"""INSERT INTO decisions (promotion_id, actor, actor_name, principal, kind, reason, groups, evidence_digest, at)
        SELECT 1 + (i - 1) / 2, 'user:U' || (i % 2), '', 'user:U' || (i % 2), 'approval', '', '[]', '', {AT}
        FROM numbers WHERE i <= 2 * :promotions ORDER BY i""",
    f"""INSERT INTO champions (model_id, stage, version_id, promotion_id, since, until)
        SELECT 1 + i % {MODELS}, 'production', i, i, {AT}, {AT} FROM numbers WHERE i <= :promotions - {MODELS} ORDER BY i""",
    f"""INSERT INTO champions (model_id, stage, version_id, promotion_id, since)
        SELECT 1 + i % {MODELS}, 'production', i, i, {AT}
        FROM numbers WHERE i > :promotions - {MODELS} AND i <= :promotions ORDER BY i""",
    f"""INSERT INTO deployments (promotion_id, action, target, version_id, state, key, seq, timeout_seconds, attempts,
        requested_at, report, abort, url, message)
        SELECT i, 'deploy', 'hook', i, 'succeeded', 'old_' || i, 0, 60, 1, {AT}, 'succeeded', '', '', ''
        FROM numbers WHERE i <= :promotions ORDER BY i""",
    f"""INSERT INTO messages (key, kind, promotion_id, channel, posted_channel, ts, body, wanted, shown, due_at, attempts,
        last_error, created_at)
        SELECT CASE WHEN i % 3 = 0 THEN 'card:' ELSE 'thread:' || i || ':' END || (1 + (i - 1) / 3),
        CASE WHEN i % 3 = 0 THEN 'card' ELSE 'thread' END, 1 + (i - 1) / 3, '#bench', 'C0BENCH', '1.' || i, '{{}}', 1, 1,
        {AT}, 0, '', {AT} FROM numbers WHERE i <= 3 * :promotions ORDER BY i""",
    f"""INSERT INTO audit_events (seq, at, actor, actor_name, kind, model, version, stage, promotion_id, data, prev_hash,
        hash)
        SELECT i, {AT}, 'token:ci', 'ci', 'old', 'model-' || (i % {MODELS}), 'v1', 'production', 1 + (i - 1) / 5, '{{}}',
        CASE WHEN i = 1 THEN '{GENESIS}' ELSE 'old' || (i - 1) END, 'old' || i FROM numbers WHERE i <= 5 * :promotions ORDER BY i""",
)


def fill(url: str, versions: int, promotions: int) -> None:
    """So many versions of 1,000 models, and so many promotions that ended, with all that they left behind."""
    database = careless(url)
    with database.engine.begin() as connection:
        _numbers(connection, max(versions, 5 * promotions, MODELS))
        for statement in STATEMENTS:
            connection.execute(text(statement), {"versions": versions, "promotions": promotions})
        connection.execute(text("DROP TABLE numbers"))
    if database.dialect == "postgresql":  # it does so by itself, a little later; here that would be in the middle
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("CHECKPOINT"))
    database.dispose()


def _numbers(connection: Connection, last: int) -> None:
    connection.execute(text("CREATE TABLE numbers (i INTEGER PRIMARY KEY)"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("INSERT INTO numbers SELECT generate_series(1, :last)"), {"last": last})
        return
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last) SELECT i FROM n"
    connection.execute(text(f"INSERT INTO numbers {counting}"), {"last": last})
