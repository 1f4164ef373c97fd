import Core
import OrderedJSON

/// An answer on its way: the events of a model in, those of the Responses API out, numbered and in
/// the order that its clients expect. Also an answer in one piece is made by it.
struct ResponsesStream {
    private struct Item {
        enum Kind {
            case reasoning, message
            case call(index: Int, id: String, name: String)
            case search(FileSearchResult)
        }

        let kind: Kind
        let id: String
        /// What it says, or the arguments of a call.
        var text = ""
        var logprobs: [JSONValue] = []
        var annotations: [JSONValue] = []
        var isDone = false
    }

    private let answer: ResponsesAnswer
    private var items: [Item] = []
    /// Told of, but not sent yet.
    private var pending: [JSONValue] = []
    private var events: [JSONValue] = []
    private var sequence = 0

    init(_ answer: ResponsesAnswer) { self.answer = answer }

    mutating func begin() -> [JSONValue] {
        let object = answer.object(.inProgress, output: [])
        emit("response.created", ["response": object])
        emit("response.in_progress", ["response": object])
        return take()
    }

    /// A search that was made before the model was asked.
    mutating func search(_ result: FileSearchResult) -> [JSONValue] {
        begin(.search(result))
        let place = items.count - 1
        for stage in ["in_progress", "searching", "completed"] {
            emit("response.file_search_call.\(stage)", address(place))
        }
        close(place, "completed")
        return take()
    }

    /// Says what the answer's text rests on. Comes before `end`.
    mutating func cite(_ citations: [TextCitation], _ result: FileSearchResult) -> [JSONValue] {
        // The text that citations count in is that of all messages together.
        var start = 0
        for place in items.indices {
            guard case .message = items[place].kind else { continue }
            let end = start + items[place].text.unicodeScalars.count
            for citation in citations where citation.offset > start && citation.offset <= end {
                let local = TextCitation(
                    offset: citation.offset - start, number: citation.number)
                guard let annotation = result.annotation(local),
                    !items[place].annotations.contains(annotation)
                else { continue }
                let number = items[place].annotations.count
                items[place].annotations.append(annotation)
                // Of one that was closed already, as a call followed it, the whole answer tells.
                guard !items[place].isDone else { continue }
                emit(
                    "response.output_text.annotation.added",
                    address(place)
                        + ["annotation_index": .of(number), "annotation": annotation])
            }
            start = end
        }
        return take()
    }

    mutating func receive(_ event: ChatEvent) -> [JSONValue] {
        switch event {
        case .text(let piece):
            guard !piece.isEmpty else { break }
            let place = open {
                if case .message = $0 { true } else { false }
            } orMake: {
                .message
            }
            say(piece, at: place)
        case .reasoning(let piece):
            guard !piece.isEmpty else { break }
            let place =
                open {
                    if case .reasoning = $0 { true } else { false }
                } orMake: {
                    .reasoning
                }
            say(piece, at: place)
        case .toolCall(let piece): receive(piece)
        // For the provider alone; its place is in Anthropic's API.
        case .seal: break
        // Its events have no place for who answers: the stream says it beside them.
        case .switched: break
        case .logprobs(let tokens): pending += tokens.map { Self.logprob($0) }
        }
        return take()
    }

    /// The last events of an answer that came to its end.
    mutating func end(_ completion: Completion, at time: Timestamp) -> [JSONValue] {
        let state = ResponsesAnswer.State.ended(completion, at: time)
        // An answer that says nothing is a message that says nothing.
        if items.allSatisfy({ if case .search = $0.kind { true } else { false } }) {
            begin(.message)
        }
        let (status, _) = ResponsesAnswer.status(of: state)
        closeAll(status)
        emit("response.\(status)", ["response": whole(state)])
        return take()
    }

    /// The last events of an answer that broke off.
    mutating func fail(_ refusal: Refusal) -> [JSONValue] {
        closeAll("incomplete")
        emit("response.failed", ["response": whole(.failed(refusal))])
        return take()
    }

    /// The response with all that came.
    func whole(_ state: ResponsesAnswer.State) -> JSONValue {
        answer.object(state, output: items.map { Self.item($0, ownStatus(of: $0, state)) })
    }

    // MARK: Items

    private func ownStatus(of item: Item, _ state: ResponsesAnswer.State) -> String {
        let isLast = item.id == items.last?.id
        return isLast && ResponsesAnswer.status(of: state).0 != "completed"
            ? "incomplete" : "completed"
    }

    /// Where the last item is, if it is still open and what is wanted; otherwise that of a new one.
    private mutating func open(
        _ isWanted: (Item.Kind) -> Bool, orMake make: () -> Item.Kind
    ) -> Int {
        if let last = items.last, !last.isDone, isWanted(last.kind) { return items.count - 1 }
        closeAll("completed")
        begin(make())
        return items.count - 1
    }

    private mutating func receive(_ piece: ToolCallPiece) {
        let known = items.firstIndex { item in
            if case .call(piece.index, _, _) = item.kind { true } else { false }
        }
        guard let place = known else {
            // The next call has begun, so those before it are done: unless their arguments are not
            // whole yet, because the model's calls come mixed.
            for place in items.indices where !items[place].isDone {
                if case .call = items[place].kind, !Self.isJSON(items[place].text) { continue }
                close(place, "completed")
            }
            begin(
                .call(
                    index: piece.index, id: piece.id ?? "call_\(answer.key)\(items.count)",
                    name: piece.name ?? ""))
            say(piece.arguments, at: items.count - 1)
            return
        }
        // After whole arguments only white space can come.
        if !items[place].isDone { say(piece.arguments, at: place) }
    }

