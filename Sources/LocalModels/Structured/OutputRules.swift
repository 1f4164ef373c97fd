package import Core
import OrderedJSON

/// What an answer has to look like, made ready for the engine.
package struct OutputRules: Sendable {
    let grammar: Grammar
    /// How the model writes calls of tools; nil where it may call none.
    package let syntax: ToolSyntax?

    /// Nil where the answer may be any text. Throws `invalid` with the place in the schema for what
    /// cannot be kept to.
    package init?(
        format: ResponseFormat, tools: [ToolDefinition], choice: ToolChoice, parallel: Bool,
        syntax: ToolSyntax
    ) throws {
        var builder = GrammarBuilder()
        let whole = builder.reserveRule()
        let hasTools = !tools.isEmpty && choice != .none
        if !hasTools, format == .text { return nil }
        var name = ""
        let formatted: Int32?
        switch format {
        case .text: formatted = nil
        case .jsonObject:
            formatted = try SchemaCompiler.add(
                .object([JSONValue.Member("type", .string("object"))]), isStrict: false,
                name: "response_format", to: &builder, builder.end)
        case .jsonSchema(_, let schema, let isStrict):
            name = "response_format.json_schema.schema"
            formatted = try SchemaCompiler.add(
                schema, isStrict: isStrict, name: name, to: &builder, builder.end)
        }
        if hasTools {
            name = "tools"
            builder.define(
                whole,
                try syntax.add(
                    tools, choice: choice, parallel: parallel, answer: formatted, to: &builder))
            self.syntax = syntax
        } else if let formatted {
            builder.define(whole, formatted)
            self.syntax = nil
        } else {
            return nil
        }
        guard let grammar = builder.grammar(whole) else {
            throw SchemaCompiler.refusal("\(name)#", "describes values without an end.")
        }
        self.grammar = grammar
    }
}
