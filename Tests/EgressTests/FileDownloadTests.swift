import Core
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Egress

/// Files from a scripted server, in all the ways that a transfer can go.
struct FileDownloadTests {
    static let content = "GGUF" + String(repeating: "All of the lamps were lit. ", count: 20_000)
    static let sum = sha256(content)

    @Test("A file arrives whole, with its sum, and in place of nothing else")
    func whole() async throws {
        let desk = try Desk(Shelf(Self.content))
        try await desk.fetch { $0.sha256 = Self.sum }
        #expect(try desk.text() == Self.content)
        #expect(desk.ranges == [nil])
    }

    @Test("A part goes on where it ended, checked as a whole")
    func resume() async throws {
        let shelf = Shelf(Self.content)
        shelf.cutAt = 100_000
        let desk = try Desk(shelf)
        // The tries in one run are used up by a server that always breaks at the same byte.
        await #expect(throws: Failure.self) { try await desk.fetch { $0.failuresOfOneRun() } }
        #expect(desk.size == 100_000)
        shelf.cutAt = nil
        try await desk.fetch { $0.sha256 = Self.sum }
        #expect(try desk.text() == Self.content)
        #expect(desk.ranges.last == "bytes=100000-")
        #expect(desk.conditions.last == "\"v1\"")
    }

    @Test("A connection that breaks is picked up again within the run")
    func retry() async throws {
        let shelf = Shelf(Self.content)
        shelf.cutsOnce = [100_000, 200_000]
        let desk = try Desk(shelf)
        try await desk.fetch { $0.sha256 = Self.sum }
        #expect(try desk.text() == Self.content)
        #expect(desk.ranges == [nil, "bytes=100000-", "bytes=200000-"])
        #expect(desk.pauses.count == 2)
    }

    @Test(
        "A file that changed is fetched again from its beginning",
        arguments: [Shelf.Change.whole, .rangeAllTheSame])
    func changed(change: Shelf.Change) async throws {
        let shelf = Shelf(Self.content)
        shelf.cutAt = 100_000
        let desk = try Desk(shelf)
        await #expect(throws: Failure.self) { try await desk.fetch { $0.failuresOfOneRun() } }
        let other = "GGUF" + String(repeating: "Another story. ", count: 10_000)
        shelf.replace(other, change)
        try await desk.fetch { _ in }
        #expect(try desk.text() == other)
    }

    @Test("A server that does not do ranges sends all of it again")
    func noRanges() async throws {
        let shelf = Shelf(Self.content)
        shelf.cutAt = 100_000
        let desk = try Desk(shelf)
        await #expect(throws: Failure.self) { try await desk.fetch { $0.failuresOfOneRun() } }
        shelf.cutAt = nil
        shelf.knowsRanges = false
        try await desk.fetch { $0.sha256 = Self.sum }
        #expect(try desk.text() == Self.content)
    }

    @Test("A part that is complete already is checked, and nothing is fetched")
    func complete() async throws {
        let desk = try Desk(Shelf(Self.content))
        try await desk.fetch { _ in }
        try await desk.fetch { $0.sha256 = Self.sum }
        #expect(try desk.text() == Self.content)
        #expect(desk.ranges == [nil, "bytes=\(Self.content.utf8.count)-"])
    }

    @Test("A part whose address is another, or that nothing identifies, is not gone on with")
    func strangers() async throws {
        let shelf = Shelf(Self.content)
        shelf.entityTag = "W/\"weak\""
        shelf.cutAt = 100_000
        let desk = try Desk(shelf)
        await #expect(throws: Failure.self) { try await desk.fetch { $0.failuresOfOneRun() } }
        shelf.cutAt = nil
        try await desk.fetch { _ in }
        #expect(desk.ranges.allSatisfy { $0 == nil })
        try await desk.fetch(path: "/other") { _ in }
        #expect(desk.ranges.last == .some(nil))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let name: String
        let steps: [ScriptedServer.Step]
        let code: Failure.Code
        let says: String
        var testDescription: String { name }
    }

    static func body(_ headers: [String], _ text: String, status: Int = 200) -> [ScriptedServer
        .Step]
    {
        [
            ScriptedServer.head(status, type: "application/octet-stream", headers: headers),
            .text(text),
        ]
    }

