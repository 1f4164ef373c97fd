import Core
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Retrieval

@Suite struct VectorIndexTests {
    /// Enough documents for a file, small as the limit is here.
    private func filled(_ desk: Desk, _ numbers: ClosedRange<Int> = 1...12) async throws {
        for number in numbers {
            try await desk.add("boats w\(number) x\(number) y\(number).", as: "d\(number).txt")
        }
    }

    /// What is found, and the files behind it are written.
    private func names(_ library: Library) async throws -> [String] {
        let found = try await library.search(
            SearchRequest(principal: .alice, text: "w3 x3 y3", collectionIDs: [], limit: 50))
        try await library.index.settle()
        return found.filter { $0.vectorRank != nil }.map(\.passage.documentName)
    }

    private func file(_ desk: Desk) -> String {
        desk.folder.path + "/vectors-scripted-words-96.f32"
    }

    @Test("The matrix file is made when there is enough for one, and read after a restart")
    func file() async throws {
        let desk = try Desk(limits: .small)
        try await filled(desk)
        let before = try await names(desk.library)
        let size = try FileManager.default.attributesOfItem(atPath: file(desk))[.size] as? Int
        let second = try desk.another(limits: .small)

        #expect(size == 2 * 4096 + 12 * 96 * 4)
        #expect(before.first == "d3.txt")
        #expect(try await names(second) == before)
    }

    @Test(
        "A matrix file that is missing, cut off, damaged or another's is made again",
        arguments: ["missing", "short", "header", "keys", "garbage", "other"])
    func rebuilt(damage: String) async throws {
        let desk = try Desk(limits: .small)
        try await filled(desk)
        let before = try await names(desk.library)
        let path = file(desk)
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        switch damage {
        case "missing": try FileManager.default.removeItem(atPath: path)
        case "short": data = data.dropLast(96 * 4)
        case "header": data[24] ^= 3
        case "keys": data[4096] ^= 1
        case "garbage": data = Data(repeating: 0xA5, count: data.count)
        default:
            // Whole and sound, but of a database with another history: the stamps differ.
            let keys = (1...12).map { MatrixFile.Key(number: Int64($0), stamp: 7) }
            try MatrixFile.write(to: path, dimensions: 96, keys: keys) { _ in
                [1] + Array(repeating: 0, count: 95)
            }
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        }
        if damage != "missing" { try data.write(to: URL(fileURLWithPath: path), options: .atomic) }
        let second = try desk.another(limits: .small)

        #expect(try await names(second) == before)
        #expect(MatrixFile(path: path, dimensions: 96)?.keys.count == 12)
    }

    @Test("An index that cannot be written is tried again after a while, not at every search")
    func backOff() async throws {
        let desk = try Desk(limits: .small)
        // Nothing can be renamed onto a folder.
        try FileManager.default.createDirectory(
            atPath: file(desk) + "/full", withIntermediateDirectories: true)
        try await filled(desk)
        let found = try await names(desk.library)
        try FileManager.default.removeItem(atPath: file(desk))
        try await filled(desk, 13...14)
        _ = try await names(desk.library)
        let early = FileManager.default.fileExists(atPath: file(desk))
        desk.clock.advance(by: .seconds(61))
        _ = try await names(desk.library)

        #expect(found.first == "d3.txt" && !early)
        #expect(MatrixFile(path: file(desk), dimensions: 96)?.keys.count == 14)
        #expect(try leftovers(desk) == [])
    }

