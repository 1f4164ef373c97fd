import Core
import OrderedJSON

/// The values of one request that no model is shown, each under its placeholder: `[EMAIL_1]` for the
/// first address and every other time that it stands there. The same conversation has the same
/// placeholders, so what a provider keeps of it stays right.
struct Redaction {
    private(set) var counts: [PersonalData.Kind: Int] = [:]
    private(set) var values: [String: String] = [:]
    private let kinds: Set<PersonalData.Kind>
    private var placeholders: [Key: String] = [:]
    /// Text that stood there before us and looks like a placeholder.
    private var taken: Set<String> = []

    private struct Key: Hashable {
        let kind: PersonalData.Kind
        let value: String
    }

    init(_ kinds: Set<PersonalData.Kind>) { self.kinds = kinds }

    /// The request as a model may see it: messages, calls, tools, the answer's form, where it stops.
    mutating func redact(_ request: ChatRequest) -> ChatRequest {
        for text in request.countedTexts { taken.formUnion(Self.lookalikes(text)) }
        var request = request
        request.messages = request.messages.map { redact($0) }
        request.tools = request.tools.map { tool in
            var redacted = ToolDefinition(
                name: tool.name, description: redact(tool.description),
                parameters: tool.parameters.map { redact($0) }, isStrict: tool.isStrict)
            redacted.cacheMark = tool.cacheMark
            return redacted
        }
        if case .jsonSchema(let name, let schema, let isStrict) = request.responseFormat {
            request.responseFormat = .jsonSchema(
                name: name, schema: redact(schema), isStrict: isStrict)
        }
        request.sampling.stop = request.sampling.stop.map { redact($0) }
        return request
    }

    private mutating func redact(_ message: ChatMessage) -> ChatMessage {
        var redacted = message.replacingText { redact($0) }
        redacted.toolCalls = message.toolCalls.map { call in
            // Within JSON's escapes a letter may stand before a value that is not part of it.
            let arguments = (try? JSONValue(parsing: call.arguments.utf8)).map { redact($0).text }
            return ToolCall(
                id: call.id, name: call.name, arguments: arguments ?? redact(call.arguments))
        }
        // Names have no brackets.
        if let name = message.name, redact(name) != name { redacted.name = nil }
        return redacted
    }

    private mutating func redact(_ value: JSONValue) -> JSONValue {
        switch value {
        case .null, .bool: return value
        case .number(let text):
            let redacted = redact(text)
            return redacted == text ? value : .string(redacted)
        case .string(let text): return .string(redact(text))
        case .array(let values): return .array(values.map { redact($0) })
        case .object(let members):
            return .object(members.map { JSONValue.Member($0.key, redact($0.value)) })
        }
    }

    mutating func redact(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let findings = PersonalData.find(kinds, in: bytes)
        guard !findings.isEmpty else { return text }
        var redacted: [UInt8] = []
        var end = 0
        for finding in findings {
            redacted += bytes[end..<finding.range.lowerBound]
            let value = String(decoding: bytes[finding.range], as: UTF8.self)
            redacted += placeholder(finding.kind, value).utf8
            end = finding.range.upperBound
        }
        redacted += bytes[end...]
        return String(decoding: redacted, as: UTF8.self)
    }

    private mutating func placeholder(_ kind: PersonalData.Kind, _ value: String) -> String {
        let key = Key(kind: kind, value: value)
        if let placeholder = placeholders[key] { return placeholder }
        var placeholder = ""
        repeat {
            let number = counts[kind, default: 0] + 1
            counts[kind] = number
            placeholder = "[\(kind.rawValue.uppercased())_\(number)]"
        } while taken.contains(placeholder)
        placeholders[key] = placeholder
        values[placeholder] = value
        return placeholder
    }

    /// `[EMAIL_1]` and the like that the user wrote.
    private static func lookalikes(_ text: String) -> [String] {
        let pieces: [Substring] = text.split(separator: "[")
        return pieces.compactMap { piece in
            guard let end = piece.prefix(placeholderMax).firstIndex(of: "]"),
                piece[..<end].contains("_")
            else { return nil }
            return "[\(piece[..<end])]"
        }
    }

    private static let placeholderMax = 24
}

extension ChatMessage {
    /// The same with other words; images stay between what they stood between.
    /// A message in which nothing is replaced stays as it is; in another, thoughts are left out: they
    /// are sealed over the old words.
    func replacingText(_ change: (String) -> String) -> ChatMessage {
        var changed: ChatMessage
        if hasImages {
            changed = ChatMessage(
                role,
                parts.map { part in
                    if case .text(let text) = part { .text(change(text)) } else { part }
                })
        } else {
            changed = ChatMessage(role, change(text))
        }
        guard changed.parts != parts else { return self }
        changed.cacheMark = cacheMark
        changed.toolCalls = toolCalls
        changed.toolCallID = toolCallID
        changed.name = name
        return changed
    }
}
