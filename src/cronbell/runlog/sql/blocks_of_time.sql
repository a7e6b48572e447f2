-- How many runs of each status began within a range of time. The weeks between the two it begins
-- and ends in are taken as counted. Of those two, so is each block of which all runs of a status
-- are in the range; only where some are its runs looked at, each once. What is not counted yet is
-- looked at too: the runs after the cursor and those it left.
-- Parameters: first week, last week, since, until, since, until, since, until, a week, a week,
-- a week, cursor, first week, last week, first week, last week, since, until, cursor, since, until,
-- since, until.
WITH looked_at AS (
    SELECT run.status, run.started_at, run.scheduled_at
    FROM runlog_rollupleft AS waiting CROSS JOIN runlog_run AS run
    WHERE run.id = waiting.run_id
),
partly AS MATERIALIZED (
    SELECT block, week, status, first, last
    FROM runlog_logblock
    WHERE week IN (%s, %s) AND block >= 0 AND status <> ''
      AND newest >= %s AND oldest < %s AND NOT (oldest >= %s AND newest < %s)
),
span AS MATERIALIZED (
    SELECT block, week, MIN(first) AS first, MAX(last) AS last FROM partly GROUP BY block, week
),
-- Counted before it is told which status is partly in the range: one look for each run cost most.
edge AS MATERIALIZED (
    SELECT span.block, span.week, run.status, COUNT(*) AS runs
    FROM span {spanned}
    WHERE run.id BETWEEN span.first AND span.last AND run.finished_at IS NOT NULL
      AND COALESCE(run.started_at, run.scheduled_at) >= %s
      AND COALESCE(run.started_at, run.scheduled_at) < %s
      -- Among them are runs of other weeks, which are counted there.
      AND COALESCE(run.started_at, run.scheduled_at) BETWEEN span.week * CAST(%s AS BIGINT)
        AND span.week * CAST(%s AS BIGINT) + CAST(%s AS BIGINT) - 1
      AND run.id <= %s
      AND NOT EXISTS (SELECT 1 FROM runlog_rollupleft AS counted WHERE counted.run_id = run.id)
    GROUP BY span.block, span.week, run.status
)
SELECT found.status, CAST(SUM(found.runs) AS BIGINT)
FROM (
    SELECT status, runs FROM runlog_logblock
    WHERE block = -1 AND week > %s AND week < %s
    UNION ALL
    SELECT status, runs FROM runlog_logblock
    WHERE week IN (%s, %s) AND block >= 0 AND status <> '' AND oldest >= %s AND newest < %s
    UNION ALL
    SELECT edge.status, edge.runs
    FROM edge CROSS JOIN partly
    WHERE partly.block = edge.block AND partly.week = edge.week AND partly.status = edge.status
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
