import Core
import Hummingbird

/// Identifiers as OpenAI's clients know them: a kind, and a UUID without its dashes.
enum OpenAIID: String {
    case file = "file-"
    case vectorStore = "vs_"
    case fileBatch = "vsfb_"

    private var noun: String {
        switch self {
        case .file: "file"
        case .vectorStore: "vector store"
        case .fileBatch: "batch of files"
        }
    }

    func text(_ id: Identifier) -> String {
        rawValue + id.description.filter { $0 != "-" }
    }

    /// Takes the plain identifier too, as the native API writes it. Nil for what is neither.
    func identifier(_ text: String) -> Identifier? {
        let rest = text.hasPrefix(rawValue) ? String(text.dropFirst(rawValue.count)) : text
        guard rest.utf8.count == 32 else { return Identifier(rest) }
        var dashed = ""
        for (place, digit) in rest.enumerated() {
            if [8, 12, 16, 20].contains(place) { dashed.append("-") }
            dashed.append(digit)
        }
        return Identifier(dashed)
    }

    /// The one that a path or a body names. What is none names nothing, so it is not found.
    func named(_ text: String) throws -> Identifier {
        guard let id = identifier(text) else {
            throw Failure(.notFound, "There is no \(noun) of that name.")
        }
        return id
    }
}

/// A list as OpenAI's clients page through it: `after` and `before` an identifier, `limit`, `order`.
struct OpenAIPage {
    let after: String?
    let before: String?
    let limit: Int
    let isAscending: Bool

    static let parameters = [
        QueryParameter(
            name: "after", schema: .string, summary: "Only those behind this one in the list."),
        QueryParameter(
            name: "before", schema: .string, summary: "Only those before this one."),
        QueryParameter(name: "limit", schema: .integer, summary: "How many, at most."),
        QueryParameter(
            name: "order", schema: .choice(["asc", "desc"]),
            summary: "By time of creation; newest first unless it says `asc`."),
    ]

    init(_ call: Call, limitDefault: Int, limitMax: Int) throws {
        let query = try call.query
        (after, before) = (query["after"], query["before"])
        guard let limit = Int(query["limit"] ?? "\(limitDefault)"), (1...limitMax).contains(limit)
        else { throw JSONFields.refusal("limit", "has to be 1 to \(limitMax).") }
        self.limit = limit
        let order = query["order"] ?? "desc"
        guard order == "asc" || order == "desc" else {
            throw JSONFields.refusal("order", "has to be `asc` or `desc`.")
        }
        isAscending = order == "asc"
    }

    /// One page of `items`, which come newest first.
    func of<Item>(_ items: [Item], id: (Item) -> String) -> (items: ArraySlice<Item>, hasMore: Bool)
    {
        var rest = (isAscending ? items.reversed() : items)[...]
        if let after, let place = rest.firstIndex(where: { id($0) == after }) {
            rest = rest[(place + 1)...]
        }
        if let before, let place = rest.firstIndex(where: { id($0) == before }) {
            // The ones right before it, not the first of the list.
            rest = rest[..<place].suffix(limit)
        }
        return (rest.prefix(limit), rest.count > limit)
    }
}
