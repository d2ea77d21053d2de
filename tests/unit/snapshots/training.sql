-- 1 of 15

-- sqlite, mysql
SELECT newest.last_no, (SELECT models.model_id
FROM models
WHERE models.model_id = ?) AS model, (SELECT environments.environment_digest
FROM environments
WHERE environments.environment_digest = ?) AS environment, (SELECT parent.session_no
FROM sessions AS parent
WHERE parent.session_id = ? AND NOT (parent.status = ? AND (coalesce(parent.deletion, ?) IN (?, ?) OR coalesce(parent.failure_kind, ?) IN (?, ?)))) AS parent_no, (SELECT count(*) AS count_1
FROM sessions
WHERE sessions.status = ? AND (sessions.heartbeat_at < ? OR sessions.heartbeat_at > ?)) AS silent, coalesce((SELECT max(session_attempts.session_no) AS max_1
FROM session_attempts
WHERE session_attempts.session_no = newest.next_no), (SELECT max(inputs.session_no) AS max_2
FROM inputs
WHERE inputs.session_no = newest.next_no), (SELECT max(input_summary.session_no) AS max_3
FROM input_summary
WHERE input_summary.session_no = newest.next_no), (SELECT max(check_results.session_no) AS max_4
FROM check_results
WHERE check_results.session_no = newest.next_no), (SELECT max(session_params.session_no) AS max_5
FROM session_params
WHERE session_params.session_no = newest.next_no), (SELECT max(session_metadata.session_no) AS max_6
FROM session_metadata
WHERE session_metadata.session_no = newest.next_no), (SELECT max(metrics.session_no) AS max_7
FROM metrics
WHERE metrics.session_no = newest.next_no), (SELECT max(metric_steps.session_no) AS max_8
FROM metric_steps
WHERE metric_steps.session_no = newest.next_no), (SELECT max(variable_importance.session_no) AS max_9
FROM variable_importance
WHERE variable_importance.session_no = newest.next_no), (SELECT max(test_curve.session_no) AS max_10
FROM test_curve
WHERE test_curve.session_no = newest.next_no), (SELECT max(backtests.session_no) AS max_11
FROM backtests
WHERE backtests.session_no = newest.next_no), (SELECT max(gate_results.session_no) AS max_12
FROM gate_results
WHERE gate_results.session_no = newest.next_no), (SELECT max(drift.session_no) AS max_13
FROM drift
WHERE drift.session_no = newest.next_no), (SELECT max(scores.session_no) AS max_14
FROM scores
WHERE scores.session_no = newest.next_no), (SELECT max(score_parts.session_no) AS max_15
FROM score_parts
WHERE score_parts.session_no = newest.next_no), (SELECT max(part_inputs.session_no) AS max_16
FROM part_inputs
WHERE part_inputs.session_no = newest.next_no), (SELECT max(artifacts.session_no) AS max_17
FROM artifacts
WHERE artifacts.session_no = newest.next_no), (SELECT max(artifact_chunks.session_no) AS max_18
FROM artifact_chunks
WHERE artifact_chunks.session_no = newest.next_no), (SELECT max(notifications.session_no) AS max_19
FROM notifications
WHERE notifications.session_no = newest.next_no), NULL) AS ahead
FROM (SELECT max(sessions.session_no) AS last_no, nullif(coalesce(max(sessions.session_no), 0), 2147483647) + 1 AS next_no
FROM sessions) AS newest;

