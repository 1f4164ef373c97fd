/// GPT-2's way to write any byte as a visible character: itself where it is one in Latin-1, else the
/// next of the characters from U+0100 on.
enum ByteAlphabet {
    static func scalar(of byte: UInt8) -> Unicode.Scalar { scalars[Int(byte)] }

    /// Nil for a character that stands for no byte.
    static func byte(of scalar: Unicode.Scalar) -> UInt8? {
        scalar.value < UInt32(bytes.count) ? bytes[Int(scalar.value)] : nil
    }

    /// What `bytes` look like in a vocabulary.
    static func append(_ bytes: Slice<UnsafeRawBufferPointer>, to text: inout [UInt8]) {
        for byte in bytes {
            let scalar = scalars[Int(byte)].value
            if scalar < 0x80 {
                text.append(UInt8(scalar))
            } else {
                text.append(0xC0 | UInt8(scalar >> 6))
                text.append(0x80 | UInt8(scalar & 0x3F))
            }
        }
    }

    private static let scalars: [Unicode.Scalar] = {
        var moved: UInt32 = 0
        return (0...255).map { (byte: UInt8) in
            switch byte {
            case 33...126, 161...172, 174...255: return Unicode.Scalar(byte)
            default:
                defer { moved += 1 }
                return Unicode.Scalar(256 + moved) ?? "\u{FFFD}"
            }
        }
    }()

    private static let bytes: [UInt8?] = {
        var bytes: [UInt8?] = Array(repeating: nil, count: 324)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
        return bytes
    }()
}
