BEGIN;

CREATE TABLE mfprefect_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT mfprefect_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE audit_events (
    event_no INTEGER NOT NULL,
    event_at DATETIME NOT NULL,
    actor VARCHAR(128) NOT NULL,
    event_action VARCHAR(32) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    detail TEXT NOT NULL,
    previous_digest VARCHAR(64),
    digest VARCHAR(64) NOT NULL,
    PRIMARY KEY (event_no)
);

CREATE TABLE environments (
    environment_digest VARCHAR(64) NOT NULL,
    python_version VARCHAR(128) NOT NULL,
    platform_name VARCHAR(255) NOT NULL,
    packages TEXT NOT NULL,
    PRIMARY KEY (environment_digest)
);

CREATE TABLE input_columns (
    schema_name VARCHAR(128) NOT NULL,
    table_name VARCHAR(128) NOT NULL,
    column_name VARCHAR(128) NOT NULL,
    is_valid BOOLEAN NOT NULL,
    is_test BOOLEAN NOT NULL,
    note TEXT,
    PRIMARY KEY (schema_name, table_name, column_name)
);

CREATE TABLE models (
    model_id VARCHAR(64) NOT NULL,
    description TEXT NOT NULL,
    entity_type VARCHAR(128) NOT NULL,
    owner VARCHAR(128) NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (model_id)
);

CREATE TABLE scores (
    session_no INTEGER NOT NULL,
    entity_id VARCHAR(255) NOT NULL,
    score DOUBLE_BLOB NOT NULL,
    score_class VARCHAR(128),
    part_no INTEGER NOT NULL,
    PRIMARY KEY (session_no, entity_id)
)
 WITHOUT ROWID;

CREATE TABLE model_thresholds (
    model_id VARCHAR(64) NOT NULL,
    set_at DATETIME NOT NULL,
    threshold_value DOUBLE_BLOB NOT NULL,
    threshold_kind VARCHAR(16) NOT NULL,
    set_by VARCHAR(128) NOT NULL,
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES models (model_id)
);

CREATE TABLE sessions (
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) NOT NULL,
    model_id VARCHAR(64) NOT NULL,
    purpose VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    attempt INTEGER NOT NULL,
    started_at DATETIME NOT NULL,
    ended_at DATETIME,
    heartbeat_at DATETIME NOT NULL,
    run_by VARCHAR(128) NOT NULL,
    host VARCHAR(255) NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8),
    git_commit VARCHAR(64),
    git_branch VARCHAR(255),
    git_remote TEXT,
    git_dirty BOOLEAN,
    git_diff_digest VARCHAR(64),
    environment_digest VARCHAR(64) NOT NULL,
    as_of DATE,
    params TEXT NOT NULL,
    flow_run_id VARCHAR(64),
    flow_run_seq INTEGER,
    deployment VARCHAR(255),
    parent_session_no INTEGER,
    failure_kind VARCHAR(255),
    failure_text TEXT,
    published_at DATETIME,
    last_exported_at DATETIME,
    seal VARCHAR(64),
    previous_seal VARCHAR(64),
    PRIMARY KEY (session_no),
    FOREIGN KEY(environment_digest) REFERENCES environments (environment_digest),
    FOREIGN KEY(model_id) REFERENCES models (model_id),
    CONSTRAINT uq_sessions_flow_run UNIQUE (flow_run_id, flow_run_seq),
    UNIQUE (session_id)
);

CREATE INDEX ix_sessions_model ON sessions (model_id, session_no);

CREATE INDEX ix_sessions_status ON sessions (status, heartbeat_at);

