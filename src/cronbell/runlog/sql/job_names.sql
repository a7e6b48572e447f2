-- The jobs by name. Parameters: limit.
SELECT id, name FROM runlog_job ORDER BY name LIMIT %s
