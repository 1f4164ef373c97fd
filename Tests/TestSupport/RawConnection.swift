import Core
import Dispatch
import Foundation
package import OrderedJSON

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A TCP connection that says exactly what it is told, however wrong.
package final class RawConnection: Sendable {
    package struct Broken: Error { package init() {} }

    private let socket: Int32

    package init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw Broken() }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, size)
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Broken() }
    }

    deinit { Glibc.close(socket) }

    package func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) async throws {
        try await off {
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(self.socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw Broken() }
                sent += count
            }
        }
    }

    /// The next bytes; empty when the other side has closed.
    package func receive() async throws -> [UInt8] {
        try await off {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(self.socket, &buffer, buffer.count, 0)
            guard count >= 0 else { throw Broken() }
            return Array(buffer.prefix(count))
        }
    }

    package func receiveAll() async throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let next = try await receive()
            if next.isEmpty { return all }
            all += next
        }
    }

    /// What came up to and with `text`.
    package func receive(until text: String) async throws -> String {
        var all: [UInt8] = []
        while true {
            let next = try await receive()
            all += next
            let string = String(decoding: all, as: UTF8.self)
            if string.contains(text) { return string }
            guard !next.isEmpty else { throw Broken() }
        }
    }

    /// One whole response, of which the connection stays open.
    package func receiveResponse() async throws -> String {
        let head = try await receive(until: "\r\n\r\n")
        let parts = head.components(separatedBy: "\r\n\r\n")
        let length = parts[0].lowercased().components(separatedBy: "content-length: ")
        var text = head
        if length.count == 2, let bytes = Int(length[1].prefix { $0.isNumber }) {
            while text.utf8.count < parts[0].utf8.count + 4 + bytes {
                text += String(decoding: try await receive(), as: UTF8.self)
            }
        } else if !text.hasSuffix("\r\n0\r\n\r\n") {
            text += try await receive(until: "\r\n0\r\n\r\n")
        }
        return text
    }

    package func finishSending() { shutdown(socket, Int32(SHUT_WR)) }

    package func close() { shutdown(socket, Int32(SHUT_RDWR)) }

    private func off<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            // Blocks, so it may not run on the shared pool.
            DispatchQueue.global().async { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// An HTTP/1.1 response, taken apart.
package struct RawResponse {
    package let status: Int
    package let headers: [String: String]
    package let body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }

    package init(_ bytes: [UInt8]) throws {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
            throw RawConnection.Broken()
        }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let lines = head.components(separatedBy: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count >= 2, let status = Int(words[1]) else { throw RawConnection.Broken() }
        if status == 100 {
            self = try RawResponse(Array(bytes[end.upperBound...]))
            return
        }
        self.status = status
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        self.headers = headers
        let rest = Array(bytes[end.upperBound...])
        body = headers["transfer-encoding"] == "chunked" ? Self.unchunked(rest) : rest
    }

    package func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(body))
    }

    package func json(_ type: JSONValue.Type) throws -> JSONValue { try JSONValue(parsing: body) }

    private static func unchunked(_ bytes: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstRange(of: [13, 10]) {
            let digits = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
            guard let count = Int(digits, radix: 16), count > 0 else { break }
            rest = rest[end.upperBound...]
            body += rest.prefix(count)
            rest = rest.dropFirst(count + 2)
        }
        return body
    }
}
