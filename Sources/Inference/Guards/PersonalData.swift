/// Values about persons in a text, found by their form and, where the form has one, its check digit.
/// Everything is looked for within a bounded length, so a text of any kind takes time that grows with
/// its length.
enum PersonalData {
    /// In the order that decides where two begin at the same place.
    enum Kind: String, CaseIterable, Sendable {
        case iban, card, email, ssn, ip, phone
    }

    struct Finding: Hashable {
        let kind: Kind
        let range: Range<Int>
    }

    /// What is in these bytes of UTF-8, in order, never two in the same place. All that is found is
    /// ASCII without quotes and backslashes, and so the same in JSON.
    static func find(_ kinds: Set<Kind>, in bytes: [UInt8]) -> [Finding] {
        let kinds = Kind.allCases.filter(kinds.contains)
        var findings: [Finding] = []
        var place = 0
        while place < bytes.count {
            let isStart = place == 0 || !isWord(bytes[place - 1]) || !isWord(bytes[place])
            guard isStart, mayBegin(bytes[place]),
                let found = first(kinds, bytes, place)
            else {
                place += 1
                continue
            }
            findings.append(found)
            place = found.range.upperBound
        }
        return findings
    }

    private static func first(_ kinds: [Kind], _ bytes: [UInt8], _ start: Int) -> Finding? {
        for kind in kinds {
            let end: Int? =
                switch kind {
                case .iban: iban(bytes, start)
                case .card: card(bytes, start)
                case .email: email(bytes, start)
                case .ssn: ssn(bytes, start)
                case .ip: address(bytes, start)
                case .phone: phone(bytes, start)
                }
            if let end { return Finding(kind: kind, range: start..<end) }
        }
        return nil
    }

    // MARK: By kind

    private static func email(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard start == 0 || !isLocalPart(bytes[start - 1]) else { return nil }
        let localEnd = run(bytes, start, 64, isLocalPart)
        guard localEnd > start, localEnd < bytes.count, bytes[localEnd] == UInt8(ascii: "@") else {
            return nil
        }
        var end = run(bytes, localEnd + 1, 253) { isAlphanumeric($0) || $0 == dash || $0 == dot }
        while end > localEnd + 1, bytes[end - 1] == dot || bytes[end - 1] == dash { end -= 1 }
        let labels = bytes[(localEnd + 1)..<end].split(
            separator: dot, omittingEmptySubsequences: false)
        guard labels.count > 1, labels.allSatisfy({ !$0.isEmpty }), let top = labels.last,
            top.count > 1, top.allSatisfy(isLetter)
        else { return nil }
        return end
    }

    private static func card(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard let (digits, end) = grouped(bytes, start, digitsMax: 19, separators: [space, dash]),
            (13...19).contains(digits.count), isLuhn(digits), digits.contains(where: { $0 != 0 })
        else { return nil }
        return end
    }

    private static func iban(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard start + 4 < bytes.count, isLetter(bytes[start]), isLetter(bytes[start + 1]),
            isDigit(bytes[start + 2]), isDigit(bytes[start + 3]),
            let length = ibanLengths[
                String(decoding: bytes[start..<(start + 2)], as: UTF8.self)
                    .uppercased()]
        else { return nil }
        var letters: [UInt8] = []
        var end = start
        while end < bytes.count, letters.count < length {
            if isAlphanumeric(bytes[end]) {
                letters.append(bytes[end] | (isLetter(bytes[end]) ? 0x20 : 0))
            } else if bytes[end] != space || bytes[end - 1] == space {
                return nil
            }
            end += 1
        }
        guard letters.count == length, end == bytes.count || !isWord(bytes[end]) else { return nil }
        var remainder = 0
        for letter in letters[4...] + letters[..<4] {
            let value = isDigit(letter) ? Int(letter - 0x30) : Int(letter - 0x61) + 10
            remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
        }
        return remainder == 1 ? end : nil
    }

    private static func ssn(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard let (digits, end) = grouped(bytes, start, digitsMax: 9, separators: [space, dash]),
            digits.count == 9, end - start == 11, !isDigit(bytes[start + 3]),
            bytes[start + 3] == bytes[start + 6]
        else { return nil }
        let numbers = [digits[0..<3], digits[3..<5], digits[5..<9]].map { part in
            part.reduce(0) { $0 * 10 + Int($1) }
        }
        guard numbers[0] != 666, (1..<900).contains(numbers[0]), numbers[1] > 0, numbers[2] > 0
        else { return nil }
        return end
    }

    private static func address(_ bytes: [UInt8], _ start: Int) -> Int? {
        guard start == 0 || bytes[start - 1] != dot && bytes[start - 1] != colon else { return nil }
        var end = run(bytes, start, 16) { isDigit($0) || $0 == dot }
        while end > start, bytes[end - 1] == dot { end -= 1 }
        if end == bytes.count || !isWord(bytes[end]), isAddress4(bytes[start..<end]) { return end }
        end = run(bytes, start, 45) { isHexadecimal($0) || $0 == colon }
        guard end == bytes.count || !isWord(bytes[end]) else { return nil }
        // A sentence may go on with a colon; an address ends with two or none.
        if end > start + 1, bytes[end - 1] == colon, bytes[end - 2] != colon { end -= 1 }
        return isAddress6(bytes[start..<end]) ? end : nil
    }