-- postgres
SELECT newest.last_no, (SELECT models.model_id
FROM models
WHERE models.model_id = ?) AS model, (SELECT environments.environment_digest
FROM environments
WHERE environments.environment_digest = ?) AS environment, (SELECT parent.session_no
FROM sessions AS parent
WHERE parent.session_id = ? AND NOT (parent.status = ? AND (coalesce(parent.deletion, ?) IN (?, ?) OR coalesce(parent.failure_kind, ?) IN (?, ?)))) AS parent_no, (SELECT count(*) AS count_1
FROM sessions
WHERE sessions.status = ? AND (sessions.heartbeat_at < ? OR sessions.heartbeat_at > ?)) AS silent, coalesce((SELECT max(session_attempts.session_no) AS max_1
FROM ONLY session_attempts
WHERE session_attempts.session_no = newest.next_no), (SELECT max(inputs.session_no) AS max_2
FROM ONLY inputs
WHERE inputs.session_no = newest.next_no), (SELECT max(input_summary.session_no) AS max_3
FROM ONLY input_summary
WHERE input_summary.session_no = newest.next_no), (SELECT max(check_results.session_no) AS max_4
FROM ONLY check_results
WHERE check_results.session_no = newest.next_no), (SELECT max(session_params.session_no) AS max_5
FROM ONLY session_params
WHERE session_params.session_no = newest.next_no), (SELECT max(session_metadata.session_no) AS max_6
FROM ONLY session_metadata
WHERE session_metadata.session_no = newest.next_no), (SELECT max(metrics.session_no) AS max_7
FROM ONLY metrics
WHERE metrics.session_no = newest.next_no), (SELECT max(metric_steps.session_no) AS max_8
FROM ONLY metric_steps
WHERE metric_steps.session_no = newest.next_no), (SELECT max(variable_importance.session_no) AS max_9
FROM ONLY variable_importance
WHERE variable_importance.session_no = newest.next_no), (SELECT max(test_curve.session_no) AS max_10
FROM ONLY test_curve
WHERE test_curve.session_no = newest.next_no), (SELECT max(backtests.session_no) AS max_11
FROM ONLY backtests
WHERE backtests.session_no = newest.next_no), (SELECT max(gate_results.session_no) AS max_12
FROM ONLY gate_results
WHERE gate_results.session_no = newest.next_no), (SELECT max(drift.session_no) AS max_13
FROM ONLY drift
WHERE drift.session_no = newest.next_no), (SELECT max(scores.session_no) AS max_14
FROM ONLY scores
WHERE scores.session_no = newest.next_no), (SELECT max(score_parts.session_no) AS max_15
FROM ONLY score_parts
WHERE score_parts.session_no = newest.next_no), (SELECT max(part_inputs.session_no) AS max_16
FROM ONLY part_inputs
WHERE part_inputs.session_no = newest.next_no), (SELECT max(artifacts.session_no) AS max_17
FROM ONLY artifacts
WHERE artifacts.session_no = newest.next_no), (SELECT max(artifact_chunks.session_no) AS max_18
FROM ONLY artifact_chunks
WHERE artifact_chunks.session_no = newest.next_no), (SELECT max(notifications.session_no) AS max_19
FROM ONLY notifications
WHERE notifications.session_no = newest.next_no), NULL) AS ahead
FROM (SELECT max(sessions.session_no) AS last_no, nullif(coalesce(max(sessions.session_no), 0), 2147483647) + 1 AS next_no
FROM sessions) AS newest;

