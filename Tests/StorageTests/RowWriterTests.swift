import GRDB
import Storage
import TestSupport
import Testing

@Suite struct RowWriterTests {
    private static let insertSQL = "INSERT INTO a (name, note, count, flag) VALUES (?, ?, ?, ?)"

    private func database() throws -> DatabaseQueue {
        let database = try DatabaseQueue()
        try database.write {
            try $0.execute(
                sql: """
                    CREATE TABLE a (name TEXT NOT NULL UNIQUE, note TEXT, count INTEGER, flag INTEGER)
                    STRICT
                    """)
        }
        return database
    }

    @Test("Rows are written as they were given, one after the other")
    func rows() throws {
        let long = String(repeating: "ö", count: 100_000)
        let given: [(String, String?, Int, Bool)] = [
            ("one", nil, 1, true), ("", "", -5, false), ("three", long, .max, true),
            ("four!", "\u{1F600}", .min, false),
        ]
        let rows = try database().write { database in
            var row = RowWriter()
            for (name, note, count, flag) in given {
                row.add { $0.append(contentsOf: name.utf8) }
                row.add(note)
                row.add(count)
                row.add(flag)
                #expect(row.textBytes == name.utf8.count + (note?.utf8.count ?? 0))
                try row.run(database.cachedStatement(sql: Self.insertSQL))
                #expect(database.changesCount == 1 && row.textBytes == 0)
            }
            return try Row.fetchAll(database, sql: "SELECT * FROM a ORDER BY rowid")
        }
        #expect(rows.map { $0["name"] as String } == given.map(\.0))
        #expect(rows.map { $0["note"] as String? } == given.map(\.1))
        #expect(rows.map { $0["count"] as Int } == given.map(\.2))
        #expect(rows.map { $0["flag"] as Bool } == given.map(\.3))
    }

    @Test("A row that is refused says why, and the next one is not touched by it")
    func refusal() throws {
        try database().write { database in
            let statement = try database.cachedStatement(sql: Self.insertSQL)
            var row = RowWriter()
            func write(_ name: String?) throws {
                row.add(name)
                row.add("note")
                row.add(1)
                row.add(true)
                try row.run(statement)
            }
            try write("one")
            let twice = #expect(throws: DatabaseError.self) { try write("one") }
            #expect(twice?.resultCode == .SQLITE_CONSTRAINT)
            #expect(twice?.message?.contains("a.name") == true && twice?.sql == Self.insertSQL)
            #expect(throws: DatabaseError.self) { try write(nil) }
            row.add("forgotten")
            row.clear()
            try write("two")
            let names = try String.fetchAll(database, sql: "SELECT name FROM a ORDER BY rowid")
            #expect(names == ["one", "two"])
        }
    }

    @Test("Whoever watches a file sees each commit of others, and nothing else")
    func commits() throws {
        let folder = try TemporaryFolder()
        let store = try Store(
            folder: folder.path, name: "a.db", durability: .full, migrations: DatabaseMigrator())
        let watch = try CommitWatch(path: folder.path + "/a.db")
        try store.pool.write { try $0.execute(sql: "CREATE TABLE a (x)") }
        let first = try #require(watch.version)
        #expect(watch.version == first)
        _ = try store.pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM a") }
        #expect(watch.version == first)
        try store.pool.write { try $0.execute(sql: "INSERT INTO a VALUES (1)") }
        #expect(try #require(watch.version) != first)
        watch.close()
        #expect(watch.version == nil)
        #expect(throws: (any Error).self) { try CommitWatch(path: folder.path + "/none.db") }
    }
}
