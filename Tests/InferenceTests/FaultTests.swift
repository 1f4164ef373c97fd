import Core
import TestSupport
import Testing

@testable import Inference

/// Everything an upstream can do wrong, and that each of it ends in time: in another candidate's
/// answer where nothing was shown, in a clean error where something was.
struct FaultTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
        /// It comes after the first word.
        var isLate = false
    }

    private static func chunked(_ steps: [ScriptedServer.Step]) -> [ScriptedServer.Step] {
        [ScriptedServer.head(headers: ["Transfer-Encoding: chunked"])] + steps
    }

    static let faults: [Fault] = [
        Fault(testDescription: "hangs before its head", steps: [.untilClosed]),
        Fault(
            testDescription: "hangs after its head", steps: [ScriptedServer.head(), .untilClosed]),
        Fault(
            testDescription: "half a chunk", steps: chunked([.text("ff\r\ndata: {\"choices\":")])),
        Fault(
            testDescription: "half a chunk after the first word",
            steps: chunked([
                ScriptedServer.chunk(Wire.text("Hel")), .wait(.milliseconds(100)),
                .text("ff\r\ndata: {"),
            ]),
            isLate: true),
        Fault(testDescription: "invalid JSON", steps: Wire.stream("data: {\"choices\":[}\n\n")),
        Fault(
            testDescription: "invalid JSON after the first word",
            steps: Wire.stream(Wire.text("Hel")) + [
                .wait(.milliseconds(100)), .text("data: nonsense\n\n" + Wire.done),
            ], isLate: true),
        Fault(
            testDescription: "a line without end",
            steps: [ScriptedServer.head(), .text("data: "), .flood(48 << 20)]),
        Fault(
            testDescription: "a line without end after the first word",
            steps: [
                ScriptedServer.head(), .text(Wire.text("Hel") + "data: "),
                .wait(.milliseconds(100)), .flood(48 << 20),
            ],
            isLate: true),
        Fault(
            testDescription: "a page in place of a stream",
            steps: ScriptedServer.answer("<html>Welcome</html>", type: "text/html")),
        Fault(
            testDescription: "200 with an error inside, as JSON",
            steps: ScriptedServer.answer(
                #"{"error":{"message":"overloaded","type":"server_error","code":"503"}}"#)),
        Fault(
            testDescription: "200 with an error inside, as an event",
            steps: Wire.stream(Wire.error("overloaded", code: "503"))),
        Fault(
            testDescription: "an error event after the first word",
            steps: Wire.stream(Wire.text("Hel")) + [
                .wait(.milliseconds(100)), .text(Wire.error("overloaded", code: "503")),
            ], isLate: true),
        Fault(
            testDescription: "closes without the last event",
            steps: Wire.stream(Wire.text("Hel")), isLate: true),
        Fault(testDescription: "closes at once", steps: []),
        Fault(testDescription: "resets", steps: [.reset]),
        Fault(
            testDescription: "resets after the first word",
            steps: [
                ScriptedServer.head(), .text(Wire.text("Hel")), .wait(.milliseconds(50)), .reset,
            ],
            isLate: true),
        Fault(
            testDescription: "trickles one byte a second",
            steps: [ScriptedServer.head(), .drip(Array(Wire.hello.utf8), every: .seconds(1))]),
        Fault(
            testDescription: "trickles one byte a second after the first word",
            steps: [
                ScriptedServer.head(), .text(Wire.text("Hel")),
                .drip(Array(Wire.text("lo").utf8), every: .seconds(1)),
            ], isLate: true),
        Fault(
            testDescription: "falls silent after the first word",
            steps: [ScriptedServer.head(), .text(Wire.text("Hel")), .untilClosed], isLate: true),
    ]

    private func router(
        _ servers: [ScriptedServer], _ policy: AfterFirstToken = .error
    ) throws -> ModelRouter {
        try ModelRouter.hosted(servers) { configuration in
            configuration.models["m"]?.afterFirstToken = policy
            configuration.retries.attemptsMax = 4
            configuration.providers["p0"]?.firstTokenTimeoutSeconds = 0.5
            configuration.providers["p0"]?.idleTimeoutSeconds = 1.5
            configuration.providers["p0"]?.totalTimeoutSeconds = 2.5
        }
    }

    @Test("Alone, each fault ends in an error within its time limit", arguments: faults)
    func alone(fault: Fault) async throws {
        let server = try ScriptedServer(fault.steps)
        let router = try router([server])
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

    @Test("With another candidate, each fault ends in a whole answer", arguments: faults)
    func rescued(fault: Fault) async throws {
        let first = try ScriptedServer(fault.steps)
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let started = ContinuousClock.now
        let (pieces, completion) = try await router([first, second], .continue).answer()
        #expect(ContinuousClock.now - started < .seconds(8))
        #expect(pieces.joined() == "Hello")
        #expect(completion.candidate == "p1/model")
    }
}
