import GRDB

/// The tables of `identity.db`. Names are never edited or taken away.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("users, sessions, keys") { database in
            try database.execute(
                sql: """
                    CREATE TABLE users (
                        id TEXT PRIMARY KEY,
                        name TEXT NOT NULL,
                        -- The name folded, so that Ann and ann are one.
                        folded TEXT NOT NULL UNIQUE,
                        role TEXT NOT NULL,
                        -- Null while nobody can log in: the owner before setup.
                        password TEXT,
                        createdAt INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;

                    -- There is one owner, always.
                    CREATE UNIQUE INDEX owner ON users (role) WHERE role = 'owner';

                    CREATE TABLE setup (
                        hash BLOB PRIMARY KEY,
                        expiresAt INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;

                    CREATE TABLE sessions (
                        hash BLOB PRIMARY KEY,
                        userID TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
                        createdAt INTEGER NOT NULL,
                        seenAt INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX sessionsByUser ON sessions (userID);

                    CREATE TABLE keys (
                        id TEXT PRIMARY KEY,
                        userID TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
                        name TEXT NOT NULL,
                        prefix TEXT NOT NULL,
                        hash BLOB NOT NULL UNIQUE,
                        createdAt INTEGER NOT NULL,
                        lastUsedAt INTEGER
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX keysByUser ON keys (userID, id);
                    """)
        }
        migrator.registerMigration("teams, and keys for some collections") { database in
            try database.execute(
                sql: """
                    CREATE TABLE teams (
                        id TEXT PRIMARY KEY,
                        name TEXT NOT NULL,
                        folded TEXT NOT NULL UNIQUE,
                        createdAt INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;

                    CREATE TABLE members (
                        userID TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
                        teamID TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
                        PRIMARY KEY (userID, teamID)
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX membersByTeam ON members (teamID);

                    -- The identifiers of collections as JSON; null for a key without limits.
                    ALTER TABLE keys ADD COLUMN collections TEXT;
                    """)
        }
        return migrator
    }
}
