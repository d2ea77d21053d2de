-- 1 of 10

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- 2 of 10

-- sqlite, postgres, mysql
SELECT scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class
FROM scores
WHERE scores.session_no = ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL)) ORDER BY scores.entity_id;

-- teradata
LOCKING ROW FOR ACCESS SELECT scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class
FROM scores
WHERE scores.session_no = ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL)) ORDER BY scores.entity_id;

-- 3 of 10

-- sqlite, postgres, mysql
SELECT sessions.session_no
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL;

-- 4 of 10

-- sqlite, postgres, mysql
SELECT scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class
FROM scores
WHERE scores.session_no = ? AND scores.score >= ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL)) AND scores.entity_id IN (?) ORDER BY scores.entity_id;

-- teradata
LOCKING ROW FOR ACCESS SELECT scores.entity_id AS entity_id, scores.score AS score, scores.score_class AS score_class
FROM scores
WHERE scores.session_no = ? AND scores.score >= ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL)) AND scores.entity_id IN (?) ORDER BY scores.entity_id;

-- 5 of 10

-- sqlite, postgres, mysql
SELECT models.model_id
FROM models
WHERE models.model_id = ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT models.model_id
FROM models
WHERE models.model_id = ?;

-- 6 of 10

-- sqlite
SELECT sessions.session_no, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL ORDER BY coalesce(sessions.as_of, date(sessions.started_at)) DESC, sessions.published_at DESC, sessions.session_no DESC
 LIMIT ? OFFSET ?;

-- postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL ORDER BY coalesce(sessions.as_of, CAST(sessions.started_at AS DATE)) DESC, sessions.published_at DESC, sessions.session_no DESC
 LIMIT ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT TOP 20 sessions.session_no, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL ORDER BY coalesce(sessions.as_of, CAST(sessions.started_at AS DATE)) DESC, sessions.published_at DESC, sessions.session_no DESC;

-- 7 of 10

-- sqlite, postgres, mysql
SELECT scores.session_no, scores.entity_id, scores.score, scores.score_class
FROM scores
WHERE scores.session_no IN (?) AND scores.entity_id IN (?);

-- teradata
LOCKING ROW FOR ACCESS SELECT scores.session_no, scores.entity_id, scores.score, scores.score_class
FROM scores
WHERE scores.session_no IN (?) AND scores.entity_id IN (?);

-- 8 of 10

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.published_at
FROM sessions
WHERE sessions.session_no IN (?);

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id, sessions.published_at
FROM sessions
WHERE sessions.session_no IN (?);

-- 9 of 10

-- sqlite, postgres, mysql
SELECT count(*) AS row_total, min(published.score) AS lowest, max(published.score) AS highest
FROM (SELECT scores.entity_id AS entity_id, scores.score AS score
FROM scores
WHERE scores.session_no = ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL))) AS published;

-- teradata
LOCKING ROW FOR ACCESS SELECT count(*) AS row_total, min(published.score) AS lowest, max(published.score) AS highest
FROM (SELECT scores.entity_id AS entity_id, scores.score AS score
FROM scores
WHERE scores.session_no = ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL))) AS published;

-- 10 of 10

-- sqlite, postgres, mysql
SELECT numbered.bin_no, count(*) AS row_total
FROM (SELECT CASE WHEN (published.score < ?) THEN CASE WHEN (published.score < ?) THEN 0 ELSE 1 END ELSE 2 END AS bin_no
FROM (SELECT scores.entity_id AS entity_id, scores.score AS score
FROM scores
WHERE scores.session_no = ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL))) AS published) AS numbered GROUP BY numbered.bin_no;

-- teradata
LOCKING ROW FOR ACCESS SELECT numbered.bin_no, count(*) AS row_total
FROM (SELECT CASE WHEN (published.score < ?) THEN CASE WHEN (published.score < ?) THEN 0 ELSE 1 END ELSE 2 END AS bin_no
FROM (SELECT scores.entity_id AS entity_id, scores.score AS score
FROM scores
WHERE scores.session_no = ? AND (EXISTS (SELECT *
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL))) AS published) AS numbered GROUP BY numbered.bin_no;
