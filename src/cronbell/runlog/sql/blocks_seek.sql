-- The block that a row of the list is in, and how many rows stand in the blocks above it.
-- Parameters: ids in a block, first block, last block, status, status (empty: any), first block,
-- last block, status, status, how many stand above the row.
WITH waiting AS (
    SELECT left_over.run_id / CAST(%s AS BIGINT) AS block, run.status
    FROM runlog_rollupleft AS left_over CROSS JOIN runlog_run AS run
    WHERE run.id = left_over.run_id
),
counted AS (
    SELECT parts.block, SUM(parts.runs) AS runs
    FROM (
        SELECT block, runs FROM runlog_logblock
        WHERE block BETWEEN %s AND %s AND (status = %s OR %s = '')
        UNION ALL
        SELECT block, 1 FROM waiting
        WHERE block BETWEEN %s AND %s AND (status = %s OR %s = '')
    ) AS parts
    GROUP BY parts.block
),
stacked AS (
    SELECT block, SUM(runs) OVER (ORDER BY block DESC) - runs AS above FROM counted
)
SELECT block, CAST(above AS BIGINT) FROM stacked WHERE above <= %s ORDER BY block LIMIT 1