    @Test(
        "What is no such file is refused in a sentence, and nothing is left of it",
        arguments: [
            Refusal(
                name: "web page", steps: ScriptedServer.answer("<html></html>", type: "text/html"),
                code: .invalid, says: "web page"),
            Refusal(
                name: "another kind", steps: ScriptedServer.answer("PK\u{3}\u{4}zip"),
                code: .invalid,
                says: "not a file of the kind"),
            Refusal(
                name: "too short", steps: ScriptedServer.answer("GG"), code: .invalid,
                says: "too short"),
            Refusal(
                name: "empty", steps: ScriptedServer.answer(""), code: .invalid, says: "is empty"),
            Refusal(
                name: "missing", steps: ScriptedServer.answer("no", status: 404), code: .notFound,
                says: "no such file"),
            Refusal(
                name: "gated",
                steps: ScriptedServer.answer(
                    "no", status: 403, headers: ["X-Error-Code: GatedRepo"]),
                code: .forbidden, says: "HF_TOKEN"),
            Refusal(
                name: "compressed",
                steps: body(["Content-Encoding: gzip", "Content-Length: 4"], "GGUF"),
                code: .invalid, says: "compressed"),
            Refusal(
                name: "two lengths",
                steps: body(["Content-Length: 4", "X-Linked-Size: 5"], "GGUF"),
                code: .invalid, says: "5 bytes, but 4"),
            Refusal(
                name: "wrong sum named",
                steps: body(
                    [
                        "Content-Length: 4",
                        "X-Linked-ETag: \"\(String(repeating: "0", count: 64))\"",
                    ],
                    "GGUF"),
                code: .invalid, says: "thrown away"),
            Refusal(
                name: "a part nobody asked for",
                steps: body(
                    ["Content-Length: 4", "Content-Range: bytes 4-7/8"], "GGUF", status: 206),
                code: .invalid, says: "another part"),
            Refusal(
                name: "a length that is none", steps: body(["X-Linked-Size: many"], "GGUF"),
                code: .invalid, says: "not a number"),
            Refusal(
                name: "unending",
                steps: [ScriptedServer.head(headers: []), .text("GGUF"), .flood(1 << 22)],
                code: .tooLarge, says: "larger than"),
            Refusal(
                name: "announced too large", steps: body(["Content-Length: 9999999"], "GGUF"),
                code: .tooLarge, says: "9999999 bytes"),
        ])
    func refusals(refusal: Refusal) async throws {
        let server = try ScriptedServer(refusal.steps)
        let folder = try TemporaryFolder()
        let path = folder.path + "/model.part"
        var download = FileDownload(
            url: server.url + "/model", magic: Array("GGUF".utf8), freeBytes: { _ in nil })
        download.bytesMax = 1 << 20
        download.pause = { _ in }
        let part = try PartFile(path: path)
        let failure = await #expect(throws: Failure.self) {
            try await download.run(into: part, with: .testing) { _ in }
        }
        #expect(failure?.code == refusal.code, "\(failure?.message ?? "")")
        #expect(failure?.message.contains(refusal.says) == true, "\(failure?.message ?? "")")
    }

    @Test("A sum that is not the file's throws what came away")
    func wrongSum() async throws {
        let desk = try Desk(Shelf(Self.content))
        let failure = await #expect(throws: Failure.self) {
            try await desk.fetch { $0.sha256 = String(repeating: "ab", count: 32) }
        }
        #expect(failure?.message.contains(Self.sum) == true)
        #expect(!FileManager.default.fileExists(atPath: desk.path))
    }

    @Test("Without room nothing is fetched, and both sizes are said")
    func noRoom() async throws {
        let desk = try Desk(Shelf(Self.content))
        let failure = await #expect(throws: Failure.self) {
            try await desk.fetch {
                $0.freeBytes = { _ in 300_000_000 }
                $0.spareBytes = 299_900_000
            }
        }
        #expect(failure?.code == .unavailable)
        #expect(failure?.message.contains("300 MB free") == true, "\(failure?.message ?? "")")
        #expect(failure?.message.contains("540 kB are still to come") == true)
        #expect(desk.size == 0)
    }

    @Test("A server that falls silent is given up, tried again, and then reported")
    func stall() async throws {
        let server = try ScriptedServer([
            ScriptedServer.head(headers: ["Content-Length: 100"]), .text("GGUF"), .untilClosed,
        ])
        let folder = try TemporaryFolder()
        var configuration = EgressConfiguration.testing
        configuration.idleTimeoutSeconds = 0.05
        var download = FileDownload(url: server.url, freeBytes: { _ in nil })
        download.pause = { _ in }
        let part = try PartFile(path: folder.path + "/model.part")
        let failure = await #expect(throws: Failure.self) {
            try await download.run(into: part, with: HTTPClient(configuration)) { _ in }
        }
        #expect(failure?.code == .timeout)
        #expect(server.requests.count == FileDownload.failuresMax)
    }

    @Test("Cancelling leaves a part that goes on")
    func cancelled() async throws {
        let shelf = Shelf(Self.content)
        shelf.holdsAt = 100_000
        let desk = try Desk(shelf)
        let run = Task { try await desk.fetch { _ in } }
        #expect(await eventually { desk.size == 100_000 })
        run.cancel()
        await #expect(throws: CancellationError.self) { try await run.value }
        shelf.holdsAt = nil
        try await desk.fetch { $0.sha256 = Self.sum }
        #expect(try desk.text() == Self.content)
        #expect(desk.ranges.last == "bytes=100000-")
    }

    @Test("A redirect to the storage is followed with the range and without the token")
    func redirect() async throws {
        let shelf = Shelf(Self.content)
        let storage = try ScriptedServer { shelf.steps(for: $0) }
        let hub = try ScriptedServer { _ in
            ScriptedServer.answer(
                "", status: 302,
                headers: [
                    "Location: \(storage.url)/blob?signature=1",
                    "X-Linked-Size: \(Self.content.utf8.count)", "X-Linked-ETag: \"\(Self.sum)\"",
                ])
        }
        let folder = try TemporaryFolder()
        let path = folder.path + "/model.part"
        var download = FileDownload(
            url: hub.url + "/a/b/resolve/main/m.gguf",
            headers: [HTTPHeader("Authorization", "Bearer hf_secret")], freeBytes: { _ in nil })
        download.pause = { _ in }
        shelf.cutsOnce = [100_000]
        try await download.run(into: PartFile(path: path), with: .testing) { _ in }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.content)
        #expect(hub.requests.allSatisfy { $0.headers["authorization"] == "Bearer hf_secret" })
        #expect(storage.requests.allSatisfy { $0.headers["authorization"] == nil })
        #expect(storage.requests.map { $0.headers["range"] } == [nil, "bytes=100000-"])
    }

    @Test("The sum that the hub names is held against what its storage sends")
    func storageLies() async throws {
        let storage = try ScriptedServer(ScriptedServer.answer("GGUF, but another"))
        let hub = try ScriptedServer { _ in
            ScriptedServer.answer(
                "", status: 302,
                headers: ["Location: \(storage.url)/x", "X-Linked-ETag: \"\(Self.sum)\""])
        }
        let folder = try TemporaryFolder()
        let download = FileDownload(url: hub.url, freeBytes: { _ in nil })
        let part = try PartFile(path: folder.path + "/model.part")
        let failure = await #expect(throws: Failure.self) {
            try await download.run(into: part, with: .testing) { _ in }
        }
        #expect(failure?.message.contains("thrown away") == true)
    }

    @Test("One process writes a part at a time, and not through a link")
    func locked() throws {
        let folder = try TemporaryFolder()
        let first = try PartFile(path: folder.path + "/a.part")
        let failure = #expect(throws: Failure.self) { try PartFile(path: folder.path + "/a.part") }
        #expect(failure?.code == .conflict)
        #expect(first.path.hasSuffix("a.part"))
        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/b.part", withDestinationPath: "/dev/null")
        #expect(throws: Failure.self) { try PartFile(path: folder.path + "/b.part") }
    }

    @Test(
        "Sizes are read as people write them",
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_536_000, "1.5 MB"),
            (98_765_432, "98.8 MB"), (999_600_000, "1.0 GB"), (5_123_456_789, "5.1 GB"),
            (200 << 30, "215 GB"),
        ])
    func sizes(bytes: Int, text: String) { #expect("\(ByteCount(bytes))" == text) }
}

