// swift-tools-version: 6.2

import PackageDescription

/// One library target of ours: its name, what it may import, and (in tests) what it may read.
func module(_ name: String, _ dependencies: [Target.Dependency] = [], excluding: [String] = [])
    -> Target
{
    .target(name: name, dependencies: dependencies, exclude: excluding)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: ["TestSupport"] + dependencies)
}

/// A thin shim over a system library, or kernels that Swift cannot write as well.
func shim(_ name: String, flags: [String] = [], links: [String] = []) -> Target {
    .target(
        name: name, path: "Sources/C/\(name)",
        cSettings: flags.isEmpty ? [] : [.unsafeFlags(flags)],
        linkerSettings: links.map { .linkedLibrary($0) })
}

// A server shows its symbols to nobody, and lld packs its relocations: 7 MB less are read into memory.
let lean: [LinkerSetting] = [
    .unsafeFlags(
        [
            "-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs",
            "-Xlinker", "--no-export-dynamic",
        ],
        .when(platforms: [.linux], configuration: .release))
]

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let sqlite = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
// SQLite's own functions, for rows that are written thousands of times a second.
let sqliteInterface = Target.Dependency.product(name: "GRDBSQLite", package: "GRDB.swift")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let telemetry = [logging, metrics, tracing]

let package = Package(
    name: "heptad",
    platforms: [.macOS(.v26)],
    dependencies: [
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // The executable and the composition root.
        .executableTarget(
            name: "heptad",
            dependencies: ["Appliance", "CMemory"],
            linkerSettings: lean),
        module(
            "Appliance",
            [
                "Core", "Storage", "Egress", "LocalModels", "WebChat", "Gateway", "Orchestration",
                "Retrieval", "Inference", "Observability", "Accounting", "CMemory", "Yams",
                lifecycle,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ] + telemetry),

        // The seven layers. Each imports Core, its support targets, and no other layer.
        module("WebChat", ["Core", "CWeb"]),
        module(
            "Gateway",
            [
                "Core", "OrderedJSON", "Storage", "COpenSSL", sqlite, lifecycle,
                .product(name: "Hummingbird", package: "hummingbird"),
            ] + telemetry),
        module("Orchestration", ["Core", "Storage", sqlite, lifecycle] + telemetry),
        module(
            "Retrieval",
            [
                "Core", "OrderedJSON", "Storage", "Egress", "CKernels", "CKeyword", "COpenBLAS",
                "CProcess", "CXML", "CZip", sqlite, lifecycle,
            ] + telemetry),
        module(
            "Inference",
            ["Core", "OrderedJSON", "Egress", "LocalModels", "Storage", lifecycle] + telemetry),
        module("Observability", ["Core", "OrderedJSON", "Storage", sqlite, lifecycle] + telemetry),
        // The price book is not a resource: CPrices embeds it.
        module(
            "Accounting", ["Core", "Storage", "CPrices", sqlite, lifecycle] + telemetry,
            excluding: ["prices.json"]),

        // What layers stand on.
        module("Core", ["OrderedJSON", tracing]),
        module("OrderedJSON"),
        module("Storage", ["Core", "COpenSSL", sqlite, sqliteInterface, logging]),
        module("Egress", ["Core", "CCurl", "COpenSSL", lifecycle] + telemetry),
        module("LocalModels", ["Core", "OrderedJSON", "CKernels", "COpenBLAS"]),

        // C: shims over system libraries, SIMD kernels, and files embedded in the binary.
        shim("CWeb"),
        shim("CPrices"),
        // Kernels are optimised in debug builds too: the tests run a real model.
        shim("CKernels", flags: ["-O3"]),
        shim("CCurl", links: ["curl"]),
        shim("COpenSSL", links: ["crypto"]),
        shim("COpenBLAS", links: ["openblas"]),
        shim("CXML", flags: ["-I/usr/include/libxml2"], links: ["xml2"]),
        shim("CZip", links: ["z"]),
        // How well a row of the keyword index fits.
        shim("CKeyword", links: ["sqlite3"]),
        // How the allocator keeps what was freed.
        shim("CMemory"),
        // A child process with limits: what has to happen between fork and exec.
        shim("CProcess"),

        // Tests.
        .target(
            name: "TestSupport", dependencies: ["Core", "OrderedJSON", "Storage", sqlite],
            path: "Tests/TestSupport"),
        tests("CoreTests", ["Core"]),
        tests("OrderedJSONTests", ["OrderedJSON"]),
        tests("StorageTests", ["Storage"]),
        tests("EgressTests", ["Egress"]),
        tests("LocalModelsTests", ["LocalModels"]),
        tests("WebChatTests", ["WebChat"]),
        tests("GatewayTests", ["Gateway"]),
        tests("OrchestrationTests", ["Orchestration"]),
        tests("RetrievalTests", ["Retrieval", "Egress", "CKernels", "OrderedJSON"]),
        tests("InferenceTests", ["Inference", "Egress"]),
        tests("ObservabilityTests", ["Observability", sqlite, lifecycle] + telemetry),
        tests("AccountingTests", ["Accounting", sqlite]),
        tests(
            "ApplianceTests",
            [
                "Appliance", "Accounting", "Egress", "Gateway", "Inference", "Observability",
                "Orchestration", "Retrieval", sqlite,
            ]),
        tests("ArchitectureTests", []),
    ],
    cLanguageStandard: .gnu2x
)

// The same flags for every Swift target; C targets have settings of their own.
for target in package.targets where !(target.path ?? "").hasPrefix("Sources/C/") {
    target.swiftSettings = [
        .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("ExistentialAny"),
        .treatAllWarnings(as: .error),
    ]
}
