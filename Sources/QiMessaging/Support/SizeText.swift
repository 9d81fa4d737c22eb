/// Numbers of bytes as people read them.
enum SizeText {
    /// `512 bytes`, `6.2 kB`, `3.1 MB`.
    static func of(_ bytes: Int) -> String {
        switch bytes {
        case ..<1000: "\(bytes) bytes"
        case ..<1_000_000: "\(Double(bytes / 100) / 10) kB"
        default: "\(Double(bytes / 100_000) / 10) MB"
        }
    }
}
