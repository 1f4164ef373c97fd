import GRDB

/// The tables of `knowledge.db`. Named, appended, never edited once merged.
///
/// Rows that others point to have a small `number` beside the identifier that leaves the layer:
/// the keyword index wants one, and vectors are many.
enum Migrations {
    static var all: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 documents, passages and their vectors") { database in
            try database.execute(sql: documents)
            try database.execute(sql: passages)
            try database.execute(sql: vectors)
        }
        migrator.registerMigration("2 where documents come from, and what they resemble") {
            try $0.execute(sql: origins)
        }
        migrator.registerMigration("3 collections that are shared, and documents as files") {
            try $0.execute(sql: sharing)
        }
        migrator.registerMigration("4 which vectors serve, and documents that are read again") {
            try $0.execute(sql: serving)
        }
        migrator.registerMigration("5 batches of files") { try $0.execute(sql: batches) }
        migrator.registerMigration("6 the site map that a page came by") {
            try $0.execute(sql: "ALTER TABLE document ADD COLUMN site TEXT")
        }
        return migrator
    }

    /// `serving_model` has at most one row, the model whose vectors searches compare; `reembedding` at
    /// most one, the job that makes those of the next. A document that `is_stale` is read again, and
    /// found as it was until then.
    private static let serving = """
        CREATE TABLE serving_model (model INTEGER NOT NULL REFERENCES embedding_model (number));
        INSERT INTO serving_model
            SELECT model FROM vector GROUP BY model ORDER BY COUNT(*) DESC, model DESC LIMIT 1;
        CREATE TABLE reembedding (
            candidate TEXT NOT NULL,
            job_id TEXT NOT NULL,
            owner_id TEXT NOT NULL
        );
        ALTER TABLE document ADD COLUMN is_stale INTEGER NOT NULL DEFAULT 0;
        """

    /// Which documents were put into a collection together.
    private static let batches = """
        CREATE TABLE file_batch (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            collection INTEGER NOT NULL REFERENCES collection (number) ON DELETE CASCADE,
            created_at INTEGER NOT NULL,
            is_cancelled INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX file_batch_by_collection ON file_batch (collection, number);
        CREATE TABLE file_batch_document (
            batch INTEGER NOT NULL REFERENCES file_batch (number) ON DELETE CASCADE,
            document INTEGER NOT NULL REFERENCES document (number) ON DELETE CASCADE,
            is_cancelled INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (batch, document)
        ) WITHOUT ROWID;
        CREATE INDEX file_batch_document_by_document ON file_batch_document (document);
        """

    /// `level` is 1 for read and 2 for write; a grantee is a user or a team. A document is in the
    /// collection of its row and in those that it is attached to; its owner is the collection's.
    private static let sharing = """
        ALTER TABLE collection ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE collection ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE collection ADD COLUMN expires_days INTEGER;
        ALTER TABLE collection ADD COLUMN active_at INTEGER;
        CREATE TABLE share (
            collection INTEGER NOT NULL REFERENCES collection (number) ON DELETE CASCADE,
            grantee TEXT NOT NULL,
            level INTEGER NOT NULL,
            PRIMARY KEY (grantee, collection)
        ) WITHOUT ROWID;
        CREATE INDEX share_by_collection ON share (collection, grantee, level);
        CREATE TABLE attachment (
            collection INTEGER NOT NULL REFERENCES collection (number) ON DELETE CASCADE,
            document INTEGER NOT NULL REFERENCES document (number) ON DELETE CASCADE,
            PRIMARY KEY (collection, document)
        ) WITHOUT ROWID;
        CREATE INDEX attachment_by_document ON attachment (document, collection);
        ALTER TABLE document ADD COLUMN added_by TEXT;
        ALTER TABLE document ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
        ALTER TABLE document ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
        ALTER TABLE document ADD COLUMN purpose TEXT;
        ALTER TABLE document ADD COLUMN expires_at INTEGER;
        CREATE INDEX document_by_owner ON document (owner_id, byte_count);
        CREATE INDEX document_by_collection ON document (collection, state, passage_count, byte_count);
        CREATE INDEX document_by_expiry ON document (expires_at) WHERE expires_at IS NOT NULL;
        """

    private static let origins = """
        ALTER TABLE document ADD COLUMN source TEXT;
        ALTER TABLE document ADD COLUMN content_hash TEXT;
        ALTER TABLE document ADD COLUMN similar_to INTEGER
            REFERENCES document (number) ON DELETE SET NULL;
        CREATE INDEX document_by_similar ON document (similar_to) WHERE similar_to IS NOT NULL;
        CREATE TABLE likeness (
            document INTEGER PRIMARY KEY REFERENCES document (number) ON DELETE CASCADE,
            minima BLOB NOT NULL
        );
        """

    private static let documents = """
        CREATE TABLE collection (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            owner_id TEXT NOT NULL,
            name TEXT NOT NULL,
            created_at INTEGER NOT NULL,
            UNIQUE (owner_id, name)
        );
        CREATE TABLE document (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            owner_id TEXT NOT NULL,
            collection INTEGER NOT NULL REFERENCES collection (number) ON DELETE CASCADE,
            name TEXT NOT NULL,
            media_type TEXT NOT NULL,
            byte_count INTEGER NOT NULL,
            passage_count INTEGER NOT NULL DEFAULT 0,
            lacks_vectors INTEGER NOT NULL DEFAULT 0,
            state TEXT NOT NULL,
            failure TEXT,
            job_id TEXT,
            created_at INTEGER NOT NULL
        );
        CREATE INDEX document_by_name ON document (collection, name);
        CREATE INDEX document_without_vectors ON document (number) WHERE lacks_vectors;
        CREATE TABLE original (
            document INTEGER PRIMARY KEY REFERENCES document (number) ON DELETE CASCADE,
            bytes BLOB NOT NULL
        );
        CREATE TABLE extraction (
            document INTEGER PRIMARY KEY REFERENCES document (number) ON DELETE CASCADE,
            text TEXT NOT NULL
        );
        """

    /// A passage's place is kept apart from its wording: every match of a search is looked up for the
    /// collection it is in, and narrow rows make that five times as fast.
    ///
    /// `start_at` and `end_at` count Unicode scalars of the extracted text; `context`, `body` and
    /// `hints` are what the keyword index reads. It follows in code and not by triggers: with
    /// `trusted_schema` off SQLite lets no trigger touch an FTS5 table.
    private static let passages = """
        CREATE TABLE passage (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            collection INTEGER NOT NULL,
            document INTEGER NOT NULL REFERENCES document (number) ON DELETE CASCADE,
            id TEXT NOT NULL UNIQUE,
            start_at INTEGER NOT NULL,
            end_at INTEGER NOT NULL
        );
        CREATE INDEX passage_by_document ON passage (document);
        CREATE TABLE wording (
            passage INTEGER PRIMARY KEY REFERENCES passage (number) ON DELETE CASCADE,
            headings TEXT NOT NULL,
            context TEXT NOT NULL,
            body TEXT NOT NULL,
            hints TEXT NOT NULL
        );
        CREATE VIRTUAL TABLE passage_terms USING fts5(
            context, body, hints, content='wording', content_rowid='passage',
            tokenize='porter unicode61 remove_diacritics 2'
        );
        """

    /// A vector's `number` grows with each that is added and is never given twice; its `stamp` is
    /// random, so that a matrix file made from another history of this database is found out.
    private static let vectors = """
        CREATE TABLE embedding_model (
            number INTEGER PRIMARY KEY,
            candidate TEXT NOT NULL,
            dimensions INTEGER NOT NULL,
            UNIQUE (candidate, dimensions)
        );
        CREATE TABLE vector (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            model INTEGER NOT NULL REFERENCES embedding_model (number),
            passage INTEGER NOT NULL REFERENCES passage (number) ON DELETE CASCADE,
            collection INTEGER NOT NULL,
            stamp INTEGER NOT NULL,
            elements BLOB NOT NULL,
            UNIQUE (passage, model)
        );
        CREATE INDEX vector_rows ON vector (model, number, stamp, passage, collection);
        CREATE TABLE vector_generation (number INTEGER NOT NULL);
        INSERT INTO vector_generation VALUES (1);
        """
}
