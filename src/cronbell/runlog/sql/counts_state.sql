-- How far runs are counted: cursor, its version, the newest run, how many were left.
-- Parameters: where counting those left stops.
SELECT
    COALESCE(MAX(upto), 0), COALESCE(MAX(version), 0),
    (SELECT COALESCE(MAX(id), 0) FROM runlog_run),
    (SELECT COUNT(*) FROM (SELECT 1 FROM runlog_rollupleft LIMIT %s) AS waiting)
FROM runlog_rollupcursor
