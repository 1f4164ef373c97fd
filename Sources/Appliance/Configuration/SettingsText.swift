/// Effective settings as YAML, each value with where it came from; secrets are not shown.
struct SettingsText {
    let schema: Schema
    let tree: Tree
    let origins: [String: Origin]

    var text: String { lines(tree, schema, path: [], depth: 0).joined(separator: "\n") + "\n" }

    private func lines(_ tree: Tree, _ schema: Schema, path: [String], depth: Int) -> [String] {
        guard case .object(let members) = tree else { return [] }
        return members.flatMap { key, value -> [String] in
            let indent = String(repeating: "  ", count: depth)
            let path = path + [key]
            guard let child = self.schema(of: key, in: schema) else { return [] }
            switch child {
            case .leaf:
                let shown = isSecret(key) && !isEmpty(value) ? "<hidden>" : yaml(value)
                return ["\(indent)\(key): \(shown)\(comment(path))"]
            case .map where isEmpty(value): return ["\(indent)\(key): {}"]
            case .section, .map:
                return ["\(indent)\(key):"] + lines(value, child, path: path, depth: depth + 1)
            }
        }
    }

    private func schema(of key: String, in schema: Schema) -> Schema? {
        switch schema {
        case .section(let members): members.first { $0.key == key }?.schema
        case .map(let entry): entry
        case .leaf: nil
        }
    }

    private func comment(_ path: [String]) -> String {
        switch origins[path.joined(separator: ".")] {
        case .file(let line): "  # line \(line)"
        case .environment(let name): "  # \(name)"
        case .option: "  # command line"
        case .preset, nil: "  # default"
        }
    }

    /// A setting that ends in one of these words is a secret wherever it is; only the first token of
    /// an answer is none.
    private func isSecret(_ key: String) -> Bool {
        key != "after_first_token"
            && ["key", "keys", "secret", "password", "token"].contains {
                key == $0 || key.hasSuffix("_\($0)")
            }
    }

    private func isEmpty(_ value: Tree) -> Bool {
        switch value {
        case .string(let text): text.isEmpty
        case .list(let items): items.isEmpty
        case .object(let members): members.isEmpty
        case .integer, .number, .boolean: false
        }
    }

    private func yaml(_ value: Tree) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .integer(let number): String(number)
        case .number(let number): String(number)
        case .boolean(let flag): String(flag)
        case .list(let items): "[" + items.map(yaml).joined(separator: ", ") + "]"
        case .object: "{}"
        }
    }

    private func quoted(_ text: String) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            .replacing("\n", with: "\\n")
        return "\"\(escaped)\""
    }
}
