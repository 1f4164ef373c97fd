import COpenSSL
import Core

/// SHA-256 of bytes that come in pieces.
package final class SHA256 {
    private let state: UnsafeMutableRawPointer

    /// Throws `unavailable` when there is no memory for it.
    package init() throws {
        guard let state = heptad_digest_create() else {
            throw Failure(.unavailable, "There is not enough memory to compute a sum.")
        }
        self.state = state
    }

    deinit { heptad_digest_free(state) }

    package func update(_ bytes: UnsafeRawBufferPointer) {
        let isDone = heptad_digest_update(state, bytes.baseAddress, bytes.count)
        precondition(isDone == 1, "SHA-256 of bytes in memory cannot fail")
    }

    /// The sum of all bytes so far, in lower-case hexadecimal. More may follow.
    package var hexadecimal: String {
        var digest = [UInt8](repeating: 0, count: Int(HEPTAD_SHA256_BYTES))
        let isDone = heptad_digest_read(state, &digest)
        precondition(isDone == 1, "SHA-256 of bytes in memory cannot fail")
        return digest.map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }

    /// The sum in lower case when the text is one; nil when it is not.
    static func normalized(_ text: String) -> String? {
        let lower = text.lowercased()
        let isSum =
            lower.utf8.count == 2 * Int(HEPTAD_SHA256_BYTES)
            && lower.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
        return isSum ? lower : nil
    }
}
