-- Add to the blocks of the log. A block's ranges of time and ids only widen: where runs are removed
-- they say more than there is, never less.
-- Rows: level, block, status (empty: any), week, how many, oldest, newest, first id, last id.
-- Parameters: rows.
INSERT INTO runlog_logblock (level, block, status, week, runs, oldest, newest, first, last)
SELECT
    CAST(rows.value ->> 0 AS SMALLINT), CAST(rows.value ->> 1 AS BIGINT), rows.value ->> 2,
    CAST(rows.value ->> 3 AS BIGINT), CAST(rows.value ->> 4 AS BIGINT),
    CAST(rows.value ->> 5 AS BIGINT), CAST(rows.value ->> 6 AS BIGINT),
    CAST(rows.value ->> 7 AS BIGINT), CAST(rows.value ->> 8 AS BIGINT)
FROM {rows}
WHERE TRUE
ON CONFLICT (level, status, block, week) DO UPDATE SET
    runs = runlog_logblock.runs + excluded.runs,
    oldest = CASE WHEN excluded.oldest < runlog_logblock.oldest
        THEN excluded.oldest ELSE runlog_logblock.oldest END,
    newest = CASE WHEN excluded.newest > runlog_logblock.newest
        THEN excluded.newest ELSE runlog_logblock.newest END,
    first = CASE WHEN excluded.first < runlog_logblock.first
        THEN excluded.first ELSE runlog_logblock.first END,
    last = CASE WHEN excluded.last > runlog_logblock.last
        THEN excluded.last ELSE runlog_logblock.last END
