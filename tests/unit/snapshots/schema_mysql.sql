USE `model_factory`;

CREATE TABLE mfprefect_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT mfprefect_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE audit_events (
    event_no INTEGER NOT NULL COMMENT 'Number of the event, from 1.',
    event_at DATETIME(6) NOT NULL COMMENT 'When it happened (UTC).',
    actor VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'User who did it.',
    event_action VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What was done, such as promote.',
    subject VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Session or model that it concerns.',
    detail LONGTEXT NOT NULL COMMENT 'Details, as JSON.',
    previous_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Digest of the event before it.',
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of the event, in hexadecimal.',
    PRIMARY KEY (event_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Audit trail: who did what, and when, as a chain of digests.' COLLATE utf8mb4_bin;

CREATE TABLE environments (
    environment_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of the Python version, platform and packages, in hexadecimal.',
    python_version VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Version of Python.',
    platform_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Operating system and machine.',
    packages LONGTEXT NOT NULL COMMENT 'Installed packages, as JSON.',
    PRIMARY KEY (environment_digest)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Python environments that sessions ran in, one row for each set of packages.' COLLATE utf8mb4_bin;

CREATE TABLE input_columns (
    schema_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Schema of the source table.',
    table_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Source table.',
    column_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Column of the source table.',
    is_valid BOOL NOT NULL COMMENT 'Whether it may be used.',
    is_test BOOL NOT NULL COMMENT 'Whether it is on trial.',
    note LONGTEXT COMMENT 'Remark of whoever registered it.',
    PRIMARY KEY (schema_name, table_name, column_name)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Registry of the columns that models may read.' COLLATE utf8mb4_bin;

CREATE TABLE models (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the model.',
    description LONGTEXT NOT NULL COMMENT 'What the model predicts.',
    entity_type VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What is scored, such as customer.',
    owner VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Person or team in charge of the model.',
    created_at DATETIME(6) NOT NULL COMMENT 'When it was registered (UTC).',
    PRIMARY KEY (model_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Registered models, one row each.' COLLATE utf8mb4_bin;

CREATE TABLE scores (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    entity_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What was scored, as text.',
    score DOUBLE NOT NULL COMMENT 'The score, in the unit of the model.',
    score_class VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Predicted class of a multiclass model.',
    part_no INTEGER NOT NULL COMMENT 'Part of the session that wrote it.',
    PRIMARY KEY (session_no, entity_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Scores, one row for each entity and session: the largest table.' COLLATE utf8mb4_bin;

CREATE TABLE model_thresholds (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Model, as in models.model_id.',
    set_at DATETIME(6) NOT NULL COMMENT 'When the threshold was set (UTC).',
    threshold_value DOUBLE NOT NULL COMMENT 'The threshold: a score from 0 to 1, or a share of the population from 0 to 1.',
    threshold_kind VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What the value is: probability or population.',
    set_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'User who set it.',
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES models (model_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Operating thresholds of models, of which the newest of each model applies.' COLLATE utf8mb4_bin;

CREATE TABLE sessions (
    session_no INTEGER NOT NULL COMMENT 'Number of the session: the key of all that it produced.',
    session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the session, as people see it.',
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Model, as in models.model_id.',
    purpose VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What it is for: train, score, monitor, adhoc or trial.',
    status VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'running, succeeded, failed, crashed or cancelled.',
    attempt INTEGER NOT NULL COMMENT 'Number of the last attempt, from 1.',
    started_at DATETIME(6) NOT NULL COMMENT 'When the session was opened (UTC).',
    ended_at DATETIME(6) COMMENT 'When it ended (UTC), or NULL while it runs.',
    heartbeat_at DATETIME(6) NOT NULL COMMENT 'When its process last gave a sign of life (UTC).',
    run_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'User who ran it.',
    host VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the machine.',
    process_id INTEGER NOT NULL COMMENT 'Operating system''s number of the process.',
    vcs VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Version control system of the code, such as git.',
    git_commit VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Commit of the code, in hexadecimal.',
    git_branch VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Branch that was checked out.',
    git_remote LONGTEXT COMMENT 'Address of the remote repository.',
    git_dirty BOOL COMMENT 'Whether the code had changes that were not committed.',
    git_diff_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'SHA-256 of those changes, in hexadecimal.',
    environment_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Python environment, as in environments.environment_digest.',
    as_of DATE COMMENT 'Day of the data, or NULL if it is the day of started_at.',
    params LONGTEXT NOT NULL COMMENT 'Parameters, as JSON.',
    flow_run_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Flow run in Prefect, or NULL outside of one.',
    flow_run_seq INTEGER COMMENT 'Number of the session within its flow run, from 1.',
    deployment VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Deployment in Prefect.',
    parent_session_no INTEGER COMMENT 'Number of the training session whose model it used.',
    failure_kind VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Kind of the failure, such as ValueError.',
    failure_text LONGTEXT COMMENT 'Message of the failure.',
    published_at DATETIME(6) COMMENT 'When its scores became visible (UTC), or NULL.',
    last_exported_at DATETIME(6) COMMENT 'When its scores were last exported (UTC).',
    seal VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'SHA-256 that seals it, in hexadecimal.',
    previous_seal VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Seal before it in the chain of its model.',
    PRIMARY KEY (session_no),
    FOREIGN KEY(environment_digest) REFERENCES environments (environment_digest),
    FOREIGN KEY(model_id) REFERENCES models (model_id),
    CONSTRAINT uq_sessions_flow_run UNIQUE (flow_run_id, flow_run_seq),
    UNIQUE (session_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Sessions: one row for each run of a model, from open to sealed.' COLLATE utf8mb4_bin;

CREATE INDEX ix_sessions_model ON sessions (model_id, session_no);

CREATE INDEX ix_sessions_status ON sessions (status, heartbeat_at);

CREATE TABLE artifact_chunks (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    artifact_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the artifact.',
    chunk_no INTEGER NOT NULL COMMENT 'Place of the piece.',
    chunk_bytes LONGBLOB NOT NULL COMMENT 'The bytes.',
    PRIMARY KEY (session_no, artifact_name, chunk_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Bytes of artifacts, in pieces of at most 4 MiB.' COLLATE utf8mb4_bin;

CREATE TABLE artifacts (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    artifact_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the artifact.',
    artifact_format VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Format, such as skops.',
    byte_count BIGINT NOT NULL COMMENT 'Size in bytes.',
    sha256 VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of the bytes, in hexadecimal.',
    signature VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Signature of the bytes, in hexadecimal.',
    library_versions LONGTEXT NOT NULL COMMENT 'Versions of the libraries that wrote it, as JSON.',
    PRIMARY KEY (session_no, artifact_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Models and other files that sessions saved, with their bytes in artifact_chunks.' COLLATE utf8mb4_bin;

CREATE TABLE backtests (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    series VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Series.',
    period_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Period, such as 2026-01.',
    predicted DOUBLE COMMENT 'Predicted value, in the unit of the series.',
    actual DOUBLE COMMENT 'Actual value, in the unit of the series.',
    PRIMARY KEY (session_no, series, period_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Predicted and actual values of time series.' COLLATE utf8mb4_bin;

CREATE TABLE check_results (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    check_no INTEGER NOT NULL COMMENT 'Number of the check, from 1.',
    check_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'The check.',
    column_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Column, or NULL for the whole input.',
    severity VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'error or warning.',
    passed BOOL NOT NULL COMMENT 'Whether the check passed.',
    failing_rows BIGINT NOT NULL COMMENT 'Rows that failed.',
    failing_sample LONGTEXT COMMENT 'Some of these rows, as JSON.',
    message LONGTEXT NOT NULL COMMENT 'What was found, in words.',
    PRIMARY KEY (session_no, check_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Checks of the input: one row for each check and column.' COLLATE utf8mb4_bin;

CREATE TABLE drift (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    variable VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Variable, score or metric.',
    measure VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Measure of drift, such as psi.',
    drift_value DOUBLE COMMENT 'Drift, in the unit of the measure.',
    drift_threshold DOUBLE COMMENT 'Value above which it is an alarm.',
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'ok, warning, alarm or unknown.',
    reference_session_no INTEGER COMMENT 'Number of the session compared with.',
    PRIMARY KEY (session_no, variable, measure),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Drift of inputs, scores and performance against an earlier session.' COLLATE utf8mb4_bin;

CREATE TABLE input_summary (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    variable VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Column of the input.',
    dtype VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Type of the column.',
    mean_value DOUBLE COMMENT 'Mean of a column of numbers.',
    sd_value DOUBLE COMMENT 'Standard deviation of a column of numbers.',
    median_value DOUBLE COMMENT 'Median of a column of numbers.',
    min_value DOUBLE COMMENT 'Minimum of a column of numbers.',
    max_value DOUBLE COMMENT 'Maximum of a column of numbers.',
    n BIGINT NOT NULL COMMENT 'Rows with a value.',
    n_na BIGINT NOT NULL COMMENT 'Rows without one.',
    n_distinct BIGINT NOT NULL COMMENT 'Different values.',
    quantiles LONGTEXT COMMENT 'Quantiles and edges of bins, as JSON.',
    bin_counts LONGTEXT COMMENT 'Rows by bin or by level, as JSON.',
    PRIMARY KEY (session_no, variable),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Distributions of the columns that sessions read.' COLLATE utf8mb4_bin;

CREATE TABLE inputs (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    input_no INTEGER NOT NULL COMMENT 'Number of the read, from 1.',
    source VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Source, path or function that was read.',
    query_text LONGTEXT COMMENT 'SQL of the read.',
    row_count BIGINT COMMENT 'Rows that were read.',
    column_types LONGTEXT COMMENT 'Types by column, as JSON.',
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'SHA-256 of the rows, with the number of the rule that computed it.',
    seconds DOUBLE NOT NULL COMMENT 'Time of the read, in seconds.',
    PRIMARY KEY (session_no, input_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='What sessions read, one row for each read.' COLLATE utf8mb4_bin;

CREATE TABLE metrics (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    metric_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the metric, such as auc.',
    segment VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Segment of the data, empty for all of it.',
    metric_value DOUBLE NOT NULL COMMENT 'Value of the metric.',
    definition_version INTEGER COMMENT 'Version of the formula, or NULL for a metric that the team defined.',
    PRIMARY KEY (session_no, metric_name, segment),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Metrics of sessions, for the whole data and by segment.' COLLATE utf8mb4_bin;

CREATE TABLE model_stages (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Model, as in models.model_id.',
    set_at DATETIME(6) NOT NULL COMMENT 'When the stage began (UTC).',
    session_no INTEGER NOT NULL COMMENT 'Number of the training session that got the stage.',
    stage VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'The stage: production, experimental or retired.',
    set_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'User who set it.',
    reason LONGTEXT COMMENT 'Why, in that user''s words.',
    gates LONGTEXT COMMENT 'Verdicts of the gates at that time, as JSON.',
    PRIMARY KEY (model_id, set_at),
    FOREIGN KEY(model_id) REFERENCES models (model_id),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='What was in production, and since when: the newest row of a model applies.' COLLATE utf8mb4_bin;

CREATE TABLE notifications (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    notice_no INTEGER NOT NULL COMMENT 'Number of the notice, from 1.',
    event VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What happened, such as failed.',
    channel VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Target of the settings.',
    sent_at DATETIME(6) NOT NULL COMMENT 'When it was last sent (UTC).',
    delivered BOOL NOT NULL COMMENT 'Whether it was delivered.',
    failure LONGTEXT COMMENT 'Why it was not delivered.',
    PRIMARY KEY (session_no, notice_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Notices about sessions, each event once to each channel.' COLLATE utf8mb4_bin;

CREATE TABLE score_parts (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    part_no INTEGER NOT NULL COMMENT 'Number of the part, from 1.',
    row_count BIGINT NOT NULL COMMENT 'Rows of the part.',
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of its rows, in hexadecimal.',
    attempt INTEGER NOT NULL COMMENT 'Attempt that wrote it.',
    written_at DATETIME(6) NOT NULL COMMENT 'When it was written (UTC).',
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Parts of the scores of a session, each written in one transaction.' COLLATE utf8mb4_bin;

CREATE TABLE session_metadata (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    meta_group VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Group of the note.',
    meta_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the note.',
    meta_value LONGTEXT NOT NULL COMMENT 'The note.',
    PRIMARY KEY (session_no, meta_group, meta_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Notes of sessions, by group and name.' COLLATE utf8mb4_bin;

CREATE TABLE test_curve (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    point_no INTEGER NOT NULL COMMENT 'Number of the point, from 0.',
    score DOUBLE NOT NULL COMMENT 'Threshold: rows with this score or more are called.',
    population BIGINT NOT NULL COMMENT 'Rows that are called.',
    target_population BIGINT NOT NULL COMMENT 'Positive rows among those that are called.',
    tp BIGINT NOT NULL COMMENT 'True positives, in rows.',
    fp BIGINT NOT NULL COMMENT 'False positives, in rows.',
    tn BIGINT NOT NULL COMMENT 'True negatives, in rows.',
    fn BIGINT NOT NULL COMMENT 'False negatives, in rows.',
    PRIMARY KEY (session_no, point_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Counts of the test rows at each threshold, from the highest score down.' COLLATE utf8mb4_bin;

CREATE TABLE variable_importance (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'How it was computed, such as permutation.',
    variable VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Variable of the model.',
    importance DOUBLE COMMENT 'Importance, in the unit of its kind.',
    std DOUBLE COMMENT 'Standard deviation of the importance.',
    coefficient DOUBLE COMMENT 'Coefficient of a linear model.',
    PRIMARY KEY (session_no, kind, variable),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Importance of each variable of a trained model.' COLLATE utf8mb4_bin;

INSERT INTO mfprefect_version (version_num) VALUES ('0001');

-- Running upgrade 0001 -> 0002

ALTER TABLE models ADD COLUMN max_age_seconds BIGINT COMMENT 'Age of the last scores, in seconds, above which an alarm is sent, or NULL.';

ALTER TABLE sessions ADD COLUMN tags LONGTEXT COMMENT 'Tags, as a JSON list.';

ALTER TABLE sessions ADD COLUMN suspected_at DATETIME(6) COMMENT 'When its heartbeat was first missed (UTC), or NULL again after the next.';

CREATE UNIQUE INDEX uq_notifications_fact ON notifications (session_no, event, channel);

UPDATE mfprefect_version SET version_num='0002' WHERE mfprefect_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE seals (
    model_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Model of the chain.',
    seal_no INTEGER NOT NULL COMMENT 'Place in the chain, from 1.',
    session_no INTEGER NOT NULL COMMENT 'Number of the session that it seals.',
    session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Session that it seals.',
    sealed_at DATETIME(6) NOT NULL COMMENT 'When it was sealed (UTC).',
    manifest LONGTEXT NOT NULL COMMENT 'Digests of its rows, as JSON.',
    seal VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of manifest and previous seal, in hexadecimal.',
    key_id VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Key that signed it, or NULL if not signed.',
    signature VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Signature, in hexadecimal.',
    PRIMARY KEY (model_id, seal_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Seals of sessions, one chain for each model, which outlive their sessions.' COLLATE utf8mb4_bin;

CREATE INDEX ix_seals_session ON seals (session_no);

ALTER TABLE audit_events ADD COLUMN key_id VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Key that signed it, or NULL if not signed.';

ALTER TABLE audit_events ADD COLUMN signature VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Signature, in hexadecimal.';

CREATE INDEX ix_audit_events_subject ON audit_events (subject, event_no);

UPDATE mfprefect_version SET version_num='0003' WHERE mfprefect_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE gate_results (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    gate_no INTEGER NOT NULL COMMENT 'Number of the gate, from 1.',
    gate VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'The gate, in words.',
    kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Kind of the gate.',
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Verdict, such as passed or failed.',
    reason LONGTEXT NOT NULL COMMENT 'Why, in words.',
    figure DOUBLE COMMENT 'Figure that was judged, in the unit of its metric.',
    at_least DOUBLE COMMENT 'Lowest figure that passes.',
    at_most DOUBLE COMMENT 'Highest figure that passes.',
    margin DOUBLE COMMENT 'How much worse than production still passes.',
    production_session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Session in production, compared with.',
    production_figure DOUBLE COMMENT 'Figure of the session in production.',
    difference DOUBLE COMMENT 'Figure minus that of the session in production.',
    interval_low DOUBLE COMMENT 'Lower end of the difference''s interval.',
    interval_high DOUBLE COMMENT 'Upper end of it.',
    interval_method VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'How the interval was computed.',
    PRIMARY KEY (session_no, gate_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Verdicts of the gates that decide about promotion and publication.' COLLATE utf8mb4_bin;

CREATE TABLE part_inputs (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    part_no INTEGER NOT NULL COMMENT 'Number of the part, from 1.',
    document LONGTEXT NOT NULL COMMENT 'Input, checks and summary, as JSON.',
    PRIMARY KEY (session_no, part_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='What each part read, for a retry, until the session has succeeded.' COLLATE utf8mb4_bin;

ALTER TABLE sessions ADD COLUMN deletion VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'While it is being deleted: session, or model if it goes with it.';

UPDATE mfprefect_version SET version_num='0004' WHERE mfprefect_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

CREATE TABLE session_attempts (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    attempt INTEGER NOT NULL COMMENT 'Number of the attempt, from 1.',
    status VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'How the attempt ended.',
    started_at DATETIME(6) COMMENT 'When it began (UTC), or NULL if not recorded.',
    ended_at DATETIME(6) COMMENT 'When it ended (UTC).',
    failure_kind VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Kind of the failure, such as ValueError.',
    failure_text LONGTEXT COMMENT 'Message of the failure.',
    run_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'User who ran it.',
    host VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the machine.',
    process_id INTEGER NOT NULL COMMENT 'Operating system''s number of the process.',
    vcs VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Version control system of the code, such as git.',
    git_commit VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Commit of the code, in hexadecimal.',
    git_branch VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Branch that was checked out.',
    git_remote LONGTEXT COMMENT 'Address of the remote repository.',
    git_dirty BOOL COMMENT 'Whether the code had changes that were not committed.',
    git_diff_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'SHA-256 of those changes, in hexadecimal.',
    environment_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Python environment, as in environments.environment_digest.',
    PRIMARY KEY (session_no, attempt),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Attempts of sessions that were retried: what sessions said of each.' COLLATE utf8mb4_bin;

ALTER TABLE sessions ADD COLUMN attempt_started_at DATETIME(6) COMMENT 'When the last attempt began (UTC), or NULL if an earlier version opened it.';

ALTER TABLE score_parts ADD COLUMN kept_by INTEGER COMMENT 'Last attempt that kept it, or NULL if none did.';

UPDATE mfprefect_version SET version_num='0005' WHERE mfprefect_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE mfprefect_version SET version_num='0006' WHERE mfprefect_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

ALTER TABLE sessions ADD COLUMN process_key VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Boot, container and start of its process, or NULL if nobody can tell.';

UPDATE mfprefect_version SET version_num='0007' WHERE mfprefect_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

UPDATE mfprefect_version SET version_num='0008' WHERE mfprefect_version.version_num = '0007';

-- Running upgrade 0008 -> 0009

UPDATE mfprefect_version SET version_num='0009' WHERE mfprefect_version.version_num = '0008';

-- Running upgrade 0009 -> 0010

CREATE TABLE api_tokens (
    token_id VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Public name of the token, the part of it before its secret.',
    token_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of the token, in hexadecimal.',
    token_scope VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What it allows: viewer, auditor, writer, deployer or admin.',
    owner VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Person or program that it stands for.',
    description LONGTEXT COMMENT 'What it is for.',
    created_at DATETIME(6) NOT NULL COMMENT 'When it was made (UTC).',
    created_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'User who made it.',
    expires_at DATETIME(6) NOT NULL COMMENT 'When it ends (UTC).',
    revoked_at DATETIME(6) COMMENT 'When it was revoked (UTC), or NULL.',
    revoked_by VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'User who revoked it, or NULL.',
    PRIMARY KEY (token_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Tokens of programs and people for the console and its API, by their digests.' COLLATE utf8mb4_bin;

CREATE TABLE idempotency_keys (
    key_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of caller and Idempotency-Key, in hexadecimal.',
    request_digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'SHA-256 of method, path, query, type and body, in hexadecimal.',
    actor VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Who sent it.',
    session_id VARCHAR(96) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Session that it opened or wrote to.',
    detail LONGTEXT COMMENT 'What was fixed before the first write, such as the first part, as JSON.',
    created_at DATETIME(6) NOT NULL COMMENT 'When it came (UTC).',
    answered_at DATETIME(6) COMMENT 'When it was answered (UTC), or NULL while it is not.',
    answer_status INTEGER COMMENT 'HTTP status of the answer.',
    answer LONGTEXT COMMENT 'Body of the answer, as JSON.',
    PRIMARY KEY (key_digest)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Requests of the API that may be retried, each answered once.' COLLATE utf8mb4_bin;

CREATE INDEX ix_idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE metric_steps (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    metric_name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the metric, such as loss.',
    segment VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Segment of the data, empty for all of it.',
    step_no BIGINT NOT NULL COMMENT 'The step, such as the number of the epoch.',
    step_value DOUBLE NOT NULL COMMENT 'Value of the metric.',
    logged_at DATETIME(6) NOT NULL COMMENT 'When it was logged (UTC).',
    PRIMARY KEY (session_no, metric_name, segment, step_no),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Metrics over the steps of a run, such as epochs: the last value is in metrics.' COLLATE utf8mb4_bin;

CREATE TABLE session_params (
    session_no INTEGER NOT NULL COMMENT 'Number of the session, as in sessions.session_no.',
    param_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'Name of the parameter.',
    param_type VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin NOT NULL COMMENT 'What the value is: number, text, boolean or json.',
    number_value DOUBLE COMMENT 'The number, or 1 for true and 0 for false.',
    text_value VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'The text, if it is not longer.',
    json_value LONGTEXT COMMENT 'The value as JSON: a list, an object, null, or a longer text or number.',
    PRIMARY KEY (session_no, param_name),
    FOREIGN KEY(session_no) REFERENCES sessions (session_no)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Parameters of sessions, one row each, to find sessions by their values.' COLLATE utf8mb4_bin;

CREATE INDEX ix_session_params_number ON session_params (param_name, number_value, session_no);

CREATE INDEX ix_session_params_text ON session_params (param_name, text_value, session_no);

ALTER TABLE sessions ADD COLUMN git_author VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Author of the commit, as name and mail address.';

ALTER TABLE session_attempts ADD COLUMN git_author VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin COMMENT 'Author of the commit, as name and mail address.';

CREATE INDEX ix_metrics_value ON metrics (metric_name, segment, metric_value, session_no);

UPDATE mfprefect_version SET version_num='0010' WHERE mfprefect_version.version_num = '0009';

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

CREATE ALGORITHM = TEMPTABLE VIEW production_models AS SELECT ranked.model_id, sessions.session_id, ranked.set_at, ranked.set_by, ranked.reason, ranked.description
FROM (SELECT model_stages.model_id AS model_id, model_stages.set_at AS set_at, model_stages.session_no AS session_no, model_stages.stage AS stage, model_stages.set_by AS set_by, model_stages.reason AS reason, model_stages.gates AS gates, models.description AS description, rank() OVER (PARTITION BY model_stages.model_id ORDER BY model_stages.set_at DESC) AS recency
FROM model_stages INNER JOIN models ON model_stages.model_id = models.model_id) AS ranked INNER JOIN sessions ON ranked.session_no = sessions.session_no
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
    OR (OLD.status <=> NEW.status AND OLD.attempt <=> NEW.attempt AND OLD.ended_at <=> NEW.ended_at AND OLD.heartbeat_at <=> NEW.heartbeat_at AND OLD.suspected_at <=> NEW.suspected_at AND OLD.host <=> NEW.host AND OLD.process_id <=> NEW.process_id AND OLD.process_key <=> NEW.process_key AND OLD.failure_kind <=> NEW.failure_kind AND OLD.failure_text <=> NEW.failure_text AND OLD.published_at <=> NEW.published_at AND OLD.seal <=> NEW.seal AND OLD.previous_seal <=> NEW.previous_seal AND OLD.attempt_started_at <=> NEW.attempt_started_at AND OLD.run_by <=> NEW.run_by AND OLD.vcs <=> NEW.vcs AND OLD.git_commit <=> NEW.git_commit AND OLD.git_branch <=> NEW.git_branch AND OLD.git_remote <=> NEW.git_remote AND OLD.git_dirty <=> NEW.git_dirty AND OLD.git_diff_digest <=> NEW.git_diff_digest AND OLD.environment_digest <=> NEW.environment_digest AND OLD.git_author <=> NEW.git_author AND OLD.params <=> NEW.params)) THEN
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
DROP TRIGGER IF EXISTS `model_factory`.`session_params_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`session_params_closed_insert` BEFORE INSERT ON `model_factory`.`session_params` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`session_params_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`session_params_closed_delete` BEFORE DELETE ON `model_factory`.`session_params` FOR EACH ROW
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
DROP TRIGGER IF EXISTS `model_factory`.`metric_steps_closed_insert`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`metric_steps_closed_insert` BEFORE INSERT ON `model_factory`.`metric_steps` FOR EACH ROW
IF CAST(SUBSTRING_INDEX(USER(), '@', 1) AS BINARY) <> CAST(SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AS BINARY)
  AND COALESCE((SELECT status FROM `model_factory`.`sessions` WHERE session_no = NEW.session_no LOCK IN SHARE MODE), '') <> 'running' THEN
  SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1142, MESSAGE_TEXT =
    'the session has ended and takes no changes but by the admin';
END IF //
DELIMITER ;
DROP TRIGGER IF EXISTS `model_factory`.`metric_steps_closed_delete`;
DELIMITER //
CREATE DEFINER = `mfprefect_admin`@`%` TRIGGER `model_factory`.`metric_steps_closed_delete` BEFORE DELETE ON `model_factory`.`metric_steps` FOR EACH ROW
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
GRANT SELECT, INSERT, UPDATE (status, attempt, ended_at, heartbeat_at, suspected_at, host, process_id, process_key, failure_kind, failure_text, published_at, seal, previous_seal, last_exported_at, attempt_started_at, run_by, vcs, git_commit, git_branch, git_remote, git_dirty, git_diff_digest, environment_digest, git_author, params) ON `model_factory`.`sessions` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`session_attempts` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT ON `model_factory`.`model_stages` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`inputs` TO `mfprefect_writer`@`%`;
GRANT SELECT ON `model_factory`.`input_columns` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`input_summary` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`check_results` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`session_params` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`session_metadata` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`metrics` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, DELETE ON `model_factory`.`metric_steps` TO `mfprefect_writer`@`%`;
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
GRANT SELECT ON `model_factory`.`api_tokens` TO `mfprefect_writer`@`%`;
GRANT SELECT, INSERT, UPDATE (session_id, detail, answered_at, answer_status, answer), DELETE ON `model_factory`.`idempotency_keys` TO `mfprefect_writer`@`%`;
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
GRANT SELECT ON `model_factory`.`session_params` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`session_metadata` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`metrics` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`metric_steps` TO `mfprefect_auditor`@`%`;
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
GRANT SELECT ON `model_factory`.`api_tokens` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`idempotency_keys` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`mfprefect_version` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`published_scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`latest_scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`current_scores` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`session_overview` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`metric_history` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`production_models` TO `mfprefect_auditor`@`%`;
GRANT SELECT ON `model_factory`.`gate_history` TO `mfprefect_auditor`@`%`;
