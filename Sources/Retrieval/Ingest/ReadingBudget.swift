import Core

/// What reading one upload may take in all, however much is packed in it.
final class ReadingBudget {
    /// The limits, as the operator sets them or the tests need them.
    struct Limits: Sendable {
        /// Bytes that come out of archives, all files together.
        var unpackedBytesMax = 200_000_000
        /// Scalars of text.
        var textMax = 20_000_000
        /// For everything: no file takes a minute unless it was made to.
        var seconds = 60.0
        /// The program that reads PDF files: a name to look for, or a path.
        var pdfProgram = "pdftotext"
    }

    /// Archives inside archives, attachments inside attachments.
    static let depthMax = 3

    let limits: Limits
    private(set) var unpackedBytesLeft: Int
    private let began = ContinuousClock.now
    private var depth = 0

    init(_ limits: Limits = Limits()) {
        self.limits = limits
        unpackedBytesLeft = limits.unpackedBytesMax
    }

    /// What is left of the time.
    var timeLeft: Duration {
        .seconds(limits.seconds) - (ContinuousClock.now - began)
    }

    /// Throws `tooLarge` where no more may be unpacked.
    func unpack(_ bytes: Int) throws {
        guard bytes <= unpackedBytesLeft else {
            throw Failure(
                .tooLarge,
                "Unpacked, the file is larger than \(limits.unpackedBytesMax / 1_000_000) MB, the"
                    + " most that is read.")
        }
        unpackedBytesLeft -= bytes
    }

    /// Throws `timeout` when reading has taken too long.
    func checkTime() throws {
        guard timeLeft > .zero else { throw Self.late(limits.seconds) }
    }

    var tooLong: Failure {
        Failure(
            .tooLarge,
            "The file holds more than \(limits.textMax) characters of text. Split it into parts.")
    }

    static func late(_ seconds: Double) -> Failure {
        Failure(
            .timeout,
            "Reading the file took longer than \(Int(seconds.rounded(.up))) seconds and was given"
                + " up. Split it into parts, or save it in a simpler form.")
    }

    /// Runs `work` one level deeper. Throws `invalid` where that is too deep.
    func nested<Result>(_ work: () throws -> Result) throws -> Result {
        guard depth < Self.depthMax else {
            throw Failure(
                .invalid, "Files are packed in files more than \(Self.depthMax) levels deep.")
        }
        depth += 1
        defer { depth -= 1 }
        return try work()
    }
}
