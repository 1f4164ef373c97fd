import Core
import Foundation

/// Who answers for a conversation, the same each time without anything being remembered: each
/// candidate draws a number from a hash of the conversation and its own name, and the smallest in
/// proportion to the weight comes first (weighted rendezvous hashing). A candidate that is added or
/// taken away moves only the conversations that were, or now are, its own.
struct StickyHash: Sendable {
    let key: String

    /// A conversation is known by its identifier. One that an API's client sends whole each time is
    /// known by whose it is and how it began.
    init(_ request: ChatRequest) {
        if let id = request.conversationID {
            key = "c:\(id)"
        } else {
            let first = request.messages.first { $0.role == .user }?.text ?? ""
            key = "u:\(request.principal.userID):\(first.prefix(2000))"
        }
    }

    init(key: String) { self.key = key }

    /// The places of the names, the one to ask first in front; those of weight 0 come last.
    func order(of names: [String], weights: [Double]) -> [Int] {
        let draws = names.enumerated().map { place, name in
            let weight = place < weights.count ? weights[place] : 0
            guard weight > 0 else { return (place, Double.infinity) }
            return (place, -log(share(of: name)) / weight)
        }
        return draws.sorted { ($0.1, $0.0) < ($1.1, $1.0) }.map(\.0)
    }

    /// Above 0 and below 1.
    private func share(of name: String) -> Double {
        // FNV-1a, and SplitMix64's last steps to spread it over all bits.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(key)\u{0}\(name)".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        hash ^= hash >> 31
        return (Double(hash >> 11) + 0.5) / Double(UInt64(1) << 53)
    }
}
