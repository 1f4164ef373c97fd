import ArgumentParser
import Core
import Egress
import Foundation

struct AskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Answer one question in the terminal, streamed.",
        discussion: """
            Searches your documents and answers with citations, then prints the sources, tokens, \
            cost and trace. Works while the server runs (through it) and while it does not.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The question.")
    var question: String

    @Option(name: .long, help: "The model to ask. Default: the first configured.")
    var model: String?

    @Option(name: .long, help: "Act as this user. Default: the owner.")
    var user: String?

    @Option(
        name: .long,
        help: "Search in this collection only; may be repeated. A shared one is also OWNER/NAME.")
    var collection: [String] = []

    @Flag(name: .long, help: "Ask the model alone, without searching documents.")
    var noDocuments = false

    func validate() throws {
        guard collection.isEmpty || !noDocuments else {
            throw ValidationError("Choose --collection or --no-documents.")
        }
    }

    func run() async throws {
        try await ServerConnection.open(common, as: user) { server in
            let chosen = try await server.collectionIDs(named: collection)
            let chat: ChatSummary = try await server.post("/api/chats", [String: String]())
            var ended: TurnOutcome?
            var answer = StreamedAnswer()
            var notices: [String] = []
            var told: Set<String> = []
            var isReading = false
            let turn = TurnBody(
                question: question, model: model,
                collectionIDs: noDocuments ? [] : chosen.isEmpty ? nil : chosen)
            try await server.events("/api/chats/\(chat.id)/turns", posting: turn) { event in
                switch event.name {
                case "notice":
                    notices.append(try server.decode(NoticeText.self, event.data).notice)
                case "progress":
                    // Why it takes a while is said before it does.
                    for notice in notices where told.insert(notice).inserted {
                        Terminal.note(Terminal.harmless(notice))
                    }
                    let progress = try server.decode(JobProgress.self, event.data)
                    Terminal.progress(Terminal.harmless(progress.message))
                    isReading = true
                case "text":
                    if isReading { Terminal.endProgress() }
                    let piece = try server.decode(TextPiece.self, event.data).text
                    answer.append(Terminal.harmless(piece))
                case "ended": ended = try server.decode(TurnOutcome.self, event.data)
                default: break
                }
            }
            guard let ended else {
                throw Failure(.upstream, "The server closed the stream before the answer ended.")
            }
            answer.finish(as: Terminal.harmless(ended.text))
            show(ended, except: told)
            guard ended.state == .completed else {
                throw Failure(
                    .upstream, ended.failure ?? "The answer was \(ended.state.rawValue).")
            }
        }
    }

    /// What the answer rests on, and what it took.
    private func show(_ outcome: TurnOutcome, except told: Set<String>) {
        Terminal.say()
        for citation in outcome.citations {
            let passage = citation.passage
            let place = ([passage.documentName] + passage.headings).joined(separator: " > ")
            Terminal.say(
                Terminal.harmless("[\(citation.number)] \(place), \(passage.start)-\(passage.end)"))
        }
        for verdict in outcome.verdicts ?? [] where !verdict.isGood {
            let scalars = outcome.text.unicodeScalars
            let sentence = String(
                String.UnicodeScalarView(
                    scalars.dropFirst(verdict.start).prefix(verdict.end - verdict.start)))
            Terminal.say(
                Terminal.harmless("Not borne out: “\(sentence)” \(verdict.reason ?? "")"))
        }
        for notice in outcome.notices where !told.contains(notice) {
            Terminal.say(Terminal.harmless("Note: \(notice)"))
        }
        Terminal.say(summary(outcome))
    }

    private func summary(_ outcome: TurnOutcome) -> String {
        var parts: [String] = []
        if let completion = outcome.completion {
            parts.append(completion.candidate)
            parts.append("\(completion.usage.input) + \(completion.usage.output) tokens")
            parts.append(completion.cost == .zero ? "free" : completion.cost.description)
        }
        parts.append(String(format: "%.1f s", outcome.totalMilliseconds / 1000))
        if let trace = outcome.traceID { parts.append("trace \(trace)") }
        return parts.joined(separator: " · ")
    }
}

private struct TurnBody: Encodable {
    let question: String
    let model: String?
    let collectionIDs: [Identifier]?
}

private struct TextPiece: Decodable {
    let text: String
}

private struct NoticeText: Decodable {
    let notice: String
}
