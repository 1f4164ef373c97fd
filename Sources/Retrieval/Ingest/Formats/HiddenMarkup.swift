/// Whether an element of a page is there for machines only: hidden, without a size, off the screen,
/// or in the colour of its ground. What a style sheet hides is not known here.
enum HiddenMarkup {
    static func isHidden(_ name: String, _ attributes: [String: String]) -> Bool {
        if attributes["hidden"] != nil { return true }
        if name == "dialog", attributes["open"] == nil { return true }
        return attributes["style"].map { hides(declarations($0)) } ?? false
    }

    /// Properties and values in lower case without white space.
    private static func declarations(_ style: String) -> [String: String] {
        var values: [String: String] = [:]
        for rule in style.lowercased().split(separator: ";").prefix(200) {
            let parts = rule.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = parts[1].filter { !$0.isWhitespace }
            values[parts[0].filter { !$0.isWhitespace }] =
                value.hasSuffix("!important") ? String(value.dropLast(10)) : value
        }
        return values
    }

    private static func hides(_ style: [String: String]) -> Bool {
        if style["display"] == "none" || style["content-visibility"] == "hidden" { return true }
        if ["hidden", "collapse"].contains(style["visibility"] ?? "") { return true }
        if let opacity = style["opacity"].flatMap(Double.init), opacity < 0.05 { return true }
        if let size = style["font-size"].flatMap(pixels), size <= 1 { return true }
        return isEmpty(style) || isOffScreen(style) || isUnreadable(style)
    }

    private static func isEmpty(_ style: [String: String]) -> Bool {
        let isCut = style["overflow"] == "hidden" || style["overflow"] == "clip"
        let sides = [style["width"], style["height"], style["max-width"], style["max-height"]]
        if isCut, sides.contains(where: { $0.flatMap(pixels).map { $0 <= 1 } ?? false }) {
            return true
        }
        let clip = (style["clip"] ?? "") + (style["clip-path"] ?? "")
        return clip.hasPrefix("rect(0") || clip.hasPrefix("inset(100%")
            || clip.hasPrefix("inset(50%")
            || clip.hasPrefix("circle(0") || style["transform"] == "scale(0)"
    }

    /// Further away than any screen is wide.
    private static func isOffScreen(_ style: [String: String]) -> Bool {
        if let indent = style["text-indent"].flatMap(pixels), indent <= -500 { return true }
        guard ["absolute", "fixed"].contains(style["position"] ?? "") else { return false }
        return ["left", "top", "right", "bottom"].contains {
            style[$0].flatMap(pixels).map { abs($0) >= 5000 || $0 <= -900 } ?? false
        }
    }

    private static func isUnreadable(_ style: [String: String]) -> Bool {
        guard let color = style["color"] else { return false }
        if color == "transparent" || color.hasSuffix(",0)") && color.hasPrefix("rgba(") {
            return true
        }
        let ground = style["background-color"] ?? style["background"]
        // Without a ground of its own its ground is not known: white may stand on black.
        guard let ground else { return false }
        return ground == color || isWhite(color) && isWhite(ground)
    }

    private static func isWhite(_ color: String) -> Bool {
        ["white", "#fff", "#ffffff", "rgb(255,255,255)"].contains(color)
    }

    /// A length in pixels, as near as it has to be; nil for what is relative to something else.
    private static func pixels(_ length: String) -> Double? {
        let number = length.prefix { $0.isNumber || "+-.".contains($0) }
        guard let value = Double(number) else { return nil }
        switch length.dropFirst(number.count) {
        case "", "px", "pt": return value
        case "em", "rem": return value * 16
        default: return value == 0 ? 0 : nil
        }
    }
}
