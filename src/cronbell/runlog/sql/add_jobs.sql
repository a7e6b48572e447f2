-- Bring jobs in that are new, or back again: those keep their row, and start now as new ones do.
-- Members: name, path, schedule, dialect, timezone, method, enabled, definition.
-- Parameters: now, now, rows.
INSERT INTO runlog_job (
    name, path, schedule, dialect, timezone, method, enabled, spec, cursor_at, created_at,
    pause_reason, paused_by, ping_rotation
)
SELECT
    rows.value ->> 0, rows.value ->> 1, rows.value ->> 2, rows.value ->> 3, rows.value ->> 4,
    rows.value ->> 5, CAST(rows.value ->> 6 AS BOOLEAN), rows.value -> 7,
    CAST(%s AS BIGINT), CAST(%s AS BIGINT), '', '', 0
FROM {rows}
WHERE TRUE
ON CONFLICT (name) DO UPDATE SET
    path = excluded.path,
    schedule = excluded.schedule,
    dialect = excluded.dialect,
    timezone = excluded.timezone,
    method = excluded.method,
    enabled = excluded.enabled,
    spec = excluded.spec,
    cursor_at = excluded.cursor_at,
    removed_at = NULL
RETURNING id, name
