-- Add to the blocks of the log. A block's range of time only widens: where runs are removed it says
-- more than there is, never less.
-- Rows: block, status, how many, oldest, newest. Parameters: rows.
INSERT INTO runlog_logblock (block, status, runs, oldest, newest)
SELECT
    CAST(rows.value ->> 0 AS BIGINT), rows.value ->> 1, CAST(rows.value ->> 2 AS BIGINT),
    CAST(rows.value ->> 3 AS BIGINT), CAST(rows.value ->> 4 AS BIGINT)
FROM {rows}
WHERE TRUE
ON CONFLICT (block, status) DO UPDATE SET
    runs = runlog_logblock.runs + excluded.runs,
    oldest = CASE WHEN excluded.oldest < runlog_logblock.oldest
        THEN excluded.oldest ELSE runlog_logblock.oldest END,
    newest = CASE WHEN excluded.newest > runlog_logblock.newest
        THEN excluded.newest ELSE runlog_logblock.newest END
