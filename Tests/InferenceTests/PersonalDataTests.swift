import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

struct PersonalDataTests {
    private static let all = Set(PersonalData.Kind.allCases)

    @Test(
        "Values are found by their form and their check digits, and what only looks like them is not",
        arguments: [
            ("Write to alice@example.com.", "Write to [EMAIL_1]."),
            ("<a.b+c%d@mail.example.co.uk>", "<[EMAIL_1]>"),
            ("写信给alice@example.com吧", "写信给[EMAIL_1]吧"),
            ("a@b, @alice, alice@, x@y.z, a@b..com", "a@b, @alice, alice@, x@y.z, a@b..com"),
            ("4111 1111 1111 1111", "[CARD_1]"), ("4111-1111-1111-1111!", "[CARD_1]!"),
            ("378282246310005", "[CARD_1]"), ("4111 1111 1111 1112", "4111 1111 1111 1112"),
            ("0000 0000 0000 0000", "0000 0000 0000 0000"),
            ("DE89 3704 0044 0532 0130 00 is mine", "[IBAN_1] is mine"),
            ("gb82west12345698765432", "[IBAN_1]"),
            ("DE89 3704 0044 0532 0130 02", "DE89 3704 0044 0532 0130 02"),
            ("XX00 1234 5678", "XX00 1234 5678"),
            ("078-05-1120", "[SSN_1]"), ("666-05-1120, 978-05-1120", "666-05-1120, 978-05-1120"),
            ("at 192.168.0.17:8080", "at [IP_1]:8080"), ("256.1.1.1 v1.2.3", "256.1.1.1 v1.2.3"),
            ("1.2.3.4.5", "1.2.3.4.5"),
            ("2001:db8::8a2e:370:7334", "[IP_1]"), ("::1", "[IP_1]"),
            ("at 12:30:45, std::vector, a::b", "at 12:30:45, std::vector, a::b"),
            ("+49 30 1234567", "[PHONE_1]"), ("+1 (415) 555-2671", "[PHONE_1]"),
            ("(415) 555-2671", "[PHONE_1]"), ("030 1234567 8", "[PHONE_1]"),
            ("2026-11-24, 1234567890, 1 415 2", "2026-11-24, 1234567890, 1 415 2"),
            ("", ""), ("+", "+"), ("(((", "((("),
        ])
    func table(text: String, redacted: String) {
        var redaction = Redaction(Self.all)
        #expect(redaction.redact(text) == redacted)
        var restorer = PlaceholderRestorer(redaction.values)
        #expect(restorer.receive(redacted) + restorer.finish() == text)
    }

    @Test("Only what was asked for is taken out")
    func kinds() {
        var redaction = Redaction([.email])
        #expect(redaction.redact("a@b.de from 10.0.0.1") == "[EMAIL_1] from 10.0.0.1")
    }

    @Test("The same value has the same placeholder everywhere in a request")
    func stable() {
        var redaction = Redaction(Self.all)
        #expect(redaction.redact("a@b.de c@d.de a@b.de") == "[EMAIL_1] [EMAIL_2] [EMAIL_1]")
        #expect(redaction.redact("c@d.de e@f.de") == "[EMAIL_2] [EMAIL_3]")
    }

    @Test(
        "Everything a model reads is redacted, JSON stays JSON, and what users wrote stays theirs")
    func request() throws {
        var request = ChatRequest.hello()
        var call = ChatMessage(.assistant, "I write to a@b.de.")
        call.toolCalls = [
            ToolCall(
                id: "1", name: "send",
                arguments: #"{"to":"x\na@b.de","card":4111111111111111,"n":12}"#)
        ]
        var result = ChatMessage(.tool, "Sent to a@b.de")
        result.toolCallID = "1"
        request.messages = [
            ChatMessage(.system, "You are c@d.de."), ChatMessage(.user, "Is [EMAIL_1] a@b.de?"),
            call, result,
            ChatMessage(
                .user,
                [
                    .text("See a@b.de"), .image(ChatImage(.address("https://e.org/x.png"))),
                    .text("and c@d.de"),
                ]),
        ]
        request.tools = [
            ToolDefinition(
                name: "send", description: "As a@b.de",
                parameters: try JSONValue(parsing: #"{"enum":["a@b.de"]}"#.utf8))
        ]
        request.sampling.stop = ["a@b.de"]
        var redaction = Redaction(Self.all)
        let redacted = redaction.redact(request)
        #expect(
            redacted.messages.map(\.text) == [
                "You are [EMAIL_2].", "Is [EMAIL_1] [EMAIL_3]?", "I write to [EMAIL_3].",
                "Sent to [EMAIL_3]", "See [EMAIL_3]and [EMAIL_2]",
            ])
        #expect(redacted.messages[4].parts.count == 3)
        #expect(redacted.messages[3].toolCallID == "1")
        #expect(
            redacted.messages[2].toolCalls[0].arguments
                == #"{"to":"x\n[EMAIL_3]","card":"[CARD_1]","n":12}"#)
        #expect(redacted.tools[0].description == "As [EMAIL_3]")
        #expect(redacted.tools[0].parameters?.text == #"{"enum":["[EMAIL_3]"]}"#)
        #expect(redacted.sampling.stop == ["[EMAIL_3]"])
    }

    @Test("No bytes make it trap, and what is found never overlaps")
    func fuzz() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("aZ09 .-+()@:/%_[]DE4111 é".utf8) + [0, 0xFF]
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            var end = 0
            for finding in PersonalData.find(Self.all, in: bytes) {
                #expect(finding.range.lowerBound >= end && !finding.range.isEmpty)
                end = finding.range.upperBound
                #expect(bytes[finding.range].allSatisfy { $0 < 0x80 && $0 != 0x22 && $0 != 0x5C })
            }
            #expect(end <= bytes.count)
        }
    }
}