private func sha256(_ text: String) -> String {
    guard let sum = try? SHA256() else { return "" }
    Array(text.utf8).withUnsafeBytes { sum.update($0) }
    return sum.hexadecimal
}

extension FileDownload {
    /// Gives up at the first failure that a second try might do away with.
    fileprivate mutating func failuresOfOneRun() {
        pause = { _ in throw Failure(.internalError, "No second try in this test.") }
    }
}

/// A file as a server has it, with the ways in which servers fail.
final class Shelf: Sendable {
    enum Change: Sendable {
        /// `If-Range` is heeded: all of the new file comes.
        case whole
        /// It is not: a range of the new file comes.
        case rangeAllTheSame
    }

    private struct State {
        var content: [UInt8]
        var entityTag = "\"v1\""
        var heedsIfRange = true
        var knowsRanges = true
        var cutAt: Int?
        var cutsOnce: [Int] = []
        var holdsAt: Int?
    }

    private let state: Mutex<State>

    init(_ content: String) { state = Mutex(State(content: Array(content.utf8))) }

    var cutAt: Int? {
        get { state.withLock { $0.cutAt } }
        set { state.withLock { $0.cutAt = newValue } }
    }
    var cutsOnce: [Int] {
        get { state.withLock { $0.cutsOnce } }
        set { state.withLock { $0.cutsOnce = newValue } }
    }
    var holdsAt: Int? {
        get { state.withLock { $0.holdsAt } }
        set { state.withLock { $0.holdsAt = newValue } }
    }
    var knowsRanges: Bool {
        get { state.withLock { $0.knowsRanges } }
        set { state.withLock { $0.knowsRanges = newValue } }
    }
    var entityTag: String {
        get { state.withLock { $0.entityTag } }
        set { state.withLock { $0.entityTag = newValue } }
    }

