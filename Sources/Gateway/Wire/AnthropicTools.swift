import Core

/// Tools and their choice, as Anthropic's API has them.
enum AnthropicTools {
    private static let nameMax = 128

    static func tools(_ fields: JSONFields) throws -> [ToolDefinition] {
        let entries = try fields.list("tools") ?? []
        guard entries.count <= OpenAITools.toolsMax else {
            throw fields.refusal("tools", "has more than \(OpenAITools.toolsMax) tools.")
        }
        var names: Set<String> = []
        return try entries.map { entry in
            guard try entry.string("type") ?? "custom" == "custom" else {
                throw entry.refusal(
                    "type", "has to be custom: tools that a provider runs are not offered here.")
            }
            let name = try entry.required("name", entry.string("name"))
            guard OpenAITools.isName(name, max: nameMax) else {
                throw entry.refusal(
                    "name", "has to be 1 to \(nameMax) letters, digits, `_` or `-`.")
            }
            guard names.insert(name).inserted else {
                throw entry.refusal("name", "is the name of another tool too.")
            }
            var tool = ToolDefinition(
                name: name, description: try entry.string("description") ?? "",
                parameters: try entry.required("input_schema", entry.object("input_schema")),
                isStrict: try entry.bool("strict") ?? false)
            tool.cacheMark = try entry.cacheMark()
            return tool
        }
    }

    static func choice(_ fields: JSONFields, of tools: [ToolDefinition]) throws -> (
        choice: ToolChoice, allowsParallelCalls: Bool
    ) {
        guard let choice = try fields.fields("tool_choice") else { return (.auto, true) }
        let allowsParallel = try choice.bool("disable_parallel_tool_use") != true
        switch try choice.required("type", choice.string("type")) {
        case "auto": return (.auto, allowsParallel)
        case "none": return (.none, true)
        case "any":
            guard !tools.isEmpty else { throw fields.refusal("tool_choice", "needs `tools`.") }
            return (.required, allowsParallel)
        case "tool":
            let name = try choice.required("name", choice.string("name"))
            guard tools.contains(where: { $0.name == name }) else {
                throw choice.refusal("name", "is the name of none of `tools`.")
            }
            return (.named(name), allowsParallel)
        default: throw choice.refusal("type", "has to be auto, any, tool or none.")
        }
    }
}

extension JSONFields {
    /// What a block, a tool or the whole request says of what is to be kept up to there.
    func cacheMark() throws -> CacheMark? {
        guard let control = try fields("cache_control") else { return nil }
        guard try control.string("type") == "ephemeral" else {
            throw control.refusal("type", "has to be ephemeral.")
        }
        guard let text = try control.string("ttl") else { return .minutes }
        guard let mark = CacheMark(rawValue: text) else {
            throw control.refusal("ttl", "has to be 5m or 1h.")
        }
        return mark
    }
}
