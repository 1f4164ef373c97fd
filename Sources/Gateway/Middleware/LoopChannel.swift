import Hummingbird
import HummingbirdCore
import Logging
import NIOCore

/// HTTP/1.1 connections that are served on the event loop that reads and writes them: a request that
/// is brief is answered without going from thread to thread. What may take long leaves the loop
/// (`Route.isBrief`), since all connections of a loop wait for each other.
struct LoopChannel: ServerChildChannel {
    let http: HTTP1Channel
    let connections: ConnectionTable

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        http.setup(channel: channel, logger: logger)
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        let executor = connections[ObjectIdentifier(value.channel)]?.executor
        await withTaskExecutorPreference(executor) {
            await http.handle(value: value, logger: logger)
        }
    }
}

/// Runs tasks on an event loop.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
