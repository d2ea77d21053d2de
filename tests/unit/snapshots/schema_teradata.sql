DATABASE model_factory;

CREATE MULTISET TABLE mfprefect_lock (
    lock_no INTEGER NOT NULL
)
UNIQUE PRIMARY INDEX (lock_no);

CREATE MULTISET TABLE mfprefect_version (
    version_num VARCHAR(32) CHARACTER SET UNICODE CASESPECIFIC NOT NULL
)
UNIQUE PRIMARY INDEX (version_num);

-- Running upgrade  -> 0001

CREATE MULTISET TABLE audit_events (
    event_no INTEGER NOT NULL,
    event_at TIMESTAMP(6) NOT NULL,
    actor VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    event_action VARCHAR(32) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    subject VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    detail CLOB CHARACTER SET UNICODE NOT NULL,
    previous_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL
)
UNIQUE PRIMARY INDEX (event_no);

CREATE MULTISET TABLE environments (
    environment_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    python_version VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    platform_name VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    packages CLOB CHARACTER SET UNICODE NOT NULL
)
UNIQUE PRIMARY INDEX (environment_digest);

CREATE MULTISET TABLE input_columns (
    schema_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    table_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    column_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    is_valid BYTEINT NOT NULL,
    is_test BYTEINT NOT NULL,
    note CLOB CHARACTER SET UNICODE
)
UNIQUE PRIMARY INDEX (schema_name, table_name, column_name);

CREATE MULTISET TABLE models (
    model_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    description CLOB CHARACTER SET UNICODE NOT NULL,
    entity_type VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    owner VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    created_at TIMESTAMP(6) NOT NULL
)
UNIQUE PRIMARY INDEX (model_id);

CREATE MULTISET TABLE scores (
    session_no INTEGER NOT NULL,
    entity_id VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    score_class VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC,
    part_no INTEGER NOT NULL
)
PRIMARY INDEX (entity_id)
PARTITION BY RANGE_N(session_no BETWEEN 1 AND 65533 EACH 1, NO RANGE, UNKNOWN);

CREATE MULTISET TABLE model_thresholds (
    model_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    set_at TIMESTAMP(6) NOT NULL,
    threshold_value DOUBLE PRECISION NOT NULL,
    threshold_kind VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    set_by VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    FOREIGN KEY(model_id) REFERENCES WITH NO CHECK OPTION models (model_id)
)
UNIQUE PRIMARY INDEX (model_id, set_at);

CREATE MULTISET TABLE sessions (
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    model_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    purpose VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    status VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    attempt INTEGER NOT NULL,
    started_at TIMESTAMP(6) NOT NULL,
    ended_at TIMESTAMP(6),
    heartbeat_at TIMESTAMP(6) NOT NULL,
    run_by VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    host VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8) CHARACTER SET UNICODE CASESPECIFIC,
    git_commit VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    git_branch VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    git_remote CLOB CHARACTER SET UNICODE,
    git_dirty BYTEINT,
    git_diff_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    environment_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    as_of DATE,
    params CLOB CHARACTER SET UNICODE NOT NULL,
    flow_run_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    flow_run_seq INTEGER,
    deployment VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    parent_session_no INTEGER,
    failure_kind VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    failure_text CLOB CHARACTER SET UNICODE,
    published_at TIMESTAMP(6),
    last_exported_at TIMESTAMP(6),
    seal VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    previous_seal VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    FOREIGN KEY(environment_digest) REFERENCES WITH NO CHECK OPTION environments (environment_digest),
    FOREIGN KEY(model_id) REFERENCES WITH NO CHECK OPTION models (model_id)
)
UNIQUE PRIMARY INDEX (session_no)
UNIQUE INDEX uq_sessions_flow_run (flow_run_id, flow_run_seq)
UNIQUE INDEX (session_id);

CREATE INDEX ix_sessions_model (model_id, session_no) ON sessions;

CREATE INDEX ix_sessions_status (status, heartbeat_at) ON sessions;

