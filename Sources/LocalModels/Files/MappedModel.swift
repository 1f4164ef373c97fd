import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The bytes of a model file, mapped read-only: pages come in as they are touched, and the system
/// may take them back.
///
/// Who replaces a model must put a new file in its place. Cutting the file that is mapped ends the
/// process with SIGBUS, which nothing here can prevent.
final class MappedModel: Sendable {
    /// What the file is called, for messages.
    let name: String
    // SAFETY: nothing ever writes through it, and it is unmapped only in `deinit`.
    nonisolated(unsafe) let bytes: UnsafeRawBufferPointer
    /// Of the mapped file; nil for a copy.
    private let descriptor: Int32?

    /// Throws `notFound` when there is no file, and `invalid` when it is not a readable, non-empty
    /// file.
    init(path: String) throws {
        name = path.split(separator: "/").last.map(String.init) ?? path
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            throw errno == ENOENT
                ? Failure(
                    .notFound,
                    "There is no model file at \(path). `heptad models list` says what there is.")
                : Failure(.invalid, "The model file \(path) cannot be read: \(reason).")
        }
        var isKept = false
        defer { if !isKept { close(descriptor) } }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.invalid, "\(path) is not a file.")
        }
        guard status.st_size > 0, let size = Int(exactly: status.st_size) else {
            throw Failure(
                .invalid, "The model file \(path) is empty. Fetch it again from where it came from."
            )
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0),
            start != MAP_FAILED
        else {
            let reason = String(cString: strerror(errno))
            throw Failure(.invalid, "The model file \(path) cannot be mapped: \(reason).")
        }
        bytes = UnsafeRawBufferPointer(start: start, count: size)
        self.descriptor = descriptor
        isKept = true
    }

    /// A copy of bytes that are in memory already.
    init(name: String, copying content: [UInt8]) {
        self.name = name
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 64)
        copy.copyBytes(from: content)
        bytes = UnsafeRawBufferPointer(copy)
        descriptor = nil
    }

    /// Copies a part of the file without touching the mapping, of which the system would bring in
    /// many pages around it. False when the file does not give it.
    func copy(_ start: UnsafeRawPointer, into room: UnsafeMutableRawBufferPointer) -> Bool {
        guard let descriptor, let base = bytes.baseAddress else { return false }
        return pread(descriptor, room.baseAddress, room.count, off_t(start - base)) == room.count
    }

    /// Gives memory that holds a part of the file back to the system, which reads it again when it is
    /// touched.
    func forget(_ start: UnsafeRawPointer, count: Int) {
        guard descriptor != nil else { return }
        let page = sysconf(Int32(_SC_PAGESIZE))
        let first = (Int(bitPattern: start) + page - 1) / page * page
        let end = (Int(bitPattern: start) + count) / page * page
        guard first < end else { return }
        madvise(UnsafeMutableRawPointer(bitPattern: first), end - first, MADV_DONTNEED)
    }

    deinit {
        if let descriptor {
            munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
            close(descriptor)
        } else {
            bytes.deallocate()
        }
    }
}
