import Core
import Foundation

// What is shown of a provider's words.
private let messageCharactersMax = 300

extension HostedEndpoint {
    /// Any error on the way, as the router wants it.
    func candidateFailure(_ error: any Error, model: String, hasBegun: Bool) -> any Error {
        switch error {
        case is CancellationError: return error
        case let error as ProviderError:
            let found = failure(error, model: model, retryAfter: nil)
            return hasBegun ? CandidateFailure(.broken, found.failure) : found
        case let error as CandidateFailure:
            return CandidateFailure(
                error.kind,
                Failure(
                    error.failure.code, "\(name): \(error.failure.message)",
                    cause: error.failure.cause, retryAfter: error.failure.retryAfter))
        case let error as Failure:
            let kind: FailureClass = hasBegun ? .broken : .of(error)
            // Too large is the user's prompt everywhere else; here it is the provider's answer.
            let code: Failure.Code = error.code == .tooLarge ? .upstream : error.code
            return CandidateFailure(
                kind,
                Failure(
                    code, "The provider \(name) failed: \(error.message)", cause: error.cause,
                    retryAfter: error.retryAfter))
        default: return CandidateFailure(error)
        }
    }

    /// The sentence for each class. The provider's own words are passed on where the user can act
    /// on them; where they are about the account, they go to the log.
    func failure(_ error: ProviderError, model: String, retryAfter: Duration?)
        -> CandidateFailure
    {
        let words = redacted(error.message)
        let kind = error.kind
        let (code, sentence): (Failure.Code, String) =
            switch kind {
            case .throttled: (.rateLimited, "The provider \(name) has had too many calls.")
            case .exhausted:
                (.unavailable, "The account at the provider \(name) has nothing left to spend.")
            case .credential:
                (
                    .unavailable,
                    "The provider \(name) refused its key. The operator can correct"
                        + " inference.providers.\(name).api_key, or an administrator set another on"
                        + " the page Model gateway."
                )
            case .context:
                (.tooLarge, "The prompt is longer than \(name)/\(model) reads: \(words)")
            case .content: (.invalid, "The provider \(name) refused the content: \(words)")
            case .caller: callerSentence(error.status, words: words, model: model)
            default:
                (
                    error.status == 503 || error.status == 529 ? .unavailable : .upstream,
                    "The provider \(name) failed with status \(error.status)."
                )
            }
        let cause = ([String(error.status)] + error.codes + [words]).map(redacted)
        return CandidateFailure(
            kind,
            Failure(
                code, sentence, cause: cause.filter { !$0.isEmpty }.joined(separator: " "),
                retryAfter: error.retryAfter ?? retryAfter
                    ?? (kind == .throttled ? .seconds(10) : nil)))
    }

    private func callerSentence(_ status: Int, words: String, model: String)
        -> (Failure.Code, String)
    {
        switch status {
        case 404: (.notFound, "The provider \(name) does not know the model \(model). \(words)")
        case 413: (.tooLarge, "The request is larger than the provider \(name) takes. \(words)")
        case 409: (.conflict, "The provider \(name) refused the request. \(words)")
        default: (.invalid, "The provider \(name) refused the request. \(words)")
        }
    }

    /// The provider's words without our secrets, without line ends, and not too many of them.
    private func redacted(_ text: String) -> String {
        var text = text
        for secret in secrets + keys.all where !secret.isEmpty {
            text = text.replacingOccurrences(of: secret, with: "[key]")
        }
        // OpenAI repeats a refused key with stars in its middle, which is still the key's ends.
        let words = text.split(whereSeparator: \.isWhitespace)
            .map { $0.contains("sk-") || $0.contains("***") ? "[key]" : String($0) }
        let safe = words.joined(separator: " ").unicodeScalars.filter {
            $0.properties.generalCategory != .control
        }
        return String(String(String.UnicodeScalarView(safe)).prefix(messageCharactersMax))
    }
}
