-- 1 of 11

-- sqlite, postgres, mysql, teradata
UPDATE models SET owner=models.owner WHERE models.model_id = ?;

-- 2 of 11

-- sqlite, postgres, mysql, teradata
SELECT models.model_id
FROM models
WHERE models.model_id = ?;

-- 3 of 11

-- sqlite, postgres, mysql, teradata
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- 4 of 11

-- sqlite, postgres, mysql, teradata
SELECT sessions.failure_kind
FROM sessions
WHERE sessions.session_no = ?;

-- 5 of 11

-- sqlite, postgres, mysql
SELECT gate_results.session_no, gate_results.gate AS gate, gate_results.kind AS kind, gate_results.verdict AS verdict, gate_results.reason AS reason, gate_results.figure AS figure, gate_results.at_least AS at_least, gate_results.at_most AS at_most, gate_results.margin AS margin, gate_results.production_session_id AS production_session_id, gate_results.production_figure AS production_figure, gate_results.difference AS difference, gate_results.interval_low AS low, gate_results.interval_high AS high, gate_results.interval_method AS method
FROM gate_results
WHERE gate_results.session_no IN (?) ORDER BY gate_results.session_no, gate_results.gate_no;

-- teradata
LOCKING ROW FOR ACCESS SELECT gate_results.session_no, gate_results.gate AS gate, gate_results.kind AS kind, gate_results.verdict AS verdict, gate_results.reason AS reason, gate_results.figure AS figure, gate_results.at_least AS at_least, gate_results.at_most AS at_most, gate_results.margin AS margin, gate_results.production_session_id AS production_session_id, gate_results.production_figure AS production_figure, gate_results.difference AS difference, gate_results.interval_low AS low, gate_results.interval_high AS high, gate_results.interval_method AS "method"
FROM gate_results
WHERE gate_results.session_no IN (?) ORDER BY gate_results.session_no, gate_results.gate_no;

-- 6 of 11

-- sqlite, postgres, mysql
SELECT session_metadata.session_no, session_metadata.meta_value
FROM session_metadata
WHERE session_metadata.session_no IN (?) AND session_metadata.meta_group = ? AND session_metadata.meta_name = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT session_metadata.session_no, session_metadata.meta_value
FROM session_metadata
WHERE session_metadata.session_no IN (?) AND session_metadata.meta_group = ? AND session_metadata.meta_name = ?;

-- 7 of 11

-- sqlite, postgres
SELECT model_stages.model_id, model_stages.set_at, model_stages.session_no, model_stages.stage, model_stages.set_by, model_stages.reason, model_stages.gates, sessions.session_id
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at;

-- mysql
SELECT model_stages.model_id, model_stages.set_at, model_stages.session_no, model_stages.stage, model_stages.set_by, model_stages.reason, model_stages.gates, sessions.session_id
FROM model_stages INNER JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at;

-- teradata
LOCKING ROW FOR ACCESS SELECT model_stages.model_id, model_stages.set_at, model_stages.session_no, model_stages.stage, model_stages.set_by, model_stages.reason, model_stages.gates, sessions.session_id
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at;

-- 8 of 11

-- sqlite, postgres, mysql
SELECT max(model_stages.set_at) AS max_1
FROM model_stages
WHERE model_stages.model_id = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT max(model_stages.set_at) AS max_1
FROM model_stages
WHERE model_stages.model_id = ?;

-- 9 of 11

-- sqlite, postgres, mysql, teradata
INSERT INTO model_stages (model_id, set_at, session_no, stage, set_by, reason, gates) VALUES (?, ?, ?, ?, ?, ?, ?);

-- 10 of 11

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

-- 11 of 11

-- sqlite, postgres, mysql, teradata
INSERT INTO audit_events (event_no, event_at, actor, event_action, subject, detail, previous_digest, digest, key_id, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
