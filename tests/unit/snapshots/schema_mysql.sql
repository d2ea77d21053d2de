USE `model_factory`;

CREATE TABLE mfprefect_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT mfprefect_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE audit_events (
    event_no INTEGER NOT NULL,
    event_at DATETIME(6) NOT NULL,
    actor VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    event_action VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    subject VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    detail LONGTEXT NOT NULL,
    previous_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    PRIMARY KEY (event_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE environments (
    environment_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    python_version VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    platform_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    packages LONGTEXT NOT NULL,
    PRIMARY KEY (environment_digest)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE input_columns (
    schema_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    table_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    column_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    is_valid BOOL NOT NULL,
    is_test BOOL NOT NULL,
    note LONGTEXT,
    PRIMARY KEY (schema_name, table_name, column_name)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE models (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    description LONGTEXT NOT NULL,
    entity_type VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    owner VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (model_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE scores (
    session_no INTEGER NOT NULL,
    entity_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    score DOUBLE NOT NULL,
    score_class VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    part_no INTEGER NOT NULL,
    PRIMARY KEY (session_no, entity_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE model_thresholds (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    set_at DATETIME(6) NOT NULL,
    threshold_value DOUBLE NOT NULL,
    threshold_kind VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    set_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES models (model_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE sessions (
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    purpose VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    status VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    attempt INTEGER NOT NULL,
    started_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6),
    heartbeat_at DATETIME(6) NOT NULL,
    run_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    host VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    git_commit VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    git_branch VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    git_remote LONGTEXT,
    git_dirty BOOL,
    git_diff_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    environment_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    as_of DATE,
    params LONGTEXT NOT NULL,
    flow_run_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    flow_run_seq INTEGER,
    deployment VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    parent_session_no INTEGER,
    failure_kind VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    failure_text LONGTEXT,
    published_at DATETIME(6),
    last_exported_at DATETIME(6),
    seal VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    previous_seal VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    PRIMARY KEY (session_no),
    FOREIGN KEY(environment_digest) REFERENCES environments (environment_digest),
    FOREIGN KEY(model_id) REFERENCES models (model_id),
    CONSTRAINT uq_sessions_flow_run UNIQUE (flow_run_id, flow_run_seq),
    UNIQUE (session_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_sessions_model ON sessions (model_id, session_no);

CREATE INDEX ix_sessions_status ON sessions (status, heartbeat_at);

CREATE TABLE artifact_chunks (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    chunk_no INTEGER NOT NULL,
    chunk_bytes LONGBLOB NOT NULL,
    PRIMARY KEY (session_no, artifact_name, chunk_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE artifacts (
    session_no INTEGER NOT NULL,
    artifact_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    artifact_format VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    byte_count BIGINT NOT NULL,
    sha256 VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    signature VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    library_versions LONGTEXT NOT NULL,
    PRIMARY KEY (session_no, artifact_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE backtests (
    session_no INTEGER NOT NULL,
    series VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    period_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    predicted DOUBLE,
    actual DOUBLE,
    PRIMARY KEY (session_no, series, period_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE check_results (
    session_no INTEGER NOT NULL,
    check_no INTEGER NOT NULL,
    check_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    column_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    severity VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    passed BOOL NOT NULL,
    failing_rows BIGINT NOT NULL,
    failing_sample LONGTEXT,
    message LONGTEXT NOT NULL,
    PRIMARY KEY (session_no, check_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE drift (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    measure VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    drift_value DOUBLE,
    drift_threshold DOUBLE,
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    reference_session_no INTEGER,
    PRIMARY KEY (session_no, variable, measure),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE input_summary (
    session_no INTEGER NOT NULL,
    variable VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    dtype VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    mean_value DOUBLE,
    sd_value DOUBLE,
    median_value DOUBLE,
    min_value DOUBLE,
    max_value DOUBLE,
    n BIGINT NOT NULL,
    n_na BIGINT NOT NULL,
    n_distinct BIGINT NOT NULL,
    quantiles LONGTEXT,
    bin_counts LONGTEXT,
    PRIMARY KEY (session_no, variable),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE inputs (
    session_no INTEGER NOT NULL,
    input_no INTEGER NOT NULL,
    source VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    query_text LONGTEXT,
    row_count BIGINT,
    column_types LONGTEXT,
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    seconds DOUBLE NOT NULL,
    PRIMARY KEY (session_no, input_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE metrics (
    session_no INTEGER NOT NULL,
    metric_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    segment VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    metric_value DOUBLE NOT NULL,
    definition_version INTEGER,
    PRIMARY KEY (session_no, metric_name, segment),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE model_stages (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    set_at DATETIME(6) NOT NULL,
    session_no INTEGER NOT NULL,
    stage VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    set_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    reason LONGTEXT,
    gates LONGTEXT,
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES models (model_id),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE notifications (
    session_no INTEGER NOT NULL,
    notice_no INTEGER NOT NULL,
    event VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    channel VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    sent_at DATETIME(6) NOT NULL,
    delivered BOOL NOT NULL,
    failure LONGTEXT,
    PRIMARY KEY (session_no, notice_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE score_parts (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    attempt INTEGER NOT NULL,
    written_at DATETIME(6) NOT NULL,
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE session_metadata (
    session_no INTEGER NOT NULL,
    meta_group VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    meta_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    meta_value LONGTEXT NOT NULL,
    PRIMARY KEY (session_no, meta_group, meta_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE test_curve (
    session_no INTEGER NOT NULL,
    point_no INTEGER NOT NULL,
    score DOUBLE NOT NULL,
    population BIGINT NOT NULL,
    target_population BIGINT NOT NULL,
    tp BIGINT NOT NULL,
    fp BIGINT NOT NULL,
    tn BIGINT NOT NULL,
    fn BIGINT NOT NULL,
    PRIMARY KEY (session_no, point_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE variable_importance (
    session_no INTEGER NOT NULL,
    kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    variable VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    importance DOUBLE,
    std DOUBLE,
    coefficient DOUBLE,
    PRIMARY KEY (session_no, kind, variable),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO mfprefect_version (version_num) VALUES ('0001');

-- Running upgrade 0001 -> 0002

ALTER TABLE models ADD COLUMN max_age_seconds BIGINT;

ALTER TABLE sessions ADD COLUMN tags LONGTEXT;

ALTER TABLE sessions ADD COLUMN suspected_at DATETIME(6);

CREATE UNIQUE INDEX uq_notifications_fact ON notifications (session_no, event, channel);

UPDATE mfprefect_version SET version_num='0002' WHERE mfprefect_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE seals (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    seal_no INTEGER NOT NULL,
    session_no INTEGER NOT NULL,
    session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    sealed_at DATETIME(6) NOT NULL,
    manifest LONGTEXT NOT NULL,
    seal VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    key_id VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    signature VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    PRIMARY KEY (model_id, seal_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX ix_seals_session ON seals (session_no);

ALTER TABLE audit_events ADD COLUMN key_id VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

ALTER TABLE audit_events ADD COLUMN signature VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

CREATE INDEX ix_audit_events_subject ON audit_events (subject, event_no);

UPDATE mfprefect_version SET version_num='0003' WHERE mfprefect_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE gate_results (
    session_no INTEGER NOT NULL,
    gate_no INTEGER NOT NULL,
    gate VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    reason LONGTEXT NOT NULL,
    figure DOUBLE,
    at_least DOUBLE,
    at_most DOUBLE,
    margin DOUBLE,
    production_session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    production_figure DOUBLE,
    difference DOUBLE,
    interval_low DOUBLE,
    interval_high DOUBLE,
    interval_method VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    PRIMARY KEY (session_no, gate_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE part_inputs (
    session_no INTEGER NOT NULL,
    part_no INTEGER NOT NULL,
    document LONGTEXT NOT NULL,
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE sessions ADD COLUMN deletion VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

UPDATE mfprefect_version SET version_num='0004' WHERE mfprefect_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

CREATE TABLE session_attempts (
    session_no INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    started_at DATETIME(6),
    ended_at DATETIME(6),
    failure_kind VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    failure_text LONGTEXT,
    run_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    host VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL,
    process_id INTEGER NOT NULL,
    vcs VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    git_commit VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    git_branch VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    git_remote LONGTEXT,
    git_dirty BOOL,
    git_diff_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    environment_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin,
    PRIMARY KEY (session_no, attempt),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE sessions ADD COLUMN attempt_started_at DATETIME(6);

ALTER TABLE score_parts ADD COLUMN kept_by INTEGER;

UPDATE mfprefect_version SET version_num='0005' WHERE mfprefect_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE mfprefect_version SET version_num='0006' WHERE mfprefect_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

ALTER TABLE sessions ADD COLUMN process_key VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin;

UPDATE mfprefect_version SET version_num='0007' WHERE mfprefect_version.version_num = '0006';

CREATE ALGORITHM = TEMPTABLE VIEW published_scores AS SELECT sessions.model_id, sessions.session_id, scores.entity_id, scores.score, scores.score_class, sessions.as_of, sessions.published_at
FROM sessions STRAIGHT_JOIN scores FORCE INDEX (PRIMARY) ON sessions.session_no = scores.session_no
WHERE sessions.published_at IS NOT NULL;

CREATE ALGORITHM = TEMPTABLE VIEW latest_scores AS SELECT ranked.model_id, ranked.session_id, ranked.entity_id, ranked.score, ranked.score_class, ranked.as_of, ranked.published_at
FROM (SELECT ordered.model_id AS model_id, ordered.session_id AS session_id, scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class, ordered.as_of AS as_of, ordered.published_at AS published_at, row_number() OVER (PARTITION BY ordered.model_id, scores.entity_id ORDER BY ordered.place) AS recency
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.as_of AS as_of, sessions.published_at AS published_at, sessions.session_no AS session_no, row_number() OVER (PARTITION BY sessions.model_id ORDER BY coalesce(sessions.as_of, CAST(sessions.started_at AS DATE)) DESC, sessions.published_at DESC, sessions.session_no DESC) AS place
FROM sessions
WHERE sessions.published_at IS NOT NULL) AS ordered STRAIGHT_JOIN scores FORCE INDEX (PRIMARY) ON ordered.session_no = scores.session_no) AS ranked
WHERE ranked.recency = 1;

CREATE ALGORITHM = TEMPTABLE VIEW current_scores AS SELECT ordered.model_id, ordered.session_id, scores.entity_id, scores.score, scores.score_class, ordered.as_of, ordered.published_at
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.as_of AS as_of, sessions.published_at AS published_at, sessions.session_no AS session_no, row_number() OVER (PARTITION BY sessions.model_id ORDER BY coalesce(sessions.as_of, CAST(sessions.started_at AS DATE)) DESC, sessions.published_at DESC, sessions.session_no DESC) AS place
FROM sessions
WHERE sessions.published_at IS NOT NULL) AS ordered STRAIGHT_JOIN scores FORCE INDEX (PRIMARY) ON ordered.session_no = scores.session_no
WHERE ordered.place = 1;

CREATE VIEW session_overview AS SELECT sessions.session_id, sessions.model_id, sessions.purpose, sessions.status, sessions.attempt, sessions.started_at, sessions.ended_at, sessions.heartbeat_at, sessions.run_by, sessions.host, sessions.vcs, sessions.git_commit, sessions.git_branch, sessions.git_remote, sessions.git_dirty, sessions.git_diff_digest, sessions.as_of, sessions.params, sessions.flow_run_id, sessions.flow_run_seq, sessions.deployment, sessions.failure_kind, sessions.failure_text, sessions.published_at, sessions.last_exported_at, sessions.seal, sessions.previous_seal, sessions.tags, sessions.deletion, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no;

CREATE ALGORITHM = TEMPTABLE VIEW metric_history AS SELECT sessions.model_id, sessions.session_id, sessions.as_of, sessions.started_at, metrics.metric_name, metrics.segment, metrics.metric_value, metrics.definition_version
FROM sessions STRAIGHT_JOIN metrics FORCE INDEX (PRIMARY) ON sessions.session_no = metrics.session_no
WHERE sessions.status = 'succeeded';

CREATE ALGORITHM = TEMPTABLE VIEW production_models AS SELECT ranked.model_id, sessions.session_id, ranked.set_at, ranked.set_by, ranked.reason
FROM (SELECT model_stages.model_id AS model_id, model_stages.set_at AS set_at, model_stages.session_no AS session_no, model_stages.stage AS stage, model_stages.set_by AS set_by, model_stages.reason AS reason, model_stages.gates AS gates, rank() OVER (PARTITION BY model_stages.model_id ORDER BY model_stages.set_at DESC) AS recency
FROM model_stages) AS ranked INNER JOIN sessions ON ranked.session_no = sessions.session_no
WHERE ranked.stage = 'production' AND ranked.recency = 1;

CREATE ALGORITHM = TEMPTABLE VIEW gate_history AS SELECT verdicts.model_id, verdicts.session_id, verdicts.status, verdicts.started_at, verdicts.gate_no, verdicts.gate, verdicts.kind, verdicts.verdict, verdicts.reason, verdicts.figure, verdicts.at_least, verdicts.at_most, verdicts.margin, verdicts.production_session_id, verdicts.production_figure, verdicts.difference, verdicts.interval_low, verdicts.interval_high, verdicts.interval_method
FROM (SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.status AS status, sessions.started_at AS started_at, gate_results.gate_no AS gate_no, gate_results.gate AS gate, gate_results.kind AS kind, gate_results.verdict AS verdict, gate_results.reason AS reason, gate_results.figure AS figure, gate_results.at_least AS at_least, gate_results.at_most AS at_most, gate_results.margin AS margin, gate_results.production_session_id AS production_session_id, gate_results.production_figure AS production_figure, gate_results.difference AS difference, gate_results.interval_low AS interval_low, gate_results.interval_high AS interval_high, gate_results.interval_method AS interval_method
FROM sessions STRAIGHT_JOIN gate_results FORCE INDEX (PRIMARY) ON sessions.session_no = gate_results.session_no
WHERE sessions.status IN ('succeeded', 'failed') UNION ALL SELECT sessions.model_id AS model_id, sessions.session_id AS session_id, sessions.status AS status, sessions.started_at AS started_at, legacy.place AS place, legacy.gate AS gate, legacy.kind AS kind, legacy.verdict AS verdict, legacy.reason AS reason, legacy.figure AS figure, legacy.at_least AS at_least, legacy.at_most AS at_most, legacy.margin AS margin, legacy.production_session_id AS production_session_id, legacy.production_figure AS production_figure, legacy.difference AS difference, legacy.interval_low AS interval_low, legacy.interval_high AS interval_high, legacy.interval_method AS interval_method
FROM sessions INNER JOIN (SELECT documents.session_no, listed.place, listed.gate, listed.kind, listed.verdict, listed.reason, listed.figure, listed.at_least, listed.at_most, listed.margin, listed.production_session_id, listed.production_figure, listed.difference, listed.interval_low, listed.interval_high, listed.interval_method FROM (SELECT session_metadata.session_no, session_metadata.meta_value AS document
FROM sessions STRAIGHT_JOIN session_metadata FORCE INDEX (PRIMARY) ON sessions.session_no = session_metadata.session_no
WHERE sessions.status IN ('succeeded', 'failed') AND session_metadata.meta_group = 'gates' AND session_metadata.meta_name = 'verdicts' AND NOT (EXISTS (SELECT *
FROM gate_results
WHERE gate_results.session_no = session_metadata.session_no))) AS documents JOIN JSON_TABLE(COALESCE(documents.document, '[]'), '$[*]' COLUMNS (place FOR ORDINALITY, gate VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.gate', kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.kind', verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.verdict', reason LONGTEXT PATH '$.reason', figure DOUBLE PATH '$.figure', at_least DOUBLE PATH '$.at_least', at_most DOUBLE PATH '$.at_most', margin DOUBLE PATH '$.margin', production_session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.production_session_id', production_figure DOUBLE PATH '$.production_figure', difference DOUBLE PATH '$.difference', interval_low DOUBLE PATH '$.low', interval_high DOUBLE PATH '$.high', interval_method VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin PATH '$.method')) AS listed) AS legacy ON sessions.session_no = legacy.session_no) AS verdicts;

-- mfprefect: the rights of the role admin, for `mfprefect_admin`@`%`. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER `mfprefect_admin`@`%` IDENTIFIED BY '..'
-- Run it as root, or as a user who may SET USER (MariaDB) or has SYSTEM_USER and
-- SET_ANY_DEFINER (MySQL). It creates the triggers that protect ended sessions from all
-- users but this one, by name. On MySQL, the views become this user's. It revokes nothing.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, TRIGGER ON `model\_factory`.* TO `mfprefect_admin`@`%`;
DROP TRIGGER IF EXISTS `model_factory`.`sessions_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`sessions_closed_insert` BEFORE INSERT ON `model_factory`.`sessions` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND NOT (NEW.status = 'running' AND NEW.published_at IS NULL AND NEW.seal IS NULL AND NEW.deletion IS NULL) THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`sessions_closed_update`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`sessions_closed_update` BEFORE UPDATE ON `model_factory`.`sessions` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND NOT (OLD.status = 'running'
    OR (OLD.status IN ('failed', 'crashed', 'cancelled') AND NEW.status = 'running' AND (OLD.flow_run_id IS NOT NULL AND NEW.attempt = OLD.attempt + 1 OR NEW.attempt = OLD.attempt AND OLD.seal IS NULL AND (OLD.failure_kind IN ('Crashed', 'FlowRunCancelled') OR OLD.failure_kind = 'Cancelled' AND OLD.flow_run_id IS NOT NULL)))
    OR (OLD.status <=> NEW.status AND OLD.attempt <=> NEW.attempt AND OLD.ended_at <=> NEW.ended_at AND OLD.heartbeat_at <=> NEW.heartbeat_at AND OLD.suspected_at <=> NEW.suspected_at AND OLD.host <=> NEW.host AND OLD.process_id <=> NEW.process_id AND OLD.process_key <=> NEW.process_key AND OLD.failure_kind <=> NEW.failure_kind AND OLD.failure_text <=> NEW.failure_text AND OLD.published_at <=> NEW.published_at AND OLD.seal <=> NEW.seal AND OLD.previous_seal <=> NEW.previous_seal AND OLD.attempt_started_at <=> NEW.attempt_started_at AND OLD.run_by <=> NEW.run_by AND OLD.vcs <=> NEW.vcs AND OLD.git_commit <=> NEW.git_commit AND OLD.git_branch <=> NEW.git_branch AND OLD.git_remote <=> NEW.git_remote AND OLD.git_dirty <=> NEW.git_dirty AND OLD.git_diff_digest <=> NEW.git_diff_digest AND OLD.environment_digest <=> NEW.environment_digest AND OLD.params <=> NEW.params)) THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`session_attempts_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`session_attempts_closed_insert` BEFORE INSERT ON `model_factory`.`session_attempts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`session_attempts_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`session_attempts_closed_delete` BEFORE DELETE ON `model_factory`.`session_attempts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`inputs_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`inputs_closed_insert` BEFORE INSERT ON `model_factory`.`inputs` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`inputs_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`inputs_closed_delete` BEFORE DELETE ON `model_factory`.`inputs` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`input_summary_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`input_summary_closed_insert` BEFORE INSERT ON `model_factory`.`input_summary` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`input_summary_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`input_summary_closed_delete` BEFORE DELETE ON `model_factory`.`input_summary` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`check_results_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`check_results_closed_insert` BEFORE INSERT ON `model_factory`.`check_results` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`check_results_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`check_results_closed_delete` BEFORE DELETE ON `model_factory`.`check_results` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`session_metadata_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`session_metadata_closed_insert` BEFORE INSERT ON `model_factory`.`session_metadata` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`session_metadata_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`session_metadata_closed_delete` BEFORE DELETE ON `model_factory`.`session_metadata` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`metrics_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`metrics_closed_insert` BEFORE INSERT ON `model_factory`.`metrics` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`metrics_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`metrics_closed_delete` BEFORE DELETE ON `model_factory`.`metrics` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`variable_importance_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`variable_importance_closed_insert` BEFORE INSERT ON `model_factory`.`variable_importance` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`variable_importance_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`variable_importance_closed_delete` BEFORE DELETE ON `model_factory`.`variable_importance` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`test_curve_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`test_curve_closed_insert` BEFORE INSERT ON `model_factory`.`test_curve` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`test_curve_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`test_curve_closed_delete` BEFORE DELETE ON `model_factory`.`test_curve` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`backtests_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`backtests_closed_insert` BEFORE INSERT ON `model_factory`.`backtests` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`backtests_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`backtests_closed_delete` BEFORE DELETE ON `model_factory`.`backtests` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`gate_results_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`gate_results_closed_insert` BEFORE INSERT ON `model_factory`.`gate_results` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`gate_results_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`gate_results_closed_delete` BEFORE DELETE ON `model_factory`.`gate_results` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`drift_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`drift_closed_insert` BEFORE INSERT ON `model_factory`.`drift` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`drift_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`drift_closed_delete` BEFORE DELETE ON `model_factory`.`drift` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`scores_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`scores_closed_delete` BEFORE DELETE ON `model_factory`.`scores` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`score_parts_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`score_parts_closed_insert` BEFORE INSERT ON `model_factory`.`score_parts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`score_parts_closed_update`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`score_parts_closed_update` BEFORE UPDATE ON `model_factory`.`score_parts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`score_parts_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`score_parts_closed_delete` BEFORE DELETE ON `model_factory`.`score_parts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`part_inputs_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`part_inputs_closed_insert` BEFORE INSERT ON `model_factory`.`part_inputs` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`part_inputs_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`part_inputs_closed_delete` BEFORE DELETE ON `model_factory`.`part_inputs` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`artifacts_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`artifacts_closed_insert` BEFORE INSERT ON `model_factory`.`artifacts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`artifacts_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`artifacts_closed_delete` BEFORE DELETE ON `model_factory`.`artifacts` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`artifact_chunks_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`artifact_chunks_closed_insert` BEFORE INSERT ON `model_factory`.`artifact_chunks` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`artifact_chunks_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`artifact_chunks_closed_delete` BEFORE DELETE ON `model_factory`.`artifact_chunks` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = OLD.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
SET NAMES utf8mb4;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`published_scores` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'published_scores'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`latest_scores` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'latest_scores'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`current_scores` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'current_scores'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`session_overview` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'session_overview'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`metric_history` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'metric_history'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`production_models` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'production_models'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;
SET @mfprefect_view = IF(VERSION() LIKE '%MariaDB%', 'DO 0', (
  SELECT CONCAT('CREATE OR REPLACE ALGORITHM = TEMPTABLE DEFINER = `mfprefect_admin`@`%` VIEW `model_factory`.`gate_history` AS ', view_definition) FROM information_schema.views
  WHERE table_schema = 'model_factory' AND table_name = 'gate_history'));
PREPARE mfprefect_view FROM @mfprefect_view;
EXECUTE mfprefect_view;
DEALLOCATE PREPARE mfprefect_view;

-- mfprefect: the rights of the role writer, for `mfprefect_writer`@`%`. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER `mfprefect_writer`@`%` IDENTIFIED BY '..'
-- Run it after the script of the role admin, which protects ended sessions from writers.
GRANT SELECT, INSERT, UPDATE (description, entity_type, owner, max_age_seconds) ON `model_factory`.`models` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`model_thresholds` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT ON `model_factory`.`environments` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, UPDATE (status, attempt, ended_at, heartbeat_at, suspected_at, host, process_id, process_key, failure_kind, failure_text, published_at, seal, previous_seal, last_exported_at, attempt_started_at, run_by, vcs, git_commit, git_branch, git_remote, git_dirty, git_diff_digest, environment_digest, params) ON `model_factory`.`sessions` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`session_attempts` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT ON `model_factory`.`model_stages` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`inputs` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`input_columns` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`input_summary` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`check_results` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`session_metadata` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`metrics` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`variable_importance` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`test_curve` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`backtests` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`gate_results` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`drift` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`scores` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, UPDATE (kept_by), DELETE ON `model_factory`.`score_parts` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`part_inputs` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`artifacts` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`artifact_chunks` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, UPDATE (sent_at, delivered, failure) ON `model_factory`.`notifications` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT ON `model_factory`.`audit_events` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT ON `model_factory`.`seals` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`mfprefect_version` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`published_scores` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`latest_scores` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`current_scores` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`session_overview` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`metric_history` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`production_models` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`gate_history` TO `mfprefect_writer`@`%`;

-- mfprefect: the rights of the role reader, for `mfprefect_reader`@`%`. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER `mfprefect_reader`@`%` IDENTIFIED BY '..'
GRANT SELECT ON `model_factory`.`mfprefect_version` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`published_scores` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`latest_scores` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`current_scores` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`session_overview` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`metric_history` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`production_models` TO `mfprefect_reader`@`%`;
GRANT SELECT ON `model_factory`.`gate_history` TO `mfprefect_reader`@`%`;

-- mfprefect: the rights of the role auditor, for `mfprefect_auditor`@`%`. Harmless when repeated.
-- Run it after `mfprefect init`, and again when a new version has changed the schema.
-- Create the user first: CREATE USER `mfprefect_auditor`@`%` IDENTIFIED BY '..'
GRANT SELECT ON `model_factory`.`models` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`model_thresholds` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`environments` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`sessions` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`session_attempts` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`model_stages` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`inputs` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`input_columns` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`input_summary` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`check_results` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`session_metadata` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`metrics` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`variable_importance` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`test_curve` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`backtests` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`gate_results` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`drift` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`score_parts` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`part_inputs` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`artifacts` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`artifact_chunks` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`notifications` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`audit_events` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`seals` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`mfprefect_version` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`published_scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`latest_scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`current_scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`session_overview` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`metric_history` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`production_models` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`gate_history` TO `mfprefect_auditor`@`%`;
