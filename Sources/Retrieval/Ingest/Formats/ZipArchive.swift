import CZip
import Core

/// A ZIP archive in memory, read by its directory. Nothing of it is ever written to a disk, and an
/// entry's name is only a name; one that would leave the archive is refused all the same, since an
/// archive that has it was made to do harm.
struct ZipArchive {
    struct Entry: Sendable {
        let name: String
        let packedCount: Int
        let count: Int
        fileprivate let method: Int
        fileprivate let checksum: UInt32
        fileprivate let place: Int
        fileprivate let isLocked: Bool
    }

    static let entriesMax = 20_000
    /// Of one entry: what people pack shrinks a hundredfold at most, bombs a thousandfold.
    static let ratioMax = 250
    /// Below it the ratio says nothing.
    private static let smallBytes = 1_000_000

    let entries: [Entry]
    private let bytes: [UInt8]
    private let places: [String: Int]
    private let budget: ReadingBudget

    /// Throws `invalid` for what is no archive, or a damaged or a hostile one.
    init(_ bytes: [UInt8], budget: ReadingBudget) throws {
        self.bytes = bytes
        self.budget = budget
        entries = try Self.directory(ByteReader(bytes))
        var places: [String: Int] = [:]
        for (place, entry) in entries.enumerated() {
            guard places.updateValue(place, forKey: entry.name) == nil else {
                throw Failure(.invalid, "The archive names “\(entry.name)” twice.")
            }
        }
        self.places = places
    }

    static func isArchive(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0x50, 0x4B, 3, 4]) || bytes.starts(with: [0x50, 0x4B, 5, 6])
    }

    func has(_ name: String) -> Bool { places[name] != nil }

    /// The bytes of an entry; nil where there is none of that name.
    func contents(of name: String) throws -> [UInt8]? {
        try places[name].map { try contents(of: entries[$0]) }
    }

    /// Throws `unsupported` for an entry behind a password or packed in another way than deflate,
    /// `invalid` for a damaged one, `tooLarge` where it is a bomb or the budget is used up.
    func contents(of entry: Entry) throws -> [UInt8] {
        try budget.checkTime()
        guard !entry.isLocked else {
            throw Failure(
                .unsupported, "The file is protected by a password. Save it without one.")
        }
        guard entry.count <= Self.smallBytes || entry.count / Self.ratioMax <= entry.packedCount
        else {
            throw Failure(
                .tooLarge,
                "“\(entry.name)” would unpack to more than \(Self.ratioMax) times its size.")
        }
        try budget.unpack(entry.count)
        let packed = try packedBytes(of: entry)
        let unpacked: [UInt8]
        switch entry.method {
        case 0: unpacked = Array(packed)
        case 8: unpacked = try inflate(packed, entry)
        default:
            throw Failure(
                .unsupported,
                "“\(entry.name)” is packed in a way that cannot be read. Pack it as a plain ZIP.")
        }
        let sum = unpacked.withUnsafeBufferPointer { czip_checksum($0.baseAddress, $0.count) }
        guard unpacked.count == entry.count, sum == entry.checksum || unpacked.isEmpty else {
            throw Self.damaged
        }
        return unpacked
    }

    private func packedBytes(of entry: Entry) throws -> ArraySlice<UInt8> {
        let reader = ByteReader(bytes)
        guard reader.uint32(entry.place) == 0x0403_4B50,
            let nameCount = reader.uint16(entry.place + 26),
            let extraCount = reader.uint16(entry.place + 28)
        else { throw Self.damaged }
        let start = entry.place + 30 + nameCount + extraCount
        guard start <= bytes.count, entry.packedCount <= bytes.count - start else {
            throw Self.damaged
        }
        return bytes[start..<start + entry.packedCount]
    }

    private func inflate(_ packed: ArraySlice<UInt8>, _ entry: Entry) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: entry.count) { buffer, count in
            let made = packed.withUnsafeBufferPointer { input in
                czip_inflate(input.baseAddress, input.count, buffer.baseAddress, entry.count)
            }
            guard made >= 0 else { throw Self.damaged }
            count = made
        }
    }

    // MARK: The directory

    private static func directory(_ reader: ByteReader) throws -> [Entry] {
        guard let end = reader.endOfDirectory, let count = reader.uint16(end + 10),
            let start = reader.uint32(end + 16)
        else { throw damaged }
        // A ZIP of 4 GB and more says so by these; no upload is that large.
        guard count != 0xFFFF, start != 0xFFFF_FFFF else { throw damaged }
        guard count <= entriesMax else {
            throw Failure(.tooLarge, "The archive holds more than \(entriesMax) files.")
        }
        var entries: [Entry] = []
        var place = start
        for _ in 0..<count {
            let (entry, next) = try self.entry(at: place, reader)
            place = next
            if !entry.name.hasSuffix("/") { entries.append(entry) }
        }
        return entries
    }

    private static func entry(at place: Int, _ reader: ByteReader) throws -> (Entry, next: Int) {
        guard reader.uint32(place) == 0x0201_4B50, let flags = reader.uint16(place + 8),
            let method = reader.uint16(place + 10), let checksum = reader.uint32(place + 16),
            let packedCount = reader.uint32(place + 20), let count = reader.uint32(place + 24),
            let nameCount = reader.uint16(place + 28), let extraCount = reader.uint16(place + 30),
            let commentCount = reader.uint16(place + 32), let local = reader.uint32(place + 42),
            let nameBytes = reader.slice(place + 46, nameCount)
        else { throw damaged }
        let name = String(decoding: nameBytes, as: UTF8.self).replacing("\\", with: "/")
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.isEmpty, !name.hasPrefix("/"), !parts.contains(".."), !name.contains("\0")
        else {
            throw Failure(
                .invalid, "The archive names a file outside itself, “\(name.prefix(80))”.")
        }
        let entry = Entry(
            name: name, packedCount: packedCount, count: count, method: method,
            checksum: UInt32(truncatingIfNeeded: checksum), place: local,
            isLocked: flags & 1 != 0)
        return (entry, place + 46 + nameCount + extraCount + commentCount)
    }

    static let damaged = Failure(
        .invalid, "The file is damaged: what is packed in it cannot be read. Save it again.")
}

/// Little-endian numbers at places that may not exist.
struct ByteReader {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func uint16(_ place: Int) -> Int? {
        slice(place, 2).map { Int($0[$0.startIndex]) | Int($0[$0.startIndex + 1]) << 8 }
    }

    func uint32(_ place: Int) -> Int? {
        guard let low = uint16(place), let high = uint16(place + 2) else { return nil }
        return low | high << 16
    }

    func slice(_ place: Int, _ count: Int) -> ArraySlice<UInt8>? {
        guard place >= 0, count >= 0, place <= bytes.count, count <= bytes.count - place else {
            return nil
        }
        return bytes[place..<place + count]
    }

    /// Where a ZIP's directory says that it ends: 22 bytes, and a comment of up to 65,535.
    fileprivate var endOfDirectory: Int? {
        let last = bytes.count - 22
        guard last >= 0 else { return nil }
        return stride(from: last, through: max(0, last - 65_535), by: -1).first { place in
            bytes[place] == 0x50 && uint32(place) == 0x0605_4B50
        }
    }
}
