-- Add up what the items of just finished runs used. Rows: run id. Parameters: rows.
UPDATE runlog_run
SET tokens = (
        SELECT CAST(SUM(item.tokens) AS BIGINT) FROM runlog_item AS item
        WHERE item.run_id = runlog_run.id
    ),
    micromoney = (
        SELECT CAST(SUM(item.micromoney) AS BIGINT) FROM runlog_item AS item
        WHERE item.run_id = runlog_run.id
    )
WHERE id IN (SELECT CAST(rows.value ->> 0 AS BIGINT) FROM {rows})
