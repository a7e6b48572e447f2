-- Where runs of a status (empty: any) are that began within a range of time: neighbouring blocks of
-- which all did (1), and blocks of which some did (0). Blocks without runs of the status are passed
-- over; ranks say whether one with runs that did not stands between.
-- Parameters: since, until, since, until, status.
WITH stacked AS (
    SELECT
        block, SUM(runs) AS runs,
        SUM(CASE WHEN oldest >= %s AND newest < %s THEN runs ELSE 0 END) AS inside,
        SUM(CASE WHEN newest < %s OR oldest >= %s THEN runs ELSE 0 END) AS outside
    FROM runlog_logblock
    WHERE status = %s AND block >= 0
    GROUP BY block
),
ranked AS (
    SELECT
        block, outside < runs AS wanted, CASE WHEN inside = runs THEN 1 ELSE 0 END AS whole,
        ROW_NUMBER() OVER (ORDER BY block) AS place
    FROM stacked
),
islands AS (
    SELECT block, whole, place, place - ROW_NUMBER() OVER (PARTITION BY whole ORDER BY block) AS island
    FROM ranked
    WHERE wanted
)
SELECT whole, MIN(block), MAX(block), MIN(place), MAX(place)
FROM islands
GROUP BY whole, island
ORDER BY MIN(block) DESC
