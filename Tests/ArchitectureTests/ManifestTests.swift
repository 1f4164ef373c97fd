import Foundation
import Testing

/// What the manifest may link, and what the repository may hold at its top.
@Suite struct ManifestTests {
    private let manifest =
        (try? String(
            contentsOf: Repository.root.appendingPathComponent("Package.swift"), encoding: .utf8))
        ?? ""

    @Test("Of Hummingbird, only the product Hummingbird is linked, with no traits")
    func hummingbird() {
        let products = manifest.matches(of: /name: "(\w+)", package: "hummingbird"/).map(\.1)
        #expect(products == ["Hummingbird"])
        #expect(
            manifest.contains(/hummingbird-project\/hummingbird", from: "[\d.]+", traits: \[\]/))
    }

    @Test("Packages come by name and version")
    func packages() {
        let packages = manifest.matches(of: /\.package\(\s*url: "([^"]+)", (\w+):/)
        #expect(packages.count == 8)
        #expect(packages.allSatisfy { $0.1.hasPrefix("https://github.com/") && $0.2 == "from" })
    }

    @Test("The top level stays small")
    func topLevel() throws {
        let known: Set<String> = [
            "Package.swift", "Package.resolved", "README.md", "Makefile", "Dockerfile", "LICENSE",
            "docker-compose.yml", "heptad.example.yaml", "heptad.yaml", "Sources", "Tests",
            "Benchmarks", "web", "models", "data",
        ]
        let names = try FileManager.default.contentsOfDirectory(atPath: Repository.root.path)
        #expect(names.filter { !$0.hasPrefix(".") && !known.contains($0) } == [])
    }
}
