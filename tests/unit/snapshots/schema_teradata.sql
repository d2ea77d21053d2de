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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, artifact_name);

CREATE MULTISET TABLE backtests (
    session_no INTEGER NOT NULL,
    series VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    period_name VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    predicted DOUBLE PRECISION,
    actual DOUBLE PRECISION,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, series, period_name);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, check_no);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, variable, measure);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, variable);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, input_no);

CREATE MULTISET TABLE metrics (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    segment VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    definition_version INTEGER,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, metric_name, segment);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, notice_no);

CREATE MULTISET TABLE score_parts (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    attempt INTEGER NOT NULL,
    written_at TIMESTAMP(6) NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, part_no);

CREATE MULTISET TABLE session_metadata (
    session_no INTEGER NOT NULL,
    meta_group VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    meta_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    meta_value CLOB CHARACTER SET UNICODE NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, meta_group, meta_name);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, point_no);

CREATE MULTISET TABLE variable_importance (
    session_no INTEGER NOT NULL,
    kind VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    variable VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    importance DOUBLE PRECISION,
    std DOUBLE PRECISION,
    coefficient DOUBLE PRECISION,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, kind, variable);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, gate_no);

CREATE MULTISET TABLE part_inputs (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    document CLOB CHARACTER SET UNICODE NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, part_no);

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
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, attempt);

ALTER TABLE sessions ADD attempt_started_at TIMESTAMP(6);

ALTER TABLE score_parts ADD kept_by INTEGER;

UPDATE mfprefect_version SET version_num='0005' WHERE mfprefect_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE mfprefect_version SET version_num='0006' WHERE mfprefect_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

ALTER TABLE sessions ADD process_key VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC;

UPDATE mfprefect_version SET version_num='0007' WHERE mfprefect_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

UPDATE mfprefect_version SET version_num='0008' WHERE mfprefect_version.version_num = '0007';

-- Running upgrade 0008 -> 0009

UPDATE mfprefect_version SET version_num='0009' WHERE mfprefect_version.version_num = '0008';

-- Running upgrade 0009 -> 0010

CREATE MULTISET TABLE api_tokens (
    token_id VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    token_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    token_scope VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    owner VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    description CLOB CHARACTER SET UNICODE,
    created_at TIMESTAMP(6) NOT NULL,
    created_by VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    expires_at TIMESTAMP(6) NOT NULL,
    revoked_at TIMESTAMP(6),
    revoked_by VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC
)
UNIQUE PRIMARY INDEX (token_id);

CREATE MULTISET TABLE idempotency_keys (
    key_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    request_digest VARCHAR(64) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    actor VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    session_id VARCHAR(96) CHARACTER SET UNICODE CASESPECIFIC,
    detail CLOB CHARACTER SET UNICODE,
    created_at TIMESTAMP(6) NOT NULL,
    answered_at TIMESTAMP(6),
    answer_status INTEGER,
    answer CLOB CHARACTER SET UNICODE
)
UNIQUE PRIMARY INDEX (key_digest);

CREATE INDEX ix_idempotency_keys_created (created_at) ON idempotency_keys;

CREATE MULTISET TABLE metric_steps (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    segment VARCHAR(128) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    step_no BIGINT NOT NULL,
    step_value DOUBLE PRECISION NOT NULL,
    logged_at TIMESTAMP(6) NOT NULL,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, metric_name, segment, step_no);

CREATE MULTISET TABLE session_params (
    session_no INTEGER NOT NULL,
    param_name VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    param_type VARCHAR(16) CHARACTER SET UNICODE CASESPECIFIC NOT NULL,
    number_value DOUBLE PRECISION,
    text_value VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC,
    json_value CLOB CHARACTER SET UNICODE,
    FOREIGN KEY(session_no) REFERENCES WITH NO CHECK OPTION sessions (session_no)
)
PRIMARY INDEX (session_no)
UNIQUE INDEX (session_no, param_name);

ALTER TABLE sessions ADD git_author VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC;

ALTER TABLE session_attempts ADD git_author VARCHAR(255) CHARACTER SET UNICODE CASESPECIFIC;

UPDATE mfprefect_version SET version_num='0010' WHERE mfprefect_version.version_num = '0009';

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

CREATE VIEW production_models AS LOCKING ROW FOR ACCESS SELECT ranked.model_id, sessions.session_id, ranked.set_at, ranked.set_by, ranked.reason, ranked.description
FROM (SELECT model_stages.model_id AS model_id, model_stages.set_at AS set_at, model_stages.session_no AS session_no, model_stages.stage AS stage, model_stages.set_by AS set_by, model_stages.reason AS reason, model_stages.gates AS gates, models.description AS description, rank() OVER (PARTITION BY model_stages.model_id ORDER BY model_stages.set_at DESC) AS recency
FROM model_stages JOIN models ON model_stages.model_id = models.model_id) AS ranked JOIN sessions ON ranked.session_no = sessions.session_no
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