CREATE MULTISET TABLE artifact_chunks (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    chunk_no INTEGER NOT NULL,
    chunk_bytes BLOB(4194304) NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, artifact_name, chunk_no);

CREATE MULTISET TABLE artifacts (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    artifact_format VARCHAR(32) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    byte_count BIGINT NOT NULL,
    sha256 VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    signature VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    library_versions CLOB CHARACTER SET UNICODE NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, artifact_name);

CREATE MULTISET TABLE backtests (
    session_no INTEGER NOT NULL,
    series VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    period_name VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    predicted DOUBLE PRECISION,
    actual DOUBLE PRECISION,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, series, period_name);

CREATE MULTISET TABLE check_results (
    session_no INTEGER NOT NULL,
    check_no INTEGER NOT NULL,
    check_name VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    column_name VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    severity VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    passed BYTEINT NOT NULL,
    failing_rows BIGINT NOT NULL,
    failing_sample CLOB CHARACTER SET UNICODE,
    message CLOB CHARACTER SET UNICODE NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, check_no);

CREATE MULTISET TABLE drift (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    measure VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    drift_value DOUBLE PRECISION,
    drift_threshold DOUBLE PRECISION,
    verdict VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    reference_session_no INTEGER,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, variable, measure);

CREATE MULTISET TABLE input_summary (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    dtype VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    mean_value DOUBLE PRECISION,
    sd_value DOUBLE PRECISION,
    median_value DOUBLE PRECISION,
    min_value DOUBLE PRECISION,
    max_value DOUBLE PRECISION,
    n BIGINT NOT NULL,
    n_na BIGINT NOT NULL,
    n_distinct BIGINT NOT NULL,
    quantiles CLOB CHARACTER SET UNICODE,
    bin_counts CLOB CHARACTER SET UNICODE,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, variable);

CREATE MULTISET TABLE inputs (
    session_no INTEGER NOT NULL,
    input_no INTEGER NOT NULL,
    source VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    query_text CLOB CHARACTER SET UNICODE,
    row_count BIGINT,
    column_types CLOB CHARACTER SET UNICODE,
    digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    seconds DOUBLE PRECISION NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, input_no);

CREATE MULTISET TABLE metrics (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    segment VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    definition_version INTEGER,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, metric_name, segment);

