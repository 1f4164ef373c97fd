import CCurl
import Core
import Glibc

/// The thread that runs libcurl: `curl_multi_socket_action` driven by epoll. All of it, and every
/// `CurlExchange`, lives and dies on that thread.
final class CurlThread {
    private static let eventsMax = 64
    private static let connectionsKept = 64
    private static let isCurlReady = heptad_curl_global_init() == CURLE_OK

    private let loop: CurlLoop
    private let wake: Int32
    private let epoll: Int32
    private let multi: UnsafeMutableRawPointer
    private var exchanges: [ObjectIdentifier: CurlExchange] = [:]
    private var transfersOfHandles: [UnsafeMutableRawPointer: ObjectIdentifier] = [:]
    /// What epoll watches for curl.
    private var watched: Set<Int32> = []
    /// When curl wants to be called, whatever happens.
    private var curlDeadline: ContinuousClock.Instant?
    /// When the earliest time limit of a transfer may have passed. A limit that moved away since is
    /// found out then, so bytes that arrive cost nothing here.
    private var limitDeadline: ContinuousClock.Instant?
    /// Readers for whom something has come: an answer that arrives in one piece wakes its reader once.
    private var waiters: [Transfer.Waiter] = []

    /// Returns when the loop is told to stop, with every transfer ended.
    static func run(_ loop: CurlLoop, wake: Int32) {
        // OpenSSL writes without MSG_NOSIGNAL: a peer that is gone would end the process. Other
        // signals belong to the threads that expect them.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        guard isCurlReady, let thread = CurlThread(loop, wake: wake) else {
            loop.stop()
            return
        }
        // curl knows the object by its address alone.
        withExtendedLifetime(thread) { thread.run() }
    }

    private init?(_ loop: CurlLoop, wake: Int32) {
        let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { return nil }
        guard let multi = curl_multi_init() else {
            close(epoll)
            return nil
        }
        self.loop = loop
        self.wake = wake
        self.epoll = epoll
        self.multi = multi
        watch(wake, events: EPOLLIN.rawValue)
        heptad_curl_multi_set_number(multi, CURLMOPT_MAXCONNECTS, Self.connectionsKept)
        heptad_curl_multi_set_callbacks(
            multi, Unmanaged.passUnretained(self).toOpaque(),
            { _, socket, what, context, _ in
                guard let context else { return 0 }
                Unmanaged<CurlThread>.fromOpaque(context).takeUnretainedValue()
                    .watch(socket, for: what)
                return 0
            },
            { _, milliseconds, context in
                guard let context else { return 0 }
                Unmanaged<CurlThread>.fromOpaque(context).takeUnretainedValue()
                    .curlDeadline =
                    milliseconds < 0 ? nil : .now + .milliseconds(min(milliseconds, 3_600_000))
                return 0
            })
    }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: Self.eventsMax)
        while true {
            let count = epoll_wait(epoll, &events, Int32(Self.eventsMax), timeoutMilliseconds())
            for event in events.prefix(max(0, Int(count))) { handle(event) }
            if let deadline = curlDeadline, deadline <= .now {
                curlDeadline = nil
                act(on: CURL_SOCKET_BAD, mask: 0)
            }
            let (commands, isStopping) = loop.takeCommands()
            commands.forEach(perform)
            endTransfers()
            enforceLimits()
            wakeReaders()
            if isStopping { break }
        }
        for exchange in exchanges.values {
            end(exchange, .failed(CurlLoop.stoppedFailure))
        }
        wakeReaders()
        curl_multi_cleanup(multi)
        close(epoll)
    }

    private func handle(_ event: epoll_event) {
        guard event.data.fd != wake else {
            var count = eventfd_t()
            eventfd_read(wake, &count)
            return
        }
        var mask: Int32 = 0
        if event.events & EPOLLIN.rawValue != 0 { mask |= CURL_CSELECT_IN }
        if event.events & EPOLLOUT.rawValue != 0 { mask |= CURL_CSELECT_OUT }
        if event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { mask |= CURL_CSELECT_ERR }
        act(on: event.data.fd, mask: mask)
    }

    private func act(on socket: curl_socket_t, mask: Int32) {
        var running: Int32 = 0
        curl_multi_socket_action(multi, socket, mask, &running)
    }

    private func perform(_ command: CurlLoop.Command) {
        switch command {
        case .add(let transfer): add(transfer)
        case .cancel(let transfer):
            guard let exchange = exchanges[ObjectIdentifier(transfer)] else { return }
            end(exchange, .failed(CancellationError()))
        case .resume(let transfer):
            guard let exchange = exchanges[ObjectIdentifier(transfer)] else { return }
            exchange.resume()
        case .drain(let transfer):
            exchanges[ObjectIdentifier(transfer)]?.drain()
        }
    }

    private func add(_ transfer: Transfer) {
        guard !transfer.hasEnded else { return loop.released() }
        let exchange = CurlExchange(
            transfer, onNewDeadline: { [unowned self] in note($0) },
            wake: { [unowned self] in waiters.append($0) })
        guard let exchange,
            curl_multi_add_handle(multi, exchange.easy) == CURLM_OK
        else {
            transfer.finish(
                .failed(Failure(.internalError, "The call could not be set up.")))
            return loop.released()
        }
        exchanges[ObjectIdentifier(transfer)] = exchange
        transfersOfHandles[exchange.easy] = ObjectIdentifier(transfer)
        note(exchange.deadline)
    }

    private func endTransfers() {
        var code = CURLE_OK
        while let easy = heptad_curl_next_ended(multi, &code) {
            guard let exchange = transfersOfHandles[easy].flatMap({ exchanges[$0] }) else {
                continue
            }
            end(exchange, exchange.ending(code))
        }
    }

    private func end(_ exchange: CurlExchange, _ ending: Transfer.Ending) {
        exchanges[ObjectIdentifier(exchange.transfer)] = nil
        transfersOfHandles[exchange.easy] = nil
        // Of a transfer that is not complete this closes the connection.
        curl_multi_remove_handle(multi, exchange.easy)
        if let waiter = exchange.transfer.ended(ending) { waiters.append(waiter) }
        loop.released()
    }

    private func wakeReaders() {
        for waiter in waiters { waiter.resume() }
        waiters.removeAll(keepingCapacity: true)
    }

    private func enforceLimits() {
        guard let deadline = limitDeadline, deadline <= .now else { return }
        limitDeadline = nil
        let now = ContinuousClock.now
        for exchange in exchanges.values {
            if let failure = exchange.lateness(at: now) {
                end(exchange, .failed(failure))
            } else {
                note(exchange.deadline)
            }
        }
    }

    private func note(_ deadline: ContinuousClock.Instant) {
        limitDeadline = min(limitDeadline ?? deadline, deadline)
    }

    private func timeoutMilliseconds() -> Int32 {
        guard let deadline = [curlDeadline, limitDeadline].compactMap({ $0 }).min() else {
            return -1
        }
        let microseconds = max(0, (deadline - .now).microseconds)
        return Int32(clamping: (microseconds + 999) / 1000)
    }

    private func watch(_ socket: curl_socket_t, for what: Int32) {
        switch what {
        case CURL_POLL_IN: watch(socket, events: EPOLLIN.rawValue)
        case CURL_POLL_OUT: watch(socket, events: EPOLLOUT.rawValue)
        case CURL_POLL_INOUT: watch(socket, events: EPOLLIN.rawValue | EPOLLOUT.rawValue)
        default:
            if watched.remove(socket) != nil { epoll_ctl(epoll, EPOLL_CTL_DEL, socket, nil) }
        }
    }

    private func watch(_ descriptor: Int32, events: UInt32) {
        var event = epoll_event()
        event.events = events
        event.data.fd = descriptor
        let isNew = watched.insert(descriptor).inserted
        epoll_ctl(epoll, isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, &event)
    }
}
