-- 1 of 11

-- sqlite, postgres, mysql, teradata
UPDATE models SET owner=models.owner WHERE models.model_id = ?;

-- 2 of 11

-- sqlite, postgres, mysql, teradata
SELECT models.model_id
FROM models
WHERE models.model_id = ?;

-- 3 of 11

-- sqlite, postgres, mysql
SELECT models.model_id
FROM models ORDER BY models.model_id;

-- teradata
LOCKING ROW FOR ACCESS SELECT models.model_id
FROM models ORDER BY models.model_id;

-- 4 of 11

-- sqlite, postgres, mysql, teradata
INSERT INTO models (model_id, description, entity_type, owner, created_at, max_age_seconds) SELECT ? AS model_id, models.description, models.entity_type, models.owner, models.created_at, models.max_age_seconds
FROM models
WHERE models.model_id = ?;

-- 5 of 11

-- sqlite, postgres, mysql, teradata
UPDATE sessions SET model_id=? WHERE sessions.model_id = ?;

-- 6 of 11

-- sqlite, postgres, mysql, teradata
UPDATE model_thresholds SET model_id=? WHERE model_thresholds.model_id = ?;

-- 7 of 11

-- sqlite, postgres, mysql, teradata
UPDATE model_stages SET model_id=? WHERE model_stages.model_id = ?;

-- 8 of 11

-- sqlite, postgres, mysql, teradata
DELETE FROM models WHERE models.model_id = ?;

-- 9 of 11

-- sqlite
SELECT seals.seal_no, seals.seal
FROM seals
WHERE seals.model_id = ? ORDER BY seals.seal_no DESC
 LIMIT ? OFFSET ?;

-- postgres, mysql
SELECT seals.seal_no, seals.seal
FROM seals
WHERE seals.model_id = ? ORDER BY seals.seal_no DESC
 LIMIT ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT TOP 1 seals.seal_no, seals.seal
FROM seals
WHERE seals.model_id = ? ORDER BY seals.seal_no DESC;

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
