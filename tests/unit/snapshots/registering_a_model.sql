-- 1 of 4

-- sqlite, postgres, mysql
SELECT models.model_id, models.description, models.entity_type, models.owner, models.max_age_seconds
FROM models
WHERE models.model_id = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT models.model_id, models.description, models.entity_type, models.owner, models.max_age_seconds
FROM models
WHERE models.model_id = ?;

-- 2 of 4

-- sqlite, postgres, mysql, teradata
INSERT INTO models (model_id, description, entity_type, owner, created_at, max_age_seconds) VALUES (?, ?, ?, ?, ?, ?);

-- 3 of 4

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

-- 4 of 4

-- sqlite, postgres, mysql, teradata
INSERT INTO audit_events (event_no, event_at, actor, event_action, subject, detail, previous_digest, digest, key_id, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
