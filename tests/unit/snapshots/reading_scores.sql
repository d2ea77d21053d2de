-- 1 of 8

-- sqlite, postgres, mysql
SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no, sessions.session_id, sessions.model_id, sessions.purpose, sessions.attempt, sessions.status, sessions.as_of, parent.session_id AS parent_session_id
FROM sessions LEFT OUTER JOIN sessions AS parent ON parent.session_no = sessions.parent_session_no
WHERE sessions.session_id = ? ORDER BY sessions.session_no;

-- 2 of 8

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

-- 3 of 8

-- sqlite, postgres, mysql
SELECT sessions.session_no
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL;

-- teradata
LOCKING ROW FOR ACCESS SELECT sessions.session_no
FROM sessions
WHERE sessions.session_no = ? AND sessions.published_at IS NOT NULL;

-- 4 of 8

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

-- 5 of 8

-- sqlite, postgres, mysql
SELECT models.model_id
FROM models ORDER BY models.model_id;

-- teradata
LOCKING ROW FOR ACCESS SELECT models.model_id
FROM models ORDER BY models.model_id;

-- 6 of 8

-- sqlite
SELECT scores.entity_id, scores.score, scores.score_class, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions JOIN scores ON sessions.session_no = scores.session_no
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL AND scores.entity_id = ? ORDER BY sessions.session_no DESC
 LIMIT ? OFFSET ?;

-- postgres
SELECT scores.entity_id, scores.score, scores.score_class, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions JOIN scores ON sessions.session_no = scores.session_no
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL AND scores.entity_id = ? ORDER BY sessions.session_no DESC
 LIMIT ?;

-- mysql
SELECT scores.entity_id, scores.score, scores.score_class, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions INNER JOIN scores ON sessions.session_no = scores.session_no
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL AND scores.entity_id = ? ORDER BY sessions.session_no DESC
 LIMIT ?;

-- teradata
LOCKING ROW FOR ACCESS SELECT TOP 1 scores.entity_id, scores.score, scores.score_class, sessions.session_id, sessions.as_of, sessions.published_at
FROM sessions JOIN scores ON sessions.session_no = scores.session_no
WHERE sessions.model_id = ? AND sessions.published_at IS NOT NULL AND scores.entity_id = ? ORDER BY sessions.session_no DESC;

-- 7 of 8

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

-- 8 of 8

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
