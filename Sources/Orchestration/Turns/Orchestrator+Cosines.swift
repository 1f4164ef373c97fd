import Core
import Logging

extension Orchestrator {
    // Two texts for each pair that a review may ask about.
    private static let textsMax = 2 * AnswerReview.pairsMax

    /// How close the texts of each pair are in meaning; nil where no embedder answers, and then
    /// words alone decide.
    func cosines(of pairs: [(String, String)], for principal: Principal) async -> [Float]? {
        var places: [String: Int] = [:]
        var texts: [String] = []
        for text in pairs.flatMap({ [$0.0, $0.1] }) where places[text] == nil {
            places[text] = texts.count
            texts.append(text)
        }
        guard !texts.isEmpty, texts.count <= Self.textsMax else { return nil }
        do {
            let embeddings = try await embedder.embed(
                EmbeddingRequest(principal: principal, texts: texts, purpose: "attribution"))
            guard embeddings.count == texts.count else { return nil }
            return pairs.map { pair in
                guard let left = places[pair.0], let right = places[pair.1] else { return 0 }
                return zip(embeddings[left], embeddings[right]).reduce(0) { $0 + $1.0 * $1.1 }
            }
        } catch {
            logger.debug("Attribution goes by words alone", metadata: ["error": "\(error)"])
            return nil
        }
    }
}
