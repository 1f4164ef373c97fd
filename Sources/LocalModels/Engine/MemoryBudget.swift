import Core
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The memory that local models may take together: weights that are not mapped from their files,
/// keys and values, and what they compute in. Models take their part before they use it.
package final class MemoryBudget: Sendable {
    package let bytes: Int
    private let taken = Mutex(0)

    /// Past this, nothing is taken only to keep conversations that have ended.
    private let spareBytes: Int

    /// Half of it may go to what is only good to have, unless said otherwise.
    package init(bytes: Int, spareBytes: Int? = nil) {
        self.bytes = max(0, bytes)
        self.spareBytes = spareBytes ?? max(0, bytes) / 2
    }

    /// What is not taken yet.
    package var leftBytes: Int { taken.withLock { bytes - $0 } }

    /// False, with nothing taken, when there is not that much left.
    func take(_ count: Int) -> Bool {
        taken.withLock { taken in
            guard count >= 0, count <= bytes - taken else { return false }
            taken += count
            return true
        }
    }

    /// The same for what is only good to have: not past `spareBytes`.
    func takeSpare(_ count: Int) -> Bool {
        taken.withLock { taken in
            guard count >= 0, count <= spareBytes - taken else { return false }
            taken += count
            return true
        }
    }

    func giveBack(_ count: Int) {
        taken.withLock { $0 = max(0, $0 - count) }
    }

    /// Three quarters of the memory that this process can have: the machine's, or its container's if
    /// that is less. Nobody said that the rest of the machine can do without it, so nothing of it is
    /// taken only to keep what has ended: that has the room of one conversation as long as the
    /// context, which every model has anyway.
    package static func ofMachine() -> MemoryBudget {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let size = sysconf(Int32(_SC_PAGESIZE))
        var bytes = pages > 0 && size > 0 ? pages.multipliedReportingOverflow(by: size).0 : 1 << 31
        for path in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
            if let limit = number(in: path), limit > 0 { bytes = min(bytes, limit) }
        }
        return MemoryBudget(bytes: bytes / 4 * 3, spareBytes: 0)
    }

    /// What people write: `2GiB`, `800 MiB`, `1.5GB` or a number of bytes. Nil for nothing and for
    /// 0, which leave it to `ofMachine`. Throws `invalid` for anything else.
    package static func bytes(of text: String) throws -> Int? {
        let text = text.lowercased().filter { $0 != " " && $0 != "_" }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let units: [String: Double] = [
            "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "k": 0x1p10, "m": 0x1p20,
            "g": 0x1p30, "t": 0x1p40, "kib": 0x1p10, "mib": 0x1p20, "gib": 0x1p30, "tib": 0x1p40,
        ]
        if text.isEmpty { return nil }
        guard let number = Double(digits), number.isFinite,
            let unit = units[String(text.dropFirst(digits.count))], number * unit < 0x1p60
        else {
            throw Failure(
                .invalid, "A size of memory is written like 2GiB, 800MiB or 500000000.")
        }
        let bytes = Int(number * unit)
        return bytes == 0 ? nil : bytes
    }

    /// A size as people read it: `1.5 GiB`, `189 MiB`.
    package static func text(_ bytes: Int) -> String {
        let mebibytes = Double(bytes) / 0x1p20
        if mebibytes < 1024 { return "\(Int(mebibytes.rounded(.up))) MiB" }
        let tenths = Int((mebibytes / 102.4).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) GiB" : "\(tenths / 10).\(tenths % 10) GiB"
    }

    private static func number(in path: String) -> Int? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 64)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let bytes = line.prefix { $0 > 32 }.map { UInt8(bitPattern: $0) }
        return Int(String(decoding: bytes, as: UTF8.self))
    }
}