    func replace(_ content: String, _ change: Change) {
        state.withLock { state in
            state.content = Array(content.utf8)
            state.entityTag = "\"v2\""
            state.cutAt = nil
            state.heedsIfRange = change == .whole
        }
    }

    func steps(for request: ScriptedServer.Request) -> [ScriptedServer.Step] {
        state.withLock { state in
            let all = state.content
            var first = 0
            if state.knowsRanges, let range = request.headers["range"],
                let start = Int(range.dropFirst(6).dropLast())
            {
                let condition = request.headers["if-range"]
                if !state.heedsIfRange || condition == nil || condition == state.entityTag {
                    first = start
                }
            }
            guard first < all.count else {
                return ScriptedServer.answer(
                    "", status: 416,
                    headers: ["Content-Range: bytes */\(all.count)", "ETag: \(state.entityTag)"])
            }
            var headers = ["ETag: \(state.entityTag)", "Content-Length: \(all.count - first)"]
            if first > 0 {
                headers.append("Content-Range: bytes \(first)-\(all.count - 1)/\(all.count)")
            }
            let head = ScriptedServer.head(
                first > 0 ? 206 : 200, type: "application/octet-stream", headers: headers)
            if let hold = state.holdsAt, hold > first {
                return [head, .send(Array(all[first..<hold])), .untilClosed]
            }
            if let cut = state.cutAt, cut >= first {
                return [head, .send(Array(all[first..<cut]))]
            }
            if let cut = state.cutsOnce.first(where: { $0 > first }) {
                state.cutsOnce.removeAll { $0 <= cut }
                return [head, .send(Array(all[first..<cut]))]
            }
            return [head, .send(Array(all[first...]))]
        }
    }
}

/// A shelf's server, and the folder where its file comes.
private final class Desk: Sendable {
    let server: ScriptedServer
    let folder: TemporaryFolder
    private let waits = Mutex<[Duration]>([])

    init(_ shelf: Shelf) throws {
        server = try ScriptedServer { shelf.steps(for: $0) }
        folder = try TemporaryFolder()
    }

    var path: String { folder.path + "/model.part" }
    var ranges: [String?] { server.requests.map { $0.headers["range"] } }
    var conditions: [String?] { server.requests.map { $0.headers["if-range"] } }
    var pauses: [Duration] { waits.withLock { $0 } }
    var size: Int {
        let values = try? FileManager.default.attributesOfItem(atPath: path)
        return (values?[.size] as? NSNumber)?.intValue ?? -1
    }

    func text() throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    func fetch(path file: String = "/model.gguf", _ change: (inout FileDownload) -> Void)
        async throws
    {
        var download = FileDownload(
            url: server.url + file, magic: Array("GGUF".utf8), freeBytes: { _ in nil })
        download.pause = { [self] pause in waits.withLock { $0.append(pause) } }
        change(&download)
        try await download.run(into: PartFile(path: path), with: .testing) { _ in }
    }
}
