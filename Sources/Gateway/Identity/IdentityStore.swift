package import Core
import Foundation
import GRDB
import Logging
import Storage

/// Users, sessions and API keys, in `identity.db`. The command line may change the file while the
/// server runs, and a key that was revoked there must not work here: what is remembered of keys is
/// good for the file as it was read.
package final class IdentityStore: Sendable {
    static let nameCharactersMax = 64
    static let passwordCharactersMin = 8
    static let passwordBytesMax = 1024
    static let setupTokenLifetime = Duration.seconds(30 * 60)

    let store: Store
    let environment: Environment
    let worker = PasswordWorker()
    let memory: IdentityMemory
    private let logger = Logger(label: "heptad.gateway.identity")
    private let cost: PasswordHash.Cost
    /// What an unknown user's password is checked against, so that the answer takes as long.
    private let decoy: PasswordHash

    /// Opens the store in `folder`, with an owner who has no password yet where there is none.
    package convenience init(folder: String, environment: Environment) throws {
        try self.init(folder: folder, environment: environment, cost: .standard)
    }

    init(folder: String, environment: Environment, cost: PasswordHash.Cost) throws {
        store = try Store(
            folder: folder, name: "identity.db", durability: .full, migrations: Migrations.all)
        memory = try IdentityMemory(path: folder + "/identity.db")
        self.environment = environment
        self.cost = cost
        decoy = try PasswordHash.decoy(cost: cost)
        try store.pool.write { database in
            // Two processes may open a new folder at once; the unique index lets one insert win.
            try database.execute(
                sql: """
                    INSERT INTO users (id, name, folded, role, createdAt)
                    VALUES (?, 'owner', 'owner', 'owner', ?) ON CONFLICT DO NOTHING
                    """,
                arguments: [environment.identifier(), environment.now()])
        }
    }

    package func close() throws {
        memory.close()
        try store.close()
    }

    /// Throws when the file cannot be read any more.
    package func check() async throws { _ = try await isClaimed }

    /// The account that everything not done by a named user belongs to.
    package func owner() async throws -> Principal {
        let version = memory.version
        if let known = memory.entry(of: [], at: version) { return known.principal }
        let owner = try await store.pool.read { database in
            try Row.fetchOne(
                database, sql: "SELECT \(Self.columns) FROM users WHERE role = 'owner'"
            )
            .flatMap { Self.principal($0) }
        }
        if let owner {
            memory.remember(.init(principal: owner, lastUsedAt: nil), of: [], at: version)
        }
        guard let owner else {
            throw Failure(.internalError, "The identity database has no owner.")
        }
        return owner
    }

    /// Throws `notFound` when nobody is called that.
    package func principal(named name: String) async throws -> Principal {
        let folded = Self.folded(name)
        let user = try await store.pool.read { database in
            try Row.fetchOne(
                database, sql: "SELECT \(Self.columns) FROM users WHERE folded = ?",
                arguments: [folded]
            ).flatMap { Self.principal($0) }
        }
        guard let user else {
            throw Failure(
                .notFound, "There is no user called \(name.prefix(Self.nameCharactersMax)).")
        }
        return user
    }

    /// Everyone, by time of creation: the owner first.
    package func users() async throws -> [Principal] {
        try await store.pool.read { database in
            try Row.fetchAll(database, sql: "SELECT \(Self.columns) FROM users ORDER BY id")
                .compactMap { Self.principal($0) }
        }
    }

    /// Whether the owner has a password.
    package var isClaimed: Bool {
        get async throws {
            try await store.pool.read { database in
                try Bool.fetchOne(
                    database,
                    sql: "SELECT password IS NOT NULL FROM users WHERE role = 'owner'") ?? false
            }
        }
    }

    /// Throws `invalid` for a name or password that cannot be, `conflict` for a name that is taken.
    /// A second owner cannot be added.
    package func addUser(
        name: String, role: Principal.Role, password: String
    ) async throws -> Principal {
        guard role != .owner else {
            throw Failure(.invalid, "There is one owner; add a member or an admin.")
        }
        let name = try Self.validName(name)
        let hash = try await hash(password)
        let id = environment.identifier()
        let now = environment.now()
        try await store.pool.write { database in
            try Self.refuseTakenName(name, but: id, in: database)
            try database.execute(
                sql: """
                    INSERT INTO users (id, name, folded, role, password, createdAt)
                    VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [id, name, Self.folded(name), role.rawValue, hash, now])
        }
        return Principal(userID: id, role: role, name: name)
    }

    /// Gives a user a new password and ends their sessions. API keys go on working.
    package func resetPassword(name: String, password: String) async throws {
        let user = try await principal(named: name)
        let hash = try await hash(password)
        try await store.pool.write { database in
            try database.execute(
                sql: "UPDATE users SET password = ? WHERE id = ?", arguments: [hash, user.userID])
            try database.execute(
                sql: "DELETE FROM sessions WHERE userID = ?", arguments: [user.userID])
            if user.role == .owner { try database.execute(sql: "DELETE FROM setup") }
        }
    }

    /// Takes a user away, with their sessions and keys. The owner stays.
    package func removeUser(name: String) async throws {
        let user = try await principal(named: name)
        guard user.role != .owner else {
            throw Failure(.forbidden, "The owner cannot be removed.")
        }
        try await store.pool.write { database in
            try database.execute(sql: "DELETE FROM users WHERE id = ?", arguments: [user.userID])
        }
    }

    /// Who has this name and password. Takes as long for an unknown name as for a wrong password.
    func authenticate(name: String, password: String) async throws -> Principal {
        let folded = Self.folded(name)
        let (user, stored) = try await store.pool.read { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT \(Self.columns), password FROM users WHERE folded = ?",
                arguments: [folded])
            return (row.flatMap { Self.principal($0) }, row.flatMap { $0["password"] as String? })
        }
        let hash = stored.flatMap { PasswordHash(stored: $0) }
        let checked = hash ?? decoy
        // A password longer than any that was ever set is not worth hashing, but takes as long.
        let password = password.utf8.count <= Self.passwordBytesMax ? password : ""
        let isMatching = try await worker.run { try checked.matches(password) }
        guard isMatching, hash != nil, let user else {
            throw Failure(.unauthenticated, "The name or the password is wrong.")
        }
        return user
    }

    /// Writes what a request can do without: on a full disk, users can still read.
    func note(_ sql: String, _ arguments: StatementArguments) async {
        do {
            try await store.pool.write { try $0.execute(sql: sql, arguments: arguments) }
        } catch {
            logger.warning("A last use was not kept.", metadata: ["cause": "\(error)"])
        }
    }

    func hash(_ password: String) async throws -> String {
        guard password.count >= Self.passwordCharactersMin else {
            throw Failure(
                .invalid, "A password needs at least \(Self.passwordCharactersMin) characters.")
        }
        guard password.utf8.count <= Self.passwordBytesMax else {
            throw Failure(
                .invalid, "A password may have at most \(Self.passwordBytesMax) bytes.")
        }
        let cost = cost
        return try await worker.run { try PasswordHash(of: password, cost: cost).stored }
    }

    static func validName(_ name: String) throws -> String {
        let name = name.trimmingCharacters(in: .whitespaces).precomposedStringWithCanonicalMapping
        let isPrintable = name.unicodeScalars.allSatisfy {
            switch $0.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: false
            default: true
            }
        }
        guard !name.isEmpty, name.count <= nameCharactersMax, name.utf8.count <= 256, isPrintable
        else {
            throw Failure(
                .invalid,
                "A user name has 1 to \(nameCharactersMax) characters, and none that are invisible."
            )
        }
        return name
    }

    static func refuseTakenName(
        _ name: String, but id: Identifier, in database: Database
    ) throws {
        let taken = try Bool.fetchOne(
            database, sql: "SELECT EXISTS (SELECT 1 FROM users WHERE folded = ? AND id <> ?)",
            arguments: [folded(name), id])
        guard taken != true else {
            throw Failure(.conflict, "Someone is called \(name) already.")
        }
    }

    /// What a principal is made of, of the row of `users`.
    static let columns = """
        users.id, users.name, users.role,
            (SELECT group_concat(teamID) FROM members WHERE members.userID = users.id) AS teams
        """

    static func principal(_ row: Row, keyID: Identifier? = nil) -> Principal? {
        guard let role = Principal.Role(rawValue: row["role"]) else { return nil }
        var principal = Principal(userID: row["id"], role: role, name: row["name"], keyID: keyID)
        principal.teamIDs = (row["teams"] as String?)?.split(separator: ",").compactMap {
            Identifier(String($0))
        }
        return principal
    }

    static func folded(_ name: String) -> String {
        name.trimmingCharacters(in: .whitespaces).precomposedStringWithCanonicalMapping.lowercased()
    }
}
