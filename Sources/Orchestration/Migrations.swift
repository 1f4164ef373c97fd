import GRDB

/// The tables of `conversations.db`. Names are appended, and never edited once merged.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 chats, turns and their logs") { database in
            try database.execute(sql: conversations)
        }
        migrator.registerMigration("2 jobs") { database in
            try database.execute(sql: jobs)
        }
        migrator.registerMigration("3 passages of a chat") { database in
            try database.execute(sql: "ALTER TABLE chats ADD COLUMN passages_max INTEGER")
        }
        // A JSON list of identifiers; null for all.
        migrator.registerMigration("4 collections of a chat") { database in
            try database.execute(sql: "ALTER TABLE chats ADD COLUMN collections TEXT")
        }
        return migrator
    }

    // Bodies of events are kept as they are read back: text for `text` and `notice`, JSON for
    // `passages` and `progress`, nothing for `ended`, whose outcome is on the turn.
    private static let conversations = """
        CREATE TABLE chats (
            id TEXT PRIMARY KEY NOT NULL,
            owner TEXT NOT NULL,
            title TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX chats_by_owner ON chats (owner, updated_at);

        CREATE TABLE turns (
            id TEXT PRIMARY KEY NOT NULL,
            chat TEXT NOT NULL REFERENCES chats ON DELETE CASCADE,
            owner TEXT NOT NULL,
            answer TEXT NOT NULL,
            state TEXT NOT NULL,
            trace TEXT,
            started_at INTEGER NOT NULL,
            ended_at INTEGER,
            outcome TEXT,
            is_compact INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX turns_running ON turns (chat) WHERE state = 'running';
        CREATE INDEX turns_by_chat ON turns (chat);
        CREATE INDEX turns_to_compact ON turns (ended_at) WHERE is_compact = 0;

        CREATE TABLE entries (
            chat TEXT NOT NULL REFERENCES chats ON DELETE CASCADE,
            position INTEGER NOT NULL,
            id TEXT NOT NULL,
            role TEXT NOT NULL,
            text TEXT NOT NULL,
            turn TEXT,
            created_at INTEGER NOT NULL,
            PRIMARY KEY (chat, position)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE turn_events (
            turn TEXT NOT NULL REFERENCES turns ON DELETE CASCADE,
            number INTEGER NOT NULL,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (turn, number)
        ) STRICT, WITHOUT ROWID;
        """

    private static let jobs = """
        CREATE TABLE jobs (
            id TEXT PRIMARY KEY NOT NULL,
            owner TEXT NOT NULL,
            principal TEXT NOT NULL,
            kind TEXT NOT NULL,
            payload TEXT NOT NULL,
            state TEXT NOT NULL,
            done INTEGER NOT NULL DEFAULT 0,
            total INTEGER NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            crashes INTEGER NOT NULL DEFAULT 0,
            is_cancelled INTEGER NOT NULL DEFAULT 0,
            started_at INTEGER NOT NULL DEFAULT 0,
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX jobs_waiting ON jobs (owner, id) WHERE state = 'available';
        CREATE INDEX jobs_by_start ON jobs (owner, started_at);
        CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
        CREATE INDEX jobs_by_age ON jobs (updated_at);
        """
}