-- teradata
LOCKING TABLE sessions FOR ACCESS LOCKING TABLE environments FOR ACCESS LOCKING TABLE session_attempts FOR ACCESS LOCKING TABLE inputs FOR ACCESS LOCKING TABLE input_summary FOR ACCESS LOCKING TABLE check_results FOR ACCESS LOCKING TABLE session_params FOR ACCESS LOCKING TABLE session_metadata FOR ACCESS LOCKING TABLE metrics FOR ACCESS LOCKING TABLE metric_steps FOR ACCESS LOCKING TABLE variable_importance FOR ACCESS LOCKING TABLE test_curve FOR ACCESS LOCKING TABLE backtests FOR ACCESS LOCKING TABLE gate_results FOR ACCESS LOCKING TABLE drift FOR ACCESS LOCKING TABLE scores FOR ACCESS LOCKING TABLE score_parts FOR ACCESS LOCKING TABLE part_inputs FOR ACCESS LOCKING TABLE artifacts FOR ACCESS LOCKING TABLE artifact_chunks FOR ACCESS LOCKING TABLE notifications FOR ACCESS SELECT newest.last_no, (SELECT models.model_id
FROM models
WHERE models.model_id = ?) AS model, (SELECT environments.environment_digest
FROM environments
WHERE environments.environment_digest = ?) AS environment, (SELECT parent.session_no
FROM sessions AS parent
WHERE parent.session_id = ? AND NOT (parent.status = ? AND (coalesce(parent.deletion, ?) IN (?, ?) OR coalesce(parent.failure_kind, ?) IN (?, ?)))) AS parent_no, (SELECT count(*) AS count_1
FROM sessions
WHERE sessions.status = ? AND (sessions.heartbeat_at < ? OR sessions.heartbeat_at > ?)) AS silent, coalesce((SELECT max(session_attempts.session_no) AS max_1
FROM session_attempts
WHERE session_attempts.session_no = newest.next_no), (SELECT max(inputs.session_no) AS max_2
FROM inputs
WHERE inputs.session_no = newest.next_no), (SELECT max(input_summary.session_no) AS max_3
FROM input_summary
WHERE input_summary.session_no = newest.next_no), (SELECT max(check_results.session_no) AS max_4
FROM check_results
WHERE check_results.session_no = newest.next_no), (SELECT max(session_params.session_no) AS max_5
FROM session_params
WHERE session_params.session_no = newest.next_no), (SELECT max(session_metadata.session_no) AS max_6
FROM session_metadata
WHERE session_metadata.session_no = newest.next_no), (SELECT max(metrics.session_no) AS max_7
FROM metrics
WHERE metrics.session_no = newest.next_no), (SELECT max(metric_steps.session_no) AS max_8
FROM metric_steps
WHERE metric_steps.session_no = newest.next_no), (SELECT max(variable_importance.session_no) AS max_9
FROM variable_importance
WHERE variable_importance.session_no = newest.next_no), (SELECT max(test_curve.session_no) AS max_10
FROM test_curve
WHERE test_curve.session_no = newest.next_no), (SELECT max(backtests.session_no) AS max_11
FROM backtests
WHERE backtests.session_no = newest.next_no), (SELECT max(gate_results.session_no) AS max_12
FROM gate_results
WHERE gate_results.session_no = newest.next_no), (SELECT max(drift.session_no) AS max_13
FROM drift
WHERE drift.session_no = newest.next_no), (SELECT max(scores.session_no) AS max_14
FROM scores
WHERE scores.session_no = newest.next_no), (SELECT max(score_parts.session_no) AS max_15
FROM score_parts
WHERE score_parts.session_no = newest.next_no), (SELECT max(part_inputs.session_no) AS max_16
FROM part_inputs
WHERE part_inputs.session_no = newest.next_no), (SELECT max(artifacts.session_no) AS max_17
FROM artifacts
WHERE artifacts.session_no = newest.next_no), (SELECT max(artifact_chunks.session_no) AS max_18
FROM artifact_chunks
WHERE artifact_chunks.session_no = newest.next_no), (SELECT max(notifications.session_no) AS max_19
FROM notifications
WHERE notifications.session_no = newest.next_no), NULL) AS ahead
FROM (SELECT max(sessions.session_no) AS last_no, nullif(coalesce(max(sessions.session_no), 0), 2147483647) + 1 AS next_no
FROM sessions) AS newest;

-- 2 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO environments (environment_digest, python_version, platform_name, packages) VALUES (?, ?, ?, ?);

-- 3 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO sessions (session_no, session_id, model_id, purpose, status, attempt, started_at, heartbeat_at, run_by, host, process_id, vcs, git_commit, git_branch, git_remote, git_dirty, git_diff_digest, environment_digest, as_of, params, flow_run_id, flow_run_seq, deployment, parent_session_no, tags, attempt_started_at, process_key, git_author) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- 4 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO session_params (session_no, param_name, param_type, number_value, text_value, json_value) VALUES (?, ?, ?, ?, ?, ?);

-- 5 of 15

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- 6 of 15

-- sqlite, postgres, mysql, teradata
SELECT artifacts.artifact_name
FROM artifacts
WHERE artifacts.session_no = ? AND artifacts.artifact_name = ?;

