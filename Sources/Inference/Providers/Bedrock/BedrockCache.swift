import Core
import OrderedJSON

/// Where Bedrock is asked to keep what it read: blocks of their own among those of a prompt, for the
/// models that know them.
struct BedrockCache: Hashable, Sendable {
    private let plan: CachePlan?
    private let keepsTools: Bool

    init(_ request: ProviderRequest) {
        keepsTools = request.model.contains("anthropic.")
        plan = keepsTools || request.model.contains("amazon.nova") ? CachePlan(request) : nil
    }

    /// The blocks of a message, and the point behind them.
    func point(after message: Int, _ blocks: [JSONValue]) -> [JSONValue] {
        blocks.isEmpty ? [] : blocks + Self.point(plan?.messages[message])
    }

    func point(afterTool tool: Int, _ blocks: [JSONValue]) -> [JSONValue] {
        blocks + (keepsTools ? Self.point(plan?.tools[tool]) : [])
    }

    private static func point(_ mark: CacheMark?) -> [JSONValue] {
        guard let mark else { return [] }
        var point: [JSONValue.Member] = [.init("type", .string("default"))]
        if mark == .hour { point.append(.init("ttl", .string(mark.rawValue))) }
        return [.of("cachePoint", .object(point))]
    }
}
