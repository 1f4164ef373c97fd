/// Makes text of the bytes that tokens stand for: whole characters only, and nothing that may turn
/// out to be part of a stop string.
struct TextAssembler {
    private let stops: [[UInt8]]
    private var held: [UInt8] = []
    /// The stop string that has come; nothing is added after that.
    private(set) var stop: String?

    init(stops: [String]) {
        self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    }

    /// The text that is certain now; often empty.
    mutating func append(_ bytes: [UInt8]) -> String {
        guard stop == nil else { return "" }
        held.append(contentsOf: bytes)
        if let start = firstStop() {
            stop = stops.first { held[start...].starts(with: $0) }
                .map { String(decoding: $0, as: UTF8.self) }
            defer { held = [] }
            return String(decoding: held[..<start], as: UTF8.self)
        }
        return release(upTo: wholeCharacters(upTo: held.count - possibleStop()))
    }

    /// What was held back, at the end. A character that was cut is left out.
    mutating func finish() -> String {
        defer { held = [] }
        return release(upTo: wholeCharacters(upTo: held.count))
    }

    private mutating func release(upTo end: Int) -> String {
        defer { held.removeFirst(end) }
        return String(decoding: held[..<end], as: UTF8.self)
    }

    /// Where the first stop string begins.
    private func firstStop() -> Int? {
        held.indices.first { start in stops.contains { held[start...].starts(with: $0) } }
    }

    /// How many bytes at the end may be the beginning of a stop string.
    private func possibleStop() -> Int {
        let start = held.indices.first { start in
            stops.contains { $0.starts(with: held[start...]) }
        }
        return start.map { held.count - $0 } ?? 0
    }

    /// `end`, or where the character begins that is not complete there.
    private func wholeCharacters(upTo end: Int) -> Int {
        for start in stride(from: end - 1, through: max(0, end - 3), by: -1) {
            switch held[start] {
            case 0x80...0xBF: continue
            case 0xC2...0xDF: return end - start < 2 ? start : end
            case 0xE0...0xEF: return end - start < 3 ? start : end
            case 0xF0...0xF4: return end - start < 4 ? start : end
            default: return end
            }
        }
        return end
    }
}