COMMENT ON TABLE models AS 'Registered models, one row each.';
COMMENT ON COLUMN models.model_id AS 'Name of the model.';
COMMENT ON COLUMN models.description AS 'What the model predicts.';
COMMENT ON COLUMN models.entity_type AS 'What is scored, such as customer.';
COMMENT ON COLUMN models.owner AS 'Person or team in charge of the model.';
COMMENT ON COLUMN models.created_at AS 'When it was registered (UTC).';
COMMENT ON COLUMN models.max_age_seconds AS 'Age of the last scores, in seconds, above which an alarm is sent, or NULL.';
COMMENT ON TABLE model_thresholds AS 'Operating thresholds of models, of which the newest of each model applies.';
COMMENT ON COLUMN model_thresholds.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_thresholds.set_at AS 'When the threshold was set (UTC).';
COMMENT ON COLUMN model_thresholds.threshold_value AS 'The threshold: a score from 0 to 1, or a share of the population from 0 to 1.';
COMMENT ON COLUMN model_thresholds.threshold_kind AS 'What the value is: probability or population.';
COMMENT ON COLUMN model_thresholds.set_by AS 'User who set it.';
COMMENT ON TABLE environments AS 'Python environments that sessions ran in, one row for each set of packages.';
COMMENT ON COLUMN environments.environment_digest AS 'SHA-256 of the Python version, platform and packages, in hexadecimal.';
COMMENT ON COLUMN environments.python_version AS 'Version of Python.';
COMMENT ON COLUMN environments.platform_name AS 'Operating system and machine.';
COMMENT ON COLUMN environments.packages AS 'Installed packages, as JSON.';
COMMENT ON TABLE sessions AS 'Sessions: one row for each run of a model, from open to sealed.';
COMMENT ON COLUMN sessions.session_no AS 'Number of the session: the key of all that it produced.';
COMMENT ON COLUMN sessions.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN sessions.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN sessions.purpose AS 'What it is for: train, score, monitor, adhoc or trial.';
COMMENT ON COLUMN sessions.status AS 'running, succeeded, failed, crashed or cancelled.';
COMMENT ON COLUMN sessions.attempt AS 'Number of the last attempt, from 1.';
COMMENT ON COLUMN sessions.started_at AS 'When the session was opened (UTC).';
COMMENT ON COLUMN sessions.ended_at AS 'When it ended (UTC), or NULL while it runs.';
COMMENT ON COLUMN sessions.heartbeat_at AS 'When its process last gave a sign of life (UTC).';
COMMENT ON COLUMN sessions.run_by AS 'User who ran it.';
COMMENT ON COLUMN sessions.host AS 'Name of the machine.';
COMMENT ON COLUMN sessions.process_id AS 'Operating system''s number of the process.';
COMMENT ON COLUMN sessions.vcs AS 'Version control system of the code, such as git.';
COMMENT ON COLUMN sessions.git_commit AS 'Commit of the code, in hexadecimal.';
COMMENT ON COLUMN sessions.git_branch AS 'Branch that was checked out.';
COMMENT ON COLUMN sessions.git_remote AS 'Address of the remote repository.';
COMMENT ON COLUMN sessions.git_dirty AS 'Whether the code had changes that were not committed.';
COMMENT ON COLUMN sessions.git_diff_digest AS 'SHA-256 of those changes, in hexadecimal.';
COMMENT ON COLUMN sessions.environment_digest AS 'Python environment, as in environments.environment_digest.';
COMMENT ON COLUMN sessions.as_of AS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN sessions.params AS 'Parameters, as JSON.';
COMMENT ON COLUMN sessions.flow_run_id AS 'Flow run in Prefect, or NULL outside of one.';
COMMENT ON COLUMN sessions.flow_run_seq AS 'Number of the session within its flow run, from 1.';
COMMENT ON COLUMN sessions.deployment AS 'Deployment in Prefect.';
COMMENT ON COLUMN sessions.parent_session_no AS 'Number of the training session whose model it used.';
COMMENT ON COLUMN sessions.failure_kind AS 'Kind of the failure, such as ValueError.';
COMMENT ON COLUMN sessions.failure_text AS 'Message of the failure.';
COMMENT ON COLUMN sessions.published_at AS 'When its scores became visible (UTC), or NULL.';
COMMENT ON COLUMN sessions.last_exported_at AS 'When its scores were last exported (UTC).';
COMMENT ON COLUMN sessions.seal AS 'SHA-256 that seals it, in hexadecimal.';
COMMENT ON COLUMN sessions.previous_seal AS 'Seal before it in the chain of its model.';
COMMENT ON COLUMN sessions.tags AS 'Tags, as a JSON list.';
COMMENT ON COLUMN sessions.suspected_at AS 'When its heartbeat was first missed (UTC), or NULL again after the next.';
COMMENT ON COLUMN sessions.deletion AS 'While it is being deleted: session, or model if it goes with it.';
COMMENT ON COLUMN sessions.attempt_started_at AS 'When the last attempt began (UTC), or NULL if an earlier version opened it.';
COMMENT ON COLUMN sessions.process_key AS 'Boot, container and start of its process, or NULL if nobody can tell.';
COMMENT ON COLUMN sessions.git_author AS 'Author of the commit, as name and mail address.';
COMMENT ON TABLE session_attempts AS 'Attempts of sessions that were retried: what sessions said of each.';
COMMENT ON COLUMN session_attempts.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN session_attempts.attempt AS 'Number of the attempt, from 1.';
COMMENT ON COLUMN session_attempts.status AS 'How the attempt ended.';
COMMENT ON COLUMN session_attempts.started_at AS 'When it began (UTC), or NULL if not recorded.';
COMMENT ON COLUMN session_attempts.ended_at AS 'When it ended (UTC).';
COMMENT ON COLUMN session_attempts.failure_kind AS 'Kind of the failure, such as ValueError.';
COMMENT ON COLUMN session_attempts.failure_text AS 'Message of the failure.';
COMMENT ON COLUMN session_attempts.run_by AS 'User who ran it.';
COMMENT ON COLUMN session_attempts.host AS 'Name of the machine.';
COMMENT ON COLUMN session_attempts.process_id AS 'Operating system''s number of the process.';
COMMENT ON COLUMN session_attempts.vcs AS 'Version control system of the code, such as git.';
COMMENT ON COLUMN session_attempts.git_commit AS 'Commit of the code, in hexadecimal.';
COMMENT ON COLUMN session_attempts.git_branch AS 'Branch that was checked out.';
COMMENT ON COLUMN session_attempts.git_remote AS 'Address of the remote repository.';
COMMENT ON COLUMN session_attempts.git_dirty AS 'Whether the code had changes that were not committed.';
COMMENT ON COLUMN session_attempts.git_diff_digest AS 'SHA-256 of those changes, in hexadecimal.';
COMMENT ON COLUMN session_attempts.environment_digest AS 'Python environment, as in environments.environment_digest.';
COMMENT ON COLUMN session_attempts.git_author AS 'Author of the commit, as name and mail address.';
COMMENT ON TABLE model_stages AS 'What was in production, and since when: the newest row of a model applies.';
COMMENT ON COLUMN model_stages.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_stages.set_at AS 'When the stage began (UTC).';
COMMENT ON COLUMN model_stages.session_no AS 'Number of the training session that got the stage.';
COMMENT ON COLUMN model_stages.stage AS 'The stage: production, experimental or retired.';
COMMENT ON COLUMN model_stages.set_by AS 'User who set it.';
COMMENT ON COLUMN model_stages.reason AS 'Why, in that user''s words.';
COMMENT ON COLUMN model_stages.gates AS 'Verdicts of the gates at that time, as JSON.';
COMMENT ON TABLE inputs AS 'What sessions read, one row for each read.';
COMMENT ON COLUMN inputs.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN inputs.input_no AS 'Number of the read, from 1.';
COMMENT ON COLUMN inputs.source AS 'Source, path or function that was read.';
COMMENT ON COLUMN inputs.query_text AS 'SQL of the read.';
COMMENT ON COLUMN inputs.row_count AS 'Rows that were read.';
COMMENT ON COLUMN inputs.column_types AS 'Types by column, as JSON.';
COMMENT ON COLUMN inputs.digest AS 'SHA-256 of the rows, with the number of the rule that computed it.';
COMMENT ON COLUMN inputs.seconds AS 'Time of the read, in seconds.';
COMMENT ON TABLE input_columns AS 'Registry of the columns that models may read.';
COMMENT ON COLUMN input_columns.schema_name AS 'Schema of the source table.';
COMMENT ON COLUMN input_columns.table_name AS 'Source table.';
COMMENT ON COLUMN input_columns.column_name AS 'Column of the source table.';
COMMENT ON COLUMN input_columns.is_valid AS 'Whether it may be used.';
COMMENT ON COLUMN input_columns.is_test AS 'Whether it is on trial.';
COMMENT ON COLUMN input_columns.note AS 'Remark of whoever registered it.';
COMMENT ON TABLE input_summary AS 'Distributions of the columns that sessions read.';
COMMENT ON COLUMN input_summary.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN input_summary.variable AS 'Column of the input.';
COMMENT ON COLUMN input_summary.dtype AS 'Type of the column.';
COMMENT ON COLUMN input_summary.mean_value AS 'Mean of a column of numbers.';
COMMENT ON COLUMN input_summary.sd_value AS 'Standard deviation of a column of numbers.';
COMMENT ON COLUMN input_summary.median_value AS 'Median of a column of numbers.';
COMMENT ON COLUMN input_summary.min_value AS 'Minimum of a column of numbers.';
COMMENT ON COLUMN input_summary.max_value AS 'Maximum of a column of numbers.';
COMMENT ON COLUMN input_summary.n AS 'Rows with a value.';
COMMENT ON COLUMN input_summary.n_na AS 'Rows without one.';
COMMENT ON COLUMN input_summary.n_distinct AS 'Different values.';
COMMENT ON COLUMN input_summary.quantiles AS 'Quantiles and edges of bins, as JSON.';
COMMENT ON COLUMN input_summary.bin_counts AS 'Rows by bin or by level, as JSON.';
COMMENT ON TABLE check_results AS 'Checks of the input: one row for each check and column.';
COMMENT ON COLUMN check_results.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN check_results.check_no AS 'Number of the check, from 1.';
COMMENT ON COLUMN check_results.check_name AS 'The check.';
COMMENT ON COLUMN check_results.column_name AS 'Column, or NULL for the whole input.';
COMMENT ON COLUMN check_results.severity AS 'error or warning.';
COMMENT ON COLUMN check_results.passed AS 'Whether the check passed.';
COMMENT ON COLUMN check_results.failing_rows AS 'Rows that failed.';
COMMENT ON COLUMN check_results.failing_sample AS 'Some of these rows, as JSON.';
COMMENT ON COLUMN check_results.message AS 'What was found, in words.';
COMMENT ON TABLE session_params AS 'Parameters of sessions, one row each, to find sessions by their values.';
COMMENT ON COLUMN session_params.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN session_params.param_name AS 'Name of the parameter.';
COMMENT ON COLUMN session_params.param_type AS 'What the value is: number, text, boolean or json.';
COMMENT ON COLUMN session_params.number_value AS 'The number, or 1 for true and 0 for false.';
COMMENT ON COLUMN session_params.text_value AS 'The text, if it is not longer.';
COMMENT ON COLUMN session_params.json_value AS 'The value as JSON: a list, an object, null, or a longer text or number.';
COMMENT ON TABLE session_metadata AS 'Notes of sessions, by group and name.';
COMMENT ON COLUMN session_metadata.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN session_metadata.meta_group AS 'Group of the note.';
COMMENT ON COLUMN session_metadata.meta_name AS 'Name of the note.';
COMMENT ON COLUMN session_metadata.meta_value AS 'The note.';
COMMENT ON TABLE metrics AS 'Metrics of sessions, for the whole data and by segment.';
COMMENT ON COLUMN metrics.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN metrics.metric_name AS 'Name of the metric, such as auc.';
COMMENT ON COLUMN metrics.segment AS 'Segment of the data, empty for all of it.';
COMMENT ON COLUMN metrics.metric_value AS 'Value of the metric.';
COMMENT ON COLUMN metrics.definition_version AS 'Version of the formula, or NULL for a metric that the team defined.';
COMMENT ON TABLE metric_steps AS 'Metrics over the steps of a run, such as epochs: the last value is in metrics.';
COMMENT ON COLUMN metric_steps.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN metric_steps.metric_name AS 'Name of the metric, such as loss.';
COMMENT ON COLUMN metric_steps.segment AS 'Segment of the data, empty for all of it.';
COMMENT ON COLUMN metric_steps.step_no AS 'The step, such as the number of the epoch.';
COMMENT ON COLUMN metric_steps.step_value AS 'Value of the metric.';
COMMENT ON COLUMN metric_steps.logged_at AS 'When it was logged (UTC).';
COMMENT ON TABLE variable_importance AS 'Importance of each variable of a trained model.';
COMMENT ON COLUMN variable_importance.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN variable_importance.kind AS 'How it was computed, such as permutation.';
COMMENT ON COLUMN variable_importance.variable AS 'Variable of the model.';
COMMENT ON COLUMN variable_importance.importance AS 'Importance, in the unit of its kind.';
COMMENT ON COLUMN variable_importance.std AS 'Standard deviation of the importance.';
COMMENT ON COLUMN variable_importance.coefficient AS 'Coefficient of a linear model.';
COMMENT ON TABLE test_curve AS 'Counts of the test rows at each threshold, from the highest score down.';
COMMENT ON COLUMN test_curve.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN test_curve.point_no AS 'Number of the point, from 0.';
COMMENT ON COLUMN test_curve.score AS 'Threshold: rows with this score or more are called.';
COMMENT ON COLUMN test_curve.population AS 'Rows that are called.';
COMMENT ON COLUMN test_curve.target_population AS 'Positive rows among those that are called.';
COMMENT ON COLUMN test_curve.tp AS 'True positives, in rows.';
COMMENT ON COLUMN test_curve.fp AS 'False positives, in rows.';
COMMENT ON COLUMN test_curve.tn AS 'True negatives, in rows.';
COMMENT ON COLUMN test_curve.fn AS 'False negatives, in rows.';
COMMENT ON TABLE backtests AS 'Predicted and actual values of time series.';
COMMENT ON COLUMN backtests.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN backtests.series AS 'Series.';
COMMENT ON COLUMN backtests.period_name AS 'Period, such as 2026-01.';
COMMENT ON COLUMN backtests.predicted AS 'Predicted value, in the unit of the series.';
COMMENT ON COLUMN backtests.actual AS 'Actual value, in the unit of the series.';
COMMENT ON TABLE gate_results AS 'Verdicts of the gates that decide about promotion and publication.';
COMMENT ON COLUMN gate_results.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN gate_results.gate_no AS 'Number of the gate, from 1.';
COMMENT ON COLUMN gate_results.gate AS 'The gate, in words.';
COMMENT ON COLUMN gate_results.kind AS 'Kind of the gate.';
COMMENT ON COLUMN gate_results.verdict AS 'Verdict, such as passed or failed.';
COMMENT ON COLUMN gate_results.reason AS 'Why, in words.';
COMMENT ON COLUMN gate_results.figure AS 'Figure that was judged, in the unit of its metric.';
COMMENT ON COLUMN gate_results.at_least AS 'Lowest figure that passes.';
COMMENT ON COLUMN gate_results.at_most AS 'Highest figure that passes.';
COMMENT ON COLUMN gate_results.margin AS 'How much worse than production still passes.';
COMMENT ON COLUMN gate_results.production_session_id AS 'Session in production, compared with.';
COMMENT ON COLUMN gate_results.production_figure AS 'Figure of the session in production.';
COMMENT ON COLUMN gate_results.difference AS 'Figure minus that of the session in production.';
COMMENT ON COLUMN gate_results.interval_low AS 'Lower end of the difference''s interval.';
COMMENT ON COLUMN gate_results.interval_high AS 'Upper end of it.';
COMMENT ON COLUMN gate_results.interval_method AS 'How the interval was computed.';
COMMENT ON TABLE drift AS 'Drift of inputs, scores and performance against an earlier session.';
COMMENT ON COLUMN drift.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN drift.variable AS 'Variable, score or metric.';
COMMENT ON COLUMN drift.measure AS 'Measure of drift, such as psi.';
COMMENT ON COLUMN drift.drift_value AS 'Drift, in the unit of the measure.';
COMMENT ON COLUMN drift.drift_threshold AS 'Value above which it is an alarm.';
COMMENT ON COLUMN drift.verdict AS 'ok, warning, alarm or unknown.';
COMMENT ON COLUMN drift.reference_session_no AS 'Number of the session compared with.';
COMMENT ON TABLE scores AS 'Scores, one row for each entity and session: the largest table.';
COMMENT ON COLUMN scores.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN scores.entity_id AS 'What was scored, as text.';
COMMENT ON COLUMN scores.score AS 'The score, in the unit of the model.';
COMMENT ON COLUMN scores.score_class AS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN scores.part_no AS 'Part of the session that wrote it.';
COMMENT ON TABLE score_parts AS 'Parts of the scores of a session, each written in one transaction.';
COMMENT ON COLUMN score_parts.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN score_parts.part_no AS 'Number of the part, from 1.';
COMMENT ON COLUMN score_parts.row_count AS 'Rows of the part.';
COMMENT ON COLUMN score_parts.digest AS 'SHA-256 of its rows, in hexadecimal.';
COMMENT ON COLUMN score_parts.attempt AS 'Attempt that wrote it.';
COMMENT ON COLUMN score_parts.written_at AS 'When it was written (UTC).';
COMMENT ON COLUMN score_parts.kept_by AS 'Last attempt that kept it, or NULL if none did.';
COMMENT ON TABLE part_inputs AS 'What each part read, for a retry, until the session has succeeded.';
COMMENT ON COLUMN part_inputs.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN part_inputs.part_no AS 'Number of the part, from 1.';
COMMENT ON COLUMN part_inputs.document AS 'Input, checks and summary, as JSON.';
COMMENT ON TABLE artifacts AS 'Models and other files that sessions saved, with their bytes in artifact_chunks.';
COMMENT ON COLUMN artifacts.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN artifacts.artifact_name AS 'Name of the artifact.';
COMMENT ON COLUMN artifacts.artifact_format AS 'Format, such as skops.';
COMMENT ON COLUMN artifacts.byte_count AS 'Size in bytes.';
COMMENT ON COLUMN artifacts.sha256 AS 'SHA-256 of the bytes, in hexadecimal.';
COMMENT ON COLUMN artifacts.signature AS 'Signature of the bytes, in hexadecimal.';
COMMENT ON COLUMN artifacts.library_versions AS 'Versions of the libraries that wrote it, as JSON.';
COMMENT ON TABLE artifact_chunks AS 'Bytes of artifacts, in pieces of at most 4 MiB.';
COMMENT ON COLUMN artifact_chunks.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN artifact_chunks.artifact_name AS 'Name of the artifact.';
COMMENT ON COLUMN artifact_chunks.chunk_no AS 'Place of the piece.';
COMMENT ON COLUMN artifact_chunks.chunk_bytes AS 'The bytes.';
COMMENT ON TABLE notifications AS 'Notices about sessions, each event once to each channel.';
COMMENT ON COLUMN notifications.session_no AS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN notifications.notice_no AS 'Number of the notice, from 1.';
COMMENT ON COLUMN notifications.event AS 'What happened, such as failed.';
COMMENT ON COLUMN notifications.channel AS 'Target of the settings.';
COMMENT ON COLUMN notifications.sent_at AS 'When it was last sent (UTC).';
COMMENT ON COLUMN notifications.delivered AS 'Whether it was delivered.';
COMMENT ON COLUMN notifications.failure AS 'Why it was not delivered.';
COMMENT ON TABLE audit_events AS 'Audit trail: who did what, and when, as a chain of digests.';
COMMENT ON COLUMN audit_events.event_no AS 'Number of the event, from 1.';
COMMENT ON COLUMN audit_events.event_at AS 'When it happened (UTC).';
COMMENT ON COLUMN audit_events.actor AS 'User who did it.';
COMMENT ON COLUMN audit_events.event_action AS 'What was done, such as promote.';
COMMENT ON COLUMN audit_events.subject AS 'Session or model that it concerns.';
COMMENT ON COLUMN audit_events.detail AS 'Details, as JSON.';
COMMENT ON COLUMN audit_events.previous_digest AS 'Digest of the event before it.';
COMMENT ON COLUMN audit_events.digest AS 'SHA-256 of the event, in hexadecimal.';
COMMENT ON COLUMN audit_events.key_id AS 'Key that signed it, or NULL if not signed.';
COMMENT ON COLUMN audit_events.signature AS 'Signature, in hexadecimal.';
COMMENT ON TABLE seals AS 'Seals of sessions, one chain for each model, which outlive their sessions.';
COMMENT ON COLUMN seals.model_id AS 'Model of the chain.';
COMMENT ON COLUMN seals.seal_no AS 'Place in the chain, from 1.';
COMMENT ON COLUMN seals.session_no AS 'Number of the session that it seals.';
COMMENT ON COLUMN seals.session_id AS 'Session that it seals.';
COMMENT ON COLUMN seals.sealed_at AS 'When it was sealed (UTC).';
COMMENT ON COLUMN seals.manifest AS 'Digests of its rows, as JSON.';
COMMENT ON COLUMN seals.seal AS 'SHA-256 of manifest and previous seal, in hexadecimal.';
COMMENT ON COLUMN seals.key_id AS 'Key that signed it, or NULL if not signed.';
COMMENT ON COLUMN seals.signature AS 'Signature, in hexadecimal.';
COMMENT ON TABLE api_tokens AS 'Tokens of programs and people for the console and its API, by their digests.';
COMMENT ON COLUMN api_tokens.token_id AS 'Public name of the token, the part of it before its secret.';
COMMENT ON COLUMN api_tokens.token_digest AS 'SHA-256 of the token, in hexadecimal.';
COMMENT ON COLUMN api_tokens.token_scope AS 'What it allows: viewer, auditor, writer, deployer or admin.';
COMMENT ON COLUMN api_tokens.owner AS 'Person or program that it stands for.';
COMMENT ON COLUMN api_tokens.description AS 'What it is for.';
COMMENT ON COLUMN api_tokens.created_at AS 'When it was made (UTC).';
COMMENT ON COLUMN api_tokens.created_by AS 'User who made it.';
COMMENT ON COLUMN api_tokens.expires_at AS 'When it ends (UTC).';
COMMENT ON COLUMN api_tokens.revoked_at AS 'When it was revoked (UTC), or NULL.';
COMMENT ON COLUMN api_tokens.revoked_by AS 'User who revoked it, or NULL.';
COMMENT ON TABLE idempotency_keys AS 'Requests of the API that may be retried, each answered once.';
COMMENT ON COLUMN idempotency_keys.key_digest AS 'SHA-256 of caller and Idempotency-Key, in hexadecimal.';
COMMENT ON COLUMN idempotency_keys.request_digest AS 'SHA-256 of method, path, query, type and body, in hexadecimal.';
COMMENT ON COLUMN idempotency_keys.actor AS 'Who sent it.';
COMMENT ON COLUMN idempotency_keys.session_id AS 'Session that it opened or wrote to.';
COMMENT ON COLUMN idempotency_keys.detail AS 'What was fixed before the first write, such as the first part, as JSON.';
COMMENT ON COLUMN idempotency_keys.created_at AS 'When it came (UTC).';
COMMENT ON COLUMN idempotency_keys.answered_at AS 'When it was answered (UTC), or NULL while it is not.';
COMMENT ON COLUMN idempotency_keys.answer_status AS 'HTTP status of the answer.';
COMMENT ON COLUMN idempotency_keys.answer AS 'Body of the answer, as JSON.';
COMMENT ON TABLE mfprefect_version AS 'Revision of the schema, which mfprefect compares with its own.';
COMMENT ON COLUMN mfprefect_version.version_num AS 'The revision.';
COMMENT ON VIEW published_scores AS 'Scores of all published sessions.';
COMMENT ON COLUMN published_scores.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN published_scores.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN published_scores.entity_id AS 'What was scored, as text.';
COMMENT ON COLUMN published_scores.score AS 'The score, in the unit of the model.';
COMMENT ON COLUMN published_scores.score_class AS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN published_scores.as_of AS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN published_scores.published_at AS 'When its scores became visible (UTC), or NULL.';
COMMENT ON VIEW latest_scores AS 'For each model and entity its newest score, whichever session has it.';
COMMENT ON COLUMN latest_scores.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN latest_scores.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN latest_scores.entity_id AS 'What was scored, as text.';
COMMENT ON COLUMN latest_scores.score AS 'The score, in the unit of the model.';
COMMENT ON COLUMN latest_scores.score_class AS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN latest_scores.as_of AS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN latest_scores.published_at AS 'When its scores became visible (UTC), or NULL.';
COMMENT ON VIEW current_scores AS 'For each model the scores of its newest published session.';
COMMENT ON COLUMN current_scores.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN current_scores.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN current_scores.entity_id AS 'What was scored, as text.';
COMMENT ON COLUMN current_scores.score AS 'The score, in the unit of the model.';
COMMENT ON COLUMN current_scores.score_class AS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN current_scores.as_of AS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN current_scores.published_at AS 'When its scores became visible (UTC), or NULL.';
COMMENT ON VIEW session_overview AS 'Sessions, with their origin, parameters and training session.';
COMMENT ON COLUMN session_overview.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN session_overview.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN session_overview.purpose AS 'What it is for: train, score, monitor, adhoc or trial.';
COMMENT ON COLUMN session_overview.status AS 'running, succeeded, failed, crashed or cancelled.';
COMMENT ON COLUMN session_overview.attempt AS 'Number of the last attempt, from 1.';
COMMENT ON COLUMN session_overview.started_at AS 'When the session was opened (UTC).';
COMMENT ON COLUMN session_overview.ended_at AS 'When it ended (UTC), or NULL while it runs.';
COMMENT ON COLUMN session_overview.heartbeat_at AS 'When its process last gave a sign of life (UTC).';
COMMENT ON COLUMN session_overview.run_by AS 'User who ran it.';
COMMENT ON COLUMN session_overview.host AS 'Name of the machine.';
COMMENT ON COLUMN session_overview.vcs AS 'Version control system of the code, such as git.';
COMMENT ON COLUMN session_overview.git_commit AS 'Commit of the code, in hexadecimal.';
COMMENT ON COLUMN session_overview.git_branch AS 'Branch that was checked out.';
COMMENT ON COLUMN session_overview.git_remote AS 'Address of the remote repository.';
COMMENT ON COLUMN session_overview.git_dirty AS 'Whether the code had changes that were not committed.';
COMMENT ON COLUMN session_overview.git_diff_digest AS 'SHA-256 of those changes, in hexadecimal.';
COMMENT ON COLUMN session_overview.as_of AS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN session_overview.params AS 'Parameters, as JSON.';
COMMENT ON COLUMN session_overview.flow_run_id AS 'Flow run in Prefect, or NULL outside of one.';
COMMENT ON COLUMN session_overview.flow_run_seq AS 'Number of the session within its flow run, from 1.';
COMMENT ON COLUMN session_overview.deployment AS 'Deployment in Prefect.';
COMMENT ON COLUMN session_overview.failure_kind AS 'Kind of the failure, such as ValueError.';
COMMENT ON COLUMN session_overview.failure_text AS 'Message of the failure.';
COMMENT ON COLUMN session_overview.published_at AS 'When its scores became visible (UTC), or NULL.';
COMMENT ON COLUMN session_overview.last_exported_at AS 'When its scores were last exported (UTC).';
COMMENT ON COLUMN session_overview.seal AS 'SHA-256 that seals it, in hexadecimal.';
COMMENT ON COLUMN session_overview.previous_seal AS 'Seal before it in the chain of its model.';
COMMENT ON COLUMN session_overview.tags AS 'Tags, as a JSON list.';
COMMENT ON COLUMN session_overview.deletion AS 'While it is being deleted: session, or model if it goes with it.';
COMMENT ON COLUMN session_overview.parent_session_id AS 'Training session whose model it used.';
COMMENT ON VIEW metric_history AS 'Metrics of sessions that succeeded.';
COMMENT ON COLUMN metric_history.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN metric_history.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN metric_history.as_of AS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN metric_history.started_at AS 'When the session was opened (UTC).';
COMMENT ON COLUMN metric_history.metric_name AS 'Name of the metric, such as auc.';
COMMENT ON COLUMN metric_history.segment AS 'Segment of the data, empty for all of it.';
COMMENT ON COLUMN metric_history.metric_value AS 'Value of the metric.';
COMMENT ON COLUMN metric_history.definition_version AS 'Version of the formula, or NULL for a metric that the team defined.';
COMMENT ON VIEW production_models AS 'For each model the session in production.';
COMMENT ON COLUMN production_models.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN production_models.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN production_models.set_at AS 'When the stage began (UTC).';
COMMENT ON COLUMN production_models.set_by AS 'User who set it.';
COMMENT ON COLUMN production_models.reason AS 'Why, in that user''s words.';
COMMENT ON COLUMN production_models.description AS 'What the model predicts.';
COMMENT ON VIEW gate_history AS 'Verdicts of gates, of sessions that succeeded or failed.';
COMMENT ON COLUMN gate_history.model_id AS 'Model, as in models.model_id.';
COMMENT ON COLUMN gate_history.session_id AS 'Name of the session, as people see it.';
COMMENT ON COLUMN gate_history.status AS 'running, succeeded, failed, crashed or cancelled.';
COMMENT ON COLUMN gate_history.started_at AS 'When the session was opened (UTC).';
COMMENT ON COLUMN gate_history.gate_no AS 'Number of the gate, from 1.';
COMMENT ON COLUMN gate_history.gate AS 'The gate, in words.';
COMMENT ON COLUMN gate_history.kind AS 'Kind of the gate.';
COMMENT ON COLUMN gate_history.verdict AS 'Verdict, such as passed or failed.';
COMMENT ON COLUMN gate_history.reason AS 'Why, in words.';
COMMENT ON COLUMN gate_history.figure AS 'Figure that was judged, in the unit of its metric.';
COMMENT ON COLUMN gate_history.at_least AS 'Lowest figure that passes.';
COMMENT ON COLUMN gate_history.at_most AS 'Highest figure that passes.';
COMMENT ON COLUMN gate_history.margin AS 'How much worse than production still passes.';
COMMENT ON COLUMN gate_history.production_session_id AS 'Session in production, compared with.';
COMMENT ON COLUMN gate_history.production_figure AS 'Figure of the session in production.';
COMMENT ON COLUMN gate_history.difference AS 'Figure minus that of the session in production.';
COMMENT ON COLUMN gate_history.interval_low AS 'Lower end of the difference''s interval.';
COMMENT ON COLUMN gate_history.interval_high AS 'Upper end of it.';
COMMENT ON COLUMN gate_history.interval_method AS 'How the interval was computed.';

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
GRANT ALL ON model_factory.session_params TO mfprefect_admin;
GRANT ALL ON model_factory.session_metadata TO mfprefect_admin;
GRANT ALL ON model_factory.metrics TO mfprefect_admin;
GRANT ALL ON model_factory.metric_steps TO mfprefect_admin;
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
GRANT ALL ON model_factory.api_tokens TO mfprefect_admin;
GRANT ALL ON model_factory.idempotency_keys TO mfprefect_admin;
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
GRANT SELECT, INSERT, UPDATE (status, attempt, ended_at, heartbeat_at, suspected_at, host, process_id, process_key, failure_kind, failure_text, published_at, seal, previous_seal, last_exported_at, attempt_started_at, run_by, vcs, git_commit, git_branch, git_remote, git_dirty, git_diff_digest, environment_digest, git_author, params) ON model_factory.sessions TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.session_attempts TO mfprefect_writer;
GRANT SELECT, INSERT ON model_factory.model_stages TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.inputs TO mfprefect_writer;
GRANT SELECT ON model_factory.input_columns TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.input_summary TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.check_results TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.session_params TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.session_metadata TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.metrics TO mfprefect_writer;
GRANT SELECT, INSERT, DELETE ON model_factory.metric_steps TO mfprefect_writer;
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
GRANT SELECT ON model_factory.api_tokens TO mfprefect_writer;
GRANT SELECT, INSERT, UPDATE (session_id, detail, answered_at, answer_status, answer), DELETE ON model_factory.idempotency_keys TO mfprefect_writer;
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
GRANT SELECT ON model_factory.session_params TO mfprefect_auditor;
GRANT SELECT ON model_factory.session_metadata TO mfprefect_auditor;
GRANT SELECT ON model_factory.metrics TO mfprefect_auditor;
GRANT SELECT ON model_factory.metric_steps TO mfprefect_auditor;
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
GRANT SELECT ON model_factory.api_tokens TO mfprefect_auditor;
GRANT SELECT ON model_factory.idempotency_keys TO mfprefect_auditor;
GRANT SELECT ON model_factory.mfprefect_version TO mfprefect_auditor;
GRANT SELECT ON model_factory.published_scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.latest_scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.current_scores TO mfprefect_auditor;
GRANT SELECT ON model_factory.session_overview TO mfprefect_auditor;
GRANT SELECT ON model_factory.metric_history TO mfprefect_auditor;
GRANT SELECT ON model_factory.production_models TO mfprefect_auditor;
GRANT SELECT ON model_factory.gate_history TO mfprefect_auditor;
