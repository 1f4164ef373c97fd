import Logging
import ServiceLifecycle
import Synchronization

extension Library: Service {
    /// How often it is looked whether passages lack vectors, because there was no embedding model when
    /// they came, and whether there is another model now.
    private static let interval = Duration.seconds(60)

    /// Makes missing vectors in the background until the server stops.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var settled: Int64?
            while !Task.isCancelled {
                await self.removeExpired()
                await self.followModel()
                settled = await self.catchUp(since: settled)
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// Returns the generation of the database in which nothing was missing; nil where something is.
    private func catchUp(since settled: Int64?) async -> Int64? {
        do {
            let generation = try await currentGeneration()
            guard settled != generation else { return settled }
            let made = try await embedMissing(of: nil, model: nil)
            if made > 0 { log.info("Passages were embedded.", metadata: ["count": "\(made)"]) }
            return try await currentGeneration()
        } catch {
            log.debug("Passages still lack vectors.", metadata: ["why": "\(error)"])
            return nil
        }
    }

    private func removeExpired() async {
        do {
            let count = try await documents.removeExpired()
            if count > 0 { log.info("Documents expired.", metadata: ["count": "\(count)"]) }
        } catch {
            log.warning("Expired documents stay.", metadata: ["why": "\(error)"])
        }
    }

    private func currentGeneration() async throws -> Int64 {
        let vectors = vectors
        return try await writing.run { try vectors.generation() }
    }
}
