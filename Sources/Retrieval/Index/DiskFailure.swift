import Core
import GRDB

/// A full disk in a sentence.
enum DiskFailure {
    /// The error as a user should hear it: a full disk by name, anything else as it is.
    static func told(_ error: any Error) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let isFull =
            error.resultCode == .SQLITE_FULL
            || error.extendedResultCode == .SQLITE_IOERR_SHMSIZE
        guard isFull else { return error }
        return Failure(
            .unavailable,
            "The disk is full, so nothing was indexed. Free some space and upload the file again.",
            cause: error)
    }
}
