import Core
import Foundation
import Tracing

/// What is kept of a span's own words: bounded in number and length, and without secrets.
enum SpanText {
    static let attributesMax = 64
    static let keyBytesMax = 128
    static let valueBytesMax = 1024

    static func name(_ name: String) -> String { clipped(name, to: keyBytesMax) }

    static func value(_ text: String) -> String {
        Redaction.scrubbed(clipped(text, to: valueBytesMax))
    }

    /// Appends an object of strings.
    static func json(_ attributes: SpanAttributes, to bytes: inout [UInt8]) {
        JSONLine.append(to: &bytes) { json in
            var count = 0
            // swift-format-ignore: ReplaceForEachWithForLoop
            attributes.forEach { key, value in
                guard count < attributesMax else { return }
                count += 1
                let clippedKey = clipped(key, to: keyBytesMax)
                if Redaction.isSecret(key: key) {
                    json.field(clippedKey, Redaction.mark)
                } else if case .int64(let number) = value {
                    json.field(clippedKey, number)
                } else {
                    json.field(clippedKey, text(of: value))
                }
            }
            if attributes.count > attributesMax {
                json.field(droppedKey, Int64(attributes.count - attributesMax))
            }
        }
    }

    private static let droppedKey = "heptad.dropped_attributes"

    /// An array of events; "" for none.
    static func json(_ events: [SpanEvent], dropped: Int) -> String {
        guard !events.isEmpty else { return "" }
        var kept = events.map { event in
            TraceSpan.Event(
                name: name(event.name),
                at: Timestamp(microseconds: Int64(event.nanosecondsSinceEpoch / 1000)),
                attributes: texts(event.attributes))
        }
        if dropped > 0, let last = kept.last {
            kept.append(
                TraceSpan.Event(
                    name: "events dropped", at: last.at, attributes: ["count": "\(dropped)"]))
        }
        guard let data = try? JSONEncoder().encode(kept) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }

    private static func texts(_ attributes: SpanAttributes) -> [String: String] {
        Dictionary(pairs(attributes).map { ($0.key, $0.value) }) { $1 }
    }

    private static func pairs(_ attributes: SpanAttributes) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        // swift-format-ignore: ReplaceForEachWithForLoop
        attributes.forEach { key, value in
            guard pairs.count < attributesMax else { return }
            let text = Redaction.isSecret(key: key) ? Redaction.mark : text(of: value)
            pairs.append((clipped(key, to: keyBytesMax), text))
        }
        if attributes.count > attributesMax {
            pairs.append((droppedKey, "\(attributes.count - attributesMax)"))
        }
        return pairs
    }

    /// Numbers hold no secrets, so only texts are looked at.
    private static func text(of value: SpanAttribute) -> String {
        switch value {
        case .int32(let value): "\(value)"
        case .int64(let value): "\(value)"
        case .double(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .string(let text): self.value(text)
        case .stringConvertible(let value): self.value("\(value)")
        case .int32Array(let values): clipped(joined(values), to: valueBytesMax)
        case .int64Array(let values): clipped(joined(values), to: valueBytesMax)
        case .doubleArray(let values): clipped(joined(values), to: valueBytesMax)
        case .boolArray(let values): clipped(joined(values), to: valueBytesMax)
        case .stringArray(let values): self.value(joined(values))
        case .stringConvertibleArray(let values):
            self.value(values.prefix(attributesMax).map { "\($0)" }.joined(separator: ", "))
        default: ""
        }
    }

    private static func joined<Value>(_ values: [Value]) -> String {
        values.prefix(attributesMax).map { "\($0)" }.joined(separator: ", ")
    }
}

/// At most `bytesMax` bytes of the text, whole characters, with an ellipsis where something is gone.
func clipped(_ text: String, to bytesMax: Int) -> String {
    guard text.utf8.count > bytesMax else { return text }
    var clipped = ""
    var count = 3
    for scalar in text.unicodeScalars {
        count += UTF8.width(scalar)
        if count > bytesMax { break }
        clipped.unicodeScalars.append(scalar)
    }
    return clipped + "…"
}