-- 7 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO artifact_chunks (session_no, artifact_name, chunk_no, chunk_bytes) VALUES (?, ?, ?, ?);

-- 8 of 15

-- sqlite, postgres, mysql, teradata
UPDATE sessions SET heartbeat_at=?, suspected_at=? WHERE sessions.session_no = ? AND sessions.session_id = ? AND sessions.attempt = ? AND coalesce(sessions.status, ?) = ?;

-- 9 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO artifacts (session_no, artifact_name, artifact_format, byte_count, sha256, signature, library_versions) VALUES (?, ?, ?, ?, ?, ?, ?);

-- 10 of 15

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.process_id, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.environment_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.parent_session_no, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.suspected_at, sessions.deletion, sessions.attempt_started_at, sessions.process_key, sessions.git_author, (SELECT count(*) AS count_1
FROM session_attempts
WHERE session_attempts.session_no = ?) AS rows_of_session_attempts, (SELECT count(*) AS count_2
FROM inputs
WHERE inputs.session_no = ?) AS rows_of_inputs, (SELECT count(*) AS count_3
FROM input_summary
WHERE input_summary.session_no = ?) AS rows_of_input_summary, (SELECT count(*) AS count_4
FROM check_results
WHERE check_results.session_no = ?) AS rows_of_check_results, (SELECT count(*) AS count_5
FROM session_params
WHERE session_params.session_no = ?) AS rows_of_session_params, (SELECT count(*) AS count_6
FROM session_metadata
WHERE session_metadata.session_no = ?) AS rows_of_session_metadata, (SELECT count(*) AS count_7
FROM metrics
WHERE metrics.session_no = ?) AS rows_of_metrics, (SELECT count(*) AS count_8
FROM metric_steps
WHERE metric_steps.session_no = ?) AS rows_of_metric_steps, (SELECT count(*) AS count_9
FROM variable_importance
WHERE variable_importance.session_no = ?) AS rows_of_variable_importance, (SELECT count(*) AS count_10
FROM test_curve
WHERE test_curve.session_no = ?) AS rows_of_test_curve, (SELECT count(*) AS count_11
FROM backtests
WHERE backtests.session_no = ?) AS rows_of_backtests, (SELECT count(*) AS count_12
FROM gate_results
WHERE gate_results.session_no = ?) AS rows_of_gate_results, (SELECT count(*) AS count_13
FROM drift
WHERE drift.session_no = ?) AS rows_of_drift, (SELECT count(*) AS count_14
FROM score_parts
WHERE score_parts.session_no = ?) AS rows_of_score_parts, (SELECT count(*) AS count_15
FROM part_inputs
WHERE part_inputs.session_no = ?) AS rows_of_part_inputs, (SELECT count(*) AS count_16
FROM artifacts
WHERE artifacts.session_no = ?) AS rows_of_artifacts, (SELECT max(seals.seal_no) AS max_1
FROM seals
WHERE seals.model_id = ?) AS head_0, (SELECT last.seal
FROM seals AS last
WHERE last.model_id = ? AND last.seal_no = (SELECT max(seals.seal_no) AS max_1
FROM seals
WHERE seals.model_id = ?)) AS head_1, (SELECT max(audit_events.event_no) AS max_2
FROM audit_events) AS head_2, (SELECT event.digest
FROM audit_events AS event
WHERE event.event_no = (SELECT max(audit_events.event_no) AS max_2
FROM audit_events)) AS head_3
FROM sessions
WHERE sessions.session_no = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.process_id, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.environment_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.parent_session_no, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.suspected_at, sessions.deletion, sessions.attempt_started_at, sessions.process_key, sessions.git_author, (SELECT count(*) AS count_1
FROM session_attempts
WHERE session_attempts.session_no = ?) AS rows_of_session_attempts, (SELECT count(*) AS count_2
FROM inputs
WHERE inputs.session_no = ?) AS rows_of_inputs, (SELECT count(*) AS count_3
FROM input_summary
WHERE input_summary.session_no = ?) AS rows_of_input_summary, (SELECT count(*) AS count_4
FROM check_results
WHERE check_results.session_no = ?) AS rows_of_check_results, (SELECT count(*) AS count_5
FROM session_params
WHERE session_params.session_no = ?) AS rows_of_session_params, (SELECT count(*) AS count_6
FROM session_metadata
WHERE session_metadata.session_no = ?) AS rows_of_session_metadata, (SELECT count(*) AS count_7
FROM metrics
WHERE metrics.session_no = ?) AS rows_of_metrics, (SELECT count(*) AS count_8
FROM metric_steps
WHERE metric_steps.session_no = ?) AS rows_of_metric_steps, (SELECT count(*) AS count_9
FROM variable_importance
WHERE variable_importance.session_no = ?) AS rows_of_variable_importance, (SELECT count(*) AS count_10
FROM test_curve
WHERE test_curve.session_no = ?) AS rows_of_test_curve, (SELECT count(*) AS count_11
FROM backtests
WHERE backtests.session_no = ?) AS rows_of_backtests, (SELECT count(*) AS count_12
FROM gate_results
WHERE gate_results.session_no = ?) AS rows_of_gate_results, (SELECT count(*) AS count_13
FROM drift
WHERE drift.session_no = ?) AS rows_of_drift, (SELECT count(*) AS count_14
FROM score_parts
WHERE score_parts.session_no = ?) AS rows_of_score_parts, (SELECT count(*) AS count_15
FROM part_inputs
WHERE part_inputs.session_no = ?) AS rows_of_part_inputs, (SELECT count(*) AS count_16
FROM artifacts
WHERE artifacts.session_no = ?) AS rows_of_artifacts, (SELECT max(seals.seal_no) AS max_1
FROM seals
WHERE seals.model_id = ?) AS head_0, (SELECT last.seal
FROM seals AS last
WHERE last.model_id = ? AND last.seal_no = (SELECT max(seals.seal_no) AS max_1
FROM seals
WHERE seals.model_id = ?)) AS head_1, (SELECT max(audit_events.event_no) AS max_2
FROM audit_events) AS head_2, (SELECT event.digest
FROM audit_events AS event
WHERE event.event_no = (SELECT max(audit_events.event_no) AS max_2
FROM audit_events)) AS head_3
FROM sessions
WHERE sessions.session_no = ?;

