-- 1 of 10

-- sqlite, postgres, mysql, teradata
UPDATE models SET owner=models.owner WHERE models.model_id = ?;

-- 2 of 10

-- sqlite, postgres, mysql, teradata
SELECT models.model_id
FROM models ORDER BY models.model_id;

-- 3 of 10

-- sqlite, postgres, mysql, teradata
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- 4 of 10

-- sqlite, postgres, mysql, teradata
SELECT sessions.failure_kind
FROM sessions
WHERE sessions.session_no = ?;

-- 5 of 10

-- sqlite, postgres, mysql, teradata
SELECT session_metadata.meta_value
FROM session_metadata
WHERE session_metadata.session_no = ? AND session_metadata.meta_group = ? AND session_metadata.meta_name = ?;

-- 6 of 10

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
SELECT TOP 1 model_stages.stage, sessions.session_id, model_stages.set_at
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = ? ORDER BY model_stages.set_at DESC;

-- 7 of 10

-- sqlite, postgres, mysql, teradata
SELECT max(model_stages.set_at) AS max_1
FROM model_stages
WHERE model_stages.model_id = ?;

-- 8 of 10

-- sqlite, postgres, mysql, teradata
INSERT INTO model_stages (model_id, set_at, session_no, stage, set_by, reason, gates) VALUES (?, ?, ?, ?, ?, ?, ?);

-- 9 of 10

-- sqlite
SELECT audit_events.event_no, audit_events.digest
FROM audit_events ORDER BY audit_events.event_no DESC
 LIMIT ? OFFSET ?;

-- postgres, mysql
SELECT audit_events.event_no, audit_events.digest
FROM audit_events ORDER BY audit_events.event_no DESC
 LIMIT ?;

-- teradata
SELECT TOP 1 audit_events.event_no, audit_events.digest
FROM audit_events ORDER BY audit_events.event_no DESC;

-- 10 of 10

-- sqlite, postgres, mysql, teradata
INSERT INTO audit_events (event_no, event_at, actor, event_action, subject, detail, previous_digest, digest, key_id, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
