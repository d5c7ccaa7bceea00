-- The tables as release 0.1 made them, and a few rows of it.
CREATE TABLE runs (
	id VARCHAR(32) NOT NULL,
	spec JSON NOT NULL,
	status VARCHAR(16) NOT NULL,
	reason TEXT,
	cost JSON NOT NULL,
	device JSON,
	versions JSON,
	summary JSON,
	frames INTEGER NOT NULL,
	created_at FLOAT NOT NULL,
	started_at FLOAT,
	finished_at FLOAT,
	used_at FLOAT NOT NULL,
	pinned BOOLEAN NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX runs_by_status ON runs (status, created_at);
CREATE TABLE snapshots (
	id VARCHAR(32) NOT NULL,
	runs JSON NOT NULL,
	state TEXT NOT NULL,
	title TEXT NOT NULL,
	created_at FLOAT NOT NULL,
	note TEXT DEFAULT '' NOT NULL,
	sweep JSON,
	PRIMARY KEY (id)
);
CREATE TABLE frames (
	run_id VARCHAR(32) NOT NULL,
	idx INTEGER NOT NULL,
	line BLOB NOT NULL,
	PRIMARY KEY (run_id, idx),
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO runs VALUES
	('aaaa', '{"depth": 4, "input": {"text": "nul: \u0000"}}', 'done', NULL, '{"seconds": 0.5}', '{"name": "cpu"}',
		'{"numerics": 2}', '{"headline": {"text": "so"}}', 2, 1.5, 2.5, 3.5, 4.5, 1),
	('aaaa-verify', '{"depth": 4}', 'done', NULL, '{"seconds": 0.25}', NULL, NULL, NULL, 1, 5.5, 6.5, 7.5, 8.5, 0),
	('bbbb', '{"depth": 8}', 'queued', NULL, '{"seconds": 1}', NULL, NULL, NULL, 0, 9.5, NULL, NULL, 9.5, 0),
	('cccc', '{"depth": 9}', 'failed', 'out of memory', '{"seconds": 2}', NULL, NULL, NULL, 0, 1, 2, 3, 4, 0);
INSERT INTO frames VALUES ('aaaa', 0, CAST('{"run":"aaaa","index":0}' AS BLOB)), ('aaaa', 1, x'7b7d0a'), ('aaaa-verify', 0, x'7b7d0a');
INSERT INTO snapshots VALUES ('old', '["aaaa"]', 'v=1', 'ours', 1.5, 'seen', '{"id": "s"}');
