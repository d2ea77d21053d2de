-- 1 of 31

-- sqlite, postgres, mysql, teradata
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- 2 of 31

-- sqlite, postgres, mysql, teradata
UPDATE sessions SET suspected_at=? WHERE sessions.session_no = ? AND sessions.session_id = ? AND sessions.status = ? AND (coalesce(sessions.deletion, ?) IN (?) OR coalesce(sessions.failure_kind, ?) IN (?));

-- 3 of 31

-- sqlite, postgres, mysql, teradata
SELECT sum(score_parts.row_count) AS sum_1
FROM score_parts
WHERE score_parts.session_no = ?;

-- 4 of 31

-- sqlite, postgres, mysql, teradata
SELECT sessions.session_id
FROM sessions
WHERE sessions.session_id = ? AND sessions.status = ?;

-- 5 of 31

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id
FROM sessions
WHERE sessions.parent_session_no IN (?);

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id
FROM sessions
WHERE sessions.parent_session_no IN (?);

-- 6 of 31

-- sqlite, postgres, mysql, teradata
SELECT model_stages.model_id, model_stages.set_at, model_stages.session_no, model_stages.stage, model_stages.set_by, model_stages.reason, model_stages.gates
FROM model_stages
WHERE model_stages.session_no = ? ORDER BY model_stages.set_at;

-- 7 of 31

-- sqlite
SELECT model_stages.stage, sessions.session_id, model_stages.set_at
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at DESC
 LIMIT ? OFFSET ?;

-- postgres
SELECT model_stages.stage, sessions.session_id, model_stages.set_at
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at DESC
 LIMIT ?;

-- mysql
SELECT model_stages.stage, sessions.session_id, model_stages.set_at
FROM model_stages INNER JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at DESC
 LIMIT ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT TOP 1 model_stages.stage, sessions.session_id, model_stages.set_at
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at DESC;

-- 8 of 31

-- sqlite, postgres, mysql, teradata
SELECT sessions.seal, sessions.previous_seal
FROM sessions
WHERE sessions.session_no = ?;

-- 9 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM session_attempts WHERE session_attempts.session_no = ?;

-- 10 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM inputs WHERE inputs.session_no = ?;

-- 11 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM input_summary WHERE input_summary.session_no = ?;

-- 12 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM check_results WHERE check_results.session_no = ?;

-- 13 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM session_params WHERE session_params.session_no = ?;

-- 14 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM session_metadata WHERE session_metadata.session_no = ?;

-- 15 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM metrics WHERE metrics.session_no = ?;

-- 16 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM metric_steps WHERE metric_steps.session_no = ?;

-- 17 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM variable_importance WHERE variable_importance.session_no = ?;

-- 18 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM test_curve WHERE test_curve.session_no = ?;

-- 19 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM backtests WHERE backtests.session_no = ?;

-- 20 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM gate_results WHERE gate_results.session_no = ?;

-- 21 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM drift WHERE drift.session_no = ?;

-- 22 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM scores WHERE scores.session_no = ?;

-- 23 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM score_parts WHERE score_parts.session_no = ?;

-- 24 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM part_inputs WHERE part_inputs.session_no = ?;

-- 25 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM artifacts WHERE artifacts.session_no = ?;

-- 26 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM artifact_chunks WHERE artifact_chunks.session_no = ?;

-- 27 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM notifications WHERE notifications.session_no = ?;

-- 28 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM sessions WHERE sessions.session_no = ?;

-- 29 of 31

-- sqlite, postgres, mysql, teradata
DELETE FROM environments WHERE NOT (EXISTS (SELECT *
FROM sessions
WHERE sessions.environment_digest = environments.environment_digest)) AND NOT (EXISTS (SELECT *
FROM session_attempts
WHERE session_attempts.environment_digest = environments.environment_digest));

-- 30 of 31

-- sqlite
SELECT audit_events.event_no, audit_events.digest
FROM audit_events ORDER BY audit_events.event_no DESC
 LIMIT ? OFFSET ?;

-- postgres, mysql
SELECT audit_events.event_no, audit_events.digest
FROM audit_events ORDER BY audit_events.event_no DESC
 LIMIT ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT TOP 1 audit_events.event_no, audit_events.digest
FROM audit_events ORDER BY audit_events.event_no DESC;

-- 31 of 31

-- sqlite, postgres, mysql, teradata
INSERT INTO audit_events (event_no, event_at, actor, event_action, subject, detail, previous_digest, digest, key_id, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
