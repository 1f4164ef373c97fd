import Core
import Testing

@testable import Inference

struct ConversationTests {
    /// `s` system, `u` user, `a` assistant, `c` an assistant's call, `t` the result of the last call.
    private static func messages(_ roles: String) -> [ChatMessage] {
        var call = 0
        return roles.map { role in
            switch role {
            case "s": return ChatMessage(.system, "s")
            case "u": return ChatMessage(.user, "u")
            case "c":
                call += 1
                var message = ChatMessage(.assistant, "c")
                message.toolCalls = [ToolCall(id: "\(call)", name: "f", arguments: "{}")]
                return message
            case "t":
                var message = ChatMessage(.tool, "t")
                message.toolCallID = "\(call)"
                return message
            default: return ChatMessage(.assistant, "a")
            }
        }
    }

    private static func roles(_ messages: [ChatMessage]) -> String {
        messages.map(\.text).joined()
    }

    @Test(
        "The oldest turns go whole, never the system's words nor the last question",
        arguments: [
            ("u", ["u"]), ("su", ["su"]), ("suauau", ["suauau", "suau", "su"]),
            ("uasuau", ["uasuau", "suau", "su"]), ("auau", ["auau", "uau", "u"]),
            // A call goes with its result.
            ("uctauctau", ["uctauctau", "uctau", "u"]),
            // All that is new is one piece of work: its early rounds go, never the last.
            ("uctctct", ["uctctct", "uctct", "uct"]), ("uauctct", ["uauctct", "uctct", "uct"]),
            // A user who speaks before the result is there.
            ("ucuta", ["ucuta"]), ("uaucuta", ["uaucuta", "ucuta"]), ("ucutau", ["ucutau", "u"]),
            ("uuu", ["uuu", "uu", "u"]), ("saaa", ["saaa", "saa", "sa"]), ("", [""]),
        ])
    func pieces(roles: String, left: [String]) {
        let conversation = Conversation(Self.messages(roles))
        let all = (0...conversation.pieces.count).map { Self.roles(conversation.without($0)) }
        #expect(all == left)
    }

    @Test("No result is ever left without its call, nor a call without its result")
    func orphans() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let roles = String(
                (0..<Int.random(in: 1...14, using: &random)).map { _ in
                    ["s", "u", "a", "ct"].randomElement(using: &random) ?? "u"
                }.joined())
            let messages = Self.messages(roles)
            let conversation = Conversation(messages)
            for count in 0...conversation.pieces.count {
                let left = conversation.without(count)
                let calls = left.flatMap { $0.toolCalls.map(\.id) }
                #expect(calls == left.compactMap(\.toolCallID), "\(roles) without \(count)")
                #expect(left.count(where: { $0.role == .system }) == roles.count { $0 == "s" })
                #expect(left.count + conversation.dropped(count).count == messages.count)
            }
        }
    }
}
