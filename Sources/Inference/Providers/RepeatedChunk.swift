import Foundation
import OrderedJSON

/// What the chunks of a stream have in common. An answer comes as hundreds of chunks of JSON that
/// differ in one word of text, and to compare bytes takes a fraction of the time of reading them.
struct RepeatedChunk {
    private let key: String
    /// The last chunk that was read, before and behind its text; both have its quotation mark.
    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    /// What stands between them is the text that a reader finds.
    private var isProven = false
    /// It is not, in chunks of this stream.
    private var isUseless = false

    private static let probe = "Not said by any model."

    /// - Parameter key: the name of the string that is the text.
    init(key: String) { self.key = key }

    /// The text of a chunk that is the remembered one but for its text; nil for another, which has
    /// to be read. `read` gives the text of a chunk that has nothing else that is of interest.
    mutating func text(in chunk: [UInt8], read: ([UInt8]) -> String?) -> String? {
        let end = chunk.count - tail.count
        guard !head.isEmpty, head.count <= end,
            chunk.withUnsafeBytes({ $0.starts(with: head) && $0.ends(with: tail) }),
            // With both quotation marks. One inside would end the string before its end.
            let text = (try? JSONValue(parsing: chunk[(head.count - 1)...end]))?.string,
            !text.isEmpty
        else { return nil }
        if !isProven {
            isProven = read(head + Self.probe.utf8 + tail) == Self.probe
            isUseless = !isProven
            if isUseless { forget() }
        }
        return isProven ? text : nil
    }

    /// For a chunk that was read and had nothing but text.
    mutating func remember(_ chunk: [UInt8]) {
        forget()
        guard !isUseless, let text = place(of: key, in: chunk),
            let end = chunk[text...].firstIndex(of: UInt8(ascii: "\"")),
            // Or the quotation mark may be one of the text.
            !chunk[text..<end].contains(UInt8(ascii: "\\"))
        else { return }
        (head, tail) = (Array(chunk[..<text]), Array(chunk[end...]))
    }

    /// For any other chunk that was read.
    mutating func forget() { (head, tail, isProven) = ([], [], false) }

    /// Where the string of the first such key begins, behind its quotation mark.
    private func place(of key: String, in chunk: [UInt8]) -> Int? {
        let quote = UInt8(ascii: "\"")
        let name = Array("\"\(key)\":".utf8)
        let found = chunk.indices.first { chunk[$0] == quote && chunk[$0...].starts(with: name) }
        guard let found else { return nil }
        let text = chunk[(found + name.count)...].firstIndex { $0 != UInt8(ascii: " ") }
        guard let text, chunk[text] == quote else { return nil }
        return text + 1
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func starts(with other: [UInt8]) -> Bool { holds(other, at: 0) }

    fileprivate func ends(with other: [UInt8]) -> Bool { holds(other, at: count - other.count) }

    private func holds(_ other: [UInt8], at place: Int) -> Bool {
        guard place >= 0, count - place >= other.count, let baseAddress else { return false }
        return memcmp(baseAddress + place, other, other.count) == 0
    }
}
