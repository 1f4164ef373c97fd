import Core
import Foundation
import GRDB
import Storage

// The one-time link with which the owner's account gets its name and password.
extension IdentityStore {
    /// A new setup token that ends all before it; nil when the owner has a password. Only its hash
    /// is kept, so it is shown now or never.
    package func newSetupToken() async throws -> String? {
        let token = try Secret.token()
        let hash = Secret.sha256(token)
        let expiresAt = environment.now() + Self.setupTokenLifetime
        return try await store.pool.write { database in
            guard try Self.isUnclaimed(database) else { return nil }
            try database.execute(sql: "DELETE FROM setup")
            try database.execute(
                sql: "INSERT INTO setup (hash, expiresAt) VALUES (?, ?)",
                arguments: [Data(hash), expiresAt])
            return token
        }
    }

    /// Throws `notFound` for a token that was never given, is used, or has expired.
    func checkSetupToken(_ token: String) async throws {
        let hash = Secret.sha256(token)
        let now = environment.now()
        let isValid = try await store.pool.read { database in
            try Self.isUnclaimed(database) && Self.isValid(hash, at: now, in: database)
        }
        guard isValid else { throw Self.noSuchToken }
    }

    /// Gives the owner a name and a password. The token works once.
    func claim(token: String, name: String, password: String) async throws -> Principal {
        // Before the hashing, so that strangers cannot make the server hash.
        try await checkSetupToken(token)
        let name = try Self.validName(name)
        let password = try await hash(password)
        let hash = Secret.sha256(token)
        let now = environment.now()
        return try await store.pool.write { database in
            guard try Self.isUnclaimed(database), try Self.isValid(hash, at: now, in: database)
            else { throw Self.noSuchToken }
            guard
                let id = try Identifier.fetchOne(
                    database, sql: "SELECT id FROM users WHERE role = 'owner'")
            else { throw Self.noSuchToken }
            try Self.refuseTakenName(name, but: id, in: database)
            try database.execute(
                sql: "UPDATE users SET name = ?, folded = ?, password = ? WHERE id = ?",
                arguments: [name, Self.folded(name), password, id])
            try database.execute(sql: "DELETE FROM setup")
            return Principal(userID: id, role: .owner, name: name)
        }
    }

    private static let noSuchToken = Failure(
        .notFound,
        "This setup link is used up or has expired. Restart Heptad to get a new one.")

    private static func isUnclaimed(_ database: Database) throws -> Bool {
        try Bool.fetchOne(
            database, sql: "SELECT password IS NULL FROM users WHERE role = 'owner'") ?? false
    }

    private static func isValid(
        _ hash: [UInt8], at now: Timestamp, in database: Database
    ) throws -> Bool {
        try Bool.fetchOne(
            database, sql: "SELECT EXISTS (SELECT 1 FROM setup WHERE hash = ? AND expiresAt > ?)",
            arguments: [Data(hash), now]) ?? false
    }
}