-- 11 of 15

-- sqlite, postgres, mysql
SELECT artifacts.session_no, artifacts.artifact_name, artifacts.artifact_format, artifacts.byte_count, artifacts.sha256, artifacts.signature, artifacts.library_versions
FROM artifacts
WHERE artifacts.session_no = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT artifacts.session_no, artifacts.artifact_name, artifacts.artifact_format, artifacts.byte_count, artifacts.sha256, artifacts.signature, artifacts.library_versions
FROM artifacts
WHERE artifacts.session_no = ?;

-- 12 of 15

-- sqlite, postgres, mysql, teradata
UPDATE sessions SET heartbeat_at=?, suspected_at=? WHERE sessions.session_no = ? AND sessions.session_id = ? AND sessions.attempt = ? AND coalesce(sessions.status, ?) = ? AND sessions.heartbeat_at = ? AND sessions.model_id = ?;

-- 13 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO metrics (session_no, metric_name, segment, metric_value, definition_version) VALUES (?, ?, ?, ?, ?);

-- 14 of 15

-- sqlite, postgres, mysql, teradata
INSERT INTO seals (model_id, seal_no, session_no, session_id, sealed_at, manifest, seal, key_id, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- 15 of 15

-- sqlite, postgres, mysql, teradata
UPDATE sessions SET status=?, ended_at=?, heartbeat_at=?, failure_kind=?, failure_text=?, published_at=?, seal=?, previous_seal=?, suspected_at=? WHERE sessions.session_no = ? AND sessions.session_id = ? AND sessions.attempt = ? AND coalesce(sessions.status, ?) = ?;
