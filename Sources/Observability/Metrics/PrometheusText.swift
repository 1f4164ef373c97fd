/// The text exposition format of Prometheus, version 0.0.4.
struct PrometheusText {
    enum FamilyType: String { case counter, gauge, histogram }

    private(set) var text = ""
    private var name = ""

    /// Begins a family; samples follow it.
    mutating func family(_ name: String, _ type: FamilyType, help: String) {
        self.name = name
        let help = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type.rawValue)\n"
    }

    mutating func sample(_ value: Double, _ labels: Labels = Labels([])) {
        line("", labels.text, value)
    }

    mutating func histogram(_ cell: HistogramCell, _ labels: Labels) {
        let snapshot = cell.snapshot
        var count = 0
        for (place, bound) in (cell.bounds + [.infinity]).enumerated() {
            count += snapshot.counts[place]
            let separator = labels.text.isEmpty ? "" : ","
            line("_bucket", "\(labels.text)\(separator)le=\"\(Self.number(bound))\"", Double(count))
        }
        line("_sum", labels.text, snapshot.sum)
        line("_count", labels.text, Double(count))
    }

    private mutating func line(_ suffix: String, _ labels: String, _ value: Double) {
        text += name + suffix
        if !labels.isEmpty { text += "{\(labels)}" }
        text += " \(Self.number(value))\n"
    }

    private static func number(_ value: Double) -> String {
        if value == .infinity { return "+Inf" }
        if value == -.infinity { return "-Inf" }
        if value.isNaN { return "NaN" }
        return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }

    /// A metric's name with `_` for what the format does not allow: `gen_ai_client_token_usage`.
    static func name(_ label: String) -> String { identifier(label, allowed: "_:") }

    private static func identifier(_ text: String, allowed: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars.prefix(nameMax) {
            let isLetter = ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
            let isDigit = ("0"..."9").contains(scalar)
            if isDigit, name.isEmpty { name = "_" }
            name.unicodeScalars.append(
                isLetter || isDigit || allowed.unicodeScalars.contains(scalar) ? scalar : "_")
        }
        return name.isEmpty ? "_" : name
    }

    private static let nameMax = 200

    /// The labels of a series, ready to be written.
    struct Labels: Hashable {
        let text: String

        static let overflow = Labels([("overflow", "true")])

        /// Names are made fit, and what is left of two that became the same is joined by `;`.
        init(_ dimensions: [(String, String)]) {
            var values: [String: String] = [:]
            for (key, value) in dimensions.prefix(Self.labelsMax) {
                let name = Self.name(key)
                let value = clipped(value, to: Self.valueBytesMax)
                values[name] = values[name].map { $0 + ";" + value } ?? value
            }
            text = values.sorted { $0.key < $1.key }
                .map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        }

        /// `le` is the histogram's own, and two underscores in front are the server's.
        private static func name(_ key: String) -> String {
            let name = identifier(key, allowed: "_")
            return name == "le" || name.hasPrefix("__") ? "label_" + name : name
        }

        private static func escaped(_ value: String) -> String {
            value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
                .replacing("\n", with: "\\n")
        }

        private static let labelsMax = 16
        private static let valueBytesMax = 256
    }
}
