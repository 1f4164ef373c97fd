import Core
import Foundation
import GRDB
import Storage

/// How long a browser stays logged in.
struct SessionDurations: Sendable {
    /// Without a request.
    let idle: Duration
    /// In all.
    let absolute: Duration
}

/// A browser that is logged in.
struct Session: Sendable {
    /// What the cookie holds. The store has only its hash.
    let token: String
    let principal: Principal

    /// What a request that changes something must carry beside the cookie. It follows from the
    /// token, so it is bound to the session and needs no row.
    var csrfToken: String { Secret.base64URL(Secret.hmac(key: token, "heptad csrf token")) }
}

extension IdentityStore {
    /// How exactly a session's and a key's last use is kept: a write for each request would wait
    /// for the disk each time.
    static let stampInterval = Duration.seconds(60)
    /// The oldest sessions of a user end when there are more.
    static let sessionsMax = 50

    func beginSession(for principal: Principal) async throws -> Session {
        let session = Session(token: try Secret.token(), principal: principal)
        let hash = Secret.sha256(session.token)
        let now = environment.now()
        try await store.pool.write { database in
            try database.execute(
                sql: "INSERT INTO sessions (hash, userID, createdAt, seenAt) VALUES (?, ?, ?, ?)",
                arguments: [Data(hash), principal.userID, now, now])
            try database.execute(
                sql: """
                    DELETE FROM sessions WHERE hash IN (
                        SELECT hash FROM sessions WHERE userID = ?
                        ORDER BY seenAt DESC, createdAt DESC LIMIT -1 OFFSET ?)
                    """,
                arguments: [principal.userID, Self.sessionsMax])
        }
        return session
    }

    /// The session of a cookie; nil when there is none, it has expired, or it was ended.
    func session(token: String, lasting durations: SessionDurations) async throws -> Session? {
        let hash = Secret.sha256(token)
        let now = environment.now()
        let found = try await store.pool.read { database in
            try Row.fetchOne(
                database,
                sql: """
                    SELECT \(Self.columns), sessions.createdAt, sessions.seenAt
                    FROM sessions JOIN users ON users.id = sessions.userID
                    WHERE sessions.hash = ?
                    """,
                arguments: [Data(hash)]
            ).map { row -> (Principal?, Timestamp, Timestamp) in
                (Self.principal(row), row["createdAt"], row["seenAt"])
            }
        }
        guard case (let principal?, let createdAt, let seenAt)? = found else { return nil }
        guard now - seenAt < durations.idle, now - createdAt < durations.absolute else {
            await note("DELETE FROM sessions WHERE hash = ?", [Data(hash)])
            return nil
        }
        if now - seenAt >= Self.stampInterval {
            await note("UPDATE sessions SET seenAt = ? WHERE hash = ?", [now, Data(hash)])
        }
        return Session(token: token, principal: principal)
    }

    func endSession(token: String) async throws {
        let hash = Secret.sha256(token)
        try await store.pool.write { database in
            try database.execute(
                sql: "DELETE FROM sessions WHERE hash = ?", arguments: [Data(hash)])
        }
    }
}
