CREATE SCHEMA IF NOT EXISTS model_factory;

BEGIN;

CREATE TABLE model_factory.mfprefect_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT mfprefect_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE model_factory.audit_events (
    event_no INTEGER NOT NULL,
    event_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    actor VARCHAR(128) COLLATE "C" NOT NULL,
    event_action VARCHAR(32) COLLATE "C" NOT NULL,
    subject VARCHAR(255) COLLATE "C" NOT NULL,
    detail TEXT NOT NULL,
    previous_digest VARCHAR(64) COLLATE "C",
    digest VARCHAR(64) COLLATE "C" NOT NULL,
    PRIMARY KEY (event_no)
);

CREATE TABLE model_factory.environments (
    environment_digest VARCHAR(64) COLLATE "C" NOT NULL,
    python_version VARCHAR(128) COLLATE "C" NOT NULL,
    platform_name VARCHAR(255) COLLATE "C" NOT NULL,
    packages TEXT NOT NULL,
    PRIMARY KEY (environment_digest)
);

CREATE TABLE model_factory.input_columns (
    schema_name VARCHAR(128) COLLATE "C" NOT NULL,
    table_name VARCHAR(128) COLLATE "C" NOT NULL,
    column_name VARCHAR(128) COLLATE "C" NOT NULL,
    is_valid BOOLEAN NOT NULL,
    is_test BOOLEAN NOT NULL,
    note TEXT,
    PRIMARY KEY (schema_name, table_name, column_name)
);

CREATE TABLE model_factory.models (
    model_id VARCHAR(64) COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    entity_type VARCHAR(128) COLLATE "C" NOT NULL,
    owner VARCHAR(128) COLLATE "C" NOT NULL,
    created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    PRIMARY KEY (model_id)
);

CREATE TABLE model_factory.scores (
    session_no INTEGER NOT NULL,
    entity_id VARCHAR(255) COLLATE "C" NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    score_class VARCHAR(128) COLLATE "C",
    part_no INTEGER NOT NULL,
    PRIMARY KEY (session_no, entity_id)
);

CREATE TABLE model_factory.model_thresholds (
    model_id VARCHAR(64) COLLATE "C" NOT NULL,
    set_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    threshold_value DOUBLE PRECISION NOT NULL,
    threshold_kind VARCHAR(16) COLLATE "C" NOT NULL,
    set_by VARCHAR(128) COLLATE "C" NOT NULL,
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES model_factory.models (model_id)
);

CREATE TABLE model_factory.sessions (
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) COLLATE "C" NOT NULL,
    model_id VARCHAR(64) COLLATE "C" NOT NULL,
    purpose VARCHAR(16) COLLATE "C" NOT NULL,
    status VARCHAR(16) COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    started_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITHOUT TIME ZONE,
    heartbeat_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    run_by VARCHAR(128) COLLATE "C" NOT NULL,
    host VARCHAR(255) COLLATE "C" NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8) COLLATE "C",
    git_commit VARCHAR(64) COLLATE "C",
    git_branch VARCHAR(255) COLLATE "C",
    git_remote TEXT,
    git_dirty BOOLEAN,
    git_diff_digest VARCHAR(64) COLLATE "C",
    environment_digest VARCHAR(64) COLLATE "C" NOT NULL,
    as_of DATE,
    params TEXT NOT NULL,
    flow_run_id VARCHAR(64) COLLATE "C",
    flow_run_seq INTEGER,
    deployment VARCHAR(255) COLLATE "C",
    parent_session_no INTEGER,
    failure_kind VARCHAR(255) COLLATE "C",
    failure_text TEXT,
    published_at TIMESTAMP WITHOUT TIME ZONE,
    last_exported_at TIMESTAMP WITHOUT TIME ZONE,
    seal VARCHAR(64) COLLATE "C",
    previous_seal VARCHAR(64) COLLATE "C",
    PRIMARY KEY (session_no),
    FOREIGN KEY(environment_digest) REFERENCES model_factory.environments (environment_digest),
    FOREIGN KEY(model_id) REFERENCES model_factory.models (model_id),
    CONSTRAINT uq_sessions_flow_run UNIQUE (flow_run_id, flow_run_seq),
    UNIQUE (session_id)
);

CREATE INDEX ix_sessions_model ON model_factory.sessions (model_id, session_no);

CREATE INDEX ix_sessions_status ON model_factory.sessions (status, heartbeat_at);

