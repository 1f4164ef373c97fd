import Core
import OrderedJSON
import Testing

@testable import LocalModels

@Suite("Tool calls")
struct ToolCallTests {
    static let tools = [
        ToolDefinition(
            name: "weather", description: "In a city.",
            parameters: try? JSONValue(
                parsing: (#"{"type":"object","properties":{"city":{"type":"string"},"#
                    + #""days":{"type":"integer"}},"required":["city"]}"#).utf8)),
        ToolDefinition(name: "now"),
    ]

    struct Case: Sendable, CustomTestStringConvertible {
        let syntax: ToolSyntax
        let choice: ToolChoice
        var parallel = true
        let fits: [String]
        let fails: [String]
        var testDescription: String { "\(syntax) \(choice) \(parallel)" }
    }

    static let weather = #"{"name": "weather", "arguments": {"city": "Paris"}}"#
    static let now = #"{"name":"now","arguments":{}}"#

    static let cases = [
        Case(
            syntax: .tagged, choice: .required,
            fits: [
                "<tool_call>\n\(weather)\n</tool_call>",
                "<tool_call>\(now)</tool_call>\n<tool_call>\n\(weather)</tool_call>",
            ],
            fails: [
                "", "Hello", "<tool_call>\(weather)",
                #"<tool_call>{"name":"other","arguments":{}}</tool_call>"#,
                #"<tool_call>{"name":"weather","arguments":{}}</tool_call>"#,
                "<tool_call>\(now)</tool_call> and so on",
            ]),
        Case(
            syntax: .tagged, choice: .required, parallel: false,
            fits: ["<tool_call>\(now)</tool_call>"],
            fails: ["<tool_call>\(now)</tool_call><tool_call>\(now)</tool_call>"]),
        Case(
            syntax: .tagged, choice: .named("now"), fits: ["<tool_call>\(now)</tool_call>"],
            fails: ["<tool_call>\(weather)</tool_call>"]),
        Case(
            syntax: .tagged, choice: .auto,
            fits: [
                "", "Hello <tool", "It <tool_<tool_call>\(now)</tool_call>", "a < b",
                "<<tool_call>\(weather)</tool_call>",
            ],
            fails: [
                "Hello <tool_call>", "<tool_call>{}</tool_call>",
                "<tool_call>\(now)</tool_call>x",
            ]),
        Case(
            syntax: .bare, choice: .auto,
            fits: ["", "Hello {", #"{"name": "now", "parameters": {}}"#], fails: ["{", "{x", now]),
        Case(
            syntax: .listed, choice: .auto,
            fits: ["Hi", "[TOOL_CALLS][\(now), \(weather)]", "[TOOL_CALLS] [\(now)]"],
            fails: ["[TOOL_CALLS]", "[TOOL_CALLS][]", "[TOOL_CALLS]\(now)"]),
    ]

    @Test("What may come is a call as the model's family writes it", arguments: cases)
    func grammar(_ row: Case) throws {
        let rules = try #require(
            try OutputRules(
                format: .text, tools: Self.tools, choice: row.choice, parallel: row.parallel,
                syntax: row.syntax))
        func takes(_ text: String) -> Bool {
            var matcher = GrammarMatcher(rules.grammar)
            let end = matcher.step(matcher.start, text.utf8)
            return end != GrammarMatcher.dead && matcher.isAccepting(end)
        }
        #expect(row.fits.filter { !takes($0) } == [])
        #expect(row.fails.filter { takes($0) } == [])
    }

    @Test("A model that says anything calls only what there is, with arguments that fit")
    func random() throws {
        for syntax in [ToolSyntax.tagged, .bare, .listed] {
            let rules = try #require(
                try OutputRules(
                    format: .text, tools: Self.tools, choice: .required, parallel: true,
                    syntax: syntax))
            for seed in UInt64(0)..<30 {
                let answer = try TinyVocabulary.answer(rules.grammar, seed: seed, tokensMax: 300)
                #expect(answer.isEnded)
                let (text, calls) = Self.read(syntax, answer.text.map { String($0) })
                #expect(text == "" && !calls.isEmpty, "\(answer.text)")
                for call in calls {
                    let value = try JSONValue(parsing: call.arguments.utf8)
                    #expect(call.name == "now" || value["city"]?.string != nil, "\(answer.text)")
                    #expect(["now", "weather"].contains(call.name))
                }
            }
        }
    }

    @Test(
        "Calls are found in a text however it is cut", arguments: [1, 2, 7, 1000])
    func reading(length: Int) {
        let cases: [(ToolSyntax, String, String, [String])] = [
            (.tagged, "Hello", "Hello", []), (.tagged, "a <tool", "a <tool", []),
            (
                .tagged,
                "Sure é. <tool_call>\n\(Self.weather)\n</tool_call>\n"
                    + "<tool_call>\(Self.now)</tool_call>",
                "Sure é. ", [#"weather{"city": "Paris"}"#, "now{}"]
            ),
            (
                .tagged,
                #"<tool_call>{"name": "weather", "#
                    + #""arguments": {"city": "}\"{", "x": [{}]} }</tool_call>"#,
                "", [#"weather{"city": "}\"{", "x": [{}]}"#]
            ),
            (.bare, #"{"name": "now", "parameters": {"a": 1}}"#, "", [#"now{"a": 1}"#]),
            (.bare, "No {braces}", "No {braces}", []),
            (
                .listed, "[TOOL_CALLS][\(Self.now), \(Self.weather)]", "",
                ["now{}", #"weather{"city": "Paris"}"#]
            ),
        ]
        for (syntax, text, said, called) in cases {
            let characters = Array(text)
            let pieces = stride(from: 0, to: characters.count, by: length).map {
                String(characters[$0..<min(characters.count, $0 + length)])
            }
            let (found, calls) = Self.read(syntax, pieces)
            #expect(found == said)
            #expect(calls.map { $0.name + $0.arguments } == called)
            #expect(calls.enumerated().allSatisfy { $1.id == "call_\($0)" })
        }
    }

    private static func read(_ syntax: ToolSyntax, _ pieces: [String]) -> (String, [ToolCall]) {
        var reader = ToolCallReader(syntax) { "call_" }
        var text = ""
        var calls: [ToolCall] = []
        for event in pieces.flatMap({ reader.receive($0) }) + reader.finish() {
            switch event {
            case .text(let piece): text += piece
            case .toolCall(let piece):
                if let id = piece.id {
                    calls.append(
                        ToolCall(id: id + "\(piece.index)", name: piece.name ?? "", arguments: ""))
                } else if let last = calls.popLast() {
                    calls.append(
                        ToolCall(
                            id: last.id, name: last.name,
                            arguments: last.arguments + piece.arguments))
                }
            case .reasoning, .seal, .logprobs, .switched: break
            }
        }
        return (text, calls)
    }
}
