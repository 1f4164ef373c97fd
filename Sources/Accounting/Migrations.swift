import Core
import GRDB
import Storage

/// The tables of `ledger.db`.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("accounts, transfers and postings") { database in
            try database.execute(sql: books)
            for table in ["accounts", "transfers", "postings"] {
                try database.execute(sql: appendOnly(table))
            }
        }
        migrator.registerMigration("holds are kept in memory") { database in
            try endHolds(database)
            try database.execute(sql: "DROP TABLE holds")
        }
        migrator.registerMigration("transfers without the indexes of holds") { database in
            try database.execute(sql: plainTransfers + appendOnly("transfers"))
        }
        return migrator
    }

    private static func appendOnly(_ table: String) -> String {
        """
        CREATE TRIGGER \(table)_are_never_changed BEFORE UPDATE ON \(table)
        BEGIN SELECT RAISE(ABORT, '\(table) are append-only'); END;
        CREATE TRIGGER \(table)_are_never_removed BEFORE DELETE ON \(table)
        BEGIN SELECT RAISE(ABORT, '\(table) are append-only'); END;
        """
    }

    // A row is written for every call. Nothing has closed or settled a hold since holds are kept in
    // memory, and for a list of four SQLite fills a table anew at every row: both together were half of
    // what a row cost.
    private static let plainTransfers = """
        CREATE TABLE plain_transfers (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL CHECK (
                kind = 'settle' OR kind = 'hold' OR kind = 'void' OR kind = 'expire'),
            closes TEXT,
            settles TEXT,
            user_id TEXT NOT NULL,
            key_id TEXT,
            model TEXT NOT NULL,
            candidate TEXT NOT NULL,
            purpose TEXT NOT NULL,
            conversation_id TEXT,
            trace_id TEXT,
            picodollars INTEGER NOT NULL,
            overrun_picodollars INTEGER NOT NULL DEFAULT 0,
            fresh_input_tokens INTEGER NOT NULL DEFAULT 0,
            cache_read_tokens INTEGER NOT NULL DEFAULT 0,
            cache_write_tokens INTEGER NOT NULL DEFAULT 0,
            output_tokens INTEGER NOT NULL DEFAULT 0,
            reasoning_tokens INTEGER NOT NULL DEFAULT 0,
            is_estimated INTEGER NOT NULL DEFAULT 0,
            price_as_of TEXT NOT NULL DEFAULT '',
            created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO plain_transfers SELECT * FROM transfers ORDER BY id;
        DROP TRIGGER transfers_are_never_changed;
        DROP TRIGGER transfers_are_never_removed;
        DROP TABLE transfers;
        ALTER TABLE plain_transfers RENAME TO transfers;

        """

    /// Calls that were running when the process died, or an earlier version stopped: their funds are
    /// free again. Each hold's legs are taken back by a transfer of their own.
    private static func endHolds(_ database: Database) throws {
        for hold in try Row.fetchAll(database, sql: "SELECT * FROM holds ORDER BY id") {
            let (id, user): (String, String) = (hold["id"], hold["user_id"])
            let ending = Environment.system.identifier()
            try database.execute(
                sql: """
                    INSERT INTO transfers (id, kind, closes, user_id, model, candidate, purpose,
                        picodollars, created_at)
                    VALUES (?, 'expire', ?, ?, '', '', '', 0, ?)
                    """, arguments: [ending, id, user, Environment.system.now()])
            for (kind, owner, sign) in [("held", user, -1), ("reserved", "", 1)] {
                try database.execute(
                    sql: """
                        INSERT INTO postings (transfer_id, account_id, picodollars, calls,
                            input_tokens, output_tokens, picodollars_after, calls_after,
                            input_tokens_after, output_tokens_after)
                        SELECT :ending, last.account_id, :sign * :amount, 0, 0, 0,
                            last.picodollars_after + :sign * :amount, 0, 0, 0
                        FROM postings AS last WHERE last.id = (SELECT max(postings.id) FROM postings
                            JOIN accounts ON accounts.id = account_id
                            WHERE kind = :kind AND owner = :owner)
                        """,
                    arguments: [
                        "ending": ending, "sign": sign,
                        "amount": hold["picodollars"] as Int64, "kind": kind, "owner": owner,
                    ])
            }
        }
    }

    // STRICT, because a sum that leaves 64 bits turns into floating point in a loose table.
    private static let books = """
        -- What a user spent with a candidate in a month, what is owed to a provider, and what is held.
        CREATE TABLE accounts (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('spent', 'payable', 'held', 'reserved')),
            owner TEXT NOT NULL,
            month TEXT NOT NULL,
            candidate TEXT NOT NULL,
            UNIQUE (kind, owner, month, candidate)
        ) STRICT;

        -- One thing that happened. A hold is closed once, and settled once.
        CREATE TABLE transfers (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('hold', 'settle', 'void', 'expire')),
            closes TEXT UNIQUE REFERENCES transfers (id),
            settles TEXT UNIQUE REFERENCES transfers (id),
            user_id TEXT NOT NULL,
            key_id TEXT,
            model TEXT NOT NULL,
            candidate TEXT NOT NULL,
            purpose TEXT NOT NULL,
            conversation_id TEXT,
            trace_id TEXT,
            picodollars INTEGER NOT NULL,
            overrun_picodollars INTEGER NOT NULL DEFAULT 0,
            fresh_input_tokens INTEGER NOT NULL DEFAULT 0,
            cache_read_tokens INTEGER NOT NULL DEFAULT 0,
            cache_write_tokens INTEGER NOT NULL DEFAULT 0,
            output_tokens INTEGER NOT NULL DEFAULT 0,
            reasoning_tokens INTEGER NOT NULL DEFAULT 0,
            is_estimated INTEGER NOT NULL DEFAULT 0,
            price_as_of TEXT NOT NULL DEFAULT '',
            created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- The legs of transfers, debits above zero; those of one transfer sum to zero in every unit.
        -- Each carries the account's balance after it, so that a balance is one row, not a sum.
        CREATE TABLE postings (
            id INTEGER PRIMARY KEY,
            transfer_id TEXT NOT NULL REFERENCES transfers (id),
            account_id INTEGER NOT NULL REFERENCES accounts (id),
            picodollars INTEGER NOT NULL,
            calls INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            picodollars_after INTEGER NOT NULL,
            calls_after INTEGER NOT NULL,
            input_tokens_after INTEGER NOT NULL,
            output_tokens_after INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX postings_by_account ON postings (account_id, id);

        -- The holds that are open now: a worklist, and nothing that the postings do not also say.
        CREATE TABLE holds (
            id TEXT PRIMARY KEY REFERENCES transfers (id),
            user_id TEXT NOT NULL,
            picodollars INTEGER NOT NULL,
            created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """
}
