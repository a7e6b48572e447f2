-- The highest id of a run; new ones are higher. Parameters: (none).
SELECT COALESCE(MAX(id), 0) FROM runlog_run
