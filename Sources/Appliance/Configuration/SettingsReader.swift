import Core
import Foundation
import Yams

/// Where an effective value came from.
enum Origin: Equatable, Sendable {
    case preset
    case file(line: Int)
    case environment(String)
    case option(String)
}

/// What a configuration file, the environment and the command line come to.
struct Settings<Root: Section>: Sendable {
    let root: Root
    let tree: Tree
    let schema: Schema
    /// By dotted path, for what is not a default.
    let origins: [String: Origin]
}

/// Merges defaults, file, environment and options, in rising order of precedence, and refuses what
/// it does not know by line and nearest key.
struct SettingsReader {
    /// The environment, as the process has it.
    var environment: [String: String] = [:]
    /// Reads a file that a `file:` reference names. Throws when it cannot.
    var readFile: (String) throws -> String = { try String(contentsOfFile: $0, encoding: .utf8) }
    /// Names the file in messages.
    var fileName = "heptad.yaml"

    static let fileBytesMax = 1 << 20
    static let depthMax = 16

    /// Throws `invalid` with a sentence that names the line and what was expected.
    func read<Root: Section>(
        _ type: Root.Type, yaml: String?, options: [(path: String, value: String)] = []
    ) throws -> Settings<Root> {
        let schema = Schema(of: Root())
        var origins: [String: Origin] = [:]
        var tree = schema.defaults
        if let yaml { tree = try merge(file: yaml, schema: schema, defaults: tree, &origins) }
        tree = try mergeEnvironment(into: tree, schema: schema, path: [], &origins)
        for option in options {
            tree = try set(option.value, at: option.path, in: tree, schema: schema)
            origins[option.path] = .option(option.path)
        }
        do {
            let json = try JSONEncoder().encode(SettingsJSON(tree: tree, schema: schema))
            let root = try JSONDecoder().decode(Root.self, from: json)
            return Settings(root: root, tree: tree, schema: schema, origins: origins)
        } catch DecodingError.dataCorrupted(let context) {
            let path = context.codingPath.map { Schema.snakeCase($0.stringValue) }
            let key = path.joined(separator: ".")
            throw Failure(
                .invalid, "\(fileName): `\(key)` has a value that it cannot have.",
                cause: context.debugDescription)
        } catch {
            throw Failure(.invalid, "\(fileName) cannot be read as settings.", cause: error)
        }
    }

    private func merge(
        file yaml: String, schema: Schema, defaults: Tree, _ origins: inout [String: Origin]
    ) throws -> Tree {
        guard yaml.utf8.count <= Self.fileBytesMax else {
            throw Failure(
                .invalid, "\(fileName) is larger than a configuration file may be (1 MiB).")
        }
        do {
            guard let node = try Yams.compose(yaml: yaml) else { return defaults }
            return try merge(node, schema: schema, defaults: defaults, path: [], &origins)
        } catch let error as YamlError {
            throw Failure(.invalid, "\(fileName) is not valid YAML: \(Self.sentence(for: error))")
        }
    }

    private func merge(
        _ node: Node, schema: Schema, defaults: Tree, path: [String],
        _ origins: inout [String: Origin]
    ) throws -> Tree {
        guard path.count <= Self.depthMax else {
            throw refusal(node, "is nested deeper than any setting.")
        }
        let place = path.isEmpty ? "The file" : "`\(path.joined(separator: "."))`"
        // `key:` with nothing after it means "as it is by default".
        if case .scalar(let scalar) = node, scalar.string.isEmpty || scalar.string == "~",
            scalar.style == .plain || scalar.style == .any
        {
            return defaults
        }
        switch schema {
        case .section(let members):
            guard case .mapping(let mapping) = node else {
                throw refusal(node, "\(place) must be a group of settings.")
            }
            return try mergeSection(mapping, members, defaults: defaults, path: path, &origins)
        case .map(let entry):
            guard case .mapping(let mapping) = node else {
                throw refusal(node, "\(place) must be a group of named entries.")
            }
            var entries: [(key: String, value: Tree)] = []
            for (key, value) in mapping {
                let name = try keyText(key)
                let tree = try merge(
                    value, schema: entry, defaults: entry.defaults, path: path + [name], &origins)
                entries.append((name, tree))
            }
            return .object(entries)
        case .leaf(let kind, _):
            origins[path.joined(separator: ".")] = .file(line: node.mark?.line ?? 0)
            return try leaf(node, kind, place)
        }
    }

    private func mergeSection(
        _ mapping: Node.Mapping, _ members: [(key: String, schema: Schema)], defaults: Tree,
        path: [String], _ origins: inout [String: Origin]
    ) throws -> Tree {
        guard case .object(var values) = defaults else { return defaults }
        for (keyNode, value) in mapping {
            let key = try keyText(keyNode)
            guard let member = members.first(where: { $0.key == key }),
                let index = values.firstIndex(where: { $0.key == key })
            else {
                let nearest = NearestName.of(key, among: members.map(\.key))
                throw refusal(
                    keyNode,
                    "there is no setting `\((path + [key]).joined(separator: "."))`."
                        + (nearest.map { " Did you mean `\($0)`?" } ?? ""))
            }
            values[index].value = try merge(
                value, schema: member.schema, defaults: values[index].value, path: path + [key],
                &origins)
        }
        return .object(values)
    }

    private func keyText(_ node: Node) throws -> String {
        guard case .scalar(let scalar) = node, !scalar.string.isEmpty else {
            throw refusal(node, "a key must be a plain name.")
        }
        return scalar.string
    }

