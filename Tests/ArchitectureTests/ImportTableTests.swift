import Testing

/// The dependency rule: a layer imports Core, the support targets it needs, and no other layer.
@Suite struct ImportTableTests {
    /// Modules of the toolchain that any target may use.
    private static let toolchain: Set<String> = [
        "Swift", "Foundation", "FoundationEssentials", "Synchronization", "Dispatch", "Glibc",
        "Darwin",
        "Musl",
    ]
    private static let telemetry: Set<String> = [
        "Logging", "Metrics", "Tracing", "ServiceContextModule", "Instrumentation",
    ]
    private static let layers: Set<String> = [
        "WebChat", "Gateway", "Orchestration", "Retrieval", "Inference", "Observability",
        "Accounting",
    ]

    /// For each target, all it may import beside the toolchain's modules.
    private static let allowed: [String: Set<String>] = [
        "heptad": ["Appliance", "CMemory"],
        "Appliance": layers.union(telemetry).union([
            "Core", "Storage", "Egress", "LocalModels", "Yams", "ArgumentParser",
            "CMemory", "ServiceLifecycle", "UnixSignals",
        ]),
        "WebChat": ["Core", "CWeb"],
        "Gateway": telemetry.union([
            "Core", "OrderedJSON", "Storage", "COpenSSL", "GRDB", "Hummingbird", "HummingbirdCore",
            "HTTPTypes", "NIOCore", "NIOHTTPTypes", "ServiceLifecycle",
        ]),
        "Orchestration": telemetry.union(["Core", "Storage", "GRDB", "ServiceLifecycle"]),
        "Retrieval": telemetry.union([
            "Core", "OrderedJSON", "Storage", "Egress", "CKernels", "CKeyword", "COpenBLAS",
            "CProcess", "CXML", "CZip", "GRDB", "ServiceLifecycle",
        ]),
        "Inference": telemetry.union([
            "Core", "OrderedJSON", "Egress", "LocalModels", "ServiceLifecycle", "Storage",
        ]),
        "Observability": telemetry.union([
            "Core", "OrderedJSON", "Storage", "GRDB", "ServiceLifecycle", "CoreMetrics",
        ]),
        "Accounting": telemetry.union(["Core", "Storage", "CPrices", "GRDB", "ServiceLifecycle"]),
        "Core": ["OrderedJSON", "Tracing", "ServiceContextModule", "Instrumentation"],
        "OrderedJSON": [],
        "Storage": ["Core", "COpenSSL", "GRDB", "GRDBSQLite", "Logging"],
        "Egress": telemetry.union(["Core", "CCurl", "COpenSSL", "ServiceLifecycle"]),
        "LocalModels": ["Core", "OrderedJSON", "CKernels", "COpenBLAS"],
    ]

    @Test("Every target has a row in the table")
    func complete() {
        let targets = Set(Repository.sources.map(\.target))
        #expect(targets.count >= 12)
        #expect(targets.subtracting(["C"]) == Set(Self.allowed.keys))
    }

    @Test("A file imports only what its target's row names")
    func rows() {
        let strangers = Repository.sources.flatMap { source in
            source.imports
                .subtracting(Self.toolchain)
                .subtracting(Self.allowed[source.target] ?? [])
                .map { "\(source.path) imports \($0)" }
        }
        #expect(strangers == [])
    }

    @Test("The star has no rays between layers, whatever the table says")
    func star() {
        for layer in Self.layers {
            #expect(Self.allowed[layer]?.isDisjoint(with: Self.layers) == true, "\(layer)")
        }
    }
}
