import CWeb
package import Core

/// The browser client, served from memory: the files of `web/` that are embedded in the binary.
/// Only their exact paths are answered, so there is nothing to escape from.
package struct WebClient: AssetSource {
    private let assets: [String: Asset]

    /// Reads the embedded files once: some 200 KB, a few milliseconds.
    package init() {
        var assets: [String: Asset] = [:]
        for file in embeddedFiles() {
            assets[file.path] = Asset(
                bytes: file.bytes, mediaType: mediaType(of: file.path),
                entityTag: entityTag(of: file.bytes))
        }
        assets["/"] = assets["/index.html"]
        self.assets = assets
    }

    package func asset(at path: String) -> Asset? { assets[path] }

    /// Every path that is answered, sorted.
    package var paths: [String] { assets.keys.sorted() }
}

private func embeddedFiles() -> [(path: String, bytes: [UInt8])] {
    (0..<CWebFileCount()).map { index in
        let file = CWebFileAt(index)
        return (
            String(cString: file.path),
            Array(UnsafeBufferPointer(start: file.bytes, count: file.count))
        )
    }
}

/// What a browser needs to be told, since it is also told not to guess (`nosniff`).
func mediaType(of path: String) -> String {
    switch path.split(separator: ".").last {
    case "html": "text/html; charset=utf-8"
    case "css": "text/css; charset=utf-8"
    case "js": "text/javascript; charset=utf-8"
    case "svg": "image/svg+xml"
    case "webmanifest": "application/manifest+json"
    case "txt": "text/plain; charset=utf-8"
    default: "application/octet-stream"
    }
}

/// A strong validator made of the content: its 64-bit FNV-1a hash and its length. Nobody but us
/// writes these files, so a hash that an attacker could collide is enough.
func entityTag(of bytes: [UInt8]) -> String {
    let offset: UInt64 = 0xcbf2_9ce4_8422_2325
    let prime: UInt64 = 0x100_0000_01b3
    let hash = bytes.reduce(offset) { hash, byte in (hash ^ UInt64(byte)) &* prime }
    return "\"\(String(hash, radix: 16))-\(String(bytes.count, radix: 16))\""
}
