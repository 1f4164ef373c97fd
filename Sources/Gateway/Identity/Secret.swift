import COpenSSL
import Core

/// Bytes that prove something: session tokens, API keys, hashes.
enum Secret {
    static let tokenBytes = 32

    /// Fresh bytes from the system's generator for keys. Tests own ids and time, never these.
    static func random(_ count: Int = tokenBytes) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard heptad_random(&bytes, count) == 1 else {
            throw Failure(.internalError, "The system gave no random bytes.")
        }
        return bytes
    }

    /// A new token as text that is safe in headers, cookies and links: 256 bits, 43 characters.
    static func token() throws -> String { base64URL(try random()) }

    static func sha256(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: Int(HEPTAD_SHA256_BYTES))
        let isDone = heptad_sha256(bytes, bytes.count, &digest)
        precondition(isDone == 1, "SHA-256 of bytes in memory cannot fail")
        return digest
    }

    static func hmac(key: String, _ text: String) -> [UInt8] {
        let key = Array(key.utf8)
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: Int(HEPTAD_SHA256_BYTES))
        let isDone = heptad_hmac_sha256(key, key.count, bytes, bytes.count, &digest)
        precondition(isDone == 1, "HMAC of bytes in memory cannot fail")
        return digest
    }

    /// Compares in a time that tells nothing but the lengths.
    static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && heptad_is_equal(left, right, left.count) == 1
    }

    static func isEqual(_ left: String, _ right: String) -> Bool {
        isEqual(Array(left.utf8), Array(right.utf8))
    }

    /// RFC 4648 section 5, without padding.
    static func base64URL(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var pending: UInt32 = 0
        var bits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(pending >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(pending << UInt32(6 - bits) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes of `base64URL` text; nil for anything else.
    static func bytes(base64URL text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var pending: UInt32 = 0
        var bits = 0
        for character in text.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            pending = (pending << 6 | UInt32(value)) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
            }
        }
        return bytes
    }

    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
}
