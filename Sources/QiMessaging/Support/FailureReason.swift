import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// What went wrong below us, in words for people: what the system said, without types, numbers and places in the sources of libraries.
enum FailureReason {
    static func text(_ error: any Error) -> String {
        switch error {
        case let error as QiError: error.message
        case let error as IOError: text(errno: error.errnoCode)
        case let error as NIOConnectionError: text(error)
        case let error as ChannelError: text(error)
        case let error as SocketAddressError: text(error)
        case let error as SocketAddressError.UnknownHost: "the name \(error.host) is not known"
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError: TLSFailure.text(error)
        default: "\(error)"
        }
    }

    static func text(errno code: Int32) -> String { String(cString: strerror(code)) }

    /// Of several addresses of one name the first reason counts: they are nearly always the same.
    private static func text(_ error: NIOConnectionError) -> String {
        if let first = error.connectionErrors.first { return text(first.error) }
        if error.dnsAError != nil || error.dnsAAAAError != nil { return "the name \(error.host) is not known" }
        return "it has no address"
    }

    private static func text(_ error: ChannelError) -> String {
        switch error {
        case .connectTimeout(let limit): "no answer within \(seconds(limit))"
        case .alreadyClosed, .ioOnClosedChannel, .eof, .inputClosed, .outputClosed: "the connection was closed"
        default: "the connection failed (\(error))"
        }
    }

    private static func text(_ error: SocketAddressError) -> String {
        switch error {
        case .unknown(let host, _): "the name \(host) is not known"
        case .unixDomainSocketPathTooLong: "the path is too long for a socket"
        default: "the address cannot be used"
        }
    }

    private static func seconds(_ limit: TimeAmount) -> String {
        let milliseconds = limit.nanoseconds / 1_000_000
        return milliseconds.isMultiple(of: 1_000) ? "\(milliseconds / 1_000) s" : "\(milliseconds) ms"
    }
}
