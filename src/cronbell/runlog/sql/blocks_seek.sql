-- The block that a row of the list is in, and how many rows stand in the blocks above it.
-- Rows: block of a run that is not counted and stands in the list all the same.
-- Parameters: first block, last block, since, until, status, status (empty: any), rows,
-- how many stand above the row.
WITH counted AS (
    SELECT parts.block, SUM(parts.runs) AS runs
    FROM (
        SELECT block, runs FROM runlog_logblock
        WHERE status <> '' AND block BETWEEN %s AND %s AND oldest >= %s AND newest < %s
          AND (status = %s OR %s = '')
        UNION ALL
        SELECT CAST(rows.value ->> 0 AS BIGINT), 1 FROM {rows}
    ) AS parts
    GROUP BY parts.block
),
stacked AS (
    SELECT block, SUM(runs) OVER (ORDER BY block DESC) - runs AS above FROM counted
)
SELECT block, CAST(above AS BIGINT) FROM stacked WHERE above <= %s ORDER BY block LIMIT 1
