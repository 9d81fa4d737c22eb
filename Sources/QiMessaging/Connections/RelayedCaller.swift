import Glibc
import NIOCore
import QiWire

/// Somebody outside for whom a gateway, or a directory, passes calls on: what the service behind it is told, so that ``Caller/current``
/// is who really calls.
///
/// Told by a Post to service 0, object 0 right before the call it is about, and only to a peer that announced ``capability``: libqi
/// never hears of it. Believed only of a process of our own user, or of root, at the other end of a unix socket, as the kernel says;
/// whoever else says it is not heard. Nobody gains by it: a relayed caller is always one from outside, and what a service's own process
/// may do for its peer is decided by the connection.
final class RelayedCaller: Sendable {
    let caller: Caller
    /// The caller as it is told, without the id of the call.
    let encoded: ByteBuffer

    static let capability = Capabilities.Name.relayedCallers
    /// The call or post with the id that is given was made by the caller that follows.
    static let action: UInt32 = 0x514D_0011
    /// An address has at most 3071 bytes (RFC 7622 §3.1), and may be there twice.
    static let maximumBytes = 8192

    init(_ caller: Caller) {
        self.caller = caller
        var bytes = ByteBuffer()
        let (kind, name) = caller.principal.identity.words
        let (path, place, shown) = caller.origin.words
        for word in [caller.zone.rawValue, kind, name, caller.principal.fingerprint ?? "", path, place, shown] {
            bytes.writeQiString(QiString(word))
        }
        encoded = bytes
    }

    /// - Throws: when it is nobody from outside.
    init(reading bytes: ByteBuffer) throws(WireError) {
        var rest = bytes
        var words: [String] = []
        for _ in 0..<7 { words.append(try rest.readQiString().lossyText) }
        guard rest.readableBytes == 0, let zone = Zone(rawValue: words[0]), zone.isOutside,
            let identity = Principal.Identity(words[1], words[2]), let origin = ConnectionOrigin(words[4], words[5], words[6])
        else { throw WireError(.value, "a caller from outside is told of in a form that cannot be read") }
        let principal = Principal(identity, zone: zone, fingerprint: words[3].isEmpty ? nil : words[3])
        caller = Caller(principal: principal, origin: origin)
        encoded = bytes
    }

    /// Whether a peer is believed who calls.
    static func isBelieved(_ origin: ConnectionOrigin) -> Bool {
        guard let user = origin.user else { return false }
        return user == getuid() || user == 0
    }
}

/// What a connection knows of relayed callers. Confined to the bus loop.
struct RelayedCallers {
    /// Whether the peer wants to be told who calls.
    var areTold = false
    /// Who makes the call that comes next.
    var announced: (id: UInt32, caller: RelayedCaller)?
    /// The last one heard of: most calls are made by the same as the one before.
    var last: RelayedCaller?
    /// The peer, as others are told of it.
    var peer: RelayedCaller?
}

extension Connection {
    /// What we announce on a connection of that origin.
    static func capabilities(_ origin: ConnectionOrigin, limits: ConnectionLimits) -> Capabilities {
        var capabilities = SharedMemoryLink.capabilities(origin, limits: limits)
        capabilities[Capabilities.Name.eventGaps] = QiDynamic(.bool(true))
        if RelayedCaller.isBelieved(origin) { capabilities[RelayedCaller.capability] = QiDynamic(.bool(true)) }
        if announcesTerms(origin) { capabilities[CallTermsTable.capability] = QiDynamic(.bool(true)) }
        return capabilities
    }

    /// The peer's capabilities are known. Nobody but a process of this machine is told who is outside.
    func tellsCallers(_ remote: Capabilities) -> Bool {
        origin.isNeighbour && remote.isEnabled(RelayedCaller.capability)
    }

    /// Tells the peer who makes the call or post of that id, which is sent next.
    func tell(_ caller: RelayedCaller, of id: UInt32) {
        var payload = ByteBuffer()
        payload.writeQiUInt32(id)
        payload.writeImmutableBuffer(caller.encoded)
        post(ActionAddress(.connection, action: RelayedCaller.action), payload)
    }

