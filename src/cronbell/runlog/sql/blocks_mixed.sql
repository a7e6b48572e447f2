-- The weeks and statuses of some blocks. Rows: first block, last block.
-- Parameters: rows, status, status (empty: each by itself).
SELECT block.block, block.status, block.week, block.runs, block.oldest, block.newest,
    block.first, block.last
FROM {rows}
CROSS JOIN runlog_logblock AS block
WHERE block.block BETWEEN CAST(rows.value ->> 0 AS BIGINT) AND CAST(rows.value ->> 1 AS BIGINT)
  AND block.status <> '' AND (block.status = %s OR %s = '')
