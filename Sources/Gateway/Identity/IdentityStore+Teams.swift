package import Core
import Foundation
import GRDB
import Storage

/// Users whom something can be shared with together.
package struct Team: Hashable, Codable, Sendable {
    package let id: Identifier
    package let name: String
    /// The names of its members.
    package let members: [String]
}

extension IdentityStore {
    static let teamsMax = 1000

    /// By name.
    package func teams() async throws -> [Team] {
        try await store.pool.read { database in
            let members = Dictionary(
                grouping: try Row.fetchAll(
                    database,
                    sql: """
                        SELECT teamID, name FROM members JOIN users ON users.id = members.userID
                        ORDER BY folded
                        """)
            ) { $0["teamID"] as Identifier }
            return try Row.fetchAll(database, sql: "SELECT id, name FROM teams ORDER BY folded")
                .map { row in
                    let id: Identifier = row["id"]
                    return Team(
                        id: id, name: row["name"], members: (members[id] ?? []).map { $0["name"] })
                }
        }
    }

    /// Throws `notFound` when no team is called that.
    package func team(named name: String) async throws -> Team {
        let folded = Self.folded(name)
        guard let team = try await teams().first(where: { Self.folded($0.name) == folded }) else {
            throw Failure(
                .notFound, "There is no team called \(name.prefix(Self.nameCharactersMax)).")
        }
        return team
    }

    /// Throws `invalid` for a name that cannot be, `conflict` for one that is taken.
    package func addTeam(name: String) async throws -> Team {
        let name = try Self.validName(name)
        let team = Team(id: environment.identifier(), name: name, members: [])
        let now = environment.now()
        try await store.pool.write { database in
            let count = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM teams")
            guard count ?? 0 < Self.teamsMax else {
                throw Failure(.conflict, "There are \(Self.teamsMax) teams already.")
            }
            try database.execute(
                sql: """
                    INSERT INTO teams (id, name, folded, createdAt) VALUES (?, ?, ?, ?)
                    ON CONFLICT DO NOTHING
                    """, arguments: [team.id, name, Self.folded(name), now])
            guard database.changesCount == 1 else {
                throw Failure(.conflict, "There is a team called \(name) already.")
            }
        }
        return team
    }

    /// Takes a team away, and with it what its members had through it.
    package func removeTeam(name: String) async throws {
        let team = try await team(named: name)
        try await store.pool.write { database in
            try database.execute(sql: "DELETE FROM teams WHERE id = ?", arguments: [team.id])
        }
    }

    /// Puts a user into a team or takes the user out, from the next request on.
    package func setMember(
        _ user: String, of name: String, isMember: Bool
    ) async throws {
        let (team, user) = (try await team(named: name), try await principal(named: user))
        try await store.pool.write { database in
            try database.execute(
                sql: isMember
                    ? "INSERT OR IGNORE INTO members (teamID, userID) VALUES (?, ?)"
                    : "DELETE FROM members WHERE teamID = ? AND userID = ?",
                arguments: [team.id, user.userID])
        }
    }
}
