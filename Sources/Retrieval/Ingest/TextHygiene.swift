/// What is taken out of every text before it is indexed or searched: characters nobody sees, which
/// hide instructions from people and words from the index.
enum TextHygiene {
    /// The text with line ends made one, and without control, bidirectional, zero-width, variation,
    /// tag and private-use characters.
    static func clean(_ text: String) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(text.utf8.count)
        var previous: Unicode.Scalar = " "
        for scalar in text.unicodeScalars {
            defer { previous = scalar }
            switch scalar.value {
            case 0x20..<0x7F, 0x09: result.append(scalar)
            case 0x0A where previous == "\r": break
            case 0x0A, 0x0D, 0x0B, 0x0C, 0x85, 0x2028, 0x2029: result.append("\n")
            default: if isVisible(scalar) { result.append(scalar) }
            }
        }
        return result
    }

    /// The same for a short string such as a name or a question, on one line.
    static func cleanLine(_ text: String) -> String {
        var view = String.UnicodeScalarView()
        for scalar in clean(text) { view.append(scalar == "\n" || scalar == "\t" ? " " : scalar) }
        return String(view)
    }

    /// What is left of a text on one line, with one blank between its words.
    static func words(_ text: String) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(text.utf8.count)
        var isApart = false
        for scalar in clean(text) {
            let isBlank =
                scalar.isASCII ? scalar.value <= 0x20 : scalar.properties.isWhitespace
            if !isBlank {
                if isApart, !result.isEmpty { result.append(" ") }
                result.append(scalar)
            }
            isApart = isBlank
        }
        return result
    }

    private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0xA0 { return false }
        if blanks.contains(scalar) { return false }
        let properties = scalar.properties
        if properties.isDefaultIgnorableCodePoint || properties.isNoncharacterCodePoint {
            return false
        }
        switch properties.generalCategory {
        case .privateUse: return false
        // Signs that span the digits after them are the only format characters with a shape.
        case .format: return spanningSigns.contains(scalar)
        default: return true
        }
    }

    /// Invisible, and yet neither ignorable nor format characters: the empty Braille pattern, the
    /// place of an object that is not there, a note without a head, a filler.
    private static let blanks: Set<Unicode.Scalar> = [
        "\u{2800}", "\u{FFFC}", "\u{1D159}", "\u{16FE4}",
    ]

    private static let spanningSigns: Set<Unicode.Scalar> = [
        "\u{600}", "\u{601}", "\u{602}", "\u{603}", "\u{604}", "\u{605}", "\u{6DD}", "\u{70F}",
        "\u{890}", "\u{891}", "\u{8E2}", "\u{110BD}", "\u{110CD}",
    ]
}
