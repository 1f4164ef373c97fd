import Testing

@testable import Orchestration

@Suite struct MarkFilterTests {
    private static let rows: [(written: String, shown: String, marked: String)] = [
        ("At nine [1].", "At nine.", "At nine [1]."),
        ("At nine [1, 2]. So.", "At nine. So.", "At nine [1][2]. So."),
        // A passage that is not there is not cited.
        ("At nine [9].", "At nine.", "At nine."),
        ("At [1, 9] nine.", "At nine.", "At [1] nine."),
        ("A [link](x) and [1](x).", "A [link](x) and [1](x).", "A [link](x) and [1](x)."),
        ("In `a[1]` code [2].", "In `a[1]` code.", "In `a[1]` code [2]."),
        ("Open [", "Open [", "Open ["), ("Ends [2]", "Ends", "Ends [2]"),
        ("[] [a] [12345678901234567890123456789]", "[] [a] [12345678901234567890123456789]", ""),
        ("Two  spaces  [1]  here", "Two  spaces  here", ""), ("", "", ""),
        ("[[1]]", "[]", ""), ("Ünï 🚢 [2] über", "Ünï 🚢 über", "Ünï 🚢 [2] über"),
    ]

    @Test("Marks are taken out however the text comes in pieces", arguments: rows)
    func filtered(row: (written: String, shown: String, marked: String)) {
        for size in [1, 2, 3, 1000] {
            var filter = MarkFilter(count: 2)
            var shown = ""
            var rest = row.written[...]
            while !rest.isEmpty {
                shown += filter.add(String(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            shown += filter.finish()
            #expect(shown == row.shown, "in pieces of \(size)")
            if !row.marked.isEmpty { #expect(filter.marked == row.marked) }
            #expect(
                filter.shownOffset(of: filter.marked.unicodeScalars.count)
                    == shown.unicodeScalars.count)
        }
    }

    @Test("A place in the text with marks is found in the one without")
    func offsets() {
        var filter = MarkFilter(count: 2)
        let shown = filter.add("One [1]. Two [2]. ") + filter.finish()
        #expect(shown == "One. Two. ")
        let marked = filter.marked
        for word in ["One", "Two"] {
            guard let there = marked.firstRange(of: word), let here = shown.firstRange(of: word)
            else { continue }
            let offset = marked.unicodeScalars.distance(
                from: marked.startIndex, to: there.upperBound)
            #expect(
                filter.shownOffset(of: offset)
                    == shown.unicodeScalars.distance(from: shown.startIndex, to: here.upperBound))
        }
    }
}
