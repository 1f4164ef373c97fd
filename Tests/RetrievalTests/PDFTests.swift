import Core
import Foundation
import TestSupport
import Testing

@testable import Retrieval

@Suite struct PDFTests {
    private func read(
        _ bytes: [UInt8], _ change: (inout ReadingBudget.Limits) -> Void = { _ in }
    ) throws -> ExtractedText {
        var limits = ReadingBudget.Limits()
        change(&limits)
        return try DocumentReader(ReadingBudget(limits)).text(
            of: bytes, name: "a.pdf", mediaType: "")
    }

    /// A program that stands where pdftotext would.
    private func script(_ lines: String, in folder: TemporaryFolder) throws -> String {
        let path = folder.path + "/reader"
        try "#!/bin/sh\n\(lines)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }

    @Test("Passages of a PDF say their page, and offsets give them back")
    func pages() async throws {
        let bytes = FileSamples.pdf(["Boats float on water.", "", "Stones sink in water."])
        let manuscript = try Manuscript(
            bytes: bytes, name: "a.pdf", mediaType: "", tokensMax: 7)
        let scalars = Array(manuscript.text.unicodeScalars)

        #expect(manuscript.drafts.map(\.headings) == [["Page 1"], ["Page 3"]])
        #expect(manuscript.drafts.map(\.context) == ["a > Page 1", "a > Page 3"])
        for draft in manuscript.drafts {
            #expect(Array(draft.text.unicodeScalars) == Array(scalars[draft.range]))
        }
    }

    @Test("A PDF without text is said to be scanned, a damaged one to be damaged")
    func unreadable() throws {
        let scanned = #expect(throws: Failure.self) { try read(FileSamples.pdf(["", ""])) }
        let damaged = #expect(throws: Failure.self) { try read(Array("%PDF-1.4 nothing".utf8)) }
        let locked = #expect(throws: Failure.self) { try read(Array("%PDF-1.4 /Encrypt".utf8)) }
        #expect(scanned?.message.contains("as a scanner makes them") == true)
        #expect(scanned?.code == .unsupported)
        #expect(damaged?.message.contains("damaged") == true)
        #expect(locked?.message.contains("protected by a password") == true)
    }

    @Test("Where the program is missing it is said which package has it, and nothing is kept")
    func missing() async throws {
        let desk = try Desk { $0.pdfProgram = "no-such-program-anywhere" }
        let refused = await failure {
            _ = try await desk.library.ingest(
                Upload(
                    name: "a.pdf", mediaType: "", bytes: FileSamples.pdf(["x"]), collectionID: nil),
                for: .alice)
        }
        #expect(refused?.code == .unsupported)
        #expect(refused?.message.contains("poppler-utils") == true)
        #expect(try await desk.documents().isEmpty)
    }

    struct Trouble: Sendable, CustomTestStringConvertible {
        let script: String
        let code: Failure.Code
        var testDescription: String { script }
    }

    @Test(
        "A program that hangs, floods, dies or leaves children behind is ended",
        arguments: [
            Trouble(script: "sleep 60", code: .timeout),
            Trouble(script: "sleep 60 & sleep 60", code: .timeout),
            Trouble(script: "while :; do :; done", code: .timeout),
            Trouble(script: "trap '' TERM; echo x; sleep 60", code: .timeout),
            Trouble(script: "cat /dev/zero", code: .tooLarge),
            Trouble(script: "kill -SEGV $$", code: .invalid),
            Trouble(script: "echo text; exit 1", code: .invalid),
        ])
    func trouble(_ example: Trouble) throws {
        let folder = try TemporaryFolder()
        let program = try script(example.script, in: folder)
        let began = ContinuousClock.now
        let refused = #expect(throws: Failure.self) {
            try read(FileSamples.pdf(["x"])) {
                $0.pdfProgram = program
                $0.seconds = 0.5
                $0.textMax = 100_000
            }
        }
        #expect(refused?.code == example.code)
        #expect(ContinuousClock.now - began < .seconds(10))
    }

    @Test("The program gets the file, no other files, no environment, and limits")
    func confined() throws {
        let folder = try TemporaryFolder()
        let program = try script(
            "wc -c; ls /proc/self/fd | wc -l; echo ${HEPTAD_SECRET-none} $(ulimit -v) $(ulimit -f)",
            in: folder)
        setenv("HEPTAD_SECRET", "seen", 1)
        defer { unsetenv("HEPTAD_SECRET") }
        let bytes = FileSamples.pdf(["x"])
        let text = try read(bytes) { $0.pdfProgram = program }
        // Its three files, and the folder that `ls` reads.
        let words = text.string.split(whereSeparator: \.isWhitespace).map(String.init)
        #expect(words == ["\(bytes.count)", "4", "none", "1048576", "0"])
    }
}
