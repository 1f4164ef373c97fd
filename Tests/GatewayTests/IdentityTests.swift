import Core
import Foundation
import TestSupport
import Testing

@testable import Gateway

@Suite struct IdentityTests {
    private let folder: TemporaryFolder
    private let clock = ManualClock()
    private let store: IdentityStore
    private let durations = SessionDurations(idle: .seconds(3600), absolute: .seconds(86_400))

    init() throws {
        folder = try TemporaryFolder()
        store = try IdentityStore(
            folder: folder.path, environment: .manual(clock), cost: .weak)
    }

    private func token() async throws -> String { try #require(try await store.newSetupToken()) }

    private func code(_ body: () async throws -> some Any) async -> Failure.Code? {
        do {
            _ = try await body()
            return nil
        } catch { return (error as? Failure)?.code }
    }

    @Test("A new store has one owner whom nobody can be yet")
    func unclaimed() async throws {
        let owner = try await store.owner()
        #expect(owner.role == .owner)
        #expect(try await !store.isClaimed)
        #expect(
            await code { try await store.authenticate(name: owner.name, password: "") }
                == .unauthenticated)
        let again = try IdentityStore(
            folder: folder.path, environment: .manual(clock, seed: 2), cost: .weak)
        #expect(try await again.owner().userID == owner.userID)
    }

