-- 1 of 1

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.attempt, sessions.heartbeat_at, sessions.suspected_at, sessions.host, sessions.process_id, sessions.process_key, sessions.flow_run_id
FROM sessions
WHERE sessions.status = ? AND (sessions.heartbeat_at < ? OR sessions.heartbeat_at > ?) ORDER BY sessions.session_no;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.attempt, sessions.heartbeat_at, sessions.suspected_at, sessions.host, sessions.process_id, sessions.process_key, sessions.flow_run_id
FROM sessions
WHERE sessions.status = ? AND (sessions.heartbeat_at < ? OR sessions.heartbeat_at > ?) ORDER BY sessions.session_no;
