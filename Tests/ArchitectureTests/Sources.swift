import Foundation

/// The repository's own text, found from where this file was compiled.
enum Repository {
    static let root: URL = {
        var folder = URL(fileURLWithPath: #filePath)
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let manifest = folder.appendingPathComponent("Package.swift").path
            if FileManager.default.fileExists(atPath: manifest) { break }
        }
        return folder
    }()

    /// One source file, and the target it belongs to.
    struct Source: Sendable, CustomStringConvertible {
        let target: String
        let path: String
        let lines: [String]

        var description: String { path }

        /// The modules it imports, of `import X`, `package import struct X.Y`, `@testable import X`.
        var imports: Set<String> {
            Set(lines.compactMap { $0.firstMatch(of: Self.importLine).map { String($0.1) } })
        }

        /// Lines without comments and string literals, numbered from 1.
        var code: [(number: Int, text: String)] {
            lines.enumerated().map { index, line in
                let bare = line.replacing(Self.literal, with: "\"\"")
                return (
                    index + 1,
                    String(
                        bare.prefix(upTo: bare.firstRange(of: "//")?.lowerBound ?? bare.endIndex))
                )
            }
        }

        nonisolated(unsafe) private static let importLine =
            /^\s*(?:@[\w()]+\s+)*(?:(?:package|public|internal|private|fileprivate)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|typealias)\s+)?(\w+)/
        nonisolated(unsafe) private static let literal = /"(?:\\.|[^"\\])*"/
    }

    /// Every Swift file of a target under `Sources/`.
    static let sources: [Source] = swiftFiles(under: "Sources").map { path in
        let text =
            (try? String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)) ?? ""
        let parts = path.split(separator: "/")
        return Source(
            target: String(parts[1]), path: path,
            lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
    }

    private static func swiftFiles(under folder: String) -> [String] {
        let base = root.appendingPathComponent(folder).path
        let files = FileManager.default.enumerator(atPath: base)?.compactMap { $0 as? String } ?? []
        return files.filter { $0.hasSuffix(".swift") }.sorted().map { folder + "/" + $0 }
    }
}