    private func leftovers(_ desk: Desk) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: desk.folder.path)
            .filter { $0.contains(".new-") }.sorted()
    }

    @Test("Files that were being written when a process was killed are gone after the next start")
    func abandoned() async throws {
        let desk = try Desk()
        let (own, dead, alive) = (getpid(), Int32.max, getppid())
        let names = [own, dead, alive].map { "vectors-a-96.f32.new-\($0)" }
        for name in names + ["vectors-b-96.ivf.new-\(alive)", "notes.new-\(dead)"] {
            try Data([1]).write(to: URL(fileURLWithPath: desk.folder.path + "/" + name))
        }
        let long = Date(timeIntervalSinceNow: -7200)
        try FileManager.default.setAttributes(
            [.modificationDate: long],
            ofItemAtPath: desk.folder.path + "/vectors-b-96.ivf.new-\(alive)")
        _ = try desk.another()
        #expect(try leftovers(desk) == ["notes.new-\(dead)", names[2]])
    }

    @Test("What another process adds or takes away is seen in the next search")
    func otherProcess() async throws {
        let desk = try Desk(limits: .small)
        try await filled(desk)
        _ = try await names(desk.library)
        let second = try desk.another(limits: .small)
        _ = try await names(second)
        let documents = try await desk.documents()
        let third = try #require(documents.first { $0.name == "d3.txt" })
        try await second.remove(document: third.id, for: .alice)
        let ingestion = try await second.ingest(
            Upload(
                name: "new.txt", mediaType: "", bytes: Array("boats w3 x3 y3 z".utf8),
                collectionID: nil), for: .alice)
        try await desk.jobs.run(ingestion.jobID, with: second, for: .alice)
        let found = try await names(desk.library)

        #expect(found.first == "new.txt" && !found.contains("d3.txt"))
        #expect(try await names(second) == found)
    }

    @Test("Rows that are gone are dropped from the file in time")
    func compaction() async throws {
        let desk = try Desk(limits: .small)
        try await filled(desk)
        _ = try await names(desk.library)
        for document in try await desk.documents() where document.name != "d3.txt" {
            try await desk.library.remove(document: document.id, for: .alice)
        }
        let found = try await names(desk.library)

        #expect(found == ["d3.txt"])
        #expect(MatrixFile(path: file(desk), dimensions: 96)?.keys.count == 1)
    }

    @Test("Lists that are missing or damaged are made again", arguments: ["missing", "damaged"])
    func lists(damage: String) async throws {
        let desk = try Desk(limits: .smallLists)
        try await filled(desk)
        let before = try await names(desk.library)
        let path = desk.folder.path + "/vectors-scripted-words-96.ivf"
        let url = URL(fileURLWithPath: path)
        let written = try Data(contentsOf: url)
        var data = written
        data[data.count - 1] ^= 1
        try FileManager.default.removeItem(at: url)
        if damage == "damaged" { try data.write(to: url) }
        let second = try desk.another(limits: .smallLists)

        #expect(try await names(second) == before)
        #expect(try Data(contentsOf: url) == written)
        #expect(try await names(second) == before)
    }

    @Test("Searches find what is there while documents come and lists are written")
    func concurrent() async throws {
        let desk = try Desk(limits: .smallLists)
        try await filled(desk)
        let library = desk.library
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<25 {
                        let hits = try await library.search(
                            SearchRequest(
                                principal: .alice, text: "w3 x3 y3", collectionIDs: [], limit: 50))
                        #expect(hits.first?.passage.documentName == "d3.txt")
                    }
                }
            }
            try await filled(desk, 20...45)
            try await group.waitForAll()
        }
        _ = try await names(library)
        let found = try await names(library)
        let afresh = try await names(try desk.another())

        #expect(found.first == "d3.txt" && found == afresh)
        #expect(MatrixFile(path: file(desk), dimensions: 96).map { $0.keys.count > 30 } == true)
    }

    @Test("The nearest rows are the ones a plain loop finds", arguments: [1, 7, 100])
    func exact(limit: Int) throws {
        let environment = Environment.manual(seed: 5)
        let folder = try TemporaryFolder()
        let (count, dimensions) = (2500, 24)
        let vectors = (0..<count).map { _ in
            (0..<dimensions).map { _ in Float(environment.random() % 2001) / 1000 - 1 }
        }
        let path = folder.path + "/m.f32"
        try MatrixFile.write(
            to: path, dimensions: dimensions,
            keys: (1...count).map { .init(number: Int64($0), stamp: 0) }, row: { vectors[$0] })
        let file = try #require(MatrixFile(path: path, dimensions: dimensions))
        let query = vectors[17]
        let rows = VectorRows(file: file) { _ in 3 }
        let found = rows.nearest(to: query, in: [3], limit: limit)
        let scores = vectors.map { zip($0, query).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
        let expected = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(limit)

        #expect(found.map(\.passage) == expected.map { Int64($0 + 1) })
        #expect(rows.nearest(to: query, in: [4], limit: 9).isEmpty)
    }

    @Test("The heap keeps the best, and equal ones by place")
    func heap() {
        let scores: [Float] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, .nan, .infinity]
        for limit in 0...13 {
            var top = TopRows(limit: limit)
            for (place, score) in scores.enumerated() { top.offer(place, score: score) }
            let expected = [5, 7, 4, 8, 10, 2, 0, 9, 6, 1, 3].prefix(limit)
            #expect(top.sorted.map(\.index) == Array(expected))
        }
    }
}

extension VectorIndex.Limits {
    static let small = VectorIndex.Limits(tailRowsMax: 4)
    static let smallLists = VectorIndex.Limits(tailRowsMax: 4, listedRowsMin: 8)
}