CREATE MULTISET TABLE model_stages (
    model_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    set_at TIMESTAMP(6) NOT NULL,
    session_no INTEGER NOT NULL,
    stage VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    set_by VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    reason CLOB CHARACTER SET UNICODE,
    gates CLOB CHARACTER SET UNICODE,
    FOREIGN KEY(model_id) REFERENCES WITH NO CHECK OPTION models (model_id),
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (model_id, set_at);

CREATE MULTISET TABLE notifications (
    session_no INTEGER NOT NULL,
    notice_no INTEGER NOT NULL,
    event VARCHAR(32) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    channel VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    sent_at TIMESTAMP(6) NOT NULL,
    delivered BYTEINT NOT NULL,
    failure CLOB CHARACTER SET UNICODE,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, notice_no);

CREATE MULTISET TABLE score_parts (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    attempt INTEGER NOT NULL,
    written_at TIMESTAMP(6) NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, part_no);

CREATE MULTISET TABLE session_metadata (
    session_no INTEGER NOT NULL,
    meta_group VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    meta_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    meta_value CLOB CHARACTER SET UNICODE NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, meta_group, meta_name);

CREATE MULTISET TABLE test_curve (
    session_no INTEGER NOT NULL,
    point_no INTEGER NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    population BIGINT NOT NULL,
    target_population BIGINT NOT NULL,
    tp BIGINT NOT NULL,
    fp BIGINT NOT NULL,
    tn BIGINT NOT NULL,
    fn BIGINT NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, point_no);

CREATE MULTISET TABLE variable_importance (
    session_no INTEGER NOT NULL,
    kind VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    variable VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    importance DOUBLE PRECISION,
    std DOUBLE PRECISION,
    coefficient DOUBLE PRECISION,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, kind, variable);

INSERT INTO mfprefect_version (version_num) VALUES ('0001');

-- Running upgrade 0001 -> 0002

ALTER TABLE models ADD max_age_seconds BIGINT;

ALTER TABLE sessions ADD tags CLOB CHARACTER SET UNICODE;

ALTER TABLE sessions ADD suspected_at TIMESTAMP(6);

CREATE UNIQUE INDEX uq_notifications_fact (session_no, event, channel) ON notifications;

UPDATE mfprefect_version SET version_num='0002' WHERE mfprefect_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE MULTISET TABLE seals (
    model_id VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    seal_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    sealed_at TIMESTAMP(6) NOT NULL,
    manifest CLOB CHARACTER SET UNICODE NOT NULL,
    seal VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    key_id VARCHAR(32) CHARACTER SET UNICODE CASESPECIFIC,
    signature VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC
)
UNIQUE PRIMARY INDEX (model_id, seal_no);

CREATE INDEX ix_seals_session (session_no) ON seals;

ALTER TABLE audit_events ADD key_id VARCHAR(32) CHARACTER SET UNICODE CASESPECIFIC;

ALTER TABLE audit_events ADD signature VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC;

CREATE INDEX ix_audit_events_subject (subject, event_no) ON audit_events;

UPDATE mfprefect_version SET version_num='0003' WHERE mfprefect_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE MULTISET TABLE gate_results (
    session_no INTEGER NOT NULL,
    gate_no INTEGER NOT NULL,
    gate VARCHAR(1024) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    kind VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    verdict VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    reason CLOB CHARACTER SET UNICODE NOT NULL,
    figure DOUBLE PRECISION,
    at_least DOUBLE PRECISION,
    at_most DOUBLE PRECISION,
    margin DOUBLE PRECISION,
    production_session_id VARCHAR(96) CHARACTER SET UNICODE CASESPECIFIC,
    production_figure DOUBLE PRECISION,
    difference DOUBLE PRECISION,
    interval_low DOUBLE PRECISION,
    interval_high DOUBLE PRECISION,
    interval_method VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, gate_no);

CREATE MULTISET TABLE part_inputs (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    document CLOB CHARACTER SET UNICODE NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, part_no);

ALTER TABLE sessions ADD deletion VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC;

UPDATE mfprefect_version SET version_num='0004' WHERE mfprefect_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

CREATE MULTISET TABLE session_attempts (
    session_no INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    started_at TIMESTAMP(6),
    ended_at TIMESTAMP(6),
    failure_kind VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    failure_text CLOB CHARACTER SET UNICODE,
    run_by VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC,
    host VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8) CHARACTER SET UNICODE CASESPECIFIC,
    git_commit VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    git_branch VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    git_remote CLOB CHARACTER SET UNICODE,
    git_dirty BYTEINT,
    git_diff_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    environment_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
UNIQUE PRIMARY INDEX (session_no, attempt);

ALTER TABLE sessions ADD attempt_started_at TIMESTAMP(6);

ALTER TABLE score_parts ADD kept_by INTEGER;

UPDATE mfprefect_version SET version_num='0005' WHERE mfprefect_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE mfprefect_version SET version_num='0006' WHERE mfprefect_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

ALTER TABLE sessions ADD process_key VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC;

UPDATE mfprefect_version SET version_num='0007' WHERE mfprefect_version.version_num = '0006';

CREATE VIEW published_scores AS LOCKING ROW FOR ACCESS SELECT sessions.model_id, sessions.session_id, scores.entity_id, scores.score, scores.score_class, sessions.as_of, sessions.published_at
FROM sessions JOIN scores ON sessions.session_no = scores.session_no
WHERE sessions.published_at IS NOT NULL;

CREATE VIEW latest_scores AS LOCKING ROW FOR ACCESS SELECT ranked.model_id, ranked.session_id, ranked.entity_id, ranked.score, ranked.score_class, ranked.as_of, ranked.published_at
FROM (SELECT ordered.model_id AS model_id, ordered.session_id AS session_id, scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class, ordered.as_of AS as_of, ordered.published_at AS published_at, row_number() OVER (PARTITION BY ordered.model_id, scores.entity_id ORDER BY ordered.place) AS recency
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.as_of AS as_of, sessions.published_at AS published_at, sessions.session_no AS session_no, row_number() OVER (PARTITION BY sessions.model_id ORDER BY coalesce(sessions.as_of, CAST(sessions.started_at AS DATE)) DESC, sessions.published_at DESC, sessions.session_no DESC) AS place
FROM sessions
WHERE sessions.published_at IS NOT NULL) AS ordered JOIN scores ON ordered.session_no = scores.session_no) AS ranked
WHERE ranked.recency = 1;

