import NIOCore
import NIOPosix
import NIOSSL

extension Session.Options {
    /// Whether a token may go to `endpoint`.
    ///
    /// - Throws: `.invalid` where it could be read on the way, or where nothing says who gets it.
    func checkCredentials(for endpoint: Endpoint) throws(QiError) {
        guard credentials != nil else { return }
        switch endpoint.kind {
        // The kernel says who listens.
        case .unix: return
        case .tcp:
            guard !endpoint.isLoopback else { return }
            throw QiError(
                .invalid, "\(endpoint) is not encrypted: the token would be readable on the way", hint: "use tcps://HOST:PORT")
        case .tls, .other, .relative:
            guard tls.trust == nil else { return }
            throw QiError(
                .invalid, "the certificate at \(endpoint) would not be checked: the token would go to whatever answers there",
                hint: "set tls.trust: the key or certificate of that listener, or .unchecked")
        }
    }
}

extension Session {
    /// The key of the `tcps` listener at `url`, as ``TLSOptions/Trust/keys(_:)`` takes it. Nothing is said to the listener but the
    /// beginning of a handshake, which is then broken off.
    ///
    /// - Throws: `.invalid` for another kind of URL, `.offline` when no listener answers, `.timedOut`.
    public static func keyShown(at url: String, deadline: Duration = .seconds(10)) async throws(QiError) -> String {
        guard let endpoint = Endpoint(url), case .tls(let host, let port, _) = endpoint.kind else {
            throw QiError(.invalid, "\"\(url)\" is no address that shows a key", hint: "use tcps://HOST:PORT")
        }
        let timeout = TimeAmount(deadline)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let shown = loop.makePromise(of: String.self)
        let late = loop.scheduleTask(in: timeout) { shown.fail(QiError(.timedOut, "\(endpoint) did not show a key in time")) }
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(timeout).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                var configuration = TLSConfiguration.makeClientConfiguration()
                configuration.minimumTLSVersion = .tlsv12
                configuration.certificateVerification = .noHostnameVerification
                let check = TLSLayer.keyCheck { key in
                    shown.succeed(key)
                    return false
                }
                let handler = try TLSLayer.client(NIOSSLContext(configuration: configuration), host, check)
                try channel.pipeline.syncOperations.addHandlers([handler, KeyWait(shown, endpoint)])
            }
        }
        do {
            let channel = try await bootstrap.connect(host: host, port: Int(port)).get()
            defer { channel.close(promise: nil) }
            let key = try await shown.futureResult.get()
            late.cancel()
            return key
        } catch {
            late.cancel()
            shown.fail(error)
            throw Dialer.describe(error, endpoint)
        }
    }
}

/// Tells a handshake that ended before a key was shown.
private final class KeyWait: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let shown: EventLoopPromise<String>
    private let endpoint: Endpoint

    init(_ shown: EventLoopPromise<String>, _ endpoint: Endpoint) {
        self.shown = shown
        self.endpoint = endpoint
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        shown.fail(QiError(.denied, "the TLS handshake with \(endpoint) failed: \(error)", hint: "does it speak TLS?", cause: error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        shown.fail(QiError(.offline, "\(endpoint) closed the connection before it showed a key", hint: "does it speak TLS?"))
        context.fireChannelInactive()
    }
}
