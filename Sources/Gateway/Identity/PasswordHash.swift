import COpenSSL
import Core
import Foundation

/// A password as it is kept: `scrypt$15$8$3$SALT$KEY`, with the base-2 logarithm of N, then r and p,
/// so that costs can rise later and old hashes still verify.
struct PasswordHash: Equatable {
    struct Cost: Equatable {
        let logN: Int
        let r: Int
        let p: Int

        /// One of the equal settings of OWASP's password storage cheat sheet: 32 MiB, about 0.3 s.
        static let standard = Cost(logN: 15, r: 8, p: 3)
        /// What a stored string may ask for; more would be a way to exhaust the machine.
        static let logNMax = 17
        static let factorMax = 16

        var isAllowed: Bool {
            (1...Self.logNMax).contains(logN) && (1...Self.factorMax).contains(r)
                && (1...Self.factorMax).contains(p)
        }

        /// What RFC 7914 needs, with room for what libcrypto rounds up.
        var memoryBytes: UInt64 {
            let n = UInt64(1) << UInt64(logN)
            return 128 * UInt64(r) * (n + UInt64(p) + 2) + 1 << 20
        }
    }

    static let saltBytes = 16
    static let keyBytes = 32

    let cost: Cost
    let salt: [UInt8]
    let key: [UInt8]

    /// Hashes a password with a salt of its own. Takes long on purpose; see `PasswordWorker`.
    init(of password: String, cost: Cost) throws {
        self.cost = cost
        salt = try Secret.random(Self.saltBytes)
        key = try Self.derive(password, salt: salt, cost: cost)
    }

    /// A hash that no password has, for a check that has to fail and to take as long as any.
    static func decoy(cost: Cost) throws -> PasswordHash {
        PasswordHash(
            cost: cost, salt: try Secret.random(saltBytes), key: try Secret.random(keyBytes))
    }

    private init(cost: Cost, salt: [UInt8], key: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    init?(stored: String) {
        let parts = stored.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 6, parts[0] == "scrypt", let logN = Int(parts[1]),
            let r = Int(parts[2]), let p = Int(parts[3]),
            let salt = Secret.bytes(base64URL: parts[4]),
            let key = Secret.bytes(base64URL: parts[5]), key.count == Self.keyBytes
        else { return nil }
        let cost = Cost(logN: logN, r: r, p: p)
        guard cost.isAllowed else { return nil }
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    var stored: String {
        "scrypt$\(cost.logN)$\(cost.r)$\(cost.p)$\(Secret.base64URL(salt))"
            + "$\(Secret.base64URL(key))"
    }

    /// Takes as long as hashing did.
    func matches(_ password: String) throws -> Bool {
        Secret.isEqual(try Self.derive(password, salt: salt, cost: cost), key)
    }

    private static func derive(_ password: String, salt: [UInt8], cost: Cost) throws -> [UInt8] {
        // The same word typed on a Mac and on Windows may be composed differently.
        let password = Array(password.precomposedStringWithCanonicalMapping.utf8)
        var key = [UInt8](repeating: 0, count: keyBytes)
        let isDone = heptad_scrypt(
            password, password.count, salt, salt.count, UInt64(1) << UInt64(cost.logN),
            UInt64(cost.r), UInt64(cost.p), cost.memoryBytes, &key, key.count)
        guard isDone == 1 else {
            throw Failure(.unavailable, "There is not enough memory to check a password.")
        }
        return key
    }
}