CREATE VIEW current_scores AS LOCKING ROW FOR ACCESS SELECT ordered.model_id, ordered.session_id, scores.entity_id, scores.score, scores.score_class, ordered.as_of, ordered.published_at
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.as_of AS as_of, sessions.published_at AS published_at, sessions.session_no AS session_no, row_number() OVER (PARTITION BY sessions.model_id ORDER BY coalesce(sessions.as_of, CAST(sessions.started_at AS DATE)) DESC, sessions.published_at DESC, sessions.session_no DESC) AS place
FROM sessions
WHERE sessions.published_at IS NOT NULL) AS ordered JOIN scores ON ordered.session_no = scores.session_no
WHERE ordered.place = 1;

CREATE VIEW session_overview AS LOCKING ROW FOR ACCESS SELECT sessions.session_id, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.deletion, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no;

CREATE VIEW metric_history AS LOCKING ROW FOR ACCESS SELECT sessions.model_id, sessions.session_id, sessions.as_of, sessions.started_at, metrics.metric_name, metrics.segment, metrics.metric_value, metrics.definition_version
FROM sessions JOIN metrics ON sessions.session_no = metrics.session_no
WHERE sessions.status = 'succeeded';

CREATE VIEW production_models AS LOCKING ROW FOR ACCESS SELECT ranked.model_id, sessions.session_id, ranked.set_at, ranked.set_by, ranked.reason
FROM (SELECT model_stages.model_id AS model_id, model_stages.set_at AS set_at, model_stages.session_no AS session_no, model_stages.stage AS stage, model_stages.set_by AS set_by, model_stages.reason AS reason, model_stages.gates AS gates, rank() OVER (PARTITION BY model_stages.model_id ORDER BY model_stages.set_at DESC) AS recency
FROM model_stages) AS ranked JOIN sessions ON ranked.session_no = sessions.session_no
WHERE ranked.stage = 'production' AND ranked.recency = 1;

