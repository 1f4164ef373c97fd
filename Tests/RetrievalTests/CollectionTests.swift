import Core
import Foundation
import GRDB
import OrderedJSON
import Storage
import TestSupport
import Testing

@testable import Retrieval

@Suite struct CollectionTests {
    private static func filter(_ text: String) throws -> JSONValue {
        try JSONValue(parsing: text.utf8)
    }

    // MARK: Filters

    private static let everything = ["a.txt", "b.md", "c.txt"]
    private static let filters: [(String, [String])] = [
        (#"{"type":"eq","key":"kind","value":"report"}"#, ["a.txt", "b.md"]),
        (#"{"type":"ne","key":"kind","value":"report"}"#, ["c.txt"]),
        (#"{"type":"gt","key":"year","value":2020}"#, ["b.md"]),
        (#"{"type":"lte","key":"year","value":2020}"#, ["a.txt"]),
        (#"{"type":"gte","key":"year","value":"2020"}"#, []),
        (#"{"type":"in","key":"year","value":[2019,2024]}"#, ["b.md"]),
        (#"{"type":"nin","key":"year","value":[2024]}"#, ["a.txt", "c.txt"]),
        (#"{"type":"in","key":"year","value":[]}"#, []),
        (#"{"type":"eq","key":"final","value":true}"#, ["a.txt"]),
        (#"{"type":"eq","key":"final","value":1}"#, []),
        (#"{"type":"eq","key":"$tag","value":"harbour"}"#, ["a.txt", "c.txt"]),
        (#"{"type":"eq","key":"$type","value":"md"}"#, ["b.md"]),
        (#"{"type":"eq","key":"$type","value":"text/plain"}"#, ["a.txt", "c.txt"]),
        (#"{"type":"eq","key":"$name","value":"c.txt"}"#, ["c.txt"]),
        (#"{"type":"eq","key":"$owner","value":"\#(Principal.alice.userID)"}"#, everything),
        (#"{"type":"ne","key":"$owner","value":"\#(Principal.alice.userID)"}"#, []),
        (#"{"type":"in","key":"$owner","value":["x","\#(Principal.mallory.userID)"]}"#, []),
        (#"{"type":"gt","key":"$date","value":1}"#, everything),
        (#"{"type":"lt","key":"$date","value":"2000-01-01T00:00:00.000Z"}"#, []),
        (
            #"""
            {"type":"or","filters":[{"type":"eq","key":"year","value":2024},\#
            {"type":"and","filters":[{"type":"eq","key":"$tag","value":"harbour"},\#
            {"type":"ne","key":"kind","value":"report"}]}]}
            """#, ["b.md", "c.txt"]
        ),
        (#"{"type":"eq","key":"kind\" OR 1=1 --","value":"x' OR 'a'='a"}"#, []),
    ]

    @Test("Filters leave out documents before any lane ranks", arguments: filters)
    func filtered(text: String, names: [String]) async throws {
        let desk = try await Self.described()
        let hits = try await desk.search("boats", where: try Self.filter(text))
        #expect(hits.map(\.passage.documentName).sorted() == names)
    }

    private static func described() async throws -> Desk {
        let desk = try Desk()
        for (name, tags, attributes) in [
            ("a.txt", ["harbour"], #"{"kind":"report","year":2020,"final":true}"#),
            ("b.md", [], #"{"kind":"report","year":2024}"#), ("c.txt", ["harbour", "x"], "{}"),
        ] {
            let (id, _) = try await desk.add("Boats float, says \(name).", as: name)
            var change = DocumentChange()
            change.tags = tags
            change.attributes = try JSONDecoder().decode(
                [String: AttributeValue].self, from: Data(attributes.utf8))
            _ = try await desk.library.changeDocument(id, change, for: .alice)
        }
        return desk
    }

    @Test("A filter comes before the depth of the lanes, so that few among many are found")
    func filterFirst() async throws {
        let desk = try Desk { $0.candidatesMax = 3 }
        for number in 1...12 { try await desk.add("Boats boats \(number).", as: "\(number).txt") }
        let (id, _) = try await desk.add("A text with boats once in many other words.", as: "z.txt")
        var change = DocumentChange()
        change.tags = ["rare"]
        _ = try await desk.library.changeDocument(id, change, for: .alice)
        let hit = try await desk.search(
            "boats", where: Self.filter(#"{"type":"eq","key":"$tag","value":"rare"}"#)
        ).first

        #expect(hit?.passage.documentID == id)
        #expect(hit?.keywordRank == 1 && hit?.vectorRank == 1)
    }

    @Test(
        "What is no filter is refused with a sentence",
        arguments: [
            "{}", "[]", #"{"type":"eq"}"#, #"{"type":"eq","key":"a"}"#,
            #"{"type":"like","key":"a","value":"b"}"#, #"{"type":"and","filters":[]}"#,
            #"{"type":"eq","key":"a","value":{}}"#, #"{"type":"gt","key":"a","value":true}"#,
            #"{"type":"eq","key":"$author","value":"a"}"#,
            #"{"type":"gt","key":"$owner","value":"a"}"#,
            #"{"type":"eq","key":"$date","value":"soon"}"#,
            String(repeating: #"{"type":"and","filters":["#, count: 9)
                + #"{"type":"eq","key":"a","value":1}"# + String(repeating: "]}", count: 9),
        ])
    func notAFilter(text: String) async throws {
        let desk = try Desk()
        let failure = await failure {
            _ = try await desk.search("boats", where: try Self.filter(text))
        }
        #expect(failure?.code == .invalid && failure?.message.hasPrefix("The filter ") == true)
    }

    // MARK: Moving and attaching

    @Test("A document that moved is found where it is, by words and by meaning")
    func move() async throws {
        let desk = try Desk()
        let work = try await desk.library.createCollection(named: "Work", for: .alice)
        let (id, _) = try await desk.add("Boats at home.", as: "a.txt")
        let before = try await desk.search("boats", in: [work.id])
        var change = DocumentChange()
        change.collectionID = work.id
        let moved = try await desk.library.changeDocument(id, change, for: .alice)
        let after = try await desk.search("boats", in: [work.id])
        let home = try #require(
            try await desk.library.collections(for: .alice).first { $0.name == "Documents" })

        #expect(before.isEmpty && moved.collectionID == work.id)
        #expect(after.map(\.keywordRank) == [1] && after.map(\.vectorRank) == [1])
        #expect(try await desk.search("boats", in: [home.id]).isEmpty && home.documentCount == 0)
    }

    @Test("An attached document is in both collections, once in a search of all")
    func attach() async throws {
        let desk = try Desk()
        let library = desk.library
        let store = try await library.createCollection(named: "Store", for: .alice)
        let (id, _) = try await desk.add("Boats at home.", as: "a.txt")
        try await desk.add("Boats elsewhere.", as: "b.txt")
        _ = try await library.attach(id, to: store.id, true, for: .alice)
        let inStore = try await desk.search("boats", in: [store.id])

        #expect(inStore.map(\.passage.documentID) == [id] && inStore[0].vectorRank == 1)
        #expect(try await desk.search("boats").count == 2)
        #expect(try await library.documents(in: store.id, for: .alice).map(\.id) == [id])
        let counts = try await library.collections(for: .alice).map { ($0.name, $0.documentCount) }
        #expect(counts.map(\.0) == ["Documents", "Store"] && counts.map(\.1) == [2, 1])

        // Sharing the store shares the document, and ends with it.
        try await library.share(store.id, with: Principal.mallory.userID, .read, for: .alice)
        #expect(try await desk.search("boats", for: .mallory).map(\.passage.documentID) == [id])
        _ = try await library.attach(id, to: store.id, false, for: .alice)
        #expect(try await desk.search("boats", for: .mallory).isEmpty)
        let gone = await failure { _ = try await library.text(of: id, for: .mallory) }
        #expect(gone?.code == .notFound)
        #expect(try await library.document(id, for: .alice).id == id)
    }

    @Test("A new version keeps what was said of the old one")
    func versions() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice)
        let (old, _) = try await desk.add("The password is swordfish.", as: "a.txt")
        var change = DocumentChange()
        change.tags = ["kept"]
        _ = try await desk.library.changeDocument(old, change, for: .alice)
        _ = try await desk.library.attach(old, to: store.id, true, for: .alice)
        let (new, _) = try await desk.add("The password is marlin.", as: "a.txt")

        let documents = try await desk.library.documents(in: store.id, for: .alice)
        #expect(documents.map(\.id) == [new] && documents.map(\.tags) == [["kept"]])
    }

    @Test("Files of one name stay apart, and go when their time is up")
    func files() async throws {
        let desk = try Desk()
        var upload = Upload(
            name: "a.txt", mediaType: "", bytes: Array("One boat.".utf8), collectionID: nil)
        upload.purpose = "assistants"
        upload.expiresAt = desk.clock.now + .seconds(3600)
        for _ in 0..<2 {
            let ingestion = try await desk.library.ingest(upload, for: .alice)
            try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
        }
        try await desk.add("Another boat.", as: "a.txt")
        #expect(try await desk.documents().count == 3)
        desk.clock.advance(by: .seconds(3601))
        #expect(try await desk.library.documents.removeExpired() == 2)
        #expect(try await desk.documents().map(\.purpose) == [nil])
    }

    // MARK: Settings and quotas

    @Test("A collection's settings hold for searches in it alone")
    func settings() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice)
        for number in 1...5 {
            try await desk.add("Boats number \(number).", as: "\(number).txt", in: store.id)
        }
        var change = CollectionChange()
        change.name = "Shop"
        change.settings = CollectionSettings()
        change.settings?.passagesMax = 2
        change.settings?.vectorShare = 0
        let changed = try await desk.library.changeCollection(store.id, change, for: .alice)
        let found = try await desk.search("boats", in: [store.id])

        #expect(changed.name == "Shop" && changed.settings.passagesMax == 2)
        #expect(found.count == 2 && found.allSatisfy { $0.vectorRank == nil })
        try await desk.add("A word about boats.", as: "else.txt")
        #expect(try await desk.search("boats").count == 6)
        change.settings?.vectorShare = 1
        _ = try await desk.library.changeCollection(store.id, change, for: .alice)
        let meaning = try await desk.search("boats", in: [store.id])
        #expect(!meaning.isEmpty && meaning.allSatisfy { $0.keywordRank == nil })
        change.settings?.vectorShare = 2
        let refused = await failure { [change] in
            _ = try await desk.library.changeCollection(store.id, change, for: .alice)
        }
        #expect(refused?.code == .invalid)
    }

    @Test("Passages are as long as the collection says")
    func passageLength() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Short", for: .alice)
        var change = CollectionChange()
        change.settings = CollectionSettings()
        change.settings?.passageTokensMax = 40
        _ = try await desk.library.changeCollection(store.id, change, for: .alice)
        let usual = try await desk.add(Samples.guide, as: "guide.txt")
        let short = try await desk.add(Samples.guide, as: "guide.txt", in: store.id)
        #expect(short.reports.last?.total ?? 0 > 2 * (usual.reports.last?.total ?? 0))
    }

    @Test("Past a quota an upload is refused with what is used and what is allowed")
    func quota() async throws {
        let desk = try Desk {
            $0.collectionDocumentsMax = 2
            $0.userBytesMax = 60
        }
        try await desk.add("One.", as: "1.txt")
        try await desk.add("Two.", as: "2.txt")
        let full = await failure { try await desk.add("Three.", as: "3.txt") }
        // The same again is no more.
        try await desk.add("Two.", as: "2.txt")
        let store = try await desk.library.createCollection(named: "Store", for: .alice)
        let large = await failure {
            try await desk.add(String(repeating: "a", count: 60), as: "4.txt", in: store.id)
        }
        var change = CollectionChange()
        change.settings = CollectionSettings()
        change.settings?.documentsMax = 1
        let limited = try await desk.library.changeCollection(store.id, change, for: .alice)
        try await desk.add("Five.", as: "5.txt", in: store.id)
        let own = await failure { try await desk.add("Six.", as: "6.txt", in: store.id) }

        #expect(full?.code == .tooLarge && full?.message.contains("2 are allowed") == true)
        #expect(large?.code == .tooLarge && large?.message.contains("8 of 60 bytes") == true)
        #expect(limited.documentsMax == 1 && own?.code == .tooLarge)
    }

    @Test("A collection that expired is left out, and can be brought back")
    func expiry() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice)
        try await desk.add("Boats.", in: store.id)
        var change = CollectionChange()
        change.expiresAfterDays = 1
        _ = try await desk.library.changeCollection(store.id, change, for: .alice)
        desk.clock.advance(by: .seconds(80_000))
        #expect(try await desk.search("boats", in: [store.id]).count == 1)
        desk.clock.advance(by: .seconds(80_000))
        #expect(try await desk.search("boats").count == 1)
        desk.clock.advance(by: .seconds(90_000))
        #expect(try await desk.search("boats").isEmpty)
        let named = await failure { _ = try await desk.search("boats", in: [store.id]) }
        #expect(named?.message.contains("has expired") == true)
        change.expiresAfterDays = 0
        _ = try await desk.library.changeCollection(store.id, change, for: .alice)
        #expect(try await desk.search("boats").count == 1)
    }

    @Test("A collection can go without its documents")
    func keepDocuments() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice)
        let (id, _) = try await desk.add("Boats.", in: store.id)
        try await desk.library.removeCollection(store.id, keepingDocuments: true, for: .alice)
        let left = try await desk.library.collections(for: .alice)

        #expect(left.map(\.name) == ["Documents"] && left.map(\.documentCount) == [1])
        #expect(try await desk.search("boats").map(\.passage.documentID) == [id])
        let last = await failure {
            try await desk.library.removeCollection(
                left[0].id, keepingDocuments: true, for: .alice)
        }
        #expect(last?.code == .conflict)
    }

    // MARK: Migration

    @Test("A database from before collections were shared keeps all that is in it")
    func migration() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/knowledge.db"
        do {
            let queue = try DatabaseQueue(path: path)
            try Migrations.all.migrate(
                queue, upTo: "2 where documents come from, and what they resemble")
            try await queue.write { database in
                try database.execute(
                    sql: """
                        INSERT INTO collection (id, owner_id, name, created_at)
                            VALUES (:collection, :alice, 'Documents', 5);
                        INSERT INTO document (id, owner_id, collection, name, media_type,
                            byte_count, passage_count, state, created_at, source)
                            VALUES (:document, :alice, 1, 'a.txt', 'text/plain', 6, 1, 'ready', 5,
                            '/a.txt');
                        INSERT INTO original VALUES (1, CAST('Boats.' AS BLOB));
                        INSERT INTO extraction VALUES (1, 'Boats.');
                        INSERT INTO passage (collection, document, id, start_at, end_at)
                            VALUES (1, 1, :passage, 0, 6);
                        INSERT INTO wording VALUES (1, '[]', '', 'Boats.', '');
                        INSERT INTO passage_terms (rowid, context, body, hints)
                            VALUES (1, '', 'Boats.', '');
                        """,
                    arguments: [
                        "collection": Principal.owner.userID, "alice": Principal.alice.userID,
                        "document": Principal.mallory.userID, "passage": Principal.owner.userID,
                    ])
            }
            try queue.close()
        }
        let desk = try Desk()
        let library = try Library(
            RetrievalConfiguration(), folder: folder.path, embedder: desk.embedder,
            jobs: desk.jobs, client: desk.client, environment: .manual(desk.clock))
        let documents = try await library.documents(in: nil, for: .alice)
        let hits = try await library.search(
            SearchRequest(principal: .alice, text: "boats", collectionIDs: [], limit: 3))
        let (_, bytes) = try await library.content(of: documents[0].id, for: .alice)

        #expect(documents.map(\.source) == ["/a.txt"] && documents.map(\.state) == [.ready])
        #expect(hits.map(\.passage.text) == ["Boats."])
        #expect(String(decoding: bytes, as: UTF8.self) == "Boats.")
        #expect(try await library.collections(for: .alice).map(\.documentCount) == [1])
        #expect(FileManager.default.fileExists(atPath: path + ".before-3"))
    }
}
