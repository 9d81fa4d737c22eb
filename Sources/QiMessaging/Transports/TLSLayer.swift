package import NIOCore
import NIOSSL
import Synchronization

/// TLS as a decorator: puts its handlers on any channel, whatever carries it. Contexts are made once, at first use.
///
/// TLS 1.2 and 1.3: libqi 4 speaks 1.2 only, with the suites of wire reference §24.
final class TLSLayer: Sendable {
    private enum Use: Hashable { case client, mutualClient, server, mutualServer }

    private struct State {
        var options: TLSOptions
        var contexts: [Use: NIOSSLContext] = [:]
        /// The certificates by which peers are trusted, as they were read.
        var trusted: Set<[UInt8]>?
    }

    private let state: Mutex<State>

    init(_ options: TLSOptions) { state = Mutex(State(options: options)) }

    var isMutual: Bool { state.withLock { $0.options.isMutual } }

    /// Reads the files again, or others: new connections get what `options` says. What is in use stays when that cannot be used.
    ///
    /// - Returns: whether a certificate is not trusted any more that was.
    func replace(_ options: TLSOptions) throws(QiError) -> Bool {
        let (uses, before) = state.withLock { (Array($0.contexts.keys), $0.trusted) }
        var fresh = State(options: options)
        for use in uses { fresh.contexts[use] = try Self.context(use, options) }
        fresh.trusted = try Self.trusted(options)
        let made = fresh
        state.withLock { $0 = made }
        return !(before ?? []).isSubset(of: made.trusted ?? [])
    }

    /// What a peer's certificate is checked against; nil when nothing is checked.
    func check(mutual: Bool, isServer: Bool) -> TLSFailure.Check? {
        guard mutual || !isServer else { return nil }
        return switch state.withLock({ $0.options.trust }) {
        case .authorities: .authorities
        case nil: nil
        default: .pins
        }
    }

    /// Checks that `endpoint` can be listened at or connected to with these options; does nothing for one without TLS.
    func prepare(for endpoint: Endpoint, isServer: Bool) throws(QiError) {
        guard case .tls(_, _, let mutual) = endpoint.kind else { return }
        _ = try context(use(mutual: mutual, isServer: isServer))
    }

    /// Puts TLS on a channel that was made for `endpoint`; does nothing for one without TLS.
    func install(on channel: any Channel, for endpoint: Endpoint, isServer: Bool) throws {
        guard case .tls(let host, _, let mutual) = endpoint.kind else { return }
        let context = try context(use(mutual: mutual, isServer: isServer))
        let check = try pinCheck(mutual: mutual, isServer: isServer)
        let handler: any ChannelHandler & RemovableChannelHandler
        switch (isServer, check) {
        case (true, let check?): handler = NIOSSLServerHandler(context: context, customVerificationCallback: check)
        case (true, nil): handler = NIOSSLServerHandler(context: context)
        case (false, let check): handler = try Self.client(context, host, check)
        }
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    typealias Check = @Sendable ([NIOSSLCertificate], EventLoopPromise<NIOSSLVerificationResult>) -> Void

    static func client(_ context: NIOSSLContext, _ host: String, _ check: Check?) throws -> NIOSSLClientHandler {
        // An address is not a server name; it is then compared with the addresses in the certificate.
        let name = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
        guard let check else { return try NIOSSLClientHandler(context: context, serverHostname: name) }
        return try NIOSSLClientHandler(context: context, serverHostname: name, customVerificationCallback: check)
    }

    private func use(mutual: Bool, isServer: Bool) -> Use {
        isServer ? (mutual ? .mutualServer : .server) : (mutual ? .mutualClient : .client)
    }

    // MARK: - Contexts

    private func context(_ use: Use) throws(QiError) -> NIOSSLContext {
        let (known, options) = state.withLock { ($0.contexts[use], $0.options) }
        if let known { return known }
        let made = try Self.context(use, options)
        let trusted = try Self.trusted(options)
        state.withLock { state in
            state.contexts[use] = made
            if state.trusted == nil { state.trusted = trusted }
        }
        return made
    }

    private static func context(_ use: Use, _ options: TLSOptions) throws(QiError) -> NIOSSLContext {
        let configuration: TLSConfiguration
        do {
            configuration = try Self.configuration(use, options)
        } catch let error as QiError {
            throw error
        } catch {
            throw unusable(FailureReason.text(error), error)
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw unusable(TLSFailure.text(ofUsing: error), error)
        }
    }

    private static func unusable(_ reason: String, _ cause: any Error) -> QiError {
        QiError(.invalid, "TLS cannot be set up: \(reason)", hint: "check certificate, key and trust files", cause: cause)
    }

    private static func trusted(_ options: TLSOptions) throws(QiError) -> Set<[UInt8]> {
        guard let trust = options.trust else { return [] }
        do {
            switch trust {
            case .authorities(let sources), .pinned(let sources):
                return Set(try sources.flatMap(certificates).map { try $0.toDERBytes() })
            case .keys, .unchecked: return []
            }
        } catch let error as QiError {
            throw error
        } catch {
            throw QiError(.invalid, "the trusted certificates cannot be read: \(FailureReason.text(error))", cause: error)
        }
    }

    private static func configuration(_ use: Use, _ options: TLSOptions) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.renegotiationSupport = .none
        let isServer = use == .server || use == .mutualServer
        let isMutual = use == .mutualServer || use == .mutualClient
        configuration.cipherSuiteValues = isServer ? serverSuites : serverSuites + clientSuites
        if isServer || isMutual {
            guard let identity = options.identity else {
                throw QiError(
                    .invalid, "TLS needs a certificate and its key, and none is configured", hint: "set the identity of the TLS options")
            }
            configuration.certificateChain = try identity.certificates.flatMap(certificates).map { .certificate($0) }
            configuration.privateKey = .privateKey(try key(identity.privateKey))
        }
        guard isMutual || (use == .client && options.checksPeers) else {
            configuration.certificateVerification = .none
            return configuration
        }
        guard let trust = options.trust, options.checksPeers else {
            throw QiError(
                .invalid, "tcpsm needs to know which certificates are good, and no trust is configured",
                hint: "set the trust of the TLS options, or use tcps")
        }
        switch trust {
        case .authorities(let sources):
            configuration.trustRoots = .certificates(try sources.flatMap(certificates))
            configuration.certificateVerification = isServer ? .noHostnameVerification : .fullVerification
        case .pinned, .keys, .unchecked: configuration.certificateVerification = .noHostnameVerification
        }
        return configuration
    }