CREATE TABLE model_factory.artifact_chunks (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) COLLATE "C" NOT NULL,
    chunk_no INTEGER NOT NULL,
    chunk_bytes BYTEA NOT NULL,
    PRIMARY KEY (session_no, artifact_name, chunk_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.artifacts (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) COLLATE "C" NOT NULL,
    artifact_format VARCHAR(32) COLLATE "C" NOT NULL,
    byte_count BIGINT NOT NULL,
    sha256 VARCHAR(64) COLLATE "C" NOT NULL,
    signature VARCHAR(64) COLLATE "C",
    library_versions TEXT NOT NULL,
    PRIMARY KEY (session_no, artifact_name),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.backtests (
    session_no INTEGER NOT NULL,
    series VARCHAR(128) COLLATE "C" NOT NULL,
    period_name VARCHAR(64) COLLATE "C" NOT NULL,
    predicted DOUBLE PRECISION,
    actual DOUBLE PRECISION,
    PRIMARY KEY (session_no, series, period_name),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.check_results (
    session_no INTEGER NOT NULL,
    check_no INTEGER NOT NULL,
    check_name VARCHAR(255) COLLATE "C" NOT NULL,
    column_name VARCHAR(255) COLLATE "C",
    severity VARCHAR(16) COLLATE "C" NOT NULL,
    passed BOOLEAN NOT NULL,
    failing_rows BIGINT NOT NULL,
    failing_sample TEXT,
    message TEXT NOT NULL,
    PRIMARY KEY (session_no, check_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.drift (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) COLLATE "C" NOT NULL,
    measure VARCHAR(64) COLLATE "C" NOT NULL,
    drift_value DOUBLE PRECISION,
    drift_threshold DOUBLE PRECISION,
    verdict VARCHAR(16) COLLATE "C" NOT NULL,
    reference_session_no INTEGER,
    PRIMARY KEY (session_no, variable, measure),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.input_summary (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) COLLATE "C" NOT NULL,
    dtype VARCHAR(64) COLLATE "C" NOT NULL,
    mean_value DOUBLE PRECISION,
    sd_value DOUBLE PRECISION,
    median_value DOUBLE PRECISION,
    min_value DOUBLE PRECISION,
    max_value DOUBLE PRECISION,
    n BIGINT NOT NULL,
    n_na BIGINT NOT NULL,
    n_distinct BIGINT NOT NULL,
    quantiles TEXT,
    bin_counts TEXT,
    PRIMARY KEY (session_no, variable),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.inputs (
    session_no INTEGER NOT NULL,
    input_no INTEGER NOT NULL,
    source VARCHAR(255) COLLATE "C" NOT NULL,
    query_text TEXT,
    row_count BIGINT,
    column_types TEXT,
    digest VARCHAR(64) COLLATE "C",
    seconds DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (session_no, input_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.metrics (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) COLLATE "C" NOT NULL,
    segment VARCHAR(128) COLLATE "C" NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    definition_version INTEGER,
    PRIMARY KEY (session_no, metric_name, segment),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.model_stages (
    model_id VARCHAR(64) COLLATE "C" NOT NULL,
    set_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    session_no INTEGER NOT NULL,
    stage VARCHAR(16) COLLATE "C" NOT NULL,
    set_by VARCHAR(128) COLLATE "C" NOT NULL,
    reason TEXT,
    gates TEXT,
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES model_factory.models (model_id),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.notifications (
    session_no INTEGER NOT NULL,
    notice_no INTEGER NOT NULL,
    event VARCHAR(32) COLLATE "C" NOT NULL,
    channel VARCHAR(255) COLLATE "C" NOT NULL,
    sent_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    delivered BOOLEAN NOT NULL,
    failure TEXT,
    PRIMARY KEY (session_no, notice_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.score_parts (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    digest VARCHAR(64) COLLATE "C" NOT NULL,
    attempt INTEGER NOT NULL,
    written_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.session_metadata (
    session_no INTEGER NOT NULL,
    meta_group VARCHAR(128) COLLATE "C" NOT NULL,
    meta_name VARCHAR(128) COLLATE "C" NOT NULL,
    meta_value TEXT NOT NULL,
    PRIMARY KEY (session_no, meta_group, meta_name),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.test_curve (
    session_no INTEGER NOT NULL,
    point_no INTEGER NOT NULL,
    score DOUBLE PRECISION NOT NULL,
    population BIGINT NOT NULL,
    target_population BIGINT NOT NULL,
    tp BIGINT NOT NULL,
    fp BIGINT NOT NULL,
    tn BIGINT NOT NULL,
    fn BIGINT NOT NULL,
    PRIMARY KEY (session_no, point_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.variable_importance (
    session_no INTEGER NOT NULL,
    kind VARCHAR(64) COLLATE "C" NOT NULL,
    variable VARCHAR(255) COLLATE "C" NOT NULL,
    importance DOUBLE PRECISION,
    std DOUBLE PRECISION,
    coefficient DOUBLE PRECISION,
    PRIMARY KEY (session_no, kind, variable),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

INSERT INTO model_factory.mfprefect_version (version_num) VALUES ('0001') RETURNING model_factory.mfprefect_version.version_num;

-- Running upgrade 0001 -> 0002

ALTER TABLE model_factory.models ADD COLUMN max_age_seconds BIGINT;

ALTER TABLE model_factory.sessions ADD COLUMN tags TEXT;

ALTER TABLE model_factory.sessions ADD COLUMN suspected_at TIMESTAMP WITHOUT TIME ZONE;

CREATE UNIQUE INDEX uq_notifications_fact ON model_factory.notifications (session_no, event, channel);

UPDATE model_factory.mfprefect_version SET version_num='0002' WHERE model_factory.mfprefect_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE model_factory.seals (
    model_id VARCHAR(64) COLLATE "C" NOT NULL,
    seal_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) COLLATE "C" NOT NULL,
    sealed_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    manifest TEXT NOT NULL,
    seal VARCHAR(64) COLLATE "C" NOT NULL,
    key_id VARCHAR(32) COLLATE "C",
    signature VARCHAR(128) COLLATE "C",
    PRIMARY KEY (model_id, seal_no)
);

CREATE INDEX ix_seals_session ON model_factory.seals (session_no);

ALTER TABLE model_factory.audit_events ADD COLUMN key_id VARCHAR(32) COLLATE "C";

ALTER TABLE model_factory.audit_events ADD COLUMN signature VARCHAR(128) COLLATE "C";

CREATE INDEX ix_audit_events_subject ON model_factory.audit_events (subject, event_no);

UPDATE model_factory.mfprefect_version SET version_num='0003' WHERE model_factory.mfprefect_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE model_factory.gate_results (
    session_no INTEGER NOT NULL,
    gate_no INTEGER NOT NULL,
    gate VARCHAR(1024) COLLATE "C" NOT NULL,
    kind VARCHAR(64) COLLATE "C" NOT NULL,
    verdict VARCHAR(16) COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    figure DOUBLE PRECISION,
    at_least DOUBLE PRECISION,
    at_most DOUBLE PRECISION,
    margin DOUBLE PRECISION,
    production_session_id VARCHAR(96) COLLATE "C",
    production_figure DOUBLE PRECISION,
    difference DOUBLE PRECISION,
    interval_low DOUBLE PRECISION,
    interval_high DOUBLE PRECISION,
    interval_method VARCHAR(255) COLLATE "C",
    PRIMARY KEY (session_no, gate_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.part_inputs (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

ALTER TABLE model_factory.sessions ADD COLUMN deletion VARCHAR(16) COLLATE "C";

UPDATE model_factory.mfprefect_version SET version_num='0004' WHERE model_factory.mfprefect_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

CREATE TABLE model_factory.session_attempts (
    session_no INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status VARCHAR(16) COLLATE "C" NOT NULL,
    started_at TIMESTAMP WITHOUT TIME ZONE,
    ended_at TIMESTAMP WITHOUT TIME ZONE,
    failure_kind VARCHAR(255) COLLATE "C",
    failure_text TEXT,
    run_by VARCHAR(128) COLLATE "C",
    host VARCHAR(255) COLLATE "C" NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8) COLLATE "C",
    git_commit VARCHAR(64) COLLATE "C",
    git_branch VARCHAR(255) COLLATE "C",
    git_remote TEXT,
    git_dirty BOOLEAN,
    git_diff_digest VARCHAR(64) COLLATE "C",
    environment_digest VARCHAR(64) COLLATE "C",
    PRIMARY KEY (session_no, attempt),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

ALTER TABLE model_factory.sessions ADD COLUMN attempt_started_at TIMESTAMP WITHOUT TIME ZONE;

ALTER TABLE model_factory.score_parts ADD COLUMN kept_by INTEGER;

UPDATE model_factory.mfprefect_version SET version_num='0005' WHERE model_factory.mfprefect_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE model_factory.mfprefect_version SET version_num='0006' WHERE model_factory.mfprefect_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

ALTER TABLE model_factory.sessions ADD COLUMN process_key VARCHAR(128) COLLATE "C";

UPDATE model_factory.mfprefect_version SET version_num='0007' WHERE model_factory.mfprefect_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

UPDATE model_factory.mfprefect_version SET version_num='0008' WHERE model_factory.mfprefect_version.version_num = '0007';

-- Running upgrade 0008 -> 0009

UPDATE model_factory.mfprefect_version SET version_num='0009' WHERE model_factory.mfprefect_version.version_num = '0008';

-- Running upgrade 0009 -> 0010

CREATE TABLE model_factory.api_tokens (
    token_id VARCHAR(16) COLLATE "C" NOT NULL,
    token_digest VARCHAR(64) COLLATE "C" NOT NULL,
    token_scope VARCHAR(16) COLLATE "C" NOT NULL,
    owner VARCHAR(128) COLLATE "C" NOT NULL,
    description TEXT,
    created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    created_by VARCHAR(128) COLLATE "C" NOT NULL,
    expires_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITHOUT TIME ZONE,
    revoked_by VARCHAR(128) COLLATE "C",
    PRIMARY KEY (token_id)
);

CREATE TABLE model_factory.idempotency_keys (
    key_digest VARCHAR(64) COLLATE "C" NOT NULL,
    request_digest VARCHAR(64) COLLATE "C" NOT NULL,
    actor VARCHAR(128) COLLATE "C" NOT NULL,
    session_id VARCHAR(96) COLLATE "C",
    detail TEXT,
    created_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    answered_at TIMESTAMP WITHOUT TIME ZONE,
    answer_status INTEGER,
    answer TEXT,
    PRIMARY KEY (key_digest)
);

CREATE INDEX ix_idempotency_keys_created ON model_factory.idempotency_keys (created_at);

CREATE TABLE model_factory.metric_steps (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) COLLATE "C" NOT NULL,
    segment VARCHAR(128) COLLATE "C" NOT NULL,
    step_no BIGINT NOT NULL,
    step_value DOUBLE PRECISION NOT NULL,
    logged_at TIMESTAMP WITHOUT TIME ZONE NOT NULL,
    PRIMARY KEY (session_no, metric_name, segment, step_no),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE TABLE model_factory.session_params (
    session_no INTEGER NOT NULL,
    param_name VARCHAR(255) COLLATE "C" NOT NULL,
    param_type VARCHAR(16) COLLATE "C" NOT NULL,
    number_value DOUBLE PRECISION,
    text_value VARCHAR(255) COLLATE "C",
    json_value TEXT,
    PRIMARY KEY (session_no, param_name),
    FOREIGN KEY(session_no) REFERENCES model_factory.sessions (session_no)
);

CREATE INDEX ix_session_params_number ON model_factory.session_params (param_name, number_value, session_no);

CREATE INDEX ix_session_params_text ON model_factory.session_params (param_name, text_value, session_no);

ALTER TABLE model_factory.sessions ADD COLUMN git_author VARCHAR(255) COLLATE "C";

ALTER TABLE model_factory.session_attempts ADD COLUMN git_author VARCHAR(255) COLLATE "C";

CREATE INDEX ix_metrics_value ON model_factory.metrics (metric_name, segment, metric_value, session_no);

UPDATE model_factory.mfprefect_version SET version_num='0010' WHERE model_factory.mfprefect_version.version_num = '0009';

COMMIT;

CREATE VIEW model_factory.published_scores WITH (security_barrier) AS SELECT model_factory.sessions.model_id, model_factory.sessions.session_id, model_factory.scores.entity_id, model_factory.scores.score, model_factory.scores.score_class, model_factory.sessions.as_of, model_factory.sessions.published_at
FROM model_factory.sessions JOIN model_factory.scores ON model_factory.sessions.session_no = model_factory.scores.session_no
WHERE model_factory.sessions.published_at IS NOT NULL;

CREATE VIEW model_factory.latest_scores WITH (security_barrier) AS SELECT ranked.model_id, ranked.session_id, ranked.entity_id, ranked.score, ranked.score_class, ranked.as_of, ranked.published_at
FROM (SELECT ordered.model_id AS model_id, ordered.session_id AS session_id, model_factory.scores.entity_id AS entity_id, model_factory.scores.score AS score, model_factory.scores.score_class AS score_class, ordered.as_of AS as_of, ordered.published_at AS published_at, row_number() OVER (PARTITION BY ordered.model_id, model_factory.scores.entity_id ORDER BY ordered.place) AS recency
FROM (SELECT model_factory.sessions.model_id AS model_id, model_factory.sessions.session_id AS session_id, model_factory.sessions.as_of AS as_of, model_factory.sessions.published_at AS published_at, model_factory.sessions.session_no AS session_no, row_number() OVER (PARTITION BY model_factory.sessions.model_id ORDER BY coalesce(model_factory.sessions.as_of, CAST(model_factory.sessions.started_at AS DATE)) DESC, model_factory.sessions.published_at DESC, model_factory.sessions.session_no DESC) AS place
FROM model_factory.sessions
WHERE model_factory.sessions.published_at IS NOT NULL) AS ordered JOIN model_factory.scores ON ordered.session_no = model_factory.scores.session_no) AS ranked
WHERE ranked.recency = 1;

CREATE VIEW model_factory.current_scores WITH (security_barrier) AS SELECT ordered.model_id, ordered.session_id, model_factory.scores.entity_id, model_factory.scores.score, model_factory.scores.score_class, ordered.as_of, ordered.published_at
FROM (SELECT model_factory.sessions.model_id AS model_id, model_factory.sessions.session_id AS session_id, model_factory.sessions.as_of AS as_of, model_factory.sessions.published_at AS published_at, model_factory.sessions.session_no AS session_no, row_number() OVER (PARTITION BY model_factory.sessions.model_id ORDER BY coalesce(model_factory.sessions.as_of, CAST(model_factory.sessions.started_at AS DATE)) DESC, model_factory.sessions.published_at DESC, model_factory.sessions.session_no DESC) AS place
FROM model_factory.sessions
WHERE model_factory.sessions.published_at IS NOT NULL) AS ordered JOIN model_factory.scores ON ordered.session_no = model_factory.scores.session_no
WHERE ordered.place = 1;

CREATE VIEW model_factory.session_overview AS SELECT model_factory.sessions.session_id, model_factory.sessions.model_id, model_factory.sessions.purpose, model_factory.sessions.status, model_factory.sessions.attempt, model_factory.sessions.started_at, model_factory.sessions.ended_at, model_factory.sessions.heartbeat_at, model_factory.sessions.run_by, model_factory.sessions.host, model_factory.sessions.vcs, model_factory.sessions.git_commit, model_factory.sessions.git_branch, model_factory.sessions.git_remote, model_factory.sessions.git_dirty, model_factory.sessions.git_diff_digest, model_factory.sessions.as_of, model_factory.sessions.params, model_factory.sessions.flow_run_id, model_factory.sessions.flow_run_seq, model_factory.sessions.deployment, model_factory.sessions.failure_kind, model_factory.sessions.failure_text, model_factory.sessions.published_at, model_factory.sessions.last_exported_at, model_factory.sessions.seal, model_factory.sessions.previous_seal, model_factory.sessions.tags, model_factory.sessions.deletion, parent.session_id AS parent_session_id
FROM model_factory.sessions LEFT OUTER JOIN model_factory.sessions AS parent ON parent.session_no = model_factory.sessions.parent_session_no;

CREATE VIEW model_factory.metric_history WITH (security_barrier) AS SELECT model_factory.sessions.model_id, model_factory.sessions.session_id, model_factory.sessions.as_of, model_factory.sessions.started_at, model_factory.metrics.metric_name, model_factory.metrics.segment, model_factory.metrics.metric_value, model_factory.metrics.definition_version
FROM model_factory.sessions JOIN model_factory.metrics ON model_factory.sessions.session_no = model_factory.metrics.session_no
WHERE model_factory.sessions.status = 'succeeded';

CREATE VIEW model_factory.production_models WITH (security_barrier) AS SELECT ranked.model_id, model_factory.sessions.session_id, ranked.set_at, ranked.set_by, ranked.reason, ranked.description
FROM (SELECT model_factory.model_stages.model_id AS model_id, model_factory.model_stages.set_at AS set_at, model_factory.model_stages.session_no AS session_no, model_factory.model_stages.stage AS stage, model_factory.model_stages.set_by AS set_by, model_factory.model_stages.reason AS reason, model_factory.model_stages.gates AS gates, model_factory.models.description AS description, rank() OVER (PARTITION BY model_factory.model_stages.model_id ORDER BY model_factory.model_stages.set_at DESC) AS recency
FROM model_factory.model_stages JOIN model_factory.models ON model_factory.model_stages.model_id = model_factory.models.model_id) AS ranked JOIN model_factory.sessions ON ranked.session_no = model_factory.sessions.session_no
WHERE ranked.stage = 'production' AND ranked.recency = 1;

CREATE VIEW model_factory.gate_history WITH (security_barrier) AS SELECT verdicts.model_id, verdicts.session_id, verdicts.status, verdicts.started_at, verdicts.gate_no, verdicts.gate, verdicts.kind, verdicts.verdict, verdicts.reason, verdicts.figure, verdicts.at_least, verdicts.at_most, verdicts.margin, verdicts.production_session_id, verdicts.production_figure, verdicts.difference, verdicts.interval_low, verdicts.interval_high, verdicts.interval_method
FROM (SELECT model_factory.sessions.model_id AS model_id, model_factory.sessions.session_id AS session_id, model_factory.sessions.status AS status, model_factory.sessions.started_at AS started_at, model_factory.gate_results.gate_no AS gate_no, model_factory.gate_results.gate AS gate, model_factory.gate_results.kind AS kind, model_factory.gate_results.verdict AS verdict, model_factory.gate_results.reason AS reason, model_factory.gate_results.figure AS figure, model_factory.gate_results.at_least AS at_least, model_factory.gate_results.at_most AS at_most, model_factory.gate_results.margin AS margin, model_factory.gate_results.production_session_id AS production_session_id, model_factory.gate_results.production_figure AS production_figure, model_factory.gate_results.difference AS difference, model_factory.gate_results.interval_low AS interval_low, model_factory.gate_results.interval_high AS interval_high, model_factory.gate_results.interval_method AS interval_method
FROM model_factory.sessions JOIN model_factory.gate_results ON model_factory.sessions.session_no = model_factory.gate_results.session_no
WHERE model_factory.sessions.status IN ('succeeded', 'failed') UNION ALL SELECT model_factory.sessions.model_id AS model_id, model_factory.sessions.session_id AS session_id, model_factory.sessions.status AS status, model_factory.sessions.started_at AS started_at, legacy.place AS place, legacy.gate AS gate, legacy.kind AS kind, legacy.verdict AS verdict, legacy.reason AS reason, legacy.figure AS figure, legacy.at_least AS at_least, legacy.at_most AS at_most, legacy.margin AS margin, legacy.production_session_id AS production_session_id, legacy.production_figure AS production_figure, legacy.difference AS difference, legacy.interval_low AS interval_low, legacy.interval_high AS interval_high, legacy.interval_method AS interval_method
FROM model_factory.sessions JOIN (SELECT documents.session_no, CAST(listed.place AS INTEGER) AS place, listed."gate" AS gate, listed."kind" AS kind, listed."verdict" AS verdict, listed."reason" AS reason, listed."figure" AS figure, listed."at_least" AS at_least, listed."at_most" AS at_most, listed."margin" AS margin, listed."production_session_id" AS production_session_id, listed."production_figure" AS production_figure, listed."difference" AS difference, listed."low" AS interval_low, listed."high" AS interval_high, listed."method" AS interval_method FROM (SELECT model_factory.session_metadata.session_no, model_factory.session_metadata.meta_value AS document
FROM model_factory.sessions JOIN model_factory.session_metadata ON model_factory.sessions.session_no = model_factory.session_metadata.session_no
WHERE model_factory.sessions.status IN ('succeeded', 'failed') AND model_factory.session_metadata.meta_group = 'gates' AND model_factory.session_metadata.meta_name = 'verdicts' AND NOT (EXISTS (SELECT *
FROM model_factory.gate_results
WHERE model_factory.gate_results.session_no = model_factory.session_metadata.session_no))) AS documents CROSS JOIN LATERAL ROWS FROM (jsonb_to_recordset(CAST(documents.document AS jsonb)) AS ("gate" VARCHAR(1024) COLLATE "C", "kind" VARCHAR(64) COLLATE "C", "verdict" VARCHAR(16) COLLATE "C", "reason" TEXT, "figure" DOUBLE PRECISION, "at_least" DOUBLE PRECISION, "at_most" DOUBLE PRECISION, "margin" DOUBLE PRECISION, "production_session_id" VARCHAR(96) COLLATE "C", "production_figure" DOUBLE PRECISION, "difference" DOUBLE PRECISION, "low" DOUBLE PRECISION, "high" DOUBLE PRECISION, "method" VARCHAR(255) COLLATE "C")) WITH ORDINALITY AS listed ("gate", "kind", "verdict", "reason", "figure", "at_least", "at_most", "margin", "production_session_id", "production_figure", "difference", "low", "high", "method", place)) AS legacy ON model_factory.sessions.session_no = legacy.session_no) AS verdicts;

COMMENT ON TABLE model_factory.models IS 'Registered models, one row each.';
COMMENT ON COLUMN model_factory.models.model_id IS 'Name of the model.';
COMMENT ON COLUMN model_factory.models.description IS 'What the model predicts.';
COMMENT ON COLUMN model_factory.models.entity_type IS 'What is scored, such as customer.';
COMMENT ON COLUMN model_factory.models.owner IS 'Person or team in charge of the model.';
COMMENT ON COLUMN model_factory.models.created_at IS 'When it was registered (UTC).';
COMMENT ON COLUMN model_factory.models.max_age_seconds IS 'Age of the last scores, in seconds, above which an alarm is sent, or NULL.';
COMMENT ON TABLE model_factory.model_thresholds IS 'Operating thresholds of models, of which the newest of each model applies.';
COMMENT ON COLUMN model_factory.model_thresholds.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.model_thresholds.set_at IS 'When the threshold was set (UTC).';
COMMENT ON COLUMN model_factory.model_thresholds.threshold_value IS 'The threshold: a score from 0 to 1, or a share of the population from 0 to 1.';
COMMENT ON COLUMN model_factory.model_thresholds.threshold_kind IS 'What the value is: probability or population.';
COMMENT ON COLUMN model_factory.model_thresholds.set_by IS 'User who set it.';
COMMENT ON TABLE model_factory.environments IS 'Python environments that sessions ran in, one row for each set of packages.';
COMMENT ON COLUMN model_factory.environments.environment_digest IS 'SHA-256 of the Python version, platform and packages, in hexadecimal.';
COMMENT ON COLUMN model_factory.environments.python_version IS 'Version of Python.';
COMMENT ON COLUMN model_factory.environments.platform_name IS 'Operating system and machine.';
COMMENT ON COLUMN model_factory.environments.packages IS 'Installed packages, as JSON.';
COMMENT ON TABLE model_factory.sessions IS 'Sessions: one row for each run of a model, from open to sealed.';
COMMENT ON COLUMN model_factory.sessions.session_no IS 'Number of the session: the key of all that it produced.';
COMMENT ON COLUMN model_factory.sessions.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.sessions.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.sessions.purpose IS 'What it is for: train, score, monitor, adhoc or trial.';
COMMENT ON COLUMN model_factory.sessions.status IS 'running, succeeded, failed, crashed or cancelled.';
COMMENT ON COLUMN model_factory.sessions.attempt IS 'Number of the last attempt, from 1.';
COMMENT ON COLUMN model_factory.sessions.started_at IS 'When the session was opened (UTC).';
COMMENT ON COLUMN model_factory.sessions.ended_at IS 'When it ended (UTC), or NULL while it runs.';
COMMENT ON COLUMN model_factory.sessions.heartbeat_at IS 'When its process last gave a sign of life (UTC).';
COMMENT ON COLUMN model_factory.sessions.run_by IS 'User who ran it.';
COMMENT ON COLUMN model_factory.sessions.host IS 'Name of the machine.';
COMMENT ON COLUMN model_factory.sessions.process_id IS 'Operating system''s number of the process.';
COMMENT ON COLUMN model_factory.sessions.vcs IS 'Version control system of the code, such as git.';
COMMENT ON COLUMN model_factory.sessions.git_commit IS 'Commit of the code, in hexadecimal.';
COMMENT ON COLUMN model_factory.sessions.git_branch IS 'Branch that was checked out.';
COMMENT ON COLUMN model_factory.sessions.git_remote IS 'Address of the remote repository.';
COMMENT ON COLUMN model_factory.sessions.git_dirty IS 'Whether the code had changes that were not committed.';
COMMENT ON COLUMN model_factory.sessions.git_diff_digest IS 'SHA-256 of those changes, in hexadecimal.';
COMMENT ON COLUMN model_factory.sessions.environment_digest IS 'Python environment, as in environments.environment_digest.';
COMMENT ON COLUMN model_factory.sessions.as_of IS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN model_factory.sessions.params IS 'Parameters, as JSON.';
COMMENT ON COLUMN model_factory.sessions.flow_run_id IS 'Flow run in Prefect, or NULL outside of one.';
COMMENT ON COLUMN model_factory.sessions.flow_run_seq IS 'Number of the session within its flow run, from 1.';
COMMENT ON COLUMN model_factory.sessions.deployment IS 'Deployment in Prefect.';
COMMENT ON COLUMN model_factory.sessions.parent_session_no IS 'Number of the training session whose model it used.';
COMMENT ON COLUMN model_factory.sessions.failure_kind IS 'Kind of the failure, such as ValueError.';
COMMENT ON COLUMN model_factory.sessions.failure_text IS 'Message of the failure.';
COMMENT ON COLUMN model_factory.sessions.published_at IS 'When its scores became visible (UTC), or NULL.';
COMMENT ON COLUMN model_factory.sessions.last_exported_at IS 'When its scores were last exported (UTC).';
COMMENT ON COLUMN model_factory.sessions.seal IS 'SHA-256 that seals it, in hexadecimal.';
COMMENT ON COLUMN model_factory.sessions.previous_seal IS 'Seal before it in the chain of its model.';
COMMENT ON COLUMN model_factory.sessions.tags IS 'Tags, as a JSON list.';
COMMENT ON COLUMN model_factory.sessions.suspected_at IS 'When its heartbeat was first missed (UTC), or NULL again after the next.';
COMMENT ON COLUMN model_factory.sessions.deletion IS 'While it is being deleted: session, or model if it goes with it.';
COMMENT ON COLUMN model_factory.sessions.attempt_started_at IS 'When the last attempt began (UTC), or NULL if an earlier version opened it.';
COMMENT ON COLUMN model_factory.sessions.process_key IS 'Boot, container and start of its process, or NULL if nobody can tell.';
COMMENT ON COLUMN model_factory.sessions.git_author IS 'Author of the commit, as name and mail address.';
COMMENT ON TABLE model_factory.session_attempts IS 'Attempts of sessions that were retried: what sessions said of each.';
COMMENT ON COLUMN model_factory.session_attempts.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.session_attempts.attempt IS 'Number of the attempt, from 1.';
COMMENT ON COLUMN model_factory.session_attempts.status IS 'How the attempt ended.';
COMMENT ON COLUMN model_factory.session_attempts.started_at IS 'When it began (UTC), or NULL if not recorded.';
COMMENT ON COLUMN model_factory.session_attempts.ended_at IS 'When it ended (UTC).';
COMMENT ON COLUMN model_factory.session_attempts.failure_kind IS 'Kind of the failure, such as ValueError.';
COMMENT ON COLUMN model_factory.session_attempts.failure_text IS 'Message of the failure.';
COMMENT ON COLUMN model_factory.session_attempts.run_by IS 'User who ran it.';
COMMENT ON COLUMN model_factory.session_attempts.host IS 'Name of the machine.';
COMMENT ON COLUMN model_factory.session_attempts.process_id IS 'Operating system''s number of the process.';
COMMENT ON COLUMN model_factory.session_attempts.vcs IS 'Version control system of the code, such as git.';
COMMENT ON COLUMN model_factory.session_attempts.git_commit IS 'Commit of the code, in hexadecimal.';
COMMENT ON COLUMN model_factory.session_attempts.git_branch IS 'Branch that was checked out.';
COMMENT ON COLUMN model_factory.session_attempts.git_remote IS 'Address of the remote repository.';
COMMENT ON COLUMN model_factory.session_attempts.git_dirty IS 'Whether the code had changes that were not committed.';
COMMENT ON COLUMN model_factory.session_attempts.git_diff_digest IS 'SHA-256 of those changes, in hexadecimal.';
COMMENT ON COLUMN model_factory.session_attempts.environment_digest IS 'Python environment, as in environments.environment_digest.';
COMMENT ON COLUMN model_factory.session_attempts.git_author IS 'Author of the commit, as name and mail address.';
COMMENT ON TABLE model_factory.model_stages IS 'What was in production, and since when: the newest row of a model applies.';
COMMENT ON COLUMN model_factory.model_stages.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.model_stages.set_at IS 'When the stage began (UTC).';
COMMENT ON COLUMN model_factory.model_stages.session_no IS 'Number of the training session that got the stage.';
COMMENT ON COLUMN model_factory.model_stages.stage IS 'The stage: production, experimental or retired.';
COMMENT ON COLUMN model_factory.model_stages.set_by IS 'User who set it.';
COMMENT ON COLUMN model_factory.model_stages.reason IS 'Why, in that user''s words.';
COMMENT ON COLUMN model_factory.model_stages.gates IS 'Verdicts of the gates at that time, as JSON.';
COMMENT ON TABLE model_factory.inputs IS 'What sessions read, one row for each read.';
COMMENT ON COLUMN model_factory.inputs.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.inputs.input_no IS 'Number of the read, from 1.';
COMMENT ON COLUMN model_factory.inputs.source IS 'Source, path or function that was read.';
COMMENT ON COLUMN model_factory.inputs.query_text IS 'SQL of the read.';
COMMENT ON COLUMN model_factory.inputs.row_count IS 'Rows that were read.';
COMMENT ON COLUMN model_factory.inputs.column_types IS 'Types by column, as JSON.';
COMMENT ON COLUMN model_factory.inputs.digest IS 'SHA-256 of the rows, with the number of the rule that computed it.';
COMMENT ON COLUMN model_factory.inputs.seconds IS 'Time of the read, in seconds.';
COMMENT ON TABLE model_factory.input_columns IS 'Registry of the columns that models may read.';
COMMENT ON COLUMN model_factory.input_columns.schema_name IS 'Schema of the source table.';
COMMENT ON COLUMN model_factory.input_columns.table_name IS 'Source table.';
COMMENT ON COLUMN model_factory.input_columns.column_name IS 'Column of the source table.';
COMMENT ON COLUMN model_factory.input_columns.is_valid IS 'Whether it may be used.';
COMMENT ON COLUMN model_factory.input_columns.is_test IS 'Whether it is on trial.';
COMMENT ON COLUMN model_factory.input_columns.note IS 'Remark of whoever registered it.';
COMMENT ON TABLE model_factory.input_summary IS 'Distributions of the columns that sessions read.';
COMMENT ON COLUMN model_factory.input_summary.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.input_summary.variable IS 'Column of the input.';
COMMENT ON COLUMN model_factory.input_summary.dtype IS 'Type of the column.';
COMMENT ON COLUMN model_factory.input_summary.mean_value IS 'Mean of a column of numbers.';
COMMENT ON COLUMN model_factory.input_summary.sd_value IS 'Standard deviation of a column of numbers.';
COMMENT ON COLUMN model_factory.input_summary.median_value IS 'Median of a column of numbers.';
COMMENT ON COLUMN model_factory.input_summary.min_value IS 'Minimum of a column of numbers.';
COMMENT ON COLUMN model_factory.input_summary.max_value IS 'Maximum of a column of numbers.';
COMMENT ON COLUMN model_factory.input_summary.n IS 'Rows with a value.';
COMMENT ON COLUMN model_factory.input_summary.n_na IS 'Rows without one.';
COMMENT ON COLUMN model_factory.input_summary.n_distinct IS 'Different values.';
COMMENT ON COLUMN model_factory.input_summary.quantiles IS 'Quantiles and edges of bins, as JSON.';
COMMENT ON COLUMN model_factory.input_summary.bin_counts IS 'Rows by bin or by level, as JSON.';
COMMENT ON TABLE model_factory.check_results IS 'Checks of the input: one row for each check and column.';
COMMENT ON COLUMN model_factory.check_results.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.check_results.check_no IS 'Number of the check, from 1.';
COMMENT ON COLUMN model_factory.check_results.check_name IS 'The check.';
COMMENT ON COLUMN model_factory.check_results.column_name IS 'Column, or NULL for the whole input.';
COMMENT ON COLUMN model_factory.check_results.severity IS 'error or warning.';
COMMENT ON COLUMN model_factory.check_results.passed IS 'Whether the check passed.';
COMMENT ON COLUMN model_factory.check_results.failing_rows IS 'Rows that failed.';
COMMENT ON COLUMN model_factory.check_results.failing_sample IS 'Some of these rows, as JSON.';
COMMENT ON COLUMN model_factory.check_results.message IS 'What was found, in words.';
COMMENT ON TABLE model_factory.session_params IS 'Parameters of sessions, one row each, to find sessions by their values.';
COMMENT ON COLUMN model_factory.session_params.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.session_params.param_name IS 'Name of the parameter.';
COMMENT ON COLUMN model_factory.session_params.param_type IS 'What the value is: number, text, boolean or json.';
COMMENT ON COLUMN model_factory.session_params.number_value IS 'The number, or 1 for true and 0 for false.';
COMMENT ON COLUMN model_factory.session_params.text_value IS 'The text, if it is not longer.';
COMMENT ON COLUMN model_factory.session_params.json_value IS 'The value as JSON: a list, an object, null, or a longer text or number.';
COMMENT ON TABLE model_factory.session_metadata IS 'Notes of sessions, by group and name.';
COMMENT ON COLUMN model_factory.session_metadata.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.session_metadata.meta_group IS 'Group of the note.';
COMMENT ON COLUMN model_factory.session_metadata.meta_name IS 'Name of the note.';
COMMENT ON COLUMN model_factory.session_metadata.meta_value IS 'The note.';
COMMENT ON TABLE model_factory.metrics IS 'Metrics of sessions, for the whole data and by segment.';
COMMENT ON COLUMN model_factory.metrics.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.metrics.metric_name IS 'Name of the metric, such as auc.';
COMMENT ON COLUMN model_factory.metrics.segment IS 'Segment of the data, empty for all of it.';
COMMENT ON COLUMN model_factory.metrics.metric_value IS 'Value of the metric.';
COMMENT ON COLUMN model_factory.metrics.definition_version IS 'Version of the formula, or NULL for a metric that the team defined.';
COMMENT ON TABLE model_factory.metric_steps IS 'Metrics over the steps of a run, such as epochs: the last value is in metrics.';
COMMENT ON COLUMN model_factory.metric_steps.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.metric_steps.metric_name IS 'Name of the metric, such as loss.';
COMMENT ON COLUMN model_factory.metric_steps.segment IS 'Segment of the data, empty for all of it.';
COMMENT ON COLUMN model_factory.metric_steps.step_no IS 'The step, such as the number of the epoch.';
COMMENT ON COLUMN model_factory.metric_steps.step_value IS 'Value of the metric.';
COMMENT ON COLUMN model_factory.metric_steps.logged_at IS 'When it was logged (UTC).';
COMMENT ON TABLE model_factory.variable_importance IS 'Importance of each variable of a trained model.';
COMMENT ON COLUMN model_factory.variable_importance.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.variable_importance.kind IS 'How it was computed, such as permutation.';
COMMENT ON COLUMN model_factory.variable_importance.variable IS 'Variable of the model.';
COMMENT ON COLUMN model_factory.variable_importance.importance IS 'Importance, in the unit of its kind.';
COMMENT ON COLUMN model_factory.variable_importance.std IS 'Standard deviation of the importance.';
COMMENT ON COLUMN model_factory.variable_importance.coefficient IS 'Coefficient of a linear model.';
COMMENT ON TABLE model_factory.test_curve IS 'Counts of the test rows at each threshold, from the highest score down.';
COMMENT ON COLUMN model_factory.test_curve.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.test_curve.point_no IS 'Number of the point, from 0.';
COMMENT ON COLUMN model_factory.test_curve.score IS 'Threshold: rows with this score or more are called.';
COMMENT ON COLUMN model_factory.test_curve.population IS 'Rows that are called.';
COMMENT ON COLUMN model_factory.test_curve.target_population IS 'Positive rows among those that are called.';
COMMENT ON COLUMN model_factory.test_curve.tp IS 'True positives, in rows.';
COMMENT ON COLUMN model_factory.test_curve.fp IS 'False positives, in rows.';
COMMENT ON COLUMN model_factory.test_curve.tn IS 'True negatives, in rows.';
COMMENT ON COLUMN model_factory.test_curve.fn IS 'False negatives, in rows.';
COMMENT ON TABLE model_factory.backtests IS 'Predicted and actual values of time series.';
COMMENT ON COLUMN model_factory.backtests.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.backtests.series IS 'Series.';
COMMENT ON COLUMN model_factory.backtests.period_name IS 'Period, such as 2026-01.';
COMMENT ON COLUMN model_factory.backtests.predicted IS 'Predicted value, in the unit of the series.';
COMMENT ON COLUMN model_factory.backtests.actual IS 'Actual value, in the unit of the series.';
COMMENT ON TABLE model_factory.gate_results IS 'Verdicts of the gates that decide about promotion and publication.';
COMMENT ON COLUMN model_factory.gate_results.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.gate_results.gate_no IS 'Number of the gate, from 1.';
COMMENT ON COLUMN model_factory.gate_results.gate IS 'The gate, in words.';
COMMENT ON COLUMN model_factory.gate_results.kind IS 'Kind of the gate.';
COMMENT ON COLUMN model_factory.gate_results.verdict IS 'Verdict, such as passed or failed.';
COMMENT ON COLUMN model_factory.gate_results.reason IS 'Why, in words.';
COMMENT ON COLUMN model_factory.gate_results.figure IS 'Figure that was judged, in the unit of its metric.';
COMMENT ON COLUMN model_factory.gate_results.at_least IS 'Lowest figure that passes.';
COMMENT ON COLUMN model_factory.gate_results.at_most IS 'Highest figure that passes.';
COMMENT ON COLUMN model_factory.gate_results.margin IS 'How much worse than production still passes.';
COMMENT ON COLUMN model_factory.gate_results.production_session_id IS 'Session in production, compared with.';
COMMENT ON COLUMN model_factory.gate_results.production_figure IS 'Figure of the session in production.';
COMMENT ON COLUMN model_factory.gate_results.difference IS 'Figure minus that of the session in production.';
COMMENT ON COLUMN model_factory.gate_results.interval_low IS 'Lower end of the difference''s interval.';
COMMENT ON COLUMN model_factory.gate_results.interval_high IS 'Upper end of it.';
COMMENT ON COLUMN model_factory.gate_results.interval_method IS 'How the interval was computed.';
COMMENT ON TABLE model_factory.drift IS 'Drift of inputs, scores and performance against an earlier session.';
COMMENT ON COLUMN model_factory.drift.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.drift.variable IS 'Variable, score or metric.';
COMMENT ON COLUMN model_factory.drift.measure IS 'Measure of drift, such as psi.';
COMMENT ON COLUMN model_factory.drift.drift_value IS 'Drift, in the unit of the measure.';
COMMENT ON COLUMN model_factory.drift.drift_threshold IS 'Value above which it is an alarm.';
COMMENT ON COLUMN model_factory.drift.verdict IS 'ok, warning, alarm or unknown.';
COMMENT ON COLUMN model_factory.drift.reference_session_no IS 'Number of the session compared with.';
COMMENT ON TABLE model_factory.scores IS 'Scores, one row for each entity and session: the largest table.';
COMMENT ON COLUMN model_factory.scores.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.scores.entity_id IS 'What was scored, as text.';
COMMENT ON COLUMN model_factory.scores.score IS 'The score, in the unit of the model.';
COMMENT ON COLUMN model_factory.scores.score_class IS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN model_factory.scores.part_no IS 'Part of the session that wrote it.';
COMMENT ON TABLE model_factory.score_parts IS 'Parts of the scores of a session, each written in one transaction.';
COMMENT ON COLUMN model_factory.score_parts.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.score_parts.part_no IS 'Number of the part, from 1.';
COMMENT ON COLUMN model_factory.score_parts.row_count IS 'Rows of the part.';
COMMENT ON COLUMN model_factory.score_parts.digest IS 'SHA-256 of its rows, in hexadecimal.';
COMMENT ON COLUMN model_factory.score_parts.attempt IS 'Attempt that wrote it.';
COMMENT ON COLUMN model_factory.score_parts.written_at IS 'When it was written (UTC).';
COMMENT ON COLUMN model_factory.score_parts.kept_by IS 'Last attempt that kept it, or NULL if none did.';
COMMENT ON TABLE model_factory.part_inputs IS 'What each part read, for a retry, until the session has succeeded.';
COMMENT ON COLUMN model_factory.part_inputs.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.part_inputs.part_no IS 'Number of the part, from 1.';
COMMENT ON COLUMN model_factory.part_inputs.document IS 'Input, checks and summary, as JSON.';
COMMENT ON TABLE model_factory.artifacts IS 'Models and other files that sessions saved, with their bytes in artifact_chunks.';
COMMENT ON COLUMN model_factory.artifacts.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.artifacts.artifact_name IS 'Name of the artifact.';
COMMENT ON COLUMN model_factory.artifacts.artifact_format IS 'Format, such as skops.';
COMMENT ON COLUMN model_factory.artifacts.byte_count IS 'Size in bytes.';
COMMENT ON COLUMN model_factory.artifacts.sha256 IS 'SHA-256 of the bytes, in hexadecimal.';
COMMENT ON COLUMN model_factory.artifacts.signature IS 'Signature of the bytes, in hexadecimal.';
COMMENT ON COLUMN model_factory.artifacts.library_versions IS 'Versions of the libraries that wrote it, as JSON.';
COMMENT ON TABLE model_factory.artifact_chunks IS 'Bytes of artifacts, in pieces of at most 4 MiB.';
COMMENT ON COLUMN model_factory.artifact_chunks.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.artifact_chunks.artifact_name IS 'Name of the artifact.';
COMMENT ON COLUMN model_factory.artifact_chunks.chunk_no IS 'Place of the piece.';
COMMENT ON COLUMN model_factory.artifact_chunks.chunk_bytes IS 'The bytes.';
COMMENT ON TABLE model_factory.notifications IS 'Notices about sessions, each event once to each channel.';
COMMENT ON COLUMN model_factory.notifications.session_no IS 'Number of the session, as in sessions.session_no.';
COMMENT ON COLUMN model_factory.notifications.notice_no IS 'Number of the notice, from 1.';
COMMENT ON COLUMN model_factory.notifications.event IS 'What happened, such as failed.';
COMMENT ON COLUMN model_factory.notifications.channel IS 'Target of the settings.';
COMMENT ON COLUMN model_factory.notifications.sent_at IS 'When it was last sent (UTC).';
COMMENT ON COLUMN model_factory.notifications.delivered IS 'Whether it was delivered.';
COMMENT ON COLUMN model_factory.notifications.failure IS 'Why it was not delivered.';
COMMENT ON TABLE model_factory.audit_events IS 'Audit trail: who did what, and when, as a chain of digests.';
COMMENT ON COLUMN model_factory.audit_events.event_no IS 'Number of the event, from 1.';
COMMENT ON COLUMN model_factory.audit_events.event_at IS 'When it happened (UTC).';
COMMENT ON COLUMN model_factory.audit_events.actor IS 'User who did it.';
COMMENT ON COLUMN model_factory.audit_events.event_action IS 'What was done, such as promote.';
COMMENT ON COLUMN model_factory.audit_events.subject IS 'Session or model that it concerns.';
COMMENT ON COLUMN model_factory.audit_events.detail IS 'Details, as JSON.';
COMMENT ON COLUMN model_factory.audit_events.previous_digest IS 'Digest of the event before it.';
COMMENT ON COLUMN model_factory.audit_events.digest IS 'SHA-256 of the event, in hexadecimal.';
COMMENT ON COLUMN model_factory.audit_events.key_id IS 'Key that signed it, or NULL if not signed.';
COMMENT ON COLUMN model_factory.audit_events.signature IS 'Signature, in hexadecimal.';
COMMENT ON TABLE model_factory.seals IS 'Seals of sessions, one chain for each model, which outlive their sessions.';
COMMENT ON COLUMN model_factory.seals.model_id IS 'Model of the chain.';
COMMENT ON COLUMN model_factory.seals.seal_no IS 'Place in the chain, from 1.';
COMMENT ON COLUMN model_factory.seals.session_no IS 'Number of the session that it seals.';
COMMENT ON COLUMN model_factory.seals.session_id IS 'Session that it seals.';
COMMENT ON COLUMN model_factory.seals.sealed_at IS 'When it was sealed (UTC).';
COMMENT ON COLUMN model_factory.seals.manifest IS 'Digests of its rows, as JSON.';
COMMENT ON COLUMN model_factory.seals.seal IS 'SHA-256 of manifest and previous seal, in hexadecimal.';
COMMENT ON COLUMN model_factory.seals.key_id IS 'Key that signed it, or NULL if not signed.';
COMMENT ON COLUMN model_factory.seals.signature IS 'Signature, in hexadecimal.';
COMMENT ON TABLE model_factory.api_tokens IS 'Tokens of programs and people for the console and its API, by their digests.';
COMMENT ON COLUMN model_factory.api_tokens.token_id IS 'Public name of the token, the part of it before its secret.';
COMMENT ON COLUMN model_factory.api_tokens.token_digest IS 'SHA-256 of the token, in hexadecimal.';
COMMENT ON COLUMN model_factory.api_tokens.token_scope IS 'What it allows: viewer, auditor, writer, deployer or admin.';
COMMENT ON COLUMN model_factory.api_tokens.owner IS 'Person or program that it stands for.';
COMMENT ON COLUMN model_factory.api_tokens.description IS 'What it is for.';
COMMENT ON COLUMN model_factory.api_tokens.created_at IS 'When it was made (UTC).';
COMMENT ON COLUMN model_factory.api_tokens.created_by IS 'User who made it.';
COMMENT ON COLUMN model_factory.api_tokens.expires_at IS 'When it ends (UTC).';
COMMENT ON COLUMN model_factory.api_tokens.revoked_at IS 'When it was revoked (UTC), or NULL.';
COMMENT ON COLUMN model_factory.api_tokens.revoked_by IS 'User who revoked it, or NULL.';
COMMENT ON TABLE model_factory.idempotency_keys IS 'Requests of the API that may be retried, each answered once.';
COMMENT ON COLUMN model_factory.idempotency_keys.key_digest IS 'SHA-256 of caller and Idempotency-Key, in hexadecimal.';
COMMENT ON COLUMN model_factory.idempotency_keys.request_digest IS 'SHA-256 of method, path, query, type and body, in hexadecimal.';
COMMENT ON COLUMN model_factory.idempotency_keys.actor IS 'Who sent it.';
COMMENT ON COLUMN model_factory.idempotency_keys.session_id IS 'Session that it opened or wrote to.';
COMMENT ON COLUMN model_factory.idempotency_keys.detail IS 'What was fixed before the first write, such as the first part, as JSON.';
COMMENT ON COLUMN model_factory.idempotency_keys.created_at IS 'When it came (UTC).';
COMMENT ON COLUMN model_factory.idempotency_keys.answered_at IS 'When it was answered (UTC), or NULL while it is not.';
COMMENT ON COLUMN model_factory.idempotency_keys.answer_status IS 'HTTP status of the answer.';
COMMENT ON COLUMN model_factory.idempotency_keys.answer IS 'Body of the answer, as JSON.';
COMMENT ON TABLE model_factory.mfprefect_version IS 'Revision of the schema, which mfprefect compares with its own.';
COMMENT ON COLUMN model_factory.mfprefect_version.version_num IS 'The revision.';
COMMENT ON VIEW model_factory.published_scores IS 'Scores of all published sessions.';
COMMENT ON COLUMN model_factory.published_scores.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.published_scores.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.published_scores.entity_id IS 'What was scored, as text.';
COMMENT ON COLUMN model_factory.published_scores.score IS 'The score, in the unit of the model.';
COMMENT ON COLUMN model_factory.published_scores.score_class IS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN model_factory.published_scores.as_of IS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN model_factory.published_scores.published_at IS 'When its scores became visible (UTC), or NULL.';
COMMENT ON VIEW model_factory.latest_scores IS 'For each model and entity its newest score, whichever session has it.';
COMMENT ON COLUMN model_factory.latest_scores.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.latest_scores.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.latest_scores.entity_id IS 'What was scored, as text.';
COMMENT ON COLUMN model_factory.latest_scores.score IS 'The score, in the unit of the model.';
COMMENT ON COLUMN model_factory.latest_scores.score_class IS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN model_factory.latest_scores.as_of IS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN model_factory.latest_scores.published_at IS 'When its scores became visible (UTC), or NULL.';
COMMENT ON VIEW model_factory.current_scores IS 'For each model the scores of its newest published session.';
COMMENT ON COLUMN model_factory.current_scores.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.current_scores.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.current_scores.entity_id IS 'What was scored, as text.';
COMMENT ON COLUMN model_factory.current_scores.score IS 'The score, in the unit of the model.';
COMMENT ON COLUMN model_factory.current_scores.score_class IS 'Predicted class of a multiclass model.';
COMMENT ON COLUMN model_factory.current_scores.as_of IS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN model_factory.current_scores.published_at IS 'When its scores became visible (UTC), or NULL.';
COMMENT ON VIEW model_factory.session_overview IS 'Sessions, with their origin, parameters and training session.';
COMMENT ON COLUMN model_factory.session_overview.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.session_overview.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.session_overview.purpose IS 'What it is for: train, score, monitor, adhoc or trial.';
COMMENT ON COLUMN model_factory.session_overview.status IS 'running, succeeded, failed, crashed or cancelled.';
COMMENT ON COLUMN model_factory.session_overview.attempt IS 'Number of the last attempt, from 1.';
COMMENT ON COLUMN model_factory.session_overview.started_at IS 'When the session was opened (UTC).';
COMMENT ON COLUMN model_factory.session_overview.ended_at IS 'When it ended (UTC), or NULL while it runs.';
COMMENT ON COLUMN model_factory.session_overview.heartbeat_at IS 'When its process last gave a sign of life (UTC).';
COMMENT ON COLUMN model_factory.session_overview.run_by IS 'User who ran it.';
COMMENT ON COLUMN model_factory.session_overview.host IS 'Name of the machine.';
COMMENT ON COLUMN model_factory.session_overview.vcs IS 'Version control system of the code, such as git.';
COMMENT ON COLUMN model_factory.session_overview.git_commit IS 'Commit of the code, in hexadecimal.';
COMMENT ON COLUMN model_factory.session_overview.git_branch IS 'Branch that was checked out.';
COMMENT ON COLUMN model_factory.session_overview.git_remote IS 'Address of the remote repository.';
COMMENT ON COLUMN model_factory.session_overview.git_dirty IS 'Whether the code had changes that were not committed.';
COMMENT ON COLUMN model_factory.session_overview.git_diff_digest IS 'SHA-256 of those changes, in hexadecimal.';
COMMENT ON COLUMN model_factory.session_overview.as_of IS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN model_factory.session_overview.params IS 'Parameters, as JSON.';
COMMENT ON COLUMN model_factory.session_overview.flow_run_id IS 'Flow run in Prefect, or NULL outside of one.';
COMMENT ON COLUMN model_factory.session_overview.flow_run_seq IS 'Number of the session within its flow run, from 1.';
COMMENT ON COLUMN model_factory.session_overview.deployment IS 'Deployment in Prefect.';
COMMENT ON COLUMN model_factory.session_overview.failure_kind IS 'Kind of the failure, such as ValueError.';
COMMENT ON COLUMN model_factory.session_overview.failure_text IS 'Message of the failure.';
COMMENT ON COLUMN model_factory.session_overview.published_at IS 'When its scores became visible (UTC), or NULL.';
COMMENT ON COLUMN model_factory.session_overview.last_exported_at IS 'When its scores were last exported (UTC).';
COMMENT ON COLUMN model_factory.session_overview.seal IS 'SHA-256 that seals it, in hexadecimal.';
COMMENT ON COLUMN model_factory.session_overview.previous_seal IS 'Seal before it in the chain of its model.';
COMMENT ON COLUMN model_factory.session_overview.tags IS 'Tags, as a JSON list.';
COMMENT ON COLUMN model_factory.session_overview.deletion IS 'While it is being deleted: session, or model if it goes with it.';
COMMENT ON COLUMN model_factory.session_overview.parent_session_id IS 'Training session whose model it used.';
COMMENT ON VIEW model_factory.metric_history IS 'Metrics of sessions that succeeded.';
COMMENT ON COLUMN model_factory.metric_history.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.metric_history.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.metric_history.as_of IS 'Day of the data, or NULL if it is the day of started_at.';
COMMENT ON COLUMN model_factory.metric_history.started_at IS 'When the session was opened (UTC).';
COMMENT ON COLUMN model_factory.metric_history.metric_name IS 'Name of the metric, such as auc.';
COMMENT ON COLUMN model_factory.metric_history.segment IS 'Segment of the data, empty for all of it.';
COMMENT ON COLUMN model_factory.metric_history.metric_value IS 'Value of the metric.';
COMMENT ON COLUMN model_factory.metric_history.definition_version IS 'Version of the formula, or NULL for a metric that the team defined.';
COMMENT ON VIEW model_factory.production_models IS 'For each model the session in production.';
COMMENT ON COLUMN model_factory.production_models.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.production_models.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.production_models.set_at IS 'When the stage began (UTC).';
COMMENT ON COLUMN model_factory.production_models.set_by IS 'User who set it.';
COMMENT ON COLUMN model_factory.production_models.reason IS 'Why, in that user''s words.';
COMMENT ON COLUMN model_factory.production_models.description IS 'What the model predicts.';
COMMENT ON VIEW model_factory.gate_history IS 'Verdicts of gates, of sessions that succeeded or failed.';
COMMENT ON COLUMN model_factory.gate_history.model_id IS 'Model, as in models.model_id.';
COMMENT ON COLUMN model_factory.gate_history.session_id IS 'Name of the session, as people see it.';
COMMENT ON COLUMN model_factory.gate_history.status IS 'running, succeeded, failed, crashed or cancelled.';
COMMENT ON COLUMN model_factory.gate_history.started_at IS 'When the session was opened (UTC).';
COMMENT ON COLUMN model_factory.gate_history.gate_no IS 'Number of the gate, from 1.';
COMMENT ON COLUMN model_factory.gate_history.gate IS 'The gate, in words.';
COMMENT ON COLUMN model_factory.gate_history.kind IS 'Kind of the gate.';
COMMENT ON COLUMN model_factory.gate_history.verdict IS 'Verdict, such as passed or failed.';
COMMENT ON COLUMN model_factory.gate_history.reason IS 'Why, in words.';
COMMENT ON COLUMN model_factory.gate_history.figure IS 'Figure that was judged, in the unit of its metric.';
COMMENT ON COLUMN model_factory.gate_history.at_least IS 'Lowest figure that passes.';
COMMENT ON COLUMN model_factory.gate_history.at_most IS 'Highest figure that passes.';
COMMENT ON COLUMN model_factory.gate_history.margin IS 'How much worse than production still passes.';
COMMENT ON COLUMN model_factory.gate_history.production_session_id IS 'Session in production, compared with.';
COMMENT ON COLUMN model_factory.gate_history.production_figure IS 'Figure of the session in production.';
COMMENT ON COLUMN model_factory.gate_history.difference IS 'Figure minus that of the session in production.';
COMMENT ON COLUMN model_factory.gate_history.interval_low IS 'Lower end of the difference''s interval.';
COMMENT ON COLUMN model_factory.gate_history.interval_high IS 'Upper end of it.';
COMMENT ON COLUMN model_factory.gate_history.interval_method IS 'How the interval was computed.';

-- mfprefect: the rights of the role admin, for mfprefect_admin. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE ROLE mfprefect_admin LOGIN PASSWORD '..'
-- Run it as a superuser. This user becomes the owner of tables and views. The owner before
-- and everybody else keep their rights on rows. Triggers protect ended sessions from
-- everybody else who may write.
BEGIN;
GRANT CONNECT ON DATABASE database TO mfprefect_admin;
GRANT USAGE, CREATE ON SCHEMA model_factory TO mfprefect_admin;
DO $$
DECLARE found record;
BEGIN
  FOR found IN
    SELECT c.oid::regclass AS name, pg_get_userbyid(c.relowner) AS owner FROM pg_class c
    WHERE c.relkind IN ('r', 'v') AND pg_get_userbyid(c.relowner) <> 'mfprefect_admin'
    AND (c.relnamespace = 'model_factory'::regnamespace AND c.relname IN ('models', 'model_thresholds', 'environments', 'sessions', 'session_attempts', 'model_stages', 'inputs', 'input_columns', 'input_summary', 'check_results', 'session_params', 'session_metadata', 'metrics', 'metric_steps', 'variable_importance', 'test_curve', 'backtests', 'gate_results', 'drift', 'scores', 'score_parts', 'part_inputs', 'artifacts', 'artifact_chunks', 'notifications', 'audit_events', 'seals', 'api_tokens', 'idempotency_keys', 'mfprefect_version', 'published_scores', 'latest_scores', 'current_scores', 'session_overview', 'metric_history', 'production_models', 'gate_history')
      OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'model_factory.scores'::regclass))
  LOOP
    EXECUTE format('ALTER TABLE %s OWNER TO %I', found.name, 'mfprefect_admin');
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', found.name, found.owner);
  END LOOP;
END $$;
CREATE OR REPLACE FUNCTION model_factory.mfprefect_closed_session() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.status = 'running' AND NEW.status <> 'running' THEN
    PERFORM FROM model_factory.sessions WHERE session_no = OLD.session_no FOR UPDATE;
  END IF;
  IF pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
  ELSIF TG_OP = 'INSERT' THEN
    IF NEW.status = 'running' AND NEW.published_at IS NULL AND NEW.seal IS NULL
      AND NEW.deletion IS NULL THEN
      RETURN NEW;
    END IF;
    RAISE EXCEPTION 'session % has ended and takes no changes', NEW.session_no USING ERRCODE = 'insufficient_privilege', HINT = 'Only the owner of the tables may: mfprefect grants --role admin';
  ELSIF TG_OP = 'UPDATE' AND (OLD.status = 'running'
    OR (OLD.status IN ('failed', 'crashed', 'cancelled') AND NEW.status = 'running' AND (OLD.flow_run_id IS NOT NULL AND NEW.attempt = OLD.attempt + 1 OR NEW.attempt = OLD.attempt AND OLD.seal IS NULL AND (OLD.failure_kind IN ('Crashed', 'FlowRunCancelled') OR OLD.failure_kind = 'Cancelled' AND OLD.flow_run_id IS NOT NULL)))
    OR (OLD.status, OLD.attempt, OLD.ended_at, OLD.heartbeat_at, OLD.suspected_at, OLD.host, OLD.process_id, OLD.process_key, OLD.failure_kind, OLD.failure_text, OLD.published_at, OLD.seal, OLD.previous_seal, OLD.attempt_started_at, OLD.run_by, OLD.vcs, OLD.git_commit, OLD.git_branch, OLD.git_remote, OLD.git_dirty, OLD.git_diff_digest, OLD.environment_digest, OLD.git_author, OLD.params)
    IS NOT DISTINCT FROM (NEW.status, NEW.attempt, NEW.ended_at, NEW.heartbeat_at, NEW.suspected_at, NEW.host, NEW.process_id, NEW.process_key, NEW.failure_kind, NEW.failure_text, NEW.published_at, NEW.seal, NEW.previous_seal, NEW.attempt_started_at, NEW.run_by, NEW.vcs, NEW.git_commit, NEW.git_branch, NEW.git_remote, NEW.git_dirty, NEW.git_diff_digest, NEW.environment_digest, NEW.git_author, NEW.params)) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'session % has ended and takes no changes', OLD.session_no USING ERRCODE = 'insufficient_privilege', HINT = 'Only the owner of the tables may: mfprefect grants --role admin';
END $$;
CREATE OR REPLACE FUNCTION model_factory.mfprefect_closed_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
      PERFORM FROM model_factory.sessions WHERE session_no IN (OLD.session_no, NEW.session_no) FOR SHARE;
    ELSE
      PERFORM FROM model_factory.sessions WHERE session_no IN (OLD.session_no, NEW.session_no) FOR KEY SHARE;
    END IF;
    IF EXISTS (
      SELECT FROM model_factory.sessions WHERE session_no IN (OLD.session_no, NEW.session_no) AND status <> 'running') THEN
      RAISE EXCEPTION 'session % has ended and takes no changes', coalesce(OLD.session_no, NEW.session_no) USING ERRCODE = 'insufficient_privilege', HINT = 'Only the owner of the tables may: mfprefect grants --role admin';
    END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION model_factory.mfprefect_closed_scores() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'USAGE') THEN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
      PERFORM FROM model_factory.sessions WHERE session_no IN (SELECT c.session_no FROM changed c) FOR SHARE;
    ELSE
      PERFORM FROM model_factory.sessions WHERE session_no IN (SELECT c.session_no FROM changed c) FOR KEY SHARE;
    END IF;
    IF EXISTS (
      SELECT FROM model_factory.sessions WHERE session_no IN (SELECT c.session_no FROM changed c) AND status <> 'running') THEN
      RAISE EXCEPTION 'a session that has ended takes no changes' USING ERRCODE = 'insufficient_privilege', HINT = 'Only the owner of the tables may: mfprefect grants --role admin';
    END IF;
  END IF;
  RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.sessions;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR UPDATE OR DELETE ON model_factory.sessions FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_session();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.session_attempts;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.session_attempts FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.inputs;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.inputs FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.input_summary;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.input_summary FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.check_results;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.check_results FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.session_params;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.session_params FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.session_metadata;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.session_metadata FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.metrics;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.metrics FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.metric_steps;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.metric_steps FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.variable_importance;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.variable_importance FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.test_curve;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.test_curve FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.backtests;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.backtests FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.gate_results;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.gate_results FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.drift;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.drift FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.scores;
CREATE TRIGGER mfprefect_closed AFTER DELETE ON model_factory.scores REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION model_factory.mfprefect_closed_scores();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.score_parts;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR UPDATE OR DELETE ON model_factory.score_parts FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.part_inputs;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.part_inputs FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.artifacts;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.artifacts FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
DROP TRIGGER IF EXISTS mfprefect_closed ON model_factory.artifact_chunks;
CREATE TRIGGER mfprefect_closed BEFORE INSERT OR DELETE ON model_factory.artifact_chunks FOR EACH ROW EXECUTE FUNCTION model_factory.mfprefect_closed_row();
COMMIT;

-- mfprefect: the rights of the role writer, for mfprefect_writer. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE ROLE mfprefect_writer LOGIN PASSWORD '..'
-- Run it as the owner of the tables, after the script of the role admin, which protects
-- ended sessions from writers.
BEGIN;
GRANT CONNECT ON DATABASE database TO mfprefect_writer;
GRANT USAGE ON SCHEMA model_factory TO mfprefect_writer;
REVOKE ALL ON model_factory.models, model_factory.model_thresholds, model_factory.environments, model_factory.sessions, model_factory.session_attempts, model_factory.model_stages, model_factory.inputs, model_factory.input_columns, model_factory.input_summary, model_factory.check_results, model_factory.session_params, model_factory.session_metadata, model_factory.metrics, model_factory.metric_steps, model_factory.variable_importance, model_factory.test_curve, model_factory.backtests, model_factory.gate_results, model_factory.drift, model_factory.scores, model_factory.score_parts, model_factory.part_inputs, model_factory.artifacts, model_factory.artifact_chunks, model_factory.notifications, model_factory.audit_events, model_factory.seals, model_factory.api_tokens, model_factory.idempotency_keys, model_factory.mfprefect_version, model_factory.published_scores, model_factory.latest_scores, model_factory.current_scores, model_factory.session_overview, model_factory.metric_history, model_factory.production_models, model_factory.gate_history FROM mfprefect_writer;
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
COMMIT;

-- mfprefect: the rights of the role reader, for mfprefect_reader. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE ROLE mfprefect_reader LOGIN PASSWORD '..'
-- Run it as the owner of the tables.
BEGIN;
GRANT CONNECT ON DATABASE database TO mfprefect_reader;
GRANT USAGE ON SCHEMA model_factory TO mfprefect_reader;
REVOKE ALL ON model_factory.models, model_factory.model_thresholds, model_factory.environments, model_factory.sessions, model_factory.session_attempts, model_factory.model_stages, model_factory.inputs, model_factory.input_columns, model_factory.input_summary, model_factory.check_results, model_factory.session_params, model_factory.session_metadata, model_factory.metrics, model_factory.metric_steps, model_factory.variable_importance, model_factory.test_curve, model_factory.backtests, model_factory.gate_results, model_factory.drift, model_factory.scores, model_factory.score_parts, model_factory.part_inputs, model_factory.artifacts, model_factory.artifact_chunks, model_factory.notifications, model_factory.audit_events, model_factory.seals, model_factory.api_tokens, model_factory.idempotency_keys, model_factory.mfprefect_version, model_factory.published_scores, model_factory.latest_scores, model_factory.current_scores, model_factory.session_overview, model_factory.metric_history, model_factory.production_models, model_factory.gate_history FROM mfprefect_reader;
GRANT SELECT ON model_factory.mfprefect_version TO mfprefect_reader;
GRANT SELECT ON model_factory.published_scores TO mfprefect_reader;
GRANT SELECT ON model_factory.latest_scores TO mfprefect_reader;
GRANT SELECT ON model_factory.current_scores TO mfprefect_reader;
GRANT SELECT ON model_factory.session_overview TO mfprefect_reader;
GRANT SELECT ON model_factory.metric_history TO mfprefect_reader;
GRANT SELECT ON model_factory.production_models TO mfprefect_reader;
GRANT SELECT ON model_factory.gate_history TO mfprefect_reader;
COMMIT;

-- mfprefect: the rights of the role auditor, for mfprefect_auditor. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE ROLE mfprefect_auditor LOGIN PASSWORD '..'
-- Run it as the owner of the tables.
BEGIN;
GRANT CONNECT ON DATABASE database TO mfprefect_auditor;
GRANT USAGE ON SCHEMA model_factory TO mfprefect_auditor;
REVOKE ALL ON model_factory.models, model_factory.model_thresholds, model_factory.environments, model_factory.sessions, model_factory.session_attempts, model_factory.model_stages, model_factory.inputs, model_factory.input_columns, model_factory.input_summary, model_factory.check_results, model_factory.session_params, model_factory.session_metadata, model_factory.metrics, model_factory.metric_steps, model_factory.variable_importance, model_factory.test_curve, model_factory.backtests, model_factory.gate_results, model_factory.drift, model_factory.scores, model_factory.score_parts, model_factory.part_inputs, model_factory.artifacts, model_factory.artifact_chunks, model_factory.notifications, model_factory.audit_events, model_factory.seals, model_factory.api_tokens, model_factory.idempotency_keys, model_factory.mfprefect_version, model_factory.published_scores, model_factory.latest_scores, model_factory.current_scores, model_factory.session_overview, model_factory.metric_history, model_factory.production_models, model_factory.gate_history FROM mfprefect_auditor;
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
COMMIT;
