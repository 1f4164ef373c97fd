import Core
import Foundation
import TestSupport
import Testing

@testable import Storage

@Suite struct SecretBoxTests {
    private static let key = String(repeating: "0f", count: 32)

    private func mode(_ path: String) throws -> Int? {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return (attributes[.posixPermissions] as? NSNumber)?.intValue
    }

    @Test("What is sealed comes out again, also after a restart, and looks different each time")
    func roundTrip() throws {
        let folder = try TemporaryFolder()
        let box = SecretBox(folder: folder.path)
        for secret in ["", "sk-1", String(repeating: "ü", count: 1000)] {
            let sealed = [
                try box.seal(secret, context: "a"), try box.seal(secret, context: "a"),
            ]
            #expect(sealed[0] != sealed[1])
            #expect(!sealed[0].contains("sk-1"))
            for text in sealed {
                #expect(try SecretBox(folder: folder.path).open(text, context: "a") == secret)
            }
        }
        #expect(try mode(folder.path + "/master.key") == 0o600)
        #expect(throws: Failure.self) {
            try box.seal(
                String(repeating: "x", count: SecretBox.plainBytesMax + 1), context: "a")
        }
    }

    @Test("What was changed, moved, or sealed by another key is refused in words")
    func tampered() throws {
        let folder = try TemporaryFolder()
        let box = SecretBox(folder: folder.path)
        let sealed = try box.seal("sk-1234567890", context: "provider a")
        let bytes = try #require(Data(base64Encoded: sealed))
        var wrong = bytes.indices.map { index in
            var changed = bytes
            changed[index] ^= 1
            return changed.base64EncodedString()
        }
        wrong += bytes.indices.map { bytes.prefix($0).base64EncodedString() }
        wrong += [sealed + "AAAA", "not base64!", String(repeating: "A", count: 1 << 20)]
        for text in wrong {
            let failure = #expect(throws: Failure.self) {
                try box.open(text, context: "provider a")
            }
            #expect(failure?.code == .conflict)
        }
        for other in [box, SecretBox(folder: folder.path, key: Self.key)] {
            let failure = #expect(throws: Failure.self) {
                try other.open(sealed, context: "provider b")
            }
            #expect(failure?.message.contains("Set it again") == true)
        }
        #expect(throws: Failure.self) {
            try SecretBox(folder: folder.path, key: Self.key).open(sealed, context: "provider a")
        }
    }

    @Test("A key that the operator gives needs no file")
    func given() throws {
        let folder = try TemporaryFolder()
        let box = SecretBox(folder: folder.path, key: Self.key)
        #expect(try box.open(box.seal("secret", context: "a"), context: "a") == "secret")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        for text in ["", "0f", Self.key + "0", String(repeating: "zz", count: 32)] {
            #expect(!SecretBox.isKey(text))
        }
        #expect(SecretBox.isKey(Self.key.uppercased()))
    }

    @Test("A master key that is gone, damaged or open to others is named, and never replaced")
    func keyFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/master.key"
        let box = SecretBox(folder: folder.path)
        let sealed = try box.seal("secret", context: "a")
        let key = try Data(contentsOf: URL(fileURLWithPath: path))

        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        for work in [{ try box.open(sealed, context: "a") }, { try box.seal("b", context: "a") }] {
            let failure = #expect(throws: Failure.self) { _ = try work() }
            #expect(failure?.message.contains("chmod 600") == true)
        }
        for content in ["", "nonsense", String(repeating: "0", count: 63)] {
            try PrivateFile.write(Array(content.utf8), to: path)
            let failure = #expect(throws: Failure.self) { _ = try box.seal("b", context: "a") }
            #expect(failure?.code == .unavailable)
        }
        try FileManager.default.removeItem(atPath: path)
        let failure = #expect(throws: Failure.self) { try box.open(sealed, context: "a") }
        #expect(failure?.message.contains("inference.master_key") == true)
        try PrivateFile.write(Array(key), to: path)
        #expect(try box.open(sealed, context: "a") == "secret")
        #expect(throws: Failure.self) {
            try PrivateFile.write([1], to: path, replacing: false)
        }
        #expect(try box.open(sealed, context: "a") == "secret")
    }
}
