import Foundation
import Testing

@testable import OrderedJSON

@Suite struct JSONValueTests {
    @Test(
        "What is read is written again in the same order, numbers as they were",
        arguments: [
            #"{"z":1,"a":[true,false,null],"é":{"":"\"\\\n"}}"#, "-0.50e+10", "[]", "{}",
            "123456789012345678901234567890", #""🙂""#,
        ])
    func roundTrip(text: String) throws {
        let value = try JSONValue(parsing: text.utf8)
        #expect(value.text == text)
        let data = try JSONEncoder().encode([value])
        #expect(try JSONDecoder().decode([JSONValue].self, from: data).first?.text == text)
    }

    @Test("Escapes are read, half of a surrogate pair is a replacement")
    func escapes() throws {
        let value = try JSONValue(parsing: #" "\u00e9\ud83d\ude42\ud83dx\/\b\u0001" "#.utf8)
        #expect(value.string == "é🙂\u{FFFD}x/\u{8}\u{1}")
        #expect(value.text == #""é🙂�x/\u0008\u0001""#)
    }

    @Test(
        "What a string cannot hold is escaped wherever it stands, and nothing else is",
        arguments: ["\u{0}", "\u{1F}", "\"", "\\", "\n", "\u{7F}", "é", "\u{20}", "~", "\u{80}"])
    func places(character: String) throws {
        let isKept = ["é", " ", "~", "\u{80}"].contains(character)
        for (before, after) in (0..<20).flatMap({ before in (0..<20).map { (before, $0) } }) {
            let text =
                String(repeating: "a", count: before) + character
                + String(repeating: "b", count: after)
            let written = JSONValue.string(text).text
            #expect(try JSONValue(parsing: written.utf8).string == text)
            #expect((written == "\"\(text)\"") == isKept)
            #expect(written.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        }
    }

    @Test(
        "What is not JSON is refused",
        arguments: [
            "", " ", "{", "[1", "[1,]", "{,}", #"{"a"}"#, #"{"a":1,"a":2}"#, "01", "1.", "+1", ".5",
            "nul", "NaN", "'a'", #""a"#, "\"a\n\"", #""\x""#, #""\u12"#, "1 2", "[1]]", "tru\0",
            String(repeating: "[", count: 200),
        ])
    func refusals(text: String) {
        #expect(throws: JSONError.self) { try JSONValue(parsing: text.utf8) }
    }

    @Test("Bytes that are not UTF-8 are refused")
    func bytes() {
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test("Objects are equal in any order, and hash alike")
    func equality() throws {
        let one = try JSONValue(parsing: #"{"a":1,"b":[2]}"#.utf8)
        let other = try JSONValue(parsing: #"{"b":[2],"a":1}"#.utf8)
        #expect(one == other && Set([one, other]).count == 1)
        #expect(try one != JSONValue(parsing: #"{"a":1,"b":[3]}"#.utf8))
    }

    @Test(
        "Numbers are those of the grammar, and keep their text",
        arguments: [
            ("0", true), ("-0", true), ("10", true), ("1.50", true), ("-1e9", true),
            ("1E+2", true), ("0.0e-0", true), ("00", false), ("01", false), ("-", false),
            ("1.", false), (".5", false), ("1e", false), ("1e+", false), ("+1", false),
            ("1x", false), ("0x1", false), ("NaN", false), ("١", false), ("1 2", false),
        ])
    func numbers(text: String, isOne: Bool) {
        #expect((try? JSONValue(parsing: text.utf8)) == (isOne ? .number(text) : nil))
    }

    @Test("A key twice is found in short objects and in long ones", arguments: [2, 12, 13, 40])
    func keysTwice(count: Int) throws {
        let members = (0..<count).map { "\"k\($0)\":\($0)" }
        let text = "{\(members.joined(separator: ","))}"
        #expect(try JSONValue(parsing: text.utf8).members?.count == count)
        for twice in [0, count - 1] {
            let text = "{\((members + ["\"k\(twice)\":0"]).joined(separator: ","))}"
            #expect(throws: JSONError.self) { try JSONValue(parsing: text.utf8) }
        }
    }

    @Test("Every character comes back from its text")
    func characters() throws {
        let text = String(
            String.UnicodeScalarView(
                (0...0x2FFF).compactMap { Unicode.Scalar($0) } + ["\u{1F600}", "\u{10FFFF}"]))
        #expect(try JSONValue(parsing: JSONValue.string(text).text.utf8) == .string(text))
    }
}
