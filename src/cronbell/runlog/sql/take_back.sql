-- Take runs back that were recorded early, as if they had not been: early_mine or early_of_jobs has
-- found and locked them. Rows: run id. Parameters: rows.
WITH held AS MATERIALIZED (
    SELECT CAST(rows.value ->> 0 AS BIGINT) AS id FROM {rows}
)
DELETE FROM runlog_run WHERE id {among_held}
