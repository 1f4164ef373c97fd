import GRDB

/// The tables of `telemetry.db`.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("traces and spans") { database in
            try database.execute(sql: traces)
        }
        return migrator
    }

    private static let traces = """
        -- owner is empty for a trace of nobody's, and for one that two users had a part in: both are
        -- for administrators. bytes is an estimate, for the size limit.
        CREATE TABLE traces (
            id INTEGER PRIMARY KEY,
            trace_id TEXT NOT NULL UNIQUE,
            owner TEXT,
            is_shared INTEGER NOT NULL,
            name TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            ended_at INTEGER NOT NULL,
            span_count INTEGER NOT NULL,
            has_error INTEGER NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX traces_by_start ON traces (started_at);
        CREATE INDEX traces_by_owner ON traces (owner, started_at);

        CREATE TABLE spans (
            trace INTEGER NOT NULL REFERENCES traces (id) ON DELETE CASCADE,
            span_id TEXT NOT NULL,
            parent_id TEXT,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            started_at INTEGER NOT NULL,
            nanoseconds INTEGER NOT NULL,
            attributes TEXT NOT NULL,
            events TEXT NOT NULL,
            error TEXT,
            PRIMARY KEY (trace, span_id)
        ) STRICT, WITHOUT ROWID;
        """
}
