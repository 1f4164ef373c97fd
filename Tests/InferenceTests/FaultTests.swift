import Core
import TestSupport
import Testing

@testable import Inference

/// Everything an upstream can do wrong, and that each of it ends in time: in another candidate's
/// answer where nothing was shown, in a clean error where something was. Whatever its protocol.
@Suite(.serialized)
struct FaultTests {
    /// A protocol, as far as one can break it.
    struct Speech: Sendable, CustomTestStringConvertible {
        /// As `kind` of a provider's configuration.
        let testDescription: String
        let mediaType: String
        /// Up to and with the first word, `Hel`.
        let begun: [UInt8]
        /// From there on: `lo`, and the end.
        let rest: [UInt8]
        /// An event whose JSON is none.
        let nonsense: [UInt8]
        let error: [UInt8]
        let wholeError: String

        var hello: [UInt8] { begun + rest }
        var head: ScriptedServer.Step { ScriptedServer.head(type: mediaType) }

        func stream(_ bytes: [UInt8]) -> [ScriptedServer.Step] { [head, .send(bytes)] }

        func chunked(_ steps: [ScriptedServer.Step]) -> [ScriptedServer.Step] {
            [ScriptedServer.head(type: mediaType, headers: ["Transfer-Encoding: chunked"])] + steps
        }

        static func chunk(_ bytes: [UInt8]) -> ScriptedServer.Step {
            .send(Array((String(bytes.count, radix: 16) + "\r\n").utf8) + bytes + [13, 10])
        }
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// It comes after the first word.
        var isLate = false
        let steps: @Sendable (Speech) -> [ScriptedServer.Step]
    }

