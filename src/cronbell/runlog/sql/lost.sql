-- Which of these runs are not this owner's any more: ended, or taken by somebody else.
-- Rows: run id, term. Parameters: rows, owner.
SELECT CAST(rows.value ->> 0 AS BIGINT)
FROM {rows} {run_if_any}
WHERE run.id IS NULL OR run.status <> 'running' OR run.lease_owner <> %s
    OR run.lease_term <> CAST(rows.value ->> 1 AS BIGINT)