CREATE VIEW gate_history AS LOCKING ROW FOR ACCESS SELECT verdicts.model_id, verdicts.session_id, verdicts.status, verdicts.started_at, verdicts.gate_no, verdicts.gate, verdicts.kind, verdicts.verdict, verdicts.reason, verdicts.figure, verdicts.at_least, verdicts.at_most, verdicts.margin, verdicts.production_session_id, verdicts.production_figure, verdicts.difference, verdicts.interval_low, verdicts.interval_high, verdicts.interval_method
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.status AS status, sessions.started_at AS started_at, gate_results.gate_no AS gate_no, gate_results.gate AS gate, gate_results.kind AS kind, gate_results.verdict AS verdict, gate_results.reason AS reason, gate_results.figure AS figure, gate_results.at_least AS at_least, gate_results.at_most AS at_most, gate_results.margin AS margin, gate_results.production_session_id AS production_session_id, gate_results.production_figure AS production_figure, gate_results.difference AS difference, gate_results.interval_low AS interval_low, gate_results.interval_high AS interval_high, gate_results.interval_method AS interval_method
FROM sessions JOIN gate_results ON sessions.session_no = gate_results.session_no
WHERE sessions.status IN ('succeeded', 'failed') UNION ALL SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.status AS status, sessions.started_at AS started_at, legacy.place AS place, legacy.gate AS gate, legacy.kind AS kind, legacy.verdict AS verdict, legacy.reason AS reason, legacy.figure AS figure, legacy.at_least AS at_least, legacy.at_most AS at_most, legacy.margin AS margin, legacy.production_session_id AS production_session_id, legacy.production_figure AS production_figure, legacy.difference AS difference, legacy.interval_low AS interval_low, legacy.interval_high AS interval_high, legacy.interval_method AS interval_method
FROM sessions JOIN (SELECT listed.session_no, ROW_NUMBER() OVER (PARTITION BY listed.session_no ORDER BY listed.ordinal_no) AS place, listed.gate, listed.kind, listed.verdict, CAST(listed.reason AS CLOB CHARACTER SET UNICODE) AS reason, listed.figure, listed.at_least, listed.at_most, listed.margin, listed.production_session_id, listed.production_figure, listed.difference, listed.interval_low, listed.interval_high, listed.interval_method FROM JSON_TABLE(ON (SELECT session_metadata.session_no, session_metadata.meta_value AS document
FROM sessions JOIN session_metadata ON sessions.session_no = session_metadata.session_no
WHERE sessions.status IN ('succeeded', 'failed') AND session_metadata.meta_group = 'gates' AND session_metadata.meta_name = 'verdicts' AND NOT (EXISTS (SELECT *
FROM gate_results
WHERE gate_results.session_no = session_metadata.session_no))) USING ROWEXPR('$[*]') COLEXPR('[{"ordinal": true}, {"jsonpath": "$.gate", "type": "VARCHAR(1024) CHARACTER SET UNICODE"}, {"jsonpath": "$.kind", "type": "VARCHAR(64) CHARACTER SET UNICODE"}, {"jsonpath": "$.verdict", "type": "VARCHAR(16) CHARACTER SET UNICODE"}, {"jsonpath": "$.reason", "type": "VARCHAR(4000) CHARACTER SET UNICODE"}, {"jsonpath": "$.figure", "type": "FLOAT"}, {"jsonpath": "$.at_least", "type": "FLOAT"}, {"jsonpath": "$.at_most", "type": "FLOAT"}, {"jsonpath": "$.margin", "type": "FLOAT"}, {"jsonpath": "$.production_session_id", "type": "VARCHAR(96) CHARACTER SET UNICODE"}, {"jsonpath": "$.production_figure", "type": "FLOAT"}, {"jsonpath": "$.difference", "type": "FLOAT"}, {"jsonpath": "$.low", "type": "FLOAT"}, {"jsonpath": "$.high", "type": "FLOAT"}, {"jsonpath": "$.method", "type": "VARCHAR(255) CHARACTER SET UNICODE"}]')) AS listed (session_no, ordinal_no, gate, kind, verdict, reason, figure, at_least, at_most, margin, production_session_id, production_figure, difference, interval_low, interval_high, interval_method)) AS legacy ON sessions.session_no = legacy.session_no) AS verdicts;

COLLECT STATISTICS USING THRESHOLD 10 PERCENT COLUMN (entity_id), COLUMN (session_no), COLUMN (PARTITION) ON scores;

COLLECT STATISTICS USING THRESHOLD 10 PERCENT COLUMN (session_no), COLUMN (model_id), COLUMN (status) ON sessions;

