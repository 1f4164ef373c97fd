import COpenSSL
import Core
import Foundation

/// Seals small secrets for keeping, with AES-256-GCM and a key of the data folder: `master.key`, made
/// when the first secret is sealed and readable by its owner only, or one that the operator gives.
package struct SecretBox: Sendable {
    private let path: String
    /// Empty for the file's.
    private let given: String

    private static let keyBytes = Int(HEPTAD_SEAL_KEY_BYTES)
    private static let nonceBytes = Int(HEPTAD_SEAL_NONCE_BYTES)
    private static let tagBytes = Int(HEPTAD_SEAL_TAG_BYTES)
    // So that another way of sealing can be told from this one.
    private static let version: UInt8 = 1
    package static let plainBytesMax = 64 << 10

    /// - Parameter key: 64 hexadecimal digits, or empty for the key in `folder`.
    package init(folder: String, key: String = "") {
        path = folder + "/master.key"
        given = key
    }

    package static func isKey(_ text: String) -> Bool { bytes(hexadecimal: text) != nil }

    /// The secret as text that only this box opens, and only with the same context. Throws
    /// `unavailable` where the key cannot be read or made.
    package func seal(_ secret: String, context: String) throws -> String {
        let plain = Array(secret.utf8)
        guard plain.count <= Self.plainBytesMax else {
            throw Failure(.tooLarge, "A secret has at most \(Self.plainBytesMax) bytes.")
        }
        let key = try key(makingIt: true)
        let nonce = try Self.random(Self.nonceBytes)
        let context = Array(context.utf8)
        var sealed = [UInt8](repeating: 0, count: plain.count + Self.tagBytes)
        var tag = [UInt8](repeating: 0, count: Self.tagBytes)
        let isDone = heptad_seal(
            key, nonce, context, context.count, plain, plain.count, &sealed, &tag)
        guard isDone == 1 else {
            throw Failure(.internalError, "A secret could not be sealed.")
        }
        sealed.replaceSubrange(plain.count..., with: tag)
        return Data([Self.version] + nonce + sealed).base64EncodedString()
    }

    /// Throws `unavailable` with what to do where the key is missing, and `conflict` for what this
    /// box did not seal, or not in this context, or that was changed.
    package func open(_ sealed: String, context: String) throws -> String {
        let key = try key(makingIt: false)
        let refusal = Failure(
            .conflict,
            "It was changed, or sealed with another master key. Set it again, or bring back the"
                + " master key it was sealed with.")
        let headBytes = 1 + Self.nonceBytes
        guard sealed.utf8.count <= Self.plainBytesMax * 2, let data = Data(base64Encoded: sealed),
            data.count >= headBytes + Self.tagBytes, data.first == Self.version
        else { throw refusal }
        let bytes = Array(data)
        let nonce = Array(bytes[1..<headBytes])
        let body = Array(bytes[headBytes..<(bytes.count - Self.tagBytes)])
        let tag = Array(bytes.suffix(Self.tagBytes))
        let context = Array(context.utf8)
        // One byte more, so that there is an address for a secret of no bytes.
        var plain = [UInt8](repeating: 0, count: body.count + 1)
        let isDone = heptad_unseal(
            key, nonce, context, context.count, body, body.count, tag, &plain)
        guard isDone == 1, let text = String(validating: plain.dropLast(), as: UTF8.self) else {
            throw refusal
        }
        return text
    }

    // MARK: The key

    private func key(makingIt: Bool) throws -> [UInt8] {
        if !given.isEmpty {
            guard let key = Self.bytes(hexadecimal: given) else {
                throw Failure(.invalid, "The master key must be 64 hexadecimal digits.")
            }
            return key
        }
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT, makingIt else {
                throw Failure(
                    .unavailable,
                    "The master key \(path) cannot be read. Bring it back, or give it as"
                        + " inference.master_key.", cause: errno)
            }
            return try makeKey()
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & 0o077 == 0 else {
            throw Failure(
                .unavailable,
                "The master key \(path) can be read by others. Run: chmod 600 \(path)")
        }
        var buffer = [UInt8](repeating: 0, count: 2 * Self.keyBytes + 2)
        let count = read(descriptor, &buffer, buffer.count)
        let text = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        guard let key = Self.bytes(hexadecimal: text) else {
            throw Failure(
                .unavailable,
                "The master key \(path) is not 64 hexadecimal digits. Bring the right one back.")
        }
        return key
    }

    private func makeKey() throws -> [UInt8] {
        let key = try Self.random(Self.keyBytes)
        let digits = key.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        try PrivateFile.write(Array((digits.joined() + "\n").utf8), to: path, replacing: false)
        return key
    }

    private static func random(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard heptad_random(&bytes, count) == 1 else {
            throw Failure(.internalError, "The system gave no random bytes.")
        }
        return bytes
    }

    private static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard text.utf8.count == 2 * keyBytes, digits.count == 2 * keyBytes else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
