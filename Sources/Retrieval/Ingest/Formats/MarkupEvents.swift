import CXML
import Core

/// Reads HTML or XML and tells what it holds in order. Every opening has its closing.
struct MarkupEvents {
    enum Language { case html, xml }

    /// False ends the reading.
    let open: (_ name: String, _ attributes: [String: String]) -> Bool
    let close: (_ name: String) -> Void
    let text: (String) -> Void

    /// Throws `invalid` for XML that is not well-formed, and for a tag no parser reads in good time.
    func read(_ bytes: [UInt8], as language: Language, _ budget: ReadingBudget) throws {
        guard !Self.hasSwollenTag(bytes) else {
            throw Failure(
                .invalid,
                "A tag has more than \(Self.attributesMax) attributes. Save the file in a simpler form."
            )
        }
        let audience = Audience(self, budget)
        let status = bytes.withUnsafeBytes { bytes in
            let characters = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            let count = Int32(clamping: bytes.count)
            let context = Unmanaged.passUnretained(audience).toOpaque()
            return switch language {
            case .html: cxml_read_html(characters, count, Self.callbacks, context)
            case .xml: cxml_read_xml(characters, count, Self.callbacks, context)
            }
        }
        try budget.checkTime()
        guard status >= 0 else { throw Failure(.unavailable, "Memory is short; try again later.") }
        guard status == 0 else {
            throw Failure(
                .invalid,
                "The file is damaged, or nested too deeply: its XML is not well-formed."
                    + " Save it again.")
        }
    }

    /// Identity for the C callbacks; it also looks at the clock.
    private final class Audience {
        let events: MarkupEvents
        private let budget: ReadingBudget
        private var count = 0

        init(_ events: MarkupEvents, _ budget: ReadingBudget) {
            self.events = events
            self.budget = budget
        }

        func opened(_ name: String, _ attributes: [String: String]) -> Bool {
            count += 1
            if count.isMultiple(of: 4096), budget.timeLeft <= .zero { return false }
            return events.open(name, attributes)
        }

        static func at(_ context: UnsafeMutableRawPointer) -> Audience {
            Unmanaged<Audience>.fromOpaque(context).takeUnretainedValue()
        }
    }

    private static let callbacks = cxml_reader(
        open: { context, name, attributes in
            guard let context, let name else { return 0 }
            let isGoingOn = Audience.at(context).opened(
                String(cString: name), dictionary(attributes))
            return isGoingOn ? 0 : 1
        },
        close: { context, name in
            guard let context, let name else { return }
            Audience.at(context).events.close(String(cString: name))
        },
        text: { context, bytes, length in
            guard let context, let bytes, length > 0 else { return }
            let text = UnsafeRawBufferPointer(start: bytes, count: Int(length))
            Audience.at(context).events.text(String(decoding: text, as: UTF8.self))
        })

    private static func dictionary(
        _ attributes: UnsafePointer<UnsafePointer<CChar>?>?
    ) -> [String: String] {
        var result: [String: String] = [:]
        var place = 0
        while let attributes, let name = attributes[place] {
            result[String(cString: name)] = attributes[place + 1].map { String(cString: $0) } ?? ""
            place += 2
        }
        return result
    }

    /// libxml2 compares each attribute of a tag with all before it: 200,000 of them took 42 s.
    private static let attributesMax = 5000

    /// By what a tag is to a parser, and, should a file make us take for quoted what is not, by what
    /// stands between two brackets at all.
    private static func hasSwollenTag(_ bytes: [UInt8]) -> Bool {
        var scanner = TagScanner(bytes)
        return scanner.gapsMax(stopsPast: attributesMax) > attributesMax
            || TagScanner.gapsMax(ignoringQuotes: bytes) > 4 * attributesMax
    }
}

/// XML as the readers of office files want it.
extension MarkupEvents {
    /// Reads XML and tells elements by their names without prefixes (attributes keep theirs), leaving
    /// out those named in `skipping` with all they hold. What a closure throws ends the reading.
    static func readXML(
        _ bytes: [UInt8], skipping: Set<String> = [], _ budget: ReadingBudget,
        open: @escaping (_ name: String, _ attributes: [String: String]) throws -> Void,
        close: @escaping (_ name: String) throws -> Void = { _ in },
        text: @escaping (String) -> Void = { _ in }
    ) throws {
        var skipped = 0
        var failure: (any Error)?
        let events = MarkupEvents(
            open: { name, attributes in
                let name = local(name)
                if skipped > 0 || skipping.contains(name) {
                    skipped += 1
                } else if failure == nil {
                    do { try open(name, attributes) } catch { failure = error }
                }
                return failure == nil
            },
            close: { name in
                if skipped > 0 {
                    skipped -= 1
                } else if failure == nil {
                    do { try close(local(name)) } catch { failure = error }
                }
            },
            text: { if skipped == 0, failure == nil { text($0) } })
        do {
            try events.read(bytes, as: .xml, budget)
        } catch {
            throw failure ?? error
        }
        if let failure { throw failure }
    }

    private static func local(_ name: String) -> String {
        name.firstIndex(of: ":").map { String(name[name.index(after: $0)...]) } ?? name
    }
}