    private mutating func begin(_ kind: Item.Kind) {
        let prefix =
            switch kind {
            case .reasoning: "rs"
            case .message: "msg"
            case .call: "fc"
            case .search: "fs"
            }
        let item = Item(kind: kind, id: "\(prefix)_\(answer.key)\(items.count)")
        items.append(item)
        let place = items.count - 1
        emit(
            "response.output_item.added",
            ["output_index": .number("\(place)"), "item": Self.item(item, "in_progress")])
        guard let part = Self.part(item) else { return }
        emit("response.content_part.added", address(place) + ["part": part])
    }

    private mutating func say(_ piece: String, at place: Int) {
        guard !piece.isEmpty else { return }
        items[place].text += piece
        switch items[place].kind {
        case .message:
            items[place].logprobs += pending
            emit(
                "response.output_text.delta",
                address(place) + ["delta": .string(piece), "logprobs": .array(pending)])
        case .reasoning:
            emit("response.reasoning_text.delta", address(place) + ["delta": .string(piece)])
        case .call:
            emit(
                "response.function_call_arguments.delta",
                address(place) + ["delta": .string(piece)])
        case .search: break
        }
        pending = []
    }

    private mutating func closeAll(_ status: String) {
        let last = items.count - 1
        for place in items.indices where !items[place].isDone {
            close(place, place == last ? status : "completed")
        }
    }

    private mutating func close(_ place: Int, _ status: String) {
        items[place].isDone = true
        let item = items[place]
        switch item.kind {
        case .message:
            emit(
                "response.output_text.done",
                address(place) + ["text": .string(item.text), "logprobs": .array(item.logprobs)])
        case .reasoning:
            emit("response.reasoning_text.done", address(place) + ["text": .string(item.text)])
        case .call(_, _, let name):
            emit(
                "response.function_call_arguments.done",
                address(place) + ["name": .string(name), "arguments": .string(item.text)])
        case .search: break
        }
        if let part = Self.part(item) {
            emit("response.content_part.done", address(place) + ["part": part])
        }
        emit(
            "response.output_item.done",
            ["output_index": .number("\(place)"), "item": Self.item(item, status)])
    }

    // MARK: JSON

    /// Which part of which item an event is about; calls have no parts.
    private func address(_ place: Int) -> JSONValue {
        let item: JSONValue = [
            "item_id": .string(items[place].id), "output_index": .number("\(place)"),
        ]
        switch items[place].kind {
        case .call, .search: return item
        case .message, .reasoning: return item + ["content_index": 0]
        }
    }

    private static func item(_ item: Item, _ status: String) -> JSONValue {
        let isNew = status == "in_progress"
        let parts: JSONValue = isNew ? [] : .array(part(item).map { [$0] } ?? [])
        switch item.kind {
        case .message:
            return [
                "id": .string(item.id), "type": "message", "status": .string(status),
                "role": "assistant", "content": parts,
            ]
        case .reasoning:
            return [
                "id": .string(item.id), "type": "reasoning", "summary": [], "content": parts,
                "status": .string(status),
            ]
        case .call(_, let id, let name):
            return [
                "id": .string(item.id), "type": "function_call", "status": .string(status),
                "call_id": .string(id), "name": .string(name),
                "arguments": .string(isNew ? "" : item.text),
            ]
        case .search(let result): return result.item(item.id, status)
        }
    }

    private static func part(_ item: Item) -> JSONValue? {
        switch item.kind {
        case .message:
            [
                "type": "output_text", "text": .string(item.text),
                "annotations": .array(item.annotations), "logprobs": .array(item.logprobs),
            ]
        case .reasoning: ["type": "reasoning_text", "text": .string(item.text)]
        case .call, .search: nil
        }
    }

    private static func logprob(_ token: TokenLogprob, isAlternative: Bool = false) -> JSONValue {
        // JSON has no infinity; the API says -9999 for what cannot be.
        let logprob = token.logprob.isFinite ? token.logprob : -9999
        let value: JSONValue = [
            "token": .string(token.token), "logprob": .number("\(logprob)"),
            "bytes": .array(token.bytes.map { .number("\($0)") }),
        ]
        guard !isAlternative else { return value }
        return value
            + ["top_logprobs": .array(token.top.map { self.logprob($0, isAlternative: true) })]
    }

    private static func isJSON(_ text: String) -> Bool {
        (try? JSONValue(parsing: text.utf8))?.members != nil
    }

    private mutating func emit(_ type: String, _ members: JSONValue) {
        events.append(
            ["type": .string(type), "sequence_number": .number("\(sequence)")] + members)
        sequence += 1
    }

    private mutating func take() -> [JSONValue] {
        defer { events = [] }
        return events
    }
}

extension JSONValue {
    /// The members of both objects, in their order.
    fileprivate static func + (left: JSONValue, right: JSONValue) -> JSONValue {
        .object((left.members ?? []) + (right.members ?? []))
    }
}