-- mfprefect: the rights of the role admin, for mfprefect_admin. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER mfprefect_admin FROM .. AS PERM = 0, PASSWORD = ..
-- What has ended is not closed to writers here: their rights alone limit them.
GRANT ALL ON model_factory.models TO mfprefect_admin;
GRANT ALL ON model_factory.model_thresholds TO mfprefect_admin;
GRANT ALL ON model_factory.environments TO mfprefect_admin;
GRANT ALL ON model_factory.sessions TO mfprefect_admin;
GRANT ALL ON model_factory.session_attempts TO mfprefect_admin;
GRANT ALL ON model_factory.model_stages TO mfprefect_admin;
GRANT ALL ON model_factory.inputs TO mfprefect_admin;
GRANT ALL ON model_factory.input_columns TO mfprefect_admin;
GRANT ALL ON model_factory.input_summary TO mfprefect_admin;
GRANT ALL ON model_factory.check_results TO mfprefect_admin;
GRANT ALL ON model_factory.session_metadata TO mfprefect_admin;
GRANT ALL ON model_factory.metrics TO mfprefect_admin;
GRANT ALL ON model_factory.variable_importance TO mfprefect_admin;
GRANT ALL ON model_factory.test_curve TO mfprefect_admin;
GRANT ALL ON model_factory.backtests TO mfprefect_admin;
GRANT ALL ON model_factory.gate_results TO mfprefect_admin;
GRANT ALL ON model_factory.drift TO mfprefect_admin;
GRANT ALL ON model_factory.scores TO mfprefect_admin;
GRANT ALL ON model_factory.score_parts TO mfprefect_admin;
GRANT ALL ON model_factory.part_inputs TO mfprefect_admin;
GRANT ALL ON model_factory.artifacts TO mfprefect_admin;
GRANT ALL ON model_factory.artifact_chunks TO mfprefect_admin;
GRANT ALL ON model_factory.notifications TO mfprefect_admin;
GRANT ALL ON model_factory.audit_events TO mfprefect_admin;
GRANT ALL ON model_factory.seals TO mfprefect_admin;
GRANT ALL ON model_factory.mfprefect_version TO mfprefect_admin;
GRANT SELECT ON model_factory.published_scores TO mfprefect_admin;
GRANT SELECT ON model_factory.latest_scores TO mfprefect_admin;
GRANT SELECT ON model_factory.current_scores TO mfprefect_admin;
GRANT SELECT ON model_factory.session_overview TO mfprefect_admin;
GRANT SELECT ON model_factory.metric_history TO mfprefect_admin;
GRANT SELECT ON model_factory.production_models TO mfprefect_admin;
GRANT SELECT ON model_factory.gate_history TO mfprefect_admin;
GRANT ALL ON model_factory.mfprefect_lock TO mfprefect_admin;
GRANT CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW ON model_factory TO mfprefect_admin;

-- mfprefect: the rights of the role writer, for mfprefect_writer. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER mfprefect_writer FROM .. AS PERM = 0, PASSWORD = ..
-- What has ended is not closed to writers here: their rights alone limit them.
GRANT SELECT, INSERT, UPDATE (description, entity_type, owner, max_age_seconds) ON model_factory.models TO mfprefect_writer;
GRANT SELECT ON model_factory.model_thresholds TO mfprefect_writer;
GRANT SELECT, INSERT ON model_factory.environments TO mfprefect_writer;
GRANT SELECT, INSERT, UPDATE (status, attempt, ended_at, heartbeat_at, suspected_at, host, process_id, process_key, failure_kind, failure_text, published_at, seal, previous_seal, last_exported_at, attempt_started_at, run_by, vcs, git_commit, git_branch, git_remote, git_dirty, git_diff_digest, environment_digest, params) ON model_factory.sessions TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.session_attempts TO mfprefect_writer;
GRANT SELECT, INSERT ON model_factory.model_stages TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.inputs TO mfprefect_writer;
GRANT SELECT ON model_factory.input_columns TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.input_summary TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.check_results TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.session_metadata TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.metrics TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.variable_importance TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.test_curve TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.backtests TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.gate_results TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.drift TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.scores TO mfprefect_writer;
GRANT SELECT, INSERT, UPDATE (kept_by), DELETE ON model_factory.score_parts TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.part_inputs TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.artifacts TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.artifact_chunks TO mfprefect_writer;
GRANT SELECT, INSERT, UPDATE (sent_at, delivered, failure) ON model_factory.notifications TO mfprefect_writer;
GRANT SELECT, INSERT ON model_factory.audit_events TO mfprefect_writer;
GRANT SELECT, INSERT ON model_factory.seals TO mfprefect_writer;
GRANT SELECT ON model_factory.mfprefect_version TO mfprefect_writer;
GRANT SELECT ON model_factory.published_scores TO mfprefect_writer;
GRANT SELECT ON model_factory.latest_scores TO mfprefect_writer;
GRANT SELECT ON model_factory.current_scores TO mfprefect_writer;
GRANT SELECT ON model_factory.session_overview TO mfprefect_writer;
GRANT SELECT ON model_factory.metric_history TO mfprefect_writer;
GRANT SELECT ON model_factory.production_models TO mfprefect_writer;
GRANT SELECT ON model_factory.gate_history TO mfprefect_writer;
GRANT CREATE TABLE ON model_factory TO mfprefect_writer;
GRANT STATISTICS ON model_factory.scores TO mfprefect_writer;