    /// A Post about the connection itself.
    func receivedAboutItself(_ message: Message) {
        if message.address.action == CallTermsTable.action { return receivedTerms(message.payload) }
        guard message.address.action == RelayedCaller.action else {
            sharedMemory?.received(message, on: self)
            return
        }
        guard RelayedCaller.isBelieved(origin) else { return }
        var payload = message.payload
        do throws(WireError) {
            guard payload.readableBytes <= RelayedCaller.maximumBytes else {
                throw WireError(.limit, "a caller from outside is told of in \(payload.readableBytes) bytes")
            }
            let id = try payload.readQiUInt32()
            if let last = relayedCallers.last, last.encoded == payload {
                relayedCallers.announced = (id, last)
            } else {
                let caller = try RelayedCaller(reading: payload)
                relayedCallers.last = caller
                relayedCallers.announced = (id, caller)
            }
        } catch {
            // The call that follows must not be taken for one of the peer itself.
            close(.invalid("the peer told of a caller in a way that cannot be read: \(error.message)"))
        }
    }

    /// Who makes the call of that id, if the peer passes it on for somebody.
    func takeRelayedCaller(of id: UInt32) -> RelayedCaller? {
        guard let announced = relayedCallers.announced else { return nil }
        relayedCallers.announced = nil
        return announced.id == id ? announced.caller : nil
    }

    /// The peer as others are told of it; nil for one inside.
    var peerFromOutside: RelayedCaller? {
        guard isOutside else { return nil }
        if let known = relayedCallers.peer { return known }
        let peer = RelayedCaller(Caller(principal: principal, origin: origin))
        relayedCallers.peer = peer
        return peer
    }
}

extension IncomingCall {
    /// Who outside makes the call, as far as whoever serves it behind us is to know.
    var callerFromOutside: RelayedCaller? { relayed ?? connection.peerFromOutside }
}

// MARK: - As words

extension Principal.Identity {
    fileprivate var words: (kind: String, name: String) {
        switch self {
        case .process(let uid): ("process", uid.map { "\($0)" } ?? "")
        case .host(let host): ("host", host)
        case .certificate(let fingerprint): ("certificate", fingerprint)
        case .user(let name): ("user", name)
        case .app(let name): ("app", name)
        case .device(let jid): ("device", jid)
        }
    }

    fileprivate init?(_ kind: String, _ name: String) {
        switch kind {
        case "process": self = .process(uid: UInt32(name))
        case "host": self = .host(name)
        case "certificate": self = .certificate(name)
        case "user": self = .user(name)
        case "app": self = .app(name)
        case "device": self = .device(name)
        default: return nil
        }
    }
}

extension ConnectionOrigin {
    /// A way that is not of this module goes by a word that earlier nodes know, and its name stands where they read nothing. Who came by
    /// it is told with the principal.
    fileprivate var words: (kind: String, place: String, shown: String) {
        if let device { return ("device", device, path == .inBand ? "" : path.name) }
        return switch path {
        case .unix: ("unix", user.map { "\($0)" } ?? "", "")
        case .tcp: ("tcp", host ?? "", "")
        case .tls: ("tls", host ?? "", key ?? "")
        case .process: ("process", "", "")
        default: ("tcp", host ?? "", path.name)
        }
    }

    fileprivate init?(_ kind: String, _ place: String, _ shown: String) {
        switch kind {
        case "unix": self = .unix(uid: UInt32(place))
        case "tcp" where shown.isEmpty: self = .tcp(host: place)
        case "tcp": self.init(by: PathKind(shown), from: place.isEmpty ? nil : place)
        case "tls": self = .tls(host: place, fingerprint: shown.isEmpty ? nil : shown)
        case "device": self = .device(name: place, by: shown.isEmpty ? .inBand : PathKind(shown))
        case "process": self = .process
        default: return nil
        }
    }
}
