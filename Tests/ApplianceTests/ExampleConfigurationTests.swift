// Settings are laid out by their layers: without these imports Swift 6.3 takes `Configuration` for
// smaller than it is, and the test crashes.
import Accounting
import Core
import Egress
import Foundation
import Gateway
import Inference
import Observability
import Orchestration
import Retrieval
import Testing

@testable import Appliance

@Suite struct ExampleConfigurationTests {
    private let example: String

    init() throws {
        let file = HeptadBinary.root.appendingPathComponent("heptad.example.yaml")
        example = try String(contentsOf: file, encoding: .utf8)
    }

    @Test("As it is, the example changes nothing")
    func untouched() throws {
        let settings = try SettingsReader().read(Configuration.self, yaml: example)
        #expect(settings.root == Configuration())
        #expect(settings.origins.isEmpty)
    }

    @Test("With every line uncommented it has every key there is, each with its default")
    func complete() throws {
        let yaml = example.replacing(/(?m)^( *)#([a-z_]+:)/) { "\($0.1)\($0.2)" }
        let settings = try SettingsReader().read(Configuration.self, yaml: yaml)
        #expect(settings.root == Configuration())
        let known = Self.leaves(of: settings.schema, path: [])
        #expect(known.subtracting(settings.origins.keys) == [])
        #expect(known.count > 60)
    }

    @Test("The defaults are values that the layers accept")
    func defaults() throws { try Configuration().validate() }

    @Test("A reranker is one of a provider that is there", arguments: ["far/judge", "near/judge"])
    func reranker(model: String) throws {
        let yaml = """
            inference:
              providers:
                near:
                  base_url: http://127.0.0.1:1/v1
            retrieval:
              query_rewriting: model
              reranker:
                model: \(model)
            """
        let settings = try SettingsReader().read(Configuration.self, yaml: yaml)
        #expect(settings.root.retrieval.reranker.model == model)
        #expect(settings.root.retrieval.queryRewriting == .model)
        guard model.hasPrefix("far/") else { return try settings.root.validate() }
        let failure = #expect(throws: Failure.self) { try settings.root.validate() }
        #expect(failure?.message.hasPrefix("retrieval.reranker.model:") == true)
    }

    @Test("Keys of providers are never printed, be it one or many; a policy that only sounds so is")
    func secrets() throws {
        let yaml = """
            inference:
              providers:
                far:
                  api_key: s3cret-a
                  api_keys: [s3cret-b, s3cret-c]
              models:
                m:
                  candidates: [far/x]
                  after_first_token: continue
            """
        let settings = try SettingsReader().read(Configuration.self, yaml: yaml)
        #expect(settings.root.inference.providers["far"]?.apiKeys == ["s3cret-b", "s3cret-c"])
        let text = SettingsText(
            schema: settings.schema, tree: settings.tree, origins: settings.origins
        ).text
        #expect(!text.contains("s3cret"))
        #expect(text.contains("after_first_token: \"continue\""))
    }

    private static func leaves(of schema: Schema, path: [String]) -> Set<String> {
        switch schema {
        case .leaf: [path.joined(separator: ".")]
        case .map: []
        case .section(let members):
            members.reduce(into: []) { all, member in
                all.formUnion(leaves(of: member.schema, path: path + [member.key]))
            }
        }
    }
}
