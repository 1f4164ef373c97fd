import Core
import OrderedJSON

/// OpenAI's `file_search`, as a request to the Responses API asks for it. The search is made before
/// the model is asked, so that models find files too that cannot call tools.
struct FileSearchTool: Sendable {
    let stores: [Identifier]
    /// Zero for as many as are configured.
    let limit: Int
    let filter: JSONValue?
    let scoreMin: Double
    let includesResults: Bool
    /// As it was asked for.
    let json: JSONValue
    /// What `tool_choice` said, where that is about files.
    let choice: JSONValue?

    static let type = "file_search"
    private static let storesMax = 16

    /// Nil where none is asked for, or `tool_choice` rules it out. Throws a refusal that names the
    /// parameter.
    static func tool(in body: JSONValue, includesResults: Bool) throws -> FileSearchTool? {
        let places = (body["tools"]?.array ?? []).enumerated().filter {
            $1["type"]?.string == type
        }
        guard let (place, entry) = places.first else { return nil }
        guard places.count == 1 else {
            throw JSONFields.refusal(
                "tools[\(places[1].offset)]",
                "is the second file_search; name all vector stores in one.")
        }
        let tool = try FileSearchTool(
            JSONFields(entry, at: "tools[\(place)]"), choice: body["tool_choice"],
            includesResults: includesResults)
        return isWanted(body["tool_choice"]) ? tool : nil
    }

    private init(_ fields: JSONFields, choice: JSONValue?, includesResults: Bool) throws {
        let ids = try fields.required("vector_store_ids", try fields.strings("vector_store_ids"))
        guard (1...Self.storesMax).contains(ids.count) else {
            throw fields.refusal(
                "vector_store_ids", "has to name 1 to \(Self.storesMax) vector stores.")
        }
        stores = try ids.map { try OpenAIID.vectorStore.named($0) }
        limit = try fields.int("max_num_results") ?? 0
        guard (0...VectorStoreRoutes.resultsMax).contains(limit),
            fields["max_num_results"] == nil || limit > 0
        else {
            throw fields.refusal(
                "max_num_results", "has to be 1 to \(VectorStoreRoutes.resultsMax).")
        }
        filter = try fields.object("filters")
        scoreMin = try VectorStoreSearch.scoreMin(fields)
        guard try fields.fields("ranking_options")?["hybrid_search"] == nil else {
            throw fields.refusal(
                "ranking_options.hybrid_search",
                "cannot be set here: what meaning weighs against words is a setting of the"
                    + " collection, `vectorShare`.")
        }
        self.includesResults = includesResults
        json = fields.value
        self.choice = choice.flatMap { Self.names(choice: $0) ? $0 : nil }
    }

    // MARK: tool_choice

    private static func names(choice: JSONValue) -> Bool {
        choice["type"]?.string == type
            || (choice["tools"]?.array ?? []).contains { $0["type"]?.string == type }
    }

    private static func isWanted(_ choice: JSONValue?) -> Bool {
        guard let choice, choice != .null else { return true }
        if let word = choice.string { return word != "none" }
        // A function that was named is the only tool then.
        return names(choice: choice)
    }

    /// What `tool_choice` says of functions, beside the search. Nil for nothing.
    static func functionChoice(_ choice: JSONValue?, hasFunctions: Bool) -> JSONValue? {
        guard let choice else { return nil }
        if choice["type"]?.string == type { return nil }
        // The search was what had to be.
        if !hasFunctions, choice.string == "required" { return nil }
        guard choice["type"]?.string == "allowed_tools", names(choice: choice) else {
            return choice
        }
        let functions = (choice["tools"]?.array ?? []).filter { $0["type"]?.string != type }
        guard !functions.isEmpty else { return hasFunctions ? "none" : nil }
        // With the search made, nothing more has to be called.
        return ["type": "allowed_tools", "mode": "auto", "tools": .array(functions)]
    }
}