    /// For pinned peers: the leaf, or its key, has to be one of them. The handshake proves that the peer has the key.
    private func pinCheck(mutual: Bool, isServer: Bool) throws -> Check? {
        guard mutual || !isServer else { return nil }
        let (options, known) = state.withLock { ($0.options, $0.trusted) }
        switch options.trust {
        case .keys(let keys): return Self.keyCheck { keys.contains($0) }
        case .pinned: return Self.certificateCheck(try known ?? Self.trusted(options))
        case .authorities, .unchecked, nil: return nil
        }
    }

    /// Asks about the key that the peer shows, 64 hexadecimal digits.
    static func keyCheck(_ isGood: @escaping @Sendable (String) -> Bool) -> Check {
        { chain, promise in
            let key = try? chain.first?.extractPublicKey().toSPKIBytes()
            promise.succeed(key.map { isGood(TLSIdentityHandler.fingerprint(ofKey: $0)) } == true ? .certificateVerified : .failed)
        }
    }

    private static func certificateCheck(_ pinned: Set<[UInt8]>) -> Check {
        { chain, promise in
            let leaf = try? chain.first?.toDERBytes()
            promise.succeed(leaf.map(pinned.contains) == true ? .certificateVerified : .failed)
        }
    }

    private static func certificates(_ source: TLSOptions.Source) throws -> [NIOSSLCertificate] {
        switch source {
        case .file(let path):
            do {
                return try NIOSSLCertificate.fromPEMBytes(PEMFile.bytes(path))
            } catch let error as QiError {
                throw error
            } catch {
                throw QiError(.invalid, "\(path) holds no readable PEM certificate: \(FailureReason.text(error))", cause: error)
            }
        case .pem(let bytes): return try NIOSSLCertificate.fromPEMBytes(PEMFile.withoutMark(bytes))
        case .der(let bytes): return [try NIOSSLCertificate(bytes: bytes, format: .der)]
        }
    }

    private static func key(_ source: TLSOptions.Source) throws -> NIOSSLPrivateKey {
        switch source {
        case .file(let path):
            do {
                return try NIOSSLPrivateKey(bytes: PEMFile.bytes(path), format: .pem)
            } catch let error as QiError {
                throw error
            } catch {
                throw QiError(.invalid, "\(path) holds no readable PEM key: \(FailureReason.text(error))", cause: error)
            }
        case .pem(let bytes): return try NIOSSLPrivateKey(bytes: PEMFile.withoutMark(bytes), format: .pem)
        case .der(let bytes): return try NIOSSLPrivateKey(bytes: bytes, format: .der)
        }
    }

    /// Forward-secret suites only, as libqi's listener has them, less the finite-field ones that NIOSSL does not offer. Those of
    /// TLS 1.3 are not configurable and always on.
    private static let serverSuites: [NIOTLSCipher] = [
        .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]
    private static let clientSuites: [NIOTLSCipher] = [.TLS_RSA_WITH_AES_128_GCM_SHA256, .TLS_RSA_WITH_AES_256_GCM_SHA384]
}

extension TLSOptions {
    /// Puts TLS on a channel for `endpoint`, if it says so: for peers that speak the protocol themselves.
    package func install(on channel: any Channel, for endpoint: Endpoint, isServer: Bool) throws {
        try TLSLayer(self).install(on: channel, for: endpoint, isServer: isServer)
    }
}