    private func leaf(_ node: Node, _ kind: Schema.Kind, _ place: String) throws -> Tree {
        if kind == .strings {
            guard case .sequence(let items) = node else {
                throw refusal(node, "\(place) must be a list of texts, such as [a, b].")
            }
            return .list(
                try items.map { item in
                    guard case .scalar(let scalar) = item else {
                        throw refusal(item, "\(place) must be a list of texts.")
                    }
                    return .string(try resolve(scalar.string, item))
                })
        }
        guard case .scalar(let scalar) = node else {
            throw refusal(node, "\(place) must be \(kind.rawValue).")
        }
        let text = try resolve(scalar.string, node)
        guard let value = Self.parse(text, kind) else {
            throw refusal(node, "\(place) must be \(kind.rawValue), not `\(text.prefix(40))`.")
        }
        return value
    }

    /// Replaces `${NAME}` by the environment's value, and a whole `file:PATH` by what the file has,
    /// without the line end.
    private func resolve(_ text: String, _ node: Node) throws -> String {
        if text.hasPrefix("file:") {
            let path = String(text.dropFirst("file:".count))
            guard let content = try? readFile(path) else {
                throw refusal(node, "the file \(path) cannot be read.")
            }
            return content.trimmingCharacters(in: .newlines)
        }
        var result = ""
        var rest = text[...]
        while let opening = rest.range(of: "${") {
            guard let closing = rest[opening.upperBound...].firstIndex(of: "}") else {
                throw refusal(node, "`${` has no `}`.")
            }
            let name = String(rest[opening.upperBound..<closing])
            guard let value = environment[name] else {
                throw refusal(node, "the environment has no variable \(name).")
            }
            result += rest[..<opening.lowerBound] + value
            rest = rest[rest.index(after: closing)...]
        }
        return result + rest
    }

    /// `HEPTAD_GATEWAY_PORT` for `gateway.port`, and so on for every setting that is not in a map.
    private func mergeEnvironment(
        into tree: Tree, schema: Schema, path: [String], _ origins: inout [String: Origin]
    ) throws -> Tree {
        switch (tree, schema) {
        case (.object(var values), .section(let members)):
            for index in values.indices {
                guard let member = members.first(where: { $0.key == values[index].key }) else {
                    continue
                }
                values[index].value = try mergeEnvironment(
                    into: values[index].value, schema: member.schema, path: path + [member.key],
                    &origins)
            }
            return .object(values)
        case (_, .leaf(let kind, _)):
            let name = "HEPTAD_" + path.joined(separator: "_").uppercased()
            guard let text = environment[name] else { return tree }
            guard let value = Self.parse(text, kind) else {
                throw Failure(.invalid, "The environment's \(name) must be \(kind.rawValue).")
            }
            origins[path.joined(separator: ".")] = .environment(name)
            return value
        default: return tree
        }
    }

    private func set(_ text: String, at path: String, in tree: Tree, schema: Schema) throws -> Tree
    {
        let parts = path.split(separator: ".", maxSplits: 1).map(String.init)
        guard case .object(var values) = tree, case .section(let members) = schema,
            let index = values.firstIndex(where: { $0.key == parts.first }),
            let member = members.first(where: { $0.key == parts.first })
        else { throw Failure(.invalid, "There is no setting \(path).") }
        if parts.count == 2 {
            values[index].value = try set(
                text, at: parts[1], in: values[index].value, schema: member.schema)
        } else if case .leaf(let kind, _) = member.schema, let value = Self.parse(text, kind) {
            values[index].value = value
        } else {
            throw Failure(.invalid, "The value \(text) does not fit \(path).")
        }
        return .object(values)
    }

    private static func parse(_ text: String, _ kind: Schema.Kind) -> Tree? {
        switch kind {
        case .string: return .string(text)
        case .integer: return Int(text.replacing("_", with: "")).map { .integer($0) }
        case .number: return Double(text).flatMap { $0.isFinite ? .number($0) : nil }
        case .boolean:
            switch text.lowercased() {
            case "true", "yes", "on": return .boolean(true)
            case "false", "no", "off": return .boolean(false)
            default: return nil
            }
        case .strings:
            let items = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            return .list(items.map { .string($0) })
        }
    }

    private func refusal(_ node: Node, _ sentence: String) -> Failure {
        let place = node.mark.map { ", line \($0.line)" } ?? ""
        return Failure(.invalid, "\(fileName)\(place): \(sentence)")
    }

    private static func sentence(for error: YamlError) -> String {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return "\(problem) at line \(mark.line), column \(mark.column)."
        case .duplicatedKeysInMapping(let names, let context):
            let keys = names.map { "`\($0)`" }.joined(separator: ", ")
            return "\(keys) is there twice, in the group at line \(context.mark.line)."
        // Never the error's own text: it quotes the file, and the file may hold secrets.
        default: return "it is not UTF-8 text, or the parser gave up."
        }
    }
}

/// The known name a misspelt one most likely meant.
enum NearestName {
    /// Nil when nothing is near: more than a third of the letters would have to change.
    static func of(_ name: String, among known: [String]) -> String? {
        let scored = known.map { (name: $0, distance: distance(Array(name), Array($0))) }
        guard let best = scored.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, best.name.count / 3) ? best.name : nil
    }

    /// Levenshtein's distance, row by row. Names are cut so that a hostile key costs little.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        let left = left.prefix(64)
        let right = right.prefix(64)
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let next = min(diagonal + (a == b ? 0 : 1), row[j] + 1, row[j + 1] + 1)
                diagonal = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[right.count]
    }
}
