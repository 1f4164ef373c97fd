import Core
import Foundation
package import GRDB
import Logging

/// One SQLite file, opened the house way: write-ahead log, one writer, a few readers, migrated on a
/// backup before anyone reads. A layer has one, and its tables are nobody else's.
package struct Store: Sendable {
    /// What a commit survives.
    package enum Durability: Sendable {
        /// A power cut: every commit reaches the disk. For money and identities.
        case full
        /// A crash of the process. A power cut may lose the last commits, never the file.
        case normal
    }

    /// Reads and writes go through GRDB's own pool: `pool.read`, `pool.write`.
    package let pool: DatabasePool

    /// Opens `name` in `folder`, making both where they are missing, and brings the tables up to
    /// date. Throws `unavailable` when the file cannot be opened, or was written by a newer Heptad.
    ///
    /// - Parameters:
    ///   - migrations: named, in order; a name is never edited or taken away.
    ///   - prepare: what every connection learns when it is opened.
    package init(
        folder: String, name: String, durability: Durability, migrations: DatabaseMigrator,
        prepare: @escaping @Sendable (Database) throws -> Void = { _ in }
    ) throws {
        let path = folder + "/" + name
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            pool = try DatabasePool(path: path, configuration: Self.configuration(prepare))
            // GRDB sets NORMAL itself when it turns the log on, so the house's word comes after.
            let level = durability == .full ? "FULL" : "NORMAL"
            try pool.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA synchronous = \(level)")
            }
        } catch {
            throw Failure(
                .unavailable, "The database \(path) cannot be opened. Is the folder writable?",
                cause: error)
        }
        try migrate(migrations, path: path)
    }

    private func migrate(_ migrations: DatabaseMigrator, path: String) throws {
        let applied = try pool.read { try migrations.appliedIdentifiers($0) }
        let unknown = applied.subtracting(migrations.migrations)
        guard unknown.isEmpty else {
            throw Failure(
                .unavailable,
                "The database \(path) was written by a newer Heptad. Start that version, or restore"
                    + " a backup.",
                cause: unknown.sorted())
        }
        let isBehind = try pool.read { try !migrations.hasCompletedMigrations($0) }
        guard isBehind else { return }
        do {
            if !applied.isEmpty { try backUp(to: "\(path).before-\(applied.count + 1)") }
            try migrations.migrate(pool)
        } catch {
            throw Failure(
                .unavailable, "The database \(path) could not be upgraded; it is as it was.",
                cause: error)
        }
    }

    /// Copies the database, as it is at one moment, to a new file; readers and writers go on.
    package func backUp(to path: String) throws {
        try? FileManager.default.removeItem(atPath: path)
        let copy = try DatabaseQueue(path: path)
        try pool.backup(to: copy)
        try copy.close()
    }

    /// Closes every connection; what comes after throws.
    package func close() throws { try pool.close() }

    // One writer and four readers: two cores have no use for more, and each costs a page cache.
    private static let readersMax = 4
    // Kibibytes of page cache a connection, as a negative number the way SQLite wants it.
    private static let cacheKibibytes = 2048
    // How long a writer waits for another process (the command line beside the server).
    private static let busyTimeoutSeconds = 5.0

    private static func configuration(
        _ prepare: @escaping @Sendable (Database) throws -> Void
    ) -> Configuration {
        var configuration = Configuration()
        configuration.maximumReaderCount = readersMax
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.prepareDatabase { database in
            try database.execute(
                sql: """
                    PRAGMA cache_size = -\(cacheKibibytes);
                    PRAGMA foreign_keys = ON;
                    PRAGMA trusted_schema = OFF;
                    PRAGMA temp_store = MEMORY;
                    """)
            try prepare(database)
        }
        return configuration
    }
}