CREATE TABLE artifact_chunks (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) NOT NULL,
    chunk_no INTEGER NOT NULL,
    chunk_bytes BLOB NOT NULL,
    PRIMARY KEY (session_no, artifact_name, chunk_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE artifacts (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) NOT NULL,
    artifact_format VARCHAR(32) NOT NULL,
    byte_count BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    signature VARCHAR(64),
    library_versions TEXT NOT NULL,
    PRIMARY KEY (session_no, artifact_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE backtests (
    session_no INTEGER NOT NULL,
    series VARCHAR(128) NOT NULL,
    period_name VARCHAR(64) NOT NULL,
    predicted DOUBLE_BLOB,
    actual DOUBLE_BLOB,
    PRIMARY KEY (session_no, series, period_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE check_results (
    session_no INTEGER NOT NULL,
    check_no INTEGER NOT NULL,
    check_name VARCHAR(255) NOT NULL,
    column_name VARCHAR(255),
    severity VARCHAR(16) NOT NULL,
    passed BOOLEAN NOT NULL,
    failing_rows BIGINT NOT NULL,
    failing_sample TEXT,
    message TEXT NOT NULL,
    PRIMARY KEY (session_no, check_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE drift (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) NOT NULL,
    measure VARCHAR(64) NOT NULL,
    drift_value DOUBLE_BLOB,
    drift_threshold DOUBLE_BLOB,
    verdict VARCHAR(16) NOT NULL,
    reference_session_no INTEGER,
    PRIMARY KEY (session_no, variable, measure),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE input_summary (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) NOT NULL,
    dtype VARCHAR(64) NOT NULL,
    mean_value DOUBLE_BLOB,
    sd_value DOUBLE_BLOB,
    median_value DOUBLE_BLOB,
    min_value DOUBLE_BLOB,
    max_value DOUBLE_BLOB,
    n BIGINT NOT NULL,
    n_na BIGINT NOT NULL,
    n_distinct BIGINT NOT NULL,
    quantiles TEXT,
    bin_counts TEXT,
    PRIMARY KEY (session_no, variable),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE inputs (
    session_no INTEGER NOT NULL,
    input_no INTEGER NOT NULL,
    source VARCHAR(255) NOT NULL,
    query_text TEXT,
    row_count BIGINT,
    column_types TEXT,
    digest VARCHAR(64),
    seconds DOUBLE_BLOB NOT NULL,
    PRIMARY KEY (session_no, input_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE metrics (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) NOT NULL,
    segment VARCHAR(128) NOT NULL,
    metric_value DOUBLE_BLOB NOT NULL,
    definition_version INTEGER,
    PRIMARY KEY (session_no, metric_name, segment),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE model_stages (
    model_id VARCHAR(64) NOT NULL,
    set_at DATETIME NOT NULL,
    session_no INTEGER NOT NULL,
    stage VARCHAR(16) NOT NULL,
    set_by VARCHAR(128) NOT NULL,
    reason TEXT,
    gates TEXT,
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES models (model_id),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE notifications (
    session_no INTEGER NOT NULL,
    notice_no INTEGER NOT NULL,
    event VARCHAR(32) NOT NULL,
    channel VARCHAR(255) NOT NULL,
    sent_at DATETIME NOT NULL,
    delivered BOOLEAN NOT NULL,
    failure TEXT,
    PRIMARY KEY (session_no, notice_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE score_parts (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    written_at DATETIME NOT NULL,
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE session_metadata (
    session_no INTEGER NOT NULL,
    meta_group VARCHAR(128) NOT NULL,
    meta_name VARCHAR(128) NOT NULL,
    meta_value TEXT NOT NULL,
    PRIMARY KEY (session_no, meta_group, meta_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE test_curve (
    session_no INTEGER NOT NULL,
    point_no INTEGER NOT NULL,
    score DOUBLE_BLOB NOT NULL,
    population BIGINT NOT NULL,
    target_population BIGINT NOT NULL,
    tp BIGINT NOT NULL,
    fp BIGINT NOT NULL,
    tn BIGINT NOT NULL,
    fn BIGINT NOT NULL,
    PRIMARY KEY (session_no, point_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE variable_importance (
    session_no INTEGER NOT NULL,
    kind VARCHAR(64) NOT NULL,
    variable VARCHAR(255) NOT NULL,
    importance DOUBLE_BLOB,
    std DOUBLE_BLOB,
    coefficient DOUBLE_BLOB,
    PRIMARY KEY (session_no, kind, variable),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

INSERT INTO mfprefect_version (version_num) VALUES ('0001') RETURNING version_num;

-- Running upgrade 0001 -> 0002

ALTER TABLE models ADD COLUMN max_age_seconds BIGINT;

ALTER TABLE sessions ADD COLUMN tags TEXT;

ALTER TABLE sessions ADD COLUMN suspected_at DATETIME;

CREATE UNIQUE INDEX uq_notifications_fact ON notifications (session_no, event, channel);

UPDATE mfprefect_version SET version_num='0002' WHERE mfprefect_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE seals (
    model_id VARCHAR(64) NOT NULL,
    seal_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) NOT NULL,
    sealed_at DATETIME NOT NULL,
    manifest TEXT NOT NULL,
    seal VARCHAR(64) NOT NULL,
    key_id VARCHAR(32),
    signature VARCHAR(128),
    PRIMARY KEY (model_id, seal_no)
);

CREATE INDEX ix_seals_session ON seals (session_no);

ALTER TABLE audit_events ADD COLUMN key_id VARCHAR(32);

ALTER TABLE audit_events ADD COLUMN signature VARCHAR(128);

CREATE INDEX ix_audit_events_subject ON audit_events (subject, event_no);

UPDATE mfprefect_version SET version_num='0003' WHERE mfprefect_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE gate_results (
    session_no INTEGER NOT NULL,
    gate_no INTEGER NOT NULL,
    gate VARCHAR(1024) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    verdict VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL,
    figure DOUBLE_BLOB,
    at_least DOUBLE_BLOB,
    at_most DOUBLE_BLOB,
    margin DOUBLE_BLOB,
    production_session_id VARCHAR(96),
    production_figure DOUBLE_BLOB,
    difference DOUBLE_BLOB,
    interval_low DOUBLE_BLOB,
    interval_high DOUBLE_BLOB,
    interval_method VARCHAR(255),
    PRIMARY KEY (session_no, gate_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE part_inputs (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

ALTER TABLE sessions ADD COLUMN deletion VARCHAR(16);

UPDATE mfprefect_version SET version_num='0004' WHERE mfprefect_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

CREATE TABLE session_attempts (
    session_no INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status VARCHAR(16) NOT NULL,
    started_at DATETIME,
    ended_at DATETIME,
    failure_kind VARCHAR(255),
    failure_text TEXT,
    run_by VARCHAR(128),
    host VARCHAR(255) NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8),
    git_commit VARCHAR(64),
    git_branch VARCHAR(255),
    git_remote TEXT,
    git_dirty BOOLEAN,
    git_diff_digest VARCHAR(64),
    environment_digest VARCHAR(64),
    PRIMARY KEY (session_no, attempt),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

ALTER TABLE sessions ADD COLUMN attempt_started_at DATETIME;

ALTER TABLE score_parts ADD COLUMN kept_by INTEGER;

UPDATE mfprefect_version SET version_num='0005' WHERE mfprefect_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE mfprefect_version SET version_num='0006' WHERE mfprefect_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

ALTER TABLE sessions ADD COLUMN process_key VARCHAR(128);

UPDATE mfprefect_version SET version_num='0007' WHERE mfprefect_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

UPDATE mfprefect_version SET version_num='0008' WHERE mfprefect_version.version_num = '0007';

-- Running upgrade 0008 -> 0009

UPDATE mfprefect_version SET version_num='0009' WHERE mfprefect_version.version_num = '0008';

-- Running upgrade 0009 -> 0010

CREATE TABLE api_tokens (
    token_id VARCHAR(16) NOT NULL,
    token_digest VARCHAR(64) NOT NULL,
    token_scope VARCHAR(16) NOT NULL,
    owner VARCHAR(128) NOT NULL,
    description TEXT,
    created_at DATETIME NOT NULL,
    created_by VARCHAR(128) NOT NULL,
    expires_at DATETIME NOT NULL,
    revoked_at DATETIME,
    revoked_by VARCHAR(128),
    PRIMARY KEY (token_id)
);

CREATE TABLE idempotency_keys (
    key_digest VARCHAR(64) NOT NULL,
    request_digest VARCHAR(64) NOT NULL,
    actor VARCHAR(128) NOT NULL,
    session_id VARCHAR(96),
    detail TEXT,
    created_at DATETIME NOT NULL,
    answered_at DATETIME,
    answer_status INTEGER,
    answer TEXT,
    PRIMARY KEY (key_digest)
);

CREATE INDEX ix_idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE metric_steps (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) NOT NULL,
    segment VARCHAR(128) NOT NULL,
    step_no BIGINT NOT NULL,
    step_value DOUBLE_BLOB NOT NULL,
    logged_at DATETIME NOT NULL,
    PRIMARY KEY (session_no, metric_name, segment, step_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE TABLE session_params (
    session_no INTEGER NOT NULL,
    param_name VARCHAR(255) NOT NULL,
    param_type VARCHAR(16) NOT NULL,
    number_value DOUBLE_BLOB,
    text_value VARCHAR(255),
    json_value TEXT,
    PRIMARY KEY (session_no, param_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
);

CREATE INDEX ix_session_params_number ON session_params (param_name, number_value, session_no);

CREATE INDEX ix_session_params_text ON session_params (param_name, text_value, session_no);

ALTER TABLE sessions ADD COLUMN git_author VARCHAR(255);

ALTER TABLE session_attempts ADD COLUMN git_author VARCHAR(255);

CREATE INDEX ix_metrics_value ON metrics (metric_name, segment, metric_value, session_no);

UPDATE mfprefect_version SET version_num='0010' WHERE mfprefect_version.version_num = '0009';

COMMIT;

CREATE VIEW published_scores AS SELECT sessions.model_id, sessions.session_id, scores.entity_id, scores.score, scores.score_class, sessions.as_of, sessions.published_at
FROM sessions JOIN scores ON sessions.session_no = scores.session_no
WHERE sessions.published_at IS NOT NULL;

CREATE VIEW latest_scores AS SELECT ranked.model_id, ranked.session_id, ranked.entity_id, ranked.score, ranked.score_class, ranked.as_of, ranked.published_at
FROM (SELECT ordered.model_id AS model_id, ordered.session_id AS session_id, scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class, ordered.as_of AS as_of, ordered.published_at AS published_at, row_number() OVER (PARTITION BY ordered.model_id, scores.entity_id ORDER BY ordered.place) AS recency
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.as_of AS as_of, sessions.published_at AS published_at, sessions.session_no AS session_no, row_number() OVER (PARTITION BY sessions.model_id ORDER BY coalesce(sessions.as_of, date(sessions.started_at)) DESC, sessions.published_at DESC, sessions.session_no DESC) AS place
FROM sessions
WHERE sessions.published_at IS NOT NULL) AS ordered JOIN scores ON ordered.session_no = scores.session_no) AS ranked
WHERE ranked.recency = 1;

CREATE VIEW current_scores AS SELECT ordered.model_id, ordered.session_id, scores.entity_id, scores.score, scores.score_class, ordered.as_of, ordered.published_at
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.as_of AS as_of, sessions.published_at AS published_at, sessions.session_no AS session_no, row_number() OVER (PARTITION BY sessions.model_id ORDER BY coalesce(sessions.as_of, date(sessions.started_at)) DESC, sessions.published_at DESC, sessions.session_no DESC) AS place
FROM sessions
WHERE sessions.published_at IS NOT NULL) AS ordered JOIN scores ON ordered.session_no = scores.session_no
WHERE ordered.place = 1;

CREATE VIEW session_overview AS SELECT sessions.session_id, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.deletion, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no;

CREATE VIEW metric_history AS SELECT sessions.model_id, sessions.session_id, sessions.as_of, sessions.started_at, metrics.metric_name, metrics.segment, metrics.metric_value, metrics.definition_version
FROM sessions JOIN metrics ON sessions.session_no = metrics.session_no
WHERE sessions.status = 'succeeded';

CREATE VIEW production_models AS SELECT ranked.model_id, sessions.session_id, ranked.set_at, ranked.set_by, ranked.reason, ranked.description
FROM (SELECT model_stages.model_id AS model_id, model_stages.set_at AS set_at, model_stages.session_no AS session_no, model_stages.stage AS stage, model_stages.set_by AS set_by, model_stages.reason AS reason, model_stages.gates AS gates, models.description AS description, rank() OVER (PARTITION BY model_stages.model_id ORDER BY model_stages.set_at DESC) AS recency
FROM model_stages JOIN models ON model_stages.model_id = models.model_id) AS ranked JOIN sessions ON ranked.session_no = sessions.session_no
WHERE ranked.stage = 'production' AND ranked.recency = 1;

CREATE VIEW gate_history AS SELECT verdicts.model_id, verdicts.session_id, verdicts.status, verdicts.started_at, verdicts.gate_no, verdicts.gate, verdicts.kind, verdicts.verdict, verdicts.reason, verdicts.figure, verdicts.at_least, verdicts.at_most, verdicts.margin, verdicts.production_session_id, verdicts.production_figure, verdicts.difference, verdicts.interval_low, verdicts.interval_high, verdicts.interval_method
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.status AS status, sessions.started_at AS started_at, gate_results.gate_no AS gate_no, gate_results.gate AS gate, gate_results.kind AS kind, gate_results.verdict AS verdict, gate_results.reason AS reason, gate_results.figure AS figure, gate_results.at_least AS at_least, gate_results.at_most AS at_most, gate_results.margin AS margin, gate_results.production_session_id AS production_session_id, gate_results.production_figure AS production_figure, gate_results.difference AS difference, gate_results.interval_low AS interval_low, gate_results.interval_high AS interval_high, gate_results.interval_method AS interval_method
FROM sessions JOIN gate_results ON sessions.session_no = gate_results.session_no
WHERE sessions.status IN ('succeeded', 'failed') UNION ALL SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.status AS status, sessions.started_at AS started_at, legacy.place AS place, legacy.gate AS gate, legacy.kind AS kind, legacy.verdict AS verdict, legacy.reason AS reason, legacy.figure AS figure, legacy.at_least AS at_least, legacy.at_most AS at_most, legacy.margin AS margin, legacy.production_session_id AS production_session_id, legacy.production_figure AS production_figure, legacy.difference AS difference, legacy.interval_low AS interval_low, legacy.interval_high AS interval_high, legacy.interval_method AS interval_method
FROM sessions JOIN (SELECT documents.session_no, listed.key + 1 AS place, json_extract(listed.value, '$.gate') AS gate, json_extract(listed.value, '$.kind') AS kind, json_extract(listed.value, '$.verdict') AS verdict, json_extract(listed.value, '$.reason') AS reason, json_extract(listed.value, '$.figure') AS figure, json_extract(listed.value, '$.at_least') AS at_least, json_extract(listed.value, '$.at_most') AS at_most, json_extract(listed.value, '$.margin') AS margin, json_extract(listed.value, '$.production_session_id') AS production_session_id, json_extract(listed.value, '$.production_figure') AS production_figure, json_extract(listed.value, '$.difference') AS difference, json_extract(listed.value, '$.low') AS interval_low, json_extract(listed.value, '$.high') AS interval_high, json_extract(listed.value, '$.method') AS interval_method FROM (SELECT session_metadata.session_no, session_metadata.meta_value AS document
FROM sessions JOIN session_metadata ON sessions.session_no = session_metadata.session_no
WHERE sessions.status IN ('succeeded', 'failed') AND session_metadata.meta_group = 'gates' AND session_metadata.meta_name = 'verdicts' AND NOT (EXISTS (SELECT *
FROM gate_results
WHERE gate_results.session_no = session_metadata.session_no))) AS documents JOIN json_each(documents.document) AS listed) AS legacy ON sessions.session_no = legacy.session_no) AS verdicts;

-- SQLite has no users and no rights: everybody who can write the file can change
-- everything in it, and everybody who can read it sees everything. Only the
-- permissions of the file, of its -wal and -shm, and of its folder limit access:
-- chmod 640, and a group for readers. `mfprefect audit verify` detects changes.
