import Core
import Foundation

/// Documents, questions, and which documents answer which question, as BEIR lays them out:
/// `corpus.jsonl`, `queries.jsonl` and `qrels/NAME.tsv`.
package struct RetrievalDataset: Sendable {
    struct Entry: Sendable {
        let id: String
        let title: String
        let text: String
    }

    struct Query: Sendable {
        let id: String
        let text: String
        /// How well documents answer it, those that do, from 1.
        let grades: [String: Int]
    }

    package let name: String
    let corpus: [Entry]
    /// Those that some document answers: the others cannot be scored.
    let queries: [Query]

    /// Reads the folder; of several files of judgements `test.tsv` where there is one, or the one
    /// that is named. Throws `notFound` for what is missing and `invalid` with the file and the line.
    package init(folder: String, split: String = "test") throws {
        name = URL(fileURLWithPath: folder).standardizedFileURL.lastPathComponent
        let corpus: [Entry] = try Self.lines(folder + "/corpus.jsonl") { line, place in
            let row = try Self.decode(Row.self, line, place)
            return Entry(id: row.id, title: row.title ?? "", text: row.text)
        }
        let ids = Set(corpus.map(\.id))
        guard ids.count == corpus.count else {
            throw Failure(.invalid, "\(folder)/corpus.jsonl has an `_id` twice.")
        }
        self.corpus = corpus
        let grades = try Self.grades(folder + "/qrels/\(split).tsv", among: ids)
        queries = try Self.lines(folder + "/queries.jsonl") { line, place in
            let row = try Self.decode(Row.self, line, place)
            return Query(id: row.id, text: row.text, grades: grades[row.id] ?? [:])
        }.filter { !$0.grades.isEmpty }
        guard !queries.isEmpty else {
            throw Failure(.invalid, "No question of \(folder) is answered by one of its documents.")
        }
    }

    private struct Row: Decodable {
        let id: String
        let title: String?
        let text: String

        enum CodingKeys: String, CodingKey {
            case id = "_id"
            case title, text
        }
    }

    private static let fileBytesMax = 2_000_000_000

    /// `query-id corpus-id score` under a line that says so; with tabs, and without the zeros.
    private static func grades(
        _ path: String, among ids: Set<String>
    ) throws -> [String: [String: Int]] {
        var grades: [String: [String: Int]] = [:]
        _ = try lines(path) { line, place in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 3, let grade = Int(fields[2].trimmingCharacters(in: .whitespaces))
            else {
                guard place.hasSuffix("line 1") else {
                    throw Failure(
                        .invalid, "\(place): expected a question, a document and a number.")
                }
                return
            }
            let document = String(fields[1])
            guard grade > 0, ids.contains(document) else { return }
            grades[String(fields[0]), default: [:]][document] = min(grade, gradeMax)
        }
        return grades
    }

    // A gain is two to its power.
    private static let gradeMax = 30

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ line: Substring, _ place: String
    ) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(line.utf8))
        } catch {
            throw Failure(
                .invalid, "\(place): expected an object with `_id` and `text`.", cause: error)
        }
    }

    private static func lines<Value>(
        _ path: String, _ read: (Substring, String) throws -> Value
    ) throws -> [Value] {
        let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
        guard let size, size <= fileBytesMax, let bytes = FileManager.default.contents(atPath: path)
        else { throw Failure(.notFound, "\(path) cannot be read.") }
        let text = String(decoding: bytes, as: UTF8.self)
        // Only `\n`: JSON may hold other line separators as they are.
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return try lines.enumerated().compactMap { number, bytes in
            var line = Substring(bytes)
            if line.utf8.last == UInt8(ascii: "\r") { line = line.dropLast() }
            guard line.contains(where: { !$0.isWhitespace }) else { return nil }
            return try read(line, "\(path), line \(number + 1)")
        }
    }
}
