import Core
import Egress
import Foundation

/// Where a model file is fetched from, out of what somebody typed, and what it will be called.
package struct ModelSource: Hashable, Sendable {
    package static let hub = "https://huggingface.co"
    package static let suffix = ".gguf"

    private static let nameBytesMax = 200

    package let url: String
    /// What the file will be called in the models folder, `.gguf` included.
    package let fileName: String
    /// Whether the address is the hub's own, which alone may see the token for it, and nobody on the
    /// way can read what is sent there.
    package let isHub: Bool

    /// `text` is an address, or `hf:OWNER/REPOSITORY[@REVISION]/FILE` for a file of the hub. Throws
    /// `invalid` with the form that is expected, `unsupported` for one part of several, and
    /// `forbidden` for an address that anybody on the way could answer for.
    ///
    /// - Parameter isChecked: whether the file will be held against a sum, so that it does not
    ///   matter who sends it.
    package init(_ text: String, name: String? = nil, hub: String = hub, isChecked: Bool = false)
        throws
    {
        let base = hub.hasSuffix("/") ? String(hub.dropLast()) : hub
        var url = text
        if text.hasPrefix("hf:") {
            url = try base + Self.hubPath(String(text.dropFirst(3)))
        } else if text.hasPrefix("\(base)/"), let range = text.firstRange(of: "/blob/") {
            // The page about a file, which is what one copies from a browser.
            url.replaceSubrange(range, with: "/resolve/")
        }
        guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
            throw Failure(
                .invalid,
                "\(text) is neither an https:// address nor of the form hf:owner/repository/file.gguf."
            )
        }
        let target = try HTTPRequest.target(of: url)
        let isPrivate = url.hasPrefix("https://") || Self.isThisMachine(target)
        guard isPrivate || isChecked else {
            throw Failure(
                .forbidden,
                "Over http:// anybody on the way could put another file in. Take https://, or say"
                    + " with --sha256 what the file must be.")
        }
        self.url = url
        isHub = isPrivate && url.hasPrefix("\(base)/")
        let last = Self.lastPart(of: url)
        guard name != nil || last.lowercased().hasSuffix(Self.suffix) else {
            throw Failure(
                .invalid,
                "\(text.prefix(200)) does not end in .gguf. If it is a GGUF file all the same, say with"
                    + " --name what it will be called.")
        }
        fileName = try Self.fileName(name ?? last)
    }

    /// A name that is safe in a folder, in an address and on a terminal, with its `.gguf`. Throws
    /// `invalid`, and `unsupported` for one part of several.
    package static func fileName(_ name: String) throws -> String {
        var stem = name
        if stem.lowercased().hasSuffix(suffix) { stem = String(stem.dropLast(suffix.count)) }
        let isSafe = stem.unicodeScalars.allSatisfy { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-", "+": true
            default: false
            }
        }
        guard isSafe, let first = stem.first, first != ".", first != "-",
            stem.utf8.count <= nameBytesMax
        else {
            throw Failure(
                .invalid,
                "\"\(name.prefix(100))\" cannot be a model's name. Letters, digits and . _ - + can be in"
                    + " it, beginning with a letter or digit; choose one with --name.")
        }
        if stem.firstMatch(of: /-\d{5}-of-\d{5}$/) != nil {
            throw Failure(
                .unsupported,
                "\(name) is one part of several, which cannot be run here. Take a file that is whole,"
                    + " or join the parts with llama.cpp's gguf-split --merge.")
        }
        return stem + suffix
    }

    /// `/OWNER/REPOSITORY/resolve/REVISION/FILE`
    private static func hubPath(_ text: String) throws -> String {
        let form = Failure(
            .invalid,
            "hf:\(text.prefix(200)) is not of the form hf:owner/repository/file.gguf or"
                + " hf:owner/repository@revision/file.gguf.")
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, text.utf8.count <= 1024 else { throw form }
        let named = parts[1].split(separator: "@", omittingEmptySubsequences: false)
            .map(String.init)
        guard named.count <= 2 else { throw form }
        let revision = named.count == 2 ? named[1] : "main"
        let path = [parts[0], named[0], "resolve", revision] + parts.dropFirst(2)
        let encoded = try path.map { part in
            guard !part.isEmpty, part != ".", part != "..",
                let encoded = part.addingPercentEncoding(withAllowedCharacters: plain)
            else { throw form }
            return encoded
        }
        return "/" + encoded.joined(separator: "/")
    }

    private static func lastPart(of url: String) -> String {
        let path = url.prefix { $0 != "?" && $0 != "#" }
        let last = path.split(separator: "/").last.map(String.init) ?? ""
        return last.removingPercentEncoding ?? last
    }

    private static func isThisMachine(_ target: String) -> Bool {
        let host = target.prefix(upTo: target.lastIndex(of: ":") ?? target.endIndex)
        return host == "localhost" || host == "[::1]"
            || host.firstMatch(of: /^127\.\d+\.\d+\.\d+$/) != nil
    }

    private static let plain = CharacterSet(
        charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+")
}