    static let speeches = [
        Speech(
            testDescription: "openai", mediaType: "text/event-stream",
            begun: Array((Wire.role + Wire.text("Hel")).utf8),
            rest: Array((Wire.text("lo") + Wire.finish() + Wire.done).utf8),
            nonsense: Array("data: {\"choices\":[}\n\n".utf8),
            error: Array(Wire.error("overloaded", code: "503").utf8),
            wholeError:
                #"{"error":{"message":"overloaded","type":"server_error","code":"503"}}"#),
        Speech(
            testDescription: "anthropic", mediaType: "text/event-stream",
            begun: Array((Messages.start() + Messages.open(0) + Messages.text("Hel")).utf8),
            rest: Array(
                (Messages.text("lo") + Messages.close() + Messages.end() + Messages.stop).utf8),
            nonsense: Array("event: content_block_delta\ndata: {\"type\":}\n\n".utf8),
            error: Array(Messages.error("overloaded_error").utf8),
            wholeError:
                #"{"type":"error","error":{"type":"overloaded_error","message":"overloaded"}}"#),
        Speech(
            testDescription: "gemini", mediaType: "text/event-stream",
            begun: Array(Gemini.text("Hel").utf8),
            rest: Array((Gemini.text("lo") + Gemini.finish()).utf8),
            nonsense: Array("data: {\"candidates\":[}\r\n\r\n".utf8),
            error: Array(Gemini.error(503, "UNAVAILABLE").utf8),
            wholeError: #"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#),
        Speech(
            testDescription: "bedrock", mediaType: "application/vnd.amazon.eventstream",
            begun: Frames.event("messageStart", #"{"role":"assistant"}"#) + Frames.text("Hel"),
            rest: Frames.text("lo") + Frames.stop("end_turn") + Frames.usage,
            nonsense: Frames.event("contentBlockDelta", "{\"delta\":}"),
            error: Frames.exception("serviceUnavailableException"),
            wholeError: #"{"message":"overloaded"}"#),
    ]

    static let faults: [Fault] = [
        Fault(testDescription: "hangs before its head") { _ in [.untilClosed] },
        Fault(testDescription: "hangs after its head") { [$0.head, .untilClosed] },
        Fault(testDescription: "half a chunk") {
            $0.chunked([.text("ffff\r\n"), .send(Array($0.begun.prefix(20)))])
        },
        Fault(testDescription: "half a chunk after the first word", isLate: true) {
            $0.chunked([
                Speech.chunk($0.begun), .wait(.milliseconds(100)),
                .text("ffff\r\n"), .send(Array($0.rest.prefix(20))),
            ])
        },
        Fault(testDescription: "invalid JSON") { $0.stream($0.nonsense) },
        Fault(testDescription: "invalid JSON after the first word", isLate: true) {
            $0.stream($0.begun) + [.wait(.milliseconds(100)), .send($0.nonsense + $0.rest)]
        },
        Fault(testDescription: "a line without end") {
            [$0.head, .text("data: "), .flood(48 << 20)]
        },
        Fault(testDescription: "a line without end after the first word", isLate: true) {
            $0.stream($0.begun) + [.text("data: "), .wait(.milliseconds(100)), .flood(48 << 20)]
        },
        Fault(testDescription: "a page in place of a stream") { _ in
            ScriptedServer.answer("<html>Welcome</html>", type: "text/html")
        },
        Fault(testDescription: "200 with an error inside, as JSON") {
            ScriptedServer.answer($0.wholeError)
        },
        Fault(testDescription: "200 with an error inside, as an event") { $0.stream($0.error) },
        Fault(testDescription: "an error event after the first word", isLate: true) {
            $0.stream($0.begun) + [.wait(.milliseconds(100)), .send($0.error)]
        },
        Fault(testDescription: "closes without the last event", isLate: true) {
            $0.stream($0.begun)
        },
        Fault(testDescription: "closes at once") { _ in [] },
        Fault(testDescription: "resets") { _ in [.reset] },
        Fault(testDescription: "resets after the first word", isLate: true) {
            $0.stream($0.begun) + [.wait(.milliseconds(50)), .reset]
        },
        Fault(testDescription: "trickles one byte a second") {
            [$0.head, .drip($0.hello, every: .seconds(1))]
        },
        Fault(testDescription: "trickles one byte a second after the first word", isLate: true) {
            $0.stream($0.begun) + [.drip($0.rest, every: .seconds(1))]
        },
        Fault(testDescription: "falls silent after the first word", isLate: true) {
            $0.stream($0.begun) + [.untilClosed]
        },
    ]

    private func router(
        _ servers: [ScriptedServer], _ speech: Speech, _ policy: AfterFirstToken = .error
    ) throws -> ModelRouter {
        try ModelRouter.hosted(servers) { configuration in
            for name in configuration.providers.keys {
                configuration.providers[name]?.kind = speech.testDescription
            }
            configuration.models["m"]?.afterFirstToken = policy
            configuration.retries.attemptsMax = 4
            configuration.providers["p0"]?.firstTokenTimeoutSeconds = 0.5
            configuration.providers["p0"]?.idleTimeoutSeconds = 1.5
            configuration.providers["p0"]?.totalTimeoutSeconds = 2.5
        }
    }

    @Test("Alone, each fault ends in an error within its time limit", arguments: faults, speeches)
    func alone(fault: Fault, speech: Speech) async throws {
        let server = try ScriptedServer(fault.steps(speech))
        let router = try router([server], speech)
        let started = ContinuousClock.now
        var text = ""
        let failure = await #expect(throws: Failure.self) {
            _ = try await router.open(.hello()).run { event in
                if case .text(let piece) = event { text += piece }
            }
        }
        #expect(ContinuousClock.now - started < .seconds(8))
        #expect([.upstream, .unavailable, .timeout].contains(failure?.code))
        #expect(text == (fault.isLate ? "Hel" : ""))
    }

    @Test(
        "With another candidate, each fault ends in a whole answer", arguments: faults,
        [speeches[0]])
    func rescued(fault: Fault, speech: Speech) async throws {
        let first = try ScriptedServer(fault.steps(speech))
        let second = try ScriptedServer(speech.stream(speech.hello))
        let started = ContinuousClock.now
        let (pieces, completion) = try await router([first, second], speech, .continue).answer()
        #expect(ContinuousClock.now - started < .seconds(8))
        #expect(pieces.joined() == "Hello")
        #expect(completion.candidate == "p1/model")
    }
}
