-- What finding a range of time is going to ask, at once: the blocks opened from the largest down,
-- whole or for a week, and the runs looked up, by the rule of log_tree but for its limits.
-- Rows of blocks: level, whether whole, block, week, runs, oldest, newest, first id, last id, empty.
-- Rows of runs: -1, false, id, week, job id, when it began, 0, first and last id looked at, status.
-- Parameters: since, until, the largest level, how many blocks are one of the next, how many ids
-- are looked up in one, what opening one takes, how long a week is, a number larger than all.
-- only on sqlite {
-- Where there are no trips to save it is not asked.
SELECT NULL WHERE FALSE
-- }
-- only on postgresql {
WITH RECURSIVE given AS MATERIALIZED (
    SELECT
        CAST(%s AS BIGINT) AS since, CAST(%s AS BIGINT) AS until, CAST(%s AS INTEGER) AS top,
        CAST(%s AS BIGINT) AS fanout, CAST(%s AS BIGINT) AS most, CAST(%s AS BIGINT) AS opening,
        CAST(%s AS BIGINT) AS week_long, CAST(%s AS BIGINT) AS ever
),
found AS (
    -- Of which the largest are what is within.
    SELECT
        given.top + 1 AS level, TRUE AS whole, TRUE AS opened, FALSE AS other,
        CAST(0 AS BIGINT) AS block, CAST(0 AS BIGINT) AS week, CAST(0 AS BIGINT) AS runs,
        CAST(0 AS BIGINT) AS oldest, CAST(0 AS BIGINT) AS newest,
        CAST(0 AS BIGINT) AS first, CAST(0 AS BIGINT) AS last
    FROM given
    UNION ALL
    SELECT
        judged.level, judged.whole,
        judged.whole AND LEAST(judged.costs_out, judged.costs_inside) > judged.most,
        NOT judged.whole
            OR CASE WHEN judged.costs_out <= judged.costs_inside THEN judged.out ELSE judged.inside END,
        judged.block, judged.week, judged.runs, judged.oldest, judged.newest,
        judged.first, judged.last
    FROM (
        SELECT
            wanted.level, wanted.whole, given.most, part.block, part.week, part.runs,
            part.oldest, part.newest, part.first, part.last, side.out, side.inside,
            SUM(CASE WHEN side.out THEN side.cost ELSE 0 END) OVER own_block AS costs_out,
            SUM(CASE WHEN side.inside THEN side.cost ELSE 0 END) OVER own_block AS costs_inside
        FROM given CROSS JOIN LATERAL (
            SELECT DISTINCT
                found.level - 1 AS level, found.opened AS whole,
                found.block * given.fanout AS first_block,
                CASE WHEN found.level > given.top THEN given.ever
                    ELSE found.block * given.fanout + given.fanout - 1 END AS last_block,
                CASE WHEN found.opened THEN -given.ever ELSE found.week END AS first_week,
                CASE WHEN found.opened THEN given.ever ELSE found.week END AS last_week
            FROM found
            WHERE found.level > 0
              AND (found.opened OR (found.other AND found.last - found.first >= given.most))
        ) AS wanted CROSS JOIN LATERAL (
            SELECT * FROM runlog_logblock AS own
            WHERE own.level = wanted.level AND own.status = ''
              AND own.block BETWEEN wanted.first_block AND wanted.last_block
              AND own.week BETWEEN wanted.first_week AND wanted.last_week
            OFFSET 0
        ) AS part CROSS JOIN LATERAL (
            SELECT
                part.oldest < given.since OR part.newest >= given.until AS out,
                part.newest >= given.since AND part.oldest < given.until AS inside,
                CAST(CASE WHEN wanted.level = 0 THEN part.last - part.first + 1
                    ELSE LEAST(part.last - part.first + 1, given.opening * part.runs)
                END AS INTEGER) AS cost
        ) AS side
        WINDOW own_block AS (PARTITION BY wanted.whole, part.block)
    ) AS judged
)
SELECT level, whole, block, week, runs, oldest, newest, first, last, '' AS status
FROM found CROSS JOIN given
WHERE found.level <= given.top
UNION ALL
SELECT
    -1, FALSE, run.id, span.week, run.job_id, COALESCE(run.started_at, run.scheduled_at), 0,
    span.first, span.last, run.status
FROM given CROSS JOIN found AS span CROSS JOIN LATERAL (
    SELECT * FROM runlog_run AS own
    WHERE own.id BETWEEN span.first AND span.last
    OFFSET 0
) AS run
WHERE span.level <= given.top AND span.other AND NOT span.opened
  AND (span.level = 0 OR span.last - span.first < given.most)
  AND run.finished_at IS NOT NULL
  AND COALESCE(run.started_at, run.scheduled_at)
      BETWEEN span.week * given.week_long AND (span.week + 1) * given.week_long - 1
-- }
