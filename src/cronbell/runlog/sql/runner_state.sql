-- The runner seen last, and those seen since an instant that have not stopped.
-- Parameters: host, host (empty: any), instant, host, host.
SELECT runner.seen_at, runner.stopped_at, runner.config_fault
FROM runlog_runner AS runner
WHERE (runner.host = %s OR %s = '')
  AND (
    runner.seen_at >= %s
    OR runner.seen_at = (
        SELECT MAX(own.seen_at) FROM runlog_runner AS own WHERE own.host = %s OR %s = ''
    )
  )
ORDER BY runner.seen_at DESC
