import Testing

@testable import Appliance

@Suite struct ModelsTextTests {
    @Test(
        "A download says how far it is, how fast, and how long it will take",
        arguments: [
            (
                0, Int?.some(2_000_000), Double?.none,
                "[........................]  0 %  0 B of 2.0 MB"
            ),
            (
                1_000_000, 2_000_000, 1000.0,
                "[############............]  50 %  1.0 MB of 2.0 MB  1.0 kB/s  16 min 40 s left"
            ),
            (
                2_000_000, 2_000_000, 5e6,
                "[########################]  100 %  2.0 MB of 2.0 MB  5.0 MB/s"
            ),
            (1_500_000, nil, 1e6, "1.5 MB  1.0 MB/s"),
            (1, .max, 1e-9, "[........................]  0 %  1 B of 9223372 TB"),
        ])
    func progress(bytes: Int, total: Int?, rate: Double?, line: String) {
        #expect(DownloadProgress.line(bytes, of: total, rate: rate) == line)
    }

    @Test("Columns are as wide as they need to be, and numbers stand to the right")
    func table() {
        var table = TextTable(headings: ["NAME", "N", "USE"])
        table.rows = [["a", "100", "x"], ["longer", "7", "yes, all of it"]]
        table.numbers = [1]
        #expect(
            table.lines == ["NAME      N  USE", "a       100  x", "longer    7  yes, all of it"])
    }

    @Test(
        "Counts are short",
        arguments: [(7, "7"), (1234, "1.2k"), (134_515_008, "135M"), (7_600_000_000, "7.6B")])
    func counts(count: Int, text: String) { #expect(shortCount(count) == text) }
}
