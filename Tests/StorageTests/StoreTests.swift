import Core
import Foundation
import GRDB
import Storage
import TestSupport
import Testing

@Suite struct StoreTests {
    private func migrations(_ names: [String]) -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for name in names {
            migrator.registerMigration(name) { try $0.execute(sql: "CREATE TABLE \(name) (x)") }
        }
        return migrator
    }

    private func open(_ folder: TemporaryFolder, _ names: [String]) throws -> Store {
        try Store(
            folder: folder.path, name: "a.db", durability: .full, migrations: migrations(names))
    }

    @Test("A store keeps its rows over a restart, and upgrades on a backup")
    func upgrade() throws {
        let folder = try TemporaryFolder()
        let first = try open(folder, ["one"])
        try first.pool.write { try $0.execute(sql: "INSERT INTO one VALUES (7)") }
        try first.close()

        let second = try open(folder, ["one", "two"])
        let kept = try second.pool.read { try Int.fetchOne($0, sql: "SELECT x FROM one") }
        let backup = try DatabaseQueue(path: folder.path + "/a.db.before-2")
        let saved = try backup.read {
            (try Int.fetchOne($0, sql: "SELECT x FROM one"), try $0.tableExists("two"))
        }

        #expect(kept == 7)
        #expect(saved.0 == 7 && !saved.1)
    }

    @Test("A database from a newer version is refused and left alone")
    func newer() throws {
        let folder = try TemporaryFolder()
        try open(folder, ["one", "two"]).close()
        #expect {
            try open(folder, ["one"])
        } throws: {
            ($0 as? Failure)?.message.contains("newer Heptad") == true
        }
    }

    @Test(
        "Commits are as durable as the layer asked",
        arguments: [(Store.Durability.full, 2), (.normal, 1)])
    func durability(asked: Store.Durability, expected: Int) throws {
        let folder = try TemporaryFolder()
        let store = try Store(
            folder: folder.path, name: "a.db", durability: asked, migrations: migrations(["one"]))
        let level = try store.pool.write { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
        #expect(level == expected)
    }

    @Test("A file that is no database is a clear failure")
    func garbage() throws {
        let folder = try TemporaryFolder()
        let noise = Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        try noise.write(to: URL(fileURLWithPath: folder.path + "/a.db"))
        #expect(throws: Failure.self) { try open(folder, ["one"]) }
    }
}
