-- How many runs of each status began within a range of time. A status of a block whose runs all did
-- is taken as counted; only where some did are its runs looked at. What is not counted yet is
-- looked at too: the runs after the cursor and those it left.
-- Members of the blocks are found by status: a block may have one late run of a rare status.
-- Parameters: since, until, since, until, since, until, a week, a week, a week, cursor, since, until,
-- cursor, since, until, since, until.
WITH looked_at AS (
    SELECT run.status, run.started_at, run.scheduled_at
    FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
    WHERE run.id = waiting.run_id
)
SELECT found.status, CAST(SUM(found.runs) AS BIGINT)
FROM (
    SELECT block.status, block.runs FROM runlog_logblock AS block
    WHERE block.status <> '' AND block.oldest >= %s AND block.newest < %s
    UNION ALL
    SELECT run.status, 1
    FROM runlog_logblock AS block CROSS JOIN runlog_run AS run
    WHERE block.status <> '' AND block.newest >= %s AND block.oldest < %s
      AND NOT (block.oldest >= %s AND block.newest < %s)
      AND run.status = block.status AND run.finished_at IS NOT NULL
      AND run.id BETWEEN block.first AND block.last
      -- Among them are runs of other weeks, which are counted there.
      AND COALESCE(run.started_at, run.scheduled_at) BETWEEN block.week * CAST(%s AS BIGINT)
        AND block.week * CAST(%s AS BIGINT) + CAST(%s AS BIGINT) - 1
      AND run.id <= %s
      AND COALESCE(run.started_at, run.scheduled_at) >= %s
      AND COALESCE(run.started_at, run.scheduled_at) < %s
      AND NOT EXISTS (SELECT 1 FROM runlog_rollupleft AS counted WHERE counted.run_id = run.id)
    UNION ALL
    SELECT run.status, 1 FROM runlog_run AS run
    WHERE run.id > %s
      AND COALESCE(run.started_at, run.scheduled_at) >= %s
      AND COALESCE(run.started_at, run.scheduled_at) < %s
    UNION ALL
    SELECT looked_at.status, 1 FROM looked_at
    WHERE COALESCE(looked_at.started_at, looked_at.scheduled_at) >= %s
      AND COALESCE(looked_at.started_at, looked_at.scheduled_at) < %s
) AS found
GROUP BY found.status