    private static func isAddress4(_ text: ArraySlice<UInt8>) -> Bool {
        let parts = text.split(separator: dot, omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.count) && part.allSatisfy(isDigit)
                    && part.reduce(0) { $0 * 10 + Int($1 - 0x30) } < 256
            }
    }

    private static func isAddress6(_ text: ArraySlice<UInt8>) -> Bool {
        let parts = text.split(separator: colon, omittingEmptySubsequences: false)
        guard (3...9).contains(parts.count), text.contains(where: isDigit),
            parts.allSatisfy({ $0.count <= 4 })
        else { return false }
        let empty = parts.indices.filter { parts[$0].isEmpty }
        if empty.isEmpty { return parts.count == 8 }
        // `::` once, at the beginning, the end, or between.
        let inner = empty.filter { $0 != 0 && $0 != parts.count - 1 }
        guard inner.count == 1 else { return false }
        let opensWell = !parts[0].isEmpty || parts[1].isEmpty
        let last = parts[parts.count - 1]
        return opensWell && (!last.isEmpty || parts[parts.count - 2].isEmpty)
    }

    /// With its country's number, or as numbers at home are written: with a trunk zero, or in the
    /// groups of North America. Bare runs of digits are more often something else.
    private static func phone(_ bytes: [UInt8], _ start: Int) -> Int? {
        let isForeign = bytes[start] == plus
        guard start == 0 || !isWord(bytes[start - 1]) && bytes[start - 1] != dash,
            // Not the rest of a longer number.
            start < 2 || bytes[start - 1] != space || !isDigit(bytes[start - 2]),
            let (digits, end) = grouped(
                bytes, start + (isForeign ? 1 : 0), digitsMax: 15,
                separators: [space, dash, dot, slash, opening, closing])
        else { return nil }
        let text = bytes[start..<end]
        if isForeign { return (8...15).contains(digits.count) ? end : nil }
        let groups = text.split { !isDigit($0) }.map(\.count)
        if digits[0] == 0 { return (9...12).contains(digits.count) && groups.count > 1 ? end : nil }
        return groups == [3, 3, 4] || groups == [1, 3, 3, 4] && digits[0] == 1 ? end : nil
    }

    // MARK: Pieces

    /// Digits with at most two separators between two of them; nil where a word goes on after them.
    private static func grouped(
        _ bytes: [UInt8], _ start: Int, digitsMax: Int, separators: Set<UInt8>
    ) -> (digits: [UInt8], end: Int)? {
        var digits: [UInt8] = []
        var place = start
        var end = start
        while place < bytes.count, place - end <= 2, digits.count <= digitsMax {
            if isDigit(bytes[place]) {
                digits.append(bytes[place] - 0x30)
                end = place + 1
            } else if !separators.contains(bytes[place]) {
                break
            }
            place += 1
        }
        guard !digits.isEmpty, digits.count <= digitsMax,
            end == bytes.count || !isWord(bytes[end])
        else { return nil }
        return (digits, end)
    }

    private static func isLuhn(_ digits: [UInt8]) -> Bool {
        let sum = digits.reversed().enumerated().reduce(0) { sum, digit in
            let value = Int(digit.element) * (digit.offset % 2 == 1 ? 2 : 1)
            return sum + (value > 9 ? value - 9 : value)
        }
        return sum % 10 == 0
    }

    private static func run(
        _ bytes: [UInt8], _ start: Int, _ lengthMax: Int, _ isPart: (UInt8) -> Bool
    ) -> Int {
        var end = start
        while end < bytes.count, end - start <= lengthMax, isPart(bytes[end]) { end += 1 }
        return end
    }

    private static func mayBegin(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == plus || byte == opening || byte == colon
            || isLocalPart(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || isLetter(byte) }
    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x61...0x66).contains(byte | 0x20)
    }
    private static func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == 0x5F }
    private static func isLocalPart(_ byte: UInt8) -> Bool {
        isWord(byte) || byte == dot || byte == dash || byte == plus || byte == UInt8(ascii: "%")
    }

    private static let space = UInt8(ascii: " ")
    private static let dash = UInt8(ascii: "-")
    private static let dot = UInt8(ascii: ".")
    private static let plus = UInt8(ascii: "+")
    private static let slash = UInt8(ascii: "/")
    private static let colon = UInt8(ascii: ":")
    private static let opening = UInt8(ascii: "(")
    private static let closing = UInt8(ascii: ")")

    private static let ibanLengths: [String: Int] = {
        let table =
            "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18"
            + " DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23"
            + " IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19"
            + " MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24"
            + " SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
        let rows = table.split(separator: " ").map { row in
            (String(row.prefix(2)), Int(row.dropFirst(2)) ?? 0)
        }
        return Dictionary(rows, uniquingKeysWith: { $1 })
    }()
}
