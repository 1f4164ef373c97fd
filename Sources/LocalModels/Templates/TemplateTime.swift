/// A moment of UTC as `strftime` writes it.
struct TemplateTime {
    private let year: Int
    private let month: Int
    private let day: Int
    private let dayOfYear: Int
    private let weekday: Int
    private let secondOfDay: Int

    init(secondsSince1970: Int64) {
        let seconds = Int(clamping: secondsSince1970)
        // Years outside of 0...9999 are nobody's clock.
        let clamped = min(max(seconds, -62_167_219_200), 253_402_300_799)
        let days = Int((Double(clamped) / 86_400).rounded(.down))
        secondOfDay = clamped - days * 86_400
        weekday = ((days + 4) % 7 + 7) % 7
        // Days to a date, after Howard Hinnant's "chrono-compatible low-level date algorithms":
        // years of 365.2425 days that begin in March.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayFromMarch = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayFromMarch + 2) / 153
        day = dayFromMarch - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]
        dayOfYear = before[month - 1] + day + (isLeap && month > 2 ? 1 : 0)
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ]
    private static let weekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]

    /// Throws `unsupported` for a directive that is none of the common ones.
    func text(_ format: String) throws(TemplateError) -> String {
        var result = ""
        var rest = format[...]
        while let character = rest.popFirst() {
            guard character == "%" else {
                result.append(character)
                continue
            }
            var directive = rest.popFirst() ?? "%"
            let isPadded = directive != "-"
            if !isPadded { directive = rest.popFirst() ?? "%" }
            result += try text(directive, isPadded: isPadded)
        }
        return result
    }

    private func text(_ directive: Character, isPadded: Bool) throws(TemplateError) -> String {
        func number(_ value: Int, _ width: Int = 2) -> String {
            let text = String(value)
            guard isPadded, text.count < width else { return text }
            return String(repeating: "0", count: width - text.count) + text
        }
        let hour = secondOfDay / 3600
        switch directive {
        case "Y": return number(year, 4)
        case "y": return number(year % 100)
        case "m": return number(month)
        case "d": return number(day)
        case "e": return day < 10 ? " \(day)" : "\(day)"
        case "B": return Self.months[month - 1]
        case "b", "h": return String(Self.months[month - 1].prefix(3))
        case "A": return Self.weekdays[weekday]
        case "a": return String(Self.weekdays[weekday].prefix(3))
        case "H": return number(hour)
        case "I": return number((hour + 11) % 12 + 1)
        case "M": return number(secondOfDay / 60 % 60)
        case "S": return number(secondOfDay % 60)
        case "p": return hour < 12 ? "AM" : "PM"
        case "j": return number(dayOfYear, 3)
        case "w": return "\(weekday)"
        case "u": return "\((weekday + 6) % 7 + 1)"
        case "F": return try text("%Y-%m-%d")
        case "T": return try text("%H:%M:%S")
        case "D": return try text("%m/%d/%y")
        case "Z": return ""
        case "z": return ""
        case "%": return "%"
        default:
            throw TemplateError(.unsupported, "the time format `%\(directive)` is not supported")
        }
    }
}
