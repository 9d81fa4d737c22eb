import NIOCore

/// Why a connection was not made, in a few words.
enum ConnectionWords {
    static func of(_ error: any Error) -> String {
        switch error {
        case let error as IOError: SystemWords.text(error.errnoCode).lowercased()
        case let error as SOCKS5Fault: error.description
        case ChannelError.connectTimeout: "no answer"
        case is ChannelError: "closed"
        default: "\(error)"
        }
    }
}
