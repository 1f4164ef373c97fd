// Decimals are read digit by digit: no amount of money ever goes through floating point.

extension Picodollars {
    /// The amount in text such as `2.50`; nil unless it is a plain decimal that 64 bits hold exactly.
    package init?(dollars text: String) {
        self.init(scaling: text, decimals: 12)
    }

    /// `text` times ten to the power of `decimals`, if that is a whole number that 64 bits hold. Takes
    /// what JSON takes as a number, exponents included, and nothing else.
    package init?(scaling text: String, decimals: Int) {
        guard let amount = scaled(text, decimals: decimals) else { return nil }
        self.init(amount)
    }
}

private func scaled(_ text: String, decimals: Int) -> Int64? {
    var bytes = text.utf8[...]
    let isNegative = bytes.first == UInt8(ascii: "-")
    if isNegative { bytes.removeFirst() }
    let mantissa = bytes.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }
    guard let exponent = exponent(bytes.dropFirst(mantissa.count)) else { return nil }
    let parts = mantissa.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.count <= digitsMax })
    else { return nil }
    let fraction = parts.dropFirst().first ?? Substring().utf8
    var digits = Array(parts[0]) + Array(fraction)
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
        return nil
    }
    // Zeros at the end are moved into the shift, so that 0.750000000 has two places, not nine.
    var shift = decimals + exponent - fraction.count
    while shift < 0, digits.last == UInt8(ascii: "0") {
        digits.removeLast()
        shift += 1
    }
    if digits.isEmpty { return 0 }
    guard shift >= 0 else { return nil }
    digits += Array(repeating: UInt8(ascii: "0"), count: min(shift, digitsMax))
    return Int64((isNegative ? "-" : "") + String(decoding: digits, as: UTF8.self))
}

/// The exponent in `e-7`; zero for no text at all.
private func exponent(_ bytes: Substring.UTF8View.SubSequence) -> Int? {
    guard !bytes.isEmpty else { return 0 }
    guard bytes.count <= 4, let value = Int(String(Substring(bytes.dropFirst()))) else {
        return nil
    }
    return value
}

// More digits than any price has, and few enough that a hostile file costs nothing.
private let digitsMax = 40
