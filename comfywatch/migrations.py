"""The tables of the database, and how an older one is brought forward: nothing here is ever changed, only added to."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE files (
        project TEXT NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        job INTEGER NOT NULL REFERENCES jobs (id),
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        inode INTEGER NOT NULL,
        gone INTEGER NOT NULL DEFAULT 0,
        note TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (project, path)
    ) WITHOUT ROWID;
    CREATE INDEX files_by_digest ON files (digest);
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL,
        first_seen TEXT NOT NULL,
        state TEXT NOT NULL,
        held TEXT NOT NULL,
        run INTEGER,
        prompt_id TEXT NOT NULL,
        post TEXT NOT NULL,
        server TEXT NOT NULL,
        number REAL,
        life INTEGER NOT NULL,
        losses INTEGER NOT NULL,
        refusals INTEGER NOT NULL,
        reruns INTEGER NOT NULL,
        wish TEXT,
        outcome TEXT,
        problems TEXT NOT NULL,
        hint TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        submitted TEXT,
        started TEXT,
        finished TEXT
    );
    CREATE INDEX jobs_by_path ON jobs (project, path, run);
    CREATE INDEX jobs_by_finish ON jobs (finished) WHERE finished IS NOT NULL;
    CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN ('pending', 'blocked', 'invalid', 'queued', 'running');
    CREATE TABLE contents (
        job INTEGER PRIMARY KEY REFERENCES jobs (id),
        dropped BLOB NOT NULL,
        submitted BLOB
    );
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        command TEXT NOT NULL,
        target TEXT NOT NULL,
        options TEXT NOT NULL,
        answer TEXT
    );
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    "ALTER TABLE jobs ADD COLUMN suspected TEXT;",
    "ALTER TABLE contents ADD COLUMN origin TEXT;",
    "ALTER TABLE jobs ADD COLUMN outputs TEXT NOT NULL DEFAULT '';",
    """
    ALTER TABLE jobs ADD COLUMN source TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN new_seeds INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX jobs_by_source ON jobs (source) WHERE source != '';
    """,
    """
    CREATE TABLE paces (
        project TEXT NOT NULL,
        path TEXT NOT NULL,
        nodes TEXT NOT NULL,
        PRIMARY KEY (project, path)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE heeded (
        project TEXT NOT NULL,
        path TEXT NOT NULL,
        control TEXT NOT NULL,
        file TEXT NOT NULL,
        job INTEGER NOT NULL,
        said TEXT NOT NULL,
        PRIMARY KEY (project, path, control)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE files ADD COLUMN folder TEXT NOT NULL DEFAULT '';
    UPDATE files SET folder = output_folder(path);
    CREATE INDEX files_by_folder ON files (project, folder);
    """,
    """
    CREATE TABLE shown (job INTEGER PRIMARY KEY REFERENCES jobs (id), outputs TEXT NOT NULL, seeds TEXT NOT NULL);
    """,
)
"""One script a version, the first for an empty database; ``PRAGMA user_version`` says how many have been applied."""
