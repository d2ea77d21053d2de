-- 1 of 6

-- sqlite, postgres
SELECT models.model_id, models.description, models.entity_type, models.owner, models.created_at, models.max_age_seconds, (SELECT count(*) AS count_1
FROM sessions
WHERE sessions.model_id = models.model_id) AS sessions, (SELECT max(sessions.started_at) AS max_1
FROM sessions
WHERE sessions.model_id = models.model_id) AS last_started_at, (SELECT sessions.session_id
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = models.model_id AND model_stages.stage = ? AND NOT (EXISTS (SELECT *
FROM model_stages AS later
WHERE later.model_id = model_stages.model_id AND later.set_at > model_stages.set_at))) AS production
FROM models ORDER BY models.model_id;

-- mysql
SELECT models.model_id, models.description, models.entity_type, models.owner, models.created_at, models.max_age_seconds, (SELECT count(*) AS count_1
FROM sessions
WHERE sessions.model_id = models.model_id) AS sessions, (SELECT max(sessions.started_at) AS max_1
FROM sessions
WHERE sessions.model_id = models.model_id) AS last_started_at, (SELECT sessions.session_id
FROM model_stages INNER JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = models.model_id AND model_stages.stage = ? AND NOT (EXISTS (SELECT *
FROM model_stages AS later
WHERE later.model_id = model_stages.model_id AND later.set_at > model_stages.set_at))) AS production
FROM models ORDER BY models.model_id;

-- teradata
LOCKING ROW FOR ACCESS SELECT models.model_id, models.description, models.entity_type, models.owner, models.created_at, models.max_age_seconds, (SELECT count(*) AS count_1
FROM sessions
WHERE sessions.model_id = models.model_id) AS sessions, (SELECT max(sessions.started_at) AS max_1
FROM sessions
WHERE sessions.model_id = models.model_id) AS last_started_at, (SELECT sessions.session_id
FROM model_stages JOIN sessions ON sessions.session_no = model_stages.session_no
WHERE model_stages.model_id = models.model_id AND model_stages.stage = ? AND NOT (EXISTS (SELECT *
FROM model_stages AS later
WHERE later.model_id = model_stages.model_id AND later.set_at > model_stages.set_at))) AS production
FROM models ORDER BY models.model_id;

-- 2 of 6

-- sqlite
SELECT sessions.session_id, sessions.session_no, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.process_id, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.environment_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.suspected_at, sessions.deletion, sessions.attempt_started_at, sessions.process_key, sessions.git_author, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.model_id = ? AND sessions.status = ? AND sessions.purpose != ? ORDER BY sessions.session_no DESC
 LIMIT ? OFFSET ?;

-- postgres, mysql
SELECT sessions.session_id, sessions.session_no, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.process_id, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.environment_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.suspected_at, sessions.deletion, sessions.attempt_started_at, sessions.process_key, sessions.git_author, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.model_id = ? AND sessions.status = ? AND sessions.purpose != ? ORDER BY sessions.session_no DESC
 LIMIT ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT TOP 20 sessions.session_id, sessions.session_no, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.process_id, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.environment_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.suspected_at, sessions.deletion, sessions.attempt_started_at, sessions.process_key, sessions.git_author, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.model_id = ? AND sessions.status = ? AND sessions.purpose <> ? ORDER BY sessions.session_no DESC;

-- 3 of 6

-- sqlite, postgres
SELECT sessions.session_id, metrics.metric_name, metrics.segment, metrics.metric_value, metrics.definition_version
FROM sessions JOIN metrics ON sessions.session_no = metrics.session_no
WHERE sessions.session_id IN (?) ORDER BY metrics.session_no, metrics.metric_name, metrics.segment;

-- mysql
SELECT sessions.session_id, metrics.metric_name, metrics.segment, metrics.metric_value, metrics.definition_version
FROM sessions INNER JOIN metrics ON sessions.session_no = metrics.session_no
WHERE sessions.session_id IN (?) ORDER BY metrics.session_no, metrics.metric_name, metrics.segment;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_id, metrics.metric_name, metrics.segment, metrics.metric_value, metrics.definition_version
FROM sessions JOIN metrics ON sessions.session_no = metrics.session_no
WHERE sessions.session_id IN (?) ORDER BY metrics.session_no, metrics.metric_name, metrics.segment;

-- 4 of 6

-- sqlite, postgres, mysql
SELECT sessions.session_id
FROM sessions
WHERE sessions.session_id IN (?);

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_id
FROM sessions
WHERE sessions.session_id IN (?);

-- 5 of 6

-- sqlite, postgres, mysql
SELECT models.model_id
FROM models
WHERE models.model_id = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT models.model_id
FROM models
WHERE models.model_id = ?;

-- 6 of 6

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