-- mfprefect: the rights of the role reader, for mfprefect_reader. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER mfprefect_reader FROM .. AS PERM = 0, PASSWORD = ..
-- What has ended is not closed to writers here: their rights alone limit them.
GRANT SELECT ON model_factory.mfprefect_version TO mfprefect_reader;
GRANT SELECT ON model_factory.published_scores TO mfprefect_reader;
GRANT SELECT ON model_factory.latest_scores TO mfprefect_reader;
GRANT SELECT ON model_factory.current_scores TO mfprefect_reader;
GRANT SELECT ON model_factory.session_overview TO mfprefect_reader;
GRANT SELECT ON model_factory.metric_history TO mfprefect_reader;
GRANT SELECT ON model_factory.production_models TO mfprefect_reader;
GRANT SELECT ON model_factory.gate_history TO mfprefect_reader;

-- mfprefect: the rights of the role auditor, for mfprefect_auditor. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER mfprefect_auditor FROM .. AS PERM = 0, PASSWORD = ..
-- What has ended is not closed to writers here: their rights alone limit them.
GRANT SELECT ON model_factory.models TO mfprefect_auditor;
GRANT SELECT ON model_factory.model_thresholds TO mfprefect_auditor;
GRANT SELECT ON model_factory.environments TO mfprefect_auditor;
GRANT SELECT ON model_factory.sessions TO mfprefect_auditor;
GRANT SELECT ON model_factory.session_attempts TO mfprefect_auditor;
GRANT SELECT ON model_factory.model_stages TO mfprefect_auditor;
GRANT SELECT ON model_factory.inputs TO mfprefect_auditor;
GRANT SELECT ON model_factory.input_columns TO mfprefect_auditor;
GRANT SELECT ON model_factory.input_summary TO mfprefect_auditor;
GRANT SELECT ON model_factory.check_results TO mfprefect_auditor;
GRANT SELECT ON model_factory.session_metadata TO mfprefect_auditor;
GRANT SELECT ON model_factory.metrics TO mfprefect_auditor;
GRANT SELECT ON model_factory.variable_importance TO mfprefect_auditor;
GRANT SELECT ON model_factory.test_curve TO mfprefect_auditor;
GRANT SELECT ON model_factory.backtests TO mfprefect_auditor;
GRANT SELECT ON model_factory.gate_results TO mfprefect_auditor;
GRANT SELECT ON model_factory.drift TO mfprefect_auditor;
GRANT SELECT ON model_factory.scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.score_parts TO mfprefect_auditor;
GRANT SELECT ON model_factory.part_inputs TO mfprefect_auditor;
GRANT SELECT ON model_factory.artifacts TO mfprefect_auditor;
GRANT SELECT ON model_factory.artifact_chunks TO mfprefect_auditor;
GRANT SELECT ON model_factory.notifications TO mfprefect_auditor;
GRANT SELECT ON model_factory.audit_events TO mfprefect_auditor;
GRANT SELECT ON model_factory.seals TO mfprefect_auditor;
GRANT SELECT ON model_factory.mfprefect_version TO mfprefect_auditor;
GRANT SELECT ON model_factory.published_scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.latest_scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.current_scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.session_overview TO mfprefect_auditor;
GRANT SELECT ON model_factory.metric_history TO mfprefect_auditor;
GRANT SELECT ON model_factory.production_models TO mfprefect_auditor;
GRANT SELECT ON model_factory.gate_history TO mfprefect_auditor;
