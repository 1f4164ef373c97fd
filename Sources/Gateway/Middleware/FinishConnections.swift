import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// What happens to a connection around its requests. It tells the `Connection` what it sees, and deals
/// with bodies that nobody wants: Hummingbird reads the rest of a refused body so that the connection
/// can be used again, without end; here it has a limit. And a client that asks whether to send its
/// body (`Expect: 100-continue`) is told.
final class FinishConnections: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    static let lingerBytesMax = 8 << 20
    static let lingerTimeout = TimeAmount.seconds(5)

    private let declaredBytesMax: Int
    private let table: ConnectionTable
    private let connection = Connection()
    private var isReadingRequest = false
    /// Requests without an answer yet: a client may send the next before it has read the last.
    private var unanswered = 0
    private var lingeringBytes = 0
    private var closing: Scheduled<Void>?

    init(declaredBytesMax: Int, table: ConnectionTable) {
        self.declaredBytesMax = declaredBytesMax
        self.table = table
    }

    func handlerAdded(context: ChannelHandlerContext) {
        table.add(connection, of: context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.closed()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { connection.closed() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            isReadingRequest = true
            connection.requestBegan()
            unanswered += 1
            lingeringBytes = 0
            if head.headerFields[.expect]?.lowercased() == "100-continue" {
                let declared = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
                if declared <= declaredBytesMax {
                    let goOn = HTTPResponse(status: .continue)
                    context.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
                }
            }
        case .body(let bytes):
            if unanswered == 0 {
                lingeringBytes += bytes.readableBytes
                guard lingeringBytes <= Self.lingerBytesMax else {
                    context.close(promise: nil)
                    return
                }
            }
        case .end:
            isReadingRequest = false
            connection.requestEnded()
            closing?.cancel()
            closing = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            unanswered -= 1
            if isReadingRequest, unanswered == 0, closing == nil {
                let channel = context.channel
                closing = context.eventLoop.scheduleTask(in: Self.lingerTimeout) {
                    channel.close(promise: nil)
                }
            }
        }
        context.write(data, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        closing?.cancel()
        closing = nil
        table.remove(context.channel)
        connection.closed()
    }
}