struct PlaceholderRestorerTests {
    private static let values = [
        "[EMAIL_1]": "alice@example.com", "[EMAIL_12]": "bob@example.com",
        "[CARD_1]": "4111 1111 1111 1111",
    ]
    private static let text =
        "[EMAIL_1], [EMAIL_12]é[[CARD_1]] [EMAIL_3] [EMAIL_ [x] [EMAIL_1[EMAIL_1] a[EMA"
    private static let restored =
        "alice@example.com, bob@example.comé[4111 1111 1111 1111] [EMAIL_3] [EMAIL_ [x]"
        + " [EMAIL_1alice@example.com a[EMA"

    private func restore(_ pieces: [String]) -> String {
        var restorer = PlaceholderRestorer(Self.values)
        return pieces.map { restorer.receive($0) }.joined() + restorer.finish()
    }

    @Test("Wherever a text is cut in three, the values are put back")
    func everyCut() {
        let letters = Array(Self.text)
        for first in 0...letters.count {
            for second in first...letters.count {
                let pieces = [letters[..<first], letters[first..<second], letters[second...]]
                #expect(restore(pieces.map { String($0) }) == Self.restored)
            }
        }
        #expect(restore(letters.map { String($0) }) == Self.restored)
    }

    @Test("Every way to cut a placeholder and what stands around it gives the same")
    func everyChunking() {
        let letters = Array("a[EMAIL_1][x")
        for cuts in 0..<(1 << (letters.count - 1)) {
            var pieces = [String(letters[0])]
            for place in 1..<letters.count {
                if cuts & (1 << (place - 1)) != 0 { pieces.append("") }
                pieces[pieces.count - 1].append(letters[place])
            }
            #expect(restore(pieces) == "aalice@example.com[x")
        }
    }

    @Test("No more is held back than may become a placeholder")
    func heldBack() {
        var restorer = PlaceholderRestorer(Self.values)
        #expect(restorer.receive("to [EMA") == "to ")
        #expect(restorer.receive("LL") == "[EMALL")
        #expect(restorer.receive(" [") == " ")
        #expect(restorer.receive("link]") == "[link]")
        #expect(restorer.receive("[EMAIL_1") == "")
        #expect(restorer.receive("]!") == "alice@example.com!")
        #expect(restorer.finish() == "")
    }

    @Test("Text, thoughts and calls are each restored, and nothing overtakes what was held back")
    func events() {
        var restored = RestoredEvents(Self.values)
        let events: [ChatEvent] = [
            .reasoning("Hm [EMAIL"), .reasoning("_1]"), .text("To [EMAIL_"), .text("1] ["),
            .toolCall(ToolCallPiece(index: 0, id: "1", name: "send", arguments: #"{"to":"[EM"#)),
            .toolCall(ToolCallPiece(index: 1, id: "2", name: "send", arguments: #"{"#)),
            .toolCall(ToolCallPiece(index: 0, arguments: #"AIL_12]"}["#)),
        ]
        let shown = events.flatMap { restored.receive($0) } + restored.finish()
        #expect(
            shown == [
                .reasoning("Hm "), .reasoning("alice@example.com"), .text("To "),
                .text("alice@example.com "), .text("["),
                .toolCall(
                    ToolCallPiece(index: 0, id: "1", name: "send", arguments: #"{"to":""#)),
                .toolCall(ToolCallPiece(index: 1, id: "2", name: "send", arguments: #"{"#)),
                .toolCall(ToolCallPiece(index: 0, arguments: #"bob@example.com"}"#)),
                .toolCall(ToolCallPiece(index: 0, arguments: "[")),
            ])
    }
}
