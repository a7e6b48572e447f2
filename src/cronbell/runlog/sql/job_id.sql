-- The number of the job of a name. Parameters: name.
SELECT id FROM runlog_job WHERE name = %s
