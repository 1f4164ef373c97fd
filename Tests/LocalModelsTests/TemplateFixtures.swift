import Core
import Foundation
import OrderedJSON

@testable import LocalModels

/// Templates of the shapes that models come with, written for these tests, and what jinja2 3.1.6
/// renders for them (`Fixtures/chat_templates/render.py`).
enum TemplateFixtures {
    static let names = [
        "deepseek-r1-distill", "gemma-3", "llama-3.1", "llama-3.2", "mistral-0.3", "mistral-nemo",
        "phi-3", "phi-3.5", "phi-4", "qwen-2.5", "qwen-3", "smollm3",
    ]

    /// 2026-08-01 12:00:00 UTC.
    static let now: Int64 = 1_785_585_600

    struct LanguageCase: CustomStringConvertible, Sendable {
        let description: String
        let source: String
        let variables: JSONValue?
        /// Nil where jinja2 refuses it.
        let text: String?
    }

    struct PromptCase: CustomStringConvertible, Sendable {
        let description: String
        let template: String
        let variables: [String: TemplateValue]
        let prompt: String?
    }

    static let language: [LanguageCase] = (json("language.json")?.array ?? []).map { item in
        LanguageCase(
            description: String((item["source"]?.string ?? "").prefix(60)),
            source: item["source"]?.string ?? "", variables: item["variables"],
            text: item["text"]?.string)
    }

    static let prompts: [PromptCase] = {
        guard let all = json("prompts.json") else { return [] }
        return (all["cases"]?.array ?? []).map { item in
            let template = item["template"]?.string ?? ""
            let conversation = item["conversation"]?.string ?? ""
            let hasTools = item["has_tools"]?.bool == true
            var variables: [String: TemplateValue] = [
                "messages": TemplateValue(all["conversations"]?[conversation] ?? .null),
                "tools": hasTools ? TemplateValue(all["tools"] ?? .null) : .none,
                "bos_token": .own("<s>"), "eos_token": .own("</s>"),
                "add_generation_prompt": .boolean(true),
            ]
            for member in item["variables"]?.members ?? [] {
                variables[member.key] = TemplateValue(member.value)
            }
            let given = item["variables"]?.text ?? ""
            return PromptCase(
                description:
                    "\(template), \(conversation)\(hasTools ? ", tools" : "") \(given)",
                template: template, variables: variables, prompt: item["prompt"]?.string)
        }
    }()

    static func source(_ name: String) -> String {
        (try? String(contentsOf: folder.appending(path: name + ".jinja"), encoding: .utf8)) ?? ""
    }

    static func template(_ name: String) throws -> ChatTemplate {
        try ChatTemplate(
            source(name), file: name, begin: "<s>", end: "</s>",
            now: { Timestamp(microseconds: now * 1_000_000) })
    }

    /// Renders with JSON as variables, none of it trusted.
    static func render(
        _ source: String, _ variables: JSONValue? = nil,
        _ limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> TemplateText {
        var values: [String: TemplateValue] = [:]
        for member in variables?.members ?? [] {
            values[member.key] = TemplateValue(member.value)
        }
        return try TemplateEvaluator.render(
            TemplateParser.program(of: source, limits), values, now: now, limits)
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/chat_templates")

    private static func json(_ name: String) -> JSONValue? {
        (try? Data(contentsOf: folder.appending(path: name))).flatMap {
            try? JSONValue(parsing: Array($0))
        }
    }
}

extension ChatTemplate.Prompt {
    var text: String { segments.map(\.text).joined() }
}
