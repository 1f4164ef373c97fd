package import Core

/// Finds the calls of tools in the text of an answer that was kept to `OutputRules`, while it comes:
/// pieces of text in, events out.
package struct ToolCallReader: Sendable {
    private enum State {
        /// Text, until the marker comes.
        case text
        /// In a call, before its arguments: collects up to the name and the key.
        case head
        case arguments(depth: Int, isQuoted: Bool, isEscaped: Bool)
        /// After the arguments, until the next call begins.
        case between
    }

    private let syntax: ToolSyntax
    private let identifier: @Sendable () -> String
    private var state = State.text
    private var held: [UInt8] = []
    private var hasBegun = false
    /// Calls that were begun.
    package private(set) var callCount = 0
    /// Whether the last of them has all of its arguments.
    package private(set) var isWhole = true

    /// - Parameter identifier: makes the id of each call.
    package init(_ syntax: ToolSyntax, identifier: @escaping @Sendable () -> String) {
        self.syntax = syntax
        self.identifier = identifier
    }

    package mutating func receive(_ text: String) -> [ChatEvent] {
        var events: [ChatEvent] = []
        var arguments: [UInt8] = []
        for byte in text.utf8 {
            switch state {
            case .text: readText(byte, &events)
            case .head: readHead(byte, &events, &arguments)
            case .arguments(let depth, let isQuoted, let isEscaped):
                arguments.append(byte)
                state = Self.after(byte, depth, isQuoted, isEscaped)
                if case .between = state {
                    isWhole = true
                    flush(&arguments, &events)
                }
            case .between:
                guard byte == UInt8(ascii: "{") else { continue }
                state = .head
                held = []
            }
        }
        flush(&arguments, &events)
        flushText(&events)
        return events
    }

    /// What was held back as the possible beginning of a call.
    package mutating func finish() -> [ChatEvent] {
        guard case .text = state, !held.isEmpty else { return [] }
        defer { held = [] }
        return [.text(String(decoding: held, as: UTF8.self))]
    }

    private mutating func readText(_ byte: UInt8, _ events: inout [ChatEvent]) {
        held.append(byte)
        if syntax == .bare {
            if !hasBegun, byte == UInt8(ascii: "{") { begin(&events) }
        } else if held.suffix(syntax.marker.count) == syntax.marker[...] {
            held.removeLast(syntax.marker.count)
            flushText(&events)
            state = .between
            held = []
        }
        hasBegun = true
    }

    private mutating func begin(_ events: inout [ChatEvent]) {
        held = []
        state = .head
    }

    /// Text that can be no part of a marker any more.
    private mutating func flushText(_ events: inout [ChatEvent]) {
        guard case .text = state else { return }
        let marker = syntax.marker
        let kept =
            (0...min(held.count, max(0, marker.count - 1)))
            .last { held.suffix($0) == marker[..<$0] } ?? 0
        guard held.count > kept else { return }
        let text = String(decoding: held.dropLast(kept), as: UTF8.self)
        held = Array(held.suffix(kept))
        events.append(.text(text))
    }

    private mutating func readHead(
        _ byte: UInt8, _ events: inout [ChatEvent], _ arguments: inout [UInt8]
    ) {
        let key = Array("\"\(syntax.argumentsKey)\":".utf8)
        if byte == UInt8(ascii: "{"), held.lastRange(of: key) != nil {
            // `"name": "f", "arguments": `, since the grammar allows nothing else.
            let parts = held.split(separator: UInt8(ascii: "\""))
            let name = parts.count > 2 ? String(decoding: parts[2], as: UTF8.self) : ""
            events.append(
                .toolCall(ToolCallPiece(index: callCount, id: identifier(), name: name)))
            callCount += 1
            isWhole = false
            held = []
            arguments.append(byte)
            state = .arguments(depth: 1, isQuoted: false, isEscaped: false)
        } else {
            held.append(byte)
        }
    }

    private static func after(
        _ byte: UInt8, _ depth: Int, _ isQuoted: Bool, _ isEscaped: Bool
    ) -> State {
        if isQuoted {
            return .arguments(
                depth: depth, isQuoted: isEscaped || byte != UInt8(ascii: "\""),
                isEscaped: !isEscaped && byte == UInt8(ascii: "\\"))
        }
        switch byte {
        case UInt8(ascii: "\""):
            return .arguments(depth: depth, isQuoted: true, isEscaped: false)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            return .arguments(depth: depth + 1, isQuoted: false, isEscaped: false)
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            return depth == 1
                ? .between : .arguments(depth: depth - 1, isQuoted: false, isEscaped: false)
        default: return .arguments(depth: depth, isQuoted: false, isEscaped: false)
        }
    }

    private mutating func flush(_ arguments: inout [UInt8], _ events: inout [ChatEvent]) {
        guard !arguments.isEmpty else { return }
        events.append(
            .toolCall(
                ToolCallPiece(
                    index: callCount - 1, arguments: String(decoding: arguments, as: UTF8.self))))
        arguments = []
    }
}

extension [UInt8] {
    fileprivate func lastRange(of part: [UInt8]) -> Range<Int>? {
        guard count >= part.count else { return nil }
        for start in stride(from: count - part.count, through: 0, by: -1)
        where self[start..<start + part.count] == part[...] {
            return start..<start + part.count
        }
        return nil
    }
}