    @Test("The setup token claims the owner once, and keeps what was the owner's")
    func claim() async throws {
        let before = try await store.owner()
        let token = try await token()
        let owner = try await store.claim(token: token, name: "Ann", password: "password 1")
        #expect(owner.userID == before.userID && owner.role == .owner)
        #expect(try await store.isClaimed)
        #expect(try await store.newSetupToken() == nil)
        #expect(
            await code { try await store.claim(token: token, name: "B", password: "password 2") }
                == .notFound)
        #expect(
            try await store.authenticate(name: " ANN ", password: "password 1").name == "Ann")
    }

    @Test("Only the newest setup token works, and only for 30 minutes")
    func expiry() async throws {
        let first = try await token()
        let second = try await token()
        #expect(await code { try await store.checkSetupToken(first) } == .notFound)
        clock.advance(by: .seconds(1799))
        try await store.checkSetupToken(second)
        clock.advance(by: .seconds(1))
        #expect(await code { try await store.checkSetupToken(second) } == .notFound)
        #expect(
            await code { try await store.claim(token: second, name: "A", password: "password") }
                == .notFound)
    }

    @Test(
        "Names and passwords that cannot be are refused",
        arguments: [
            ("", "password 1", Failure.Code.invalid), ("   ", "password 1", .invalid),
            ("a\u{202E}b", "password 1", .invalid), ("a\nb", "password 1", .invalid),
            (String(repeating: "n", count: 65), "password 1", .invalid),
            ("bob", "short", .invalid), ("bob", String(repeating: "p", count: 1025), .invalid),
            ("Owner", "password 1", .conflict), ("EVE", "password 1", .conflict),
        ])
    func refused(name: String, password: String, expected: Failure.Code) async throws {
        _ = try await store.addUser(name: "Eve", role: .member, password: "password 1")
        #expect(
            await code {
                try await store.addUser(name: name, role: .member, password: password)
            } == expected)
    }

    @Test("There is no second owner, and the owner cannot be removed")
    func oneOwner() async throws {
        #expect(
            await code { try await store.addUser(name: "x", role: .owner, password: "password") }
                == .invalid)
        #expect(await code { try await store.removeUser(name: "owner") } == .forbidden)
    }

    @Test("A wrong password and an unknown name say the same and take as long")
    func equalAnswers() async throws {
        let folder = try TemporaryFolder()
        let slow = try IdentityStore(
            folder: folder.path, environment: .manual(clock),
            cost: PasswordHash.Cost(logN: 13, r: 8, p: 1))
        _ = try await slow.addUser(name: "eve", role: .member, password: "password 1")
        var times: [Duration] = []
        var messages: Set<String> = []
        for name in ["eve", "nobody", "owner"] {
            let start = ContinuousClock.now
            do {
                _ = try await slow.authenticate(name: name, password: "password 2")
            } catch { messages.insert("\(error)") }
            times.append(.now - start)
        }
        #expect(messages.count == 1)
        // A path without the hash takes about 0.1 ms, a hundredth of this.
        #expect(times.allSatisfy { $0 > .milliseconds(5) })
    }

    @Test("Passwords are kept as scrypt with its parameters, and nothing secret is in the file")
    func hashes() async throws {
        let user = try await store.addUser(name: "eve", role: .member, password: "s3cret words")
        let key = try await store.createKey(name: "k", for: user).key
        let session = try await store.beginSession(for: user).token
        let setup = try await token()
        let stored = try PasswordHash(of: "s3cret words", cost: .standard).stored
        #expect(stored.hasPrefix("scrypt$15$8$3$"))
        #expect(try PasswordHash(stored: stored)?.matches("s3cret words") == true)
        #expect(try PasswordHash(stored: stored)?.matches("s3cret word") == false)
        try store.close()
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        for file in files {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + file))
            for secret in ["s3cret words", key, session, setup] {
                #expect(bytes.range(of: Data(secret.utf8)) == nil)
            }
        }
    }

    @Test(
        "A stored hash that asks for more than the machine has is not believed",
        arguments: [
            "", "scrypt$30$8$1$AAAA$AAAA", "scrypt$15$8$99$AA$AA", "scrypt$0$8$1$AA$AA",
            "bcrypt$15$8$1$AA$AA", "scrypt$15$8$1$AA$AA$AA", "scrypt$-1$8$1$AA$!!",
        ])
    func hostileHash(stored: String) { #expect(PasswordHash(stored: stored) == nil) }

    @Test("A session ends when it is idle, when it is old, and when it is ended")
    func sessions() async throws {
        let user = try await store.addUser(name: "eve", role: .member, password: "password 1")
        let idle = try await store.beginSession(for: user).token
        clock.advance(by: .seconds(3599))
        let busy = try await store.beginSession(for: user).token
        #expect(try await store.session(token: idle, lasting: durations)?.principal == user)
        clock.advance(by: .seconds(3599))
        #expect(try await store.session(token: idle, lasting: durations) != nil)
        clock.advance(by: .seconds(3601))
        #expect(try await store.session(token: idle, lasting: durations) == nil)
        #expect(try await store.session(token: busy, lasting: durations) == nil)

        let old = try await store.beginSession(for: user).token
        for _ in 0..<24 {
            #expect(try await store.session(token: old, lasting: durations) != nil)
            clock.advance(by: .seconds(3599))
        }
        clock.advance(by: .seconds(24))
        #expect(try await store.session(token: old, lasting: durations) == nil)

        let ended = try await store.beginSession(for: user).token
        try await store.endSession(token: ended)
        #expect(try await store.session(token: ended, lasting: durations) == nil)
        #expect(try await store.session(token: "", lasting: durations) == nil)
    }

    @Test("A new password ends all sessions of its user and of nobody else; so does removal")
    func resetEndsSessions() async throws {
        let eve = try await store.addUser(name: "eve", role: .member, password: "password 1")
        let bob = try await store.addUser(name: "bob", role: .admin, password: "password 1")
        let (first, second) = (
            try await store.beginSession(for: eve).token,
            try await store.beginSession(for: bob).token
        )
        try await store.resetPassword(name: "EVE", password: "password 2")
        #expect(try await store.session(token: first, lasting: durations) == nil)
        #expect(try await store.session(token: second, lasting: durations) != nil)
        #expect(
            await code { try await store.authenticate(name: "eve", password: "password 1") }
                == .unauthenticated)
        _ = try await store.authenticate(name: "eve", password: "password 2")

        let key = try await store.createKey(name: "k", for: bob).key
        try await store.removeUser(name: "bob")
        #expect(try await store.session(token: second, lasting: durations) == nil)
        #expect(try await store.principal(key: key) == nil)
    }

    @Test("What another process changes holds at once")
    func otherProcess() async throws {
        let user = try await store.addUser(name: "eve", role: .member, password: "password 1")
        let made = try await store.createKey(name: "k", for: user)
        let session = try await store.beginSession(for: user).token
        #expect(try await store.principal(key: made.key)?.keyID == made.id)

        let other = try IdentityStore(
            folder: folder.path, environment: .manual(clock, seed: 9), cost: .weak)
        try await other.revokeKey(made.id, for: user)
        try await other.resetPassword(name: "eve", password: "password 2")

        #expect(try await store.principal(key: made.key) == nil)
        #expect(try await store.session(token: session, lasting: durations) == nil)
    }

    @Test("A key that is remembered is forgotten by the next commit, whoever makes it")
    func memory() async throws {
        let eve = try await store.addUser(name: "eve", role: .member, password: "password 1")
        let other = try IdentityStore(
            folder: folder.path, environment: .manual(clock, seed: 9), cost: .weak)
        let changes: [(String, (NewKey) async throws -> Void)] = [
            ("revoked here", { try await self.store.revokeKey($0.id, for: eve) }),
            ("revoked elsewhere", { try await other.revokeKey($0.id, for: eve) }),
            ("its user removed elsewhere", { _ in try await other.removeUser(name: "eve") }),
        ]
        for (name, change) in changes {
            let made = try await store.createKey(name: name, for: eve)
            let hash = Secret.sha256(made.key)
            // The first use is written down, the second is remembered.
            for _ in 0..<3 { #expect(try await store.principal(key: made.key) != nil, "\(name)") }
            #expect(store.memory.entry(of: hash, at: store.memory.version) != nil, "\(name)")
            try await change(made)
            #expect(store.memory.entry(of: hash, at: store.memory.version) == nil, "\(name)")
            #expect(try await store.principal(key: made.key) == nil, "\(name)")
        }
    }

    @Test(
        "A key is shown once, lists its prefix and last use to the minute, and is its user's alone")
    func keys() async throws {
        let eve = try await store.addUser(name: "eve", role: .member, password: "password 1")
        let made = try await store.createKey(name: " laptop ", for: eve)
        #expect(made.name == "laptop" && made.key.hasPrefix("hp_") && made.key.count == 46)
        #expect(made.key.hasPrefix(made.prefix) && made.prefix.count == 11)
        #expect(try await store.keys(for: eve).first?.lastUsedAt == nil)

        _ = try await store.principal(key: made.key)
        let first = try await store.keys(for: eve).first?.lastUsedAt
        #expect(first == clock.now)
        clock.advance(by: .seconds(59))
        _ = try await store.principal(key: made.key)
        #expect(try await store.keys(for: eve).first?.lastUsedAt == first)
        clock.advance(by: .seconds(1))
        _ = try await store.principal(key: made.key)
        #expect(try await store.keys(for: eve).first?.lastUsedAt == clock.now)

        #expect(try await store.keys(for: .mallory).isEmpty)
        #expect(await code { try await store.revokeKey(made.id, for: .mallory) } == .notFound)
        #expect(try await store.principal(key: made.key) != nil)
        #expect(await code { try await store.createKey(name: "", for: eve) } == .invalid)
        #expect(try await store.principal(key: String(made.key.dropLast())) == nil)
    }

    @Test("Who joins a team is in it with the next request, and out of it again as soon")
    func teams() async throws {
        let ann = try await store.addUser(name: "Ann", role: .member, password: "password 1")
        let key = try await store.createKey(name: "k", for: ann).key
        let other = try IdentityStore(
            folder: folder.path, environment: .manual(clock, seed: 2), cost: .weak)
        let team = try await other.addTeam(name: "Crew")
        let before = try await store.principal(key: key)?.teamIDs
        try await other.setMember("ann", of: "crew", isMember: true)
        let joined = try await store.principal(key: key)?.teamIDs
        #expect(before == nil && joined == [team.id])
        #expect(try await store.principal(named: "ann").teamIDs == [team.id])
        #expect(try await store.teams().map(\.members) == [["Ann"]])
        try await other.setMember("Ann", of: "Crew", isMember: false)
        #expect(try await store.principal(key: key)?.teamIDs == nil)
        try await other.setMember("Ann", of: "Crew", isMember: true)
        try await other.removeTeam(name: "crew")
        #expect(try await store.principal(key: key)?.teamIDs == nil)
        #expect(await code { try await store.team(named: "Crew") } == .notFound)
        _ = try await store.addTeam(name: "Crew")
        #expect(await code { try await store.addTeam(name: " CREW ") } == .conflict)
    }

    @Test("A key that is limited to collections says so, and makes no key without the limit")
    func limitedKey() async throws {
        let owner = try await store.owner()
        let ids = [owner.userID]
        let key = try await store.createKey(name: "k", collectionIDs: ids, for: owner).key
        let limited = try #require(try await store.principal(key: key))
        #expect(limited.collectionIDs == ids)
        #expect(try await store.keys(for: owner).map(\.collectionIDs) == [ids])
        #expect(await code { try await store.createKey(name: "more", for: limited) } == .forbidden)
    }

    @Test("A user has at most a hundred keys and fifty sessions")
    func limits() async throws {
        let eve = try await store.addUser(name: "eve", role: .member, password: "password 1")
        for _ in 0..<IdentityStore.keysMax { _ = try await store.createKey(name: "k", for: eve) }
        #expect(await code { try await store.createKey(name: "k", for: eve) } == .conflict)

        let first = try await store.beginSession(for: eve).token
        for _ in 0..<IdentityStore.sessionsMax {
            clock.advance(by: .seconds(1))
            _ = try await store.beginSession(for: eve)
        }
        #expect(try await store.session(token: first, lasting: durations) == nil)
    }

    @Test("Hashing has a queue with an end")
    func queue() async throws {
        let worker = PasswordWorker()
        let outcomes = await withTaskGroup(of: Failure.Code?.self) { group in
            for _ in 0..<PasswordWorker.waitingMax + 8 {
                group.addTask {
                    do {
                        try await worker.run { Thread.sleep(forTimeInterval: 0.05) }
                        return nil
                    } catch { return (error as? Failure)?.code }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.count { $0 == nil } >= PasswordWorker.waitingMax)
        #expect(outcomes.contains(.unavailable))
        try await worker.run {}
    }
}
