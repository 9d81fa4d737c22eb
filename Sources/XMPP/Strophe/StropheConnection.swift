import CStrophe
import Glibc
import NIOCore
import Synchronization

/// What a connection attempt needs to know.
struct StropheParameters: Sendable {
    var jid: JID
    var password: String
    var allowsPlain: Bool
    /// A numeric address or a name, and a port; nil lets the library ask DNS for an SRV record (blocking).
    var server: (host: String, port: UInt16)?
    var directTLS: Bool
    var caFile: String?
    var stanzaBytes: Int
    var stanzaDepth: Int
}

/// Hears from a connection, on the loop's thread, inside the library's callbacks.
protocol StropheConnectionOwner: AnyObject {
    /// The TCP connection stands.
    func connectionReached()
    /// TLS stands.
    func connectionSecured()
    /// Logged in under that full address.
    func connectionOpened(as jid: JID)
    /// It ended; nothing follows.
    func connectionClosed(_ end: StreamEnd)
    /// A stanza, copied.
    func received(_ stanza: Element)
    /// How large a stanza may be that is over the usual limit, by its first tag.
    func bytesAllowed(for tag: Element) -> Int
    /// A stanza over the limits: its first tag without children.
    func receivedOversized(_ stanza: Element)
    /// An in-band data block; the bytes are valid during the call only.
    func receivedData(_ data: StropheStanza.DataBlock)
}

/// Owner of one `xmpp_conn_t`: one stream, used once. Confined to the thread of its ``StropheLoop``, which pumps it.
final class StropheConnection {
    private let context: StropheContext
    private let pointer: OpaquePointer
    private let parameters: StropheParameters
    private let descriptors: LowDescriptorReserve
    private weak var owner: (any StropheConnectionOwner)?
    private var certificateFault: CertificateFault?
    private var hasEnded = false
    private var isSecured = false
    private(set) var isOpen = false
    /// Whether there was an address to connect to.
    private var hadSocket = false
    /// Limits that the server announced until the login was done.
    private(set) var streamLimits = StreamLimits()
    /// How often something was read; any change is a sign of life.
    private(set) var reads: UInt = 0

    /// The socket, or -1. Its number may be reused by the kernel as soon as the library has closed it.
    private(set) var socket: Int32 = -1
    /// Interrupts a blocking handshake from other threads.
    let socketGuard = SocketGuard()
    /// True until the socket was writable for the first time.
    private(set) var isTCPConnecting = false
    /// Something was sent that may not have left yet.
    private(set) var isDirty = false
    /// Bytes handed to the library since it last had nothing left: the upper bound of what its queue holds.
    private(set) var queuedBytes = 0
    private var largest = 0
    private var pending: [UInt8] = []
    private var hasReceived = false
    /// Something was read since the library last had nothing left to do: TLS may hold more of it.
    private var hasRead = false

    init(
        _ context: StropheContext, _ parameters: StropheParameters, owner: any StropheConnectionOwner,
        descriptors: LowDescriptorReserve
    ) {
        guard let pointer = xmpp_conn_new(context.pointer) else { preconditionFailure("out of memory") }
        self.context = context
        self.pointer = pointer
        self.parameters = parameters
        self.owner = owner
        self.descriptors = descriptors
    }

    private var address: UInt { UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()) }

    /// Starts connecting. False when it failed at once: then nothing else is reported (reference `xmpp.md` §1.3).
    func connect() -> Bool {
        var flags = UInt(XMPP_CONN_FLAG_MANDATORY_TLS) | UInt(XMPP_CONN_FLAG_DISABLE_SM)
        if parameters.directTLS { flags |= UInt(XMPP_CONN_FLAG_LEGACY_SSL) }
        guard xmpp_conn_set_flags(pointer, Int(flags)) == XMPP_EOK else { return false }
        xmpp_conn_set_jid(pointer, parameters.jid.description)
        xmpp_conn_set_pass(pointer, parameters.password)
        if let caFile = parameters.caFile { xmpp_conn_set_cafile(pointer, caFile) }
        StropheCallbacks.owners.withLock { $0[UInt(bitPattern: pointer)] = address }
        StropheCallbacks.handshakes.withLock { $0[UInt(pthread_self())] = address }
        xmpp_conn_set_sockopt_callback(pointer, StropheCallbacks.socket)
        xmpp_conn_set_certfail_handler(pointer, StropheCallbacks.certificate)
        let userdata = Unmanaged.passUnretained(self).toOpaque()
        xmpp_handler_add(pointer, StropheCallbacks.stanza, nil, nil, nil, userdata)
        context.listen { [allowsPlain = parameters.allowsPlain, pointer] login in
            // Without a password the library ends the login instead of showing it (`_auth` in its `src/auth.c`): this comes before it
            // looks at what the server offers.
            if !allowsPlain && !login.mechanisms.isEmpty && !login.offersProof { xmpp_conn_set_pass(pointer, nil) }
        }
        let result = xmpp_connect_client(
            pointer, parameters.server?.host, parameters.server?.port ?? 0, StropheCallbacks.event, userdata)
        guard result == XMPP_EOK else {
            ended()
            return false
        }
        return true
    }

    /// What the library said when ``connect()`` failed at once.
    var failure: StreamEnd {
        StreamEnd(error: -1, login: context.login, hasPlainPassword: parameters.allowsPlain, hadSocket: hadSocket)
    }

    /// Most bytes that are sent as one TLS record: Prosody reads 8 KiB at a time and pauses for a millisecond when a record
    /// holds more.
    private static let recordSize = 8000

    /// Sends bytes with the next turn. Only complete stanzas, only while open. Small stanzas of one turn leave together.
    func send(_ bytes: [UInt8]) {
        guard isOpen, !bytes.isEmpty else { return }
        if pending.count + bytes.count > StropheConnection.recordSize { flush() }
        pending.append(contentsOf: bytes)
        isDirty = true
        queuedBytes += bytes.count
    }

    /// Hands what was sent to the library's queue.
    func flush() {
        guard !pending.isEmpty else { return }
        pending.withUnsafeBytes { raw in
            raw.withMemoryRebound(to: CChar.self) { xmpp_send_raw(pointer, $0.baseAddress, $0.count) }
        }
        largest = max(largest, pending.count)
        pending.removeAll(keepingCapacity: true)
    }

    /// Ends the stream in the orderly way; the end is reported when the server has answered, at most 2 s later.
    func disconnect() {
        flush()
        xmpp_disconnect(pointer)
        isDirty = true
    }

    /// Cuts the connection; the end is reported by the pump.
    func abort() {
        socketGuard.interrupt()
    }

    /// Releases the C object. Not inside a callback. Nothing may be used afterwards.
    func release() {
        // Releasing a connected stream calls back with DISCONNECT: nobody is interested any more.
        hasEnded = true
        xmpp_conn_release(pointer)
        ended()
    }

    // MARK: For the pump

    /// TLS stands and the login does not: the time in which the library hashes.
    var isLoggingIn: Bool { isSecured && !isOpen }

    /// Something was sent since the last turn began.
    var hasPending: Bool { !pending.isEmpty }

    /// Entries of the library's queue; hides one that is partly written.
    var queueLength: Int32 { xmpp_conn_send_queue_len(pointer) }

    /// Four reads of 4 KiB empty a TLS record, and each record takes a turn to be written.
    var idleTurnsNeeded: Int {
        (hasRead ? 4 : 1) + (isDirty ? (largest + 16383) / 16384 : 0)
    }

    /// Whether a stanza arrived since the last call.
    func takeHasReceived() -> Bool {
        defer { hasReceived = false }
        return hasReceived
    }

    /// After each turn of the library.
    func turned(writable: Bool) {
        guard !hasEnded else { return }
        // Streams that carry data all the time never settle.
        if isOpen && pending.isEmpty && queueLength == 0 { queuedBytes = 0 }
        if isTCPConnecting && writable {
            isTCPConnecting = false
            owner?.connectionReached()
        }
        if !isOpen {
            // The library itself sends while logging in.
            isDirty = isDirty || !isTCPConnecting
            if !isSecured && xmpp_conn_is_secured(pointer) != 0 {
                isSecured = true
                owner?.connectionSecured()
            }
        }
    }

    /// The library has nothing left to send.
    func settled() {
        isDirty = false
        hasRead = false
        largest = 0
        queuedBytes = 0
    }

    /// Something was read. Switches delayed acknowledgements off; the kernel forgets it again, so it is done after every read. With Nagle's
    /// algorithm on the server's side each round trip takes 40 ms otherwise.
    func noteRead() {
        hasRead = true
        reads &+= 1
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_QUICKACK, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    // MARK: From the callbacks

    /// A new socket: moved to a low number if it must be, prepared, remembered. Nil gives it up.
    func adopt(_ socket: Int32) -> Int32? {
        guard let low = descriptors.lowered(socket) else { return nil }
        var on: Int32 = 1
        setsockopt(low, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        self.socket = low
        hadSocket = true
        isTCPConnecting = true
        socketGuard.watch(low)
        return low
    }

    func refusedCertificate(_ fault: CertificateFault) {
        certificateFault = certificateFault ?? fault
    }

    func opened() {
        context.stopListening()
        streamLimits = context.login.streamLimits
        guard let text = xmpp_conn_get_bound_jid(pointer), let jid = JID(String(cString: text)) else {
            disconnect()
            return
        }
        isOpen = true
        owner?.connectionOpened(as: jid)
    }

    func closed(error: Int32, hasStreamError: Bool, _ element: Element?) {
        guard !hasEnded else { return }
        // First of all: the number of the socket belongs to the kernel again.
        ended()
        hasEnded = true
        var end = StreamEnd(
            error: error, certificateFault: certificateFault, login: context.login, hasPlainPassword: parameters.allowsPlain,
            hadSocket: true, isCut: socketGuard.hasInterrupted)
        if hasStreamError { end.setStreamError(element) }
        owner?.connectionClosed(end)
        context.stopListening()
    }

    func received(_ stanza: OpaquePointer) {
        guard isOpen, !hasEnded else { return }
        hasReceived = true
        let stanza = StropheStanza(stanza)
        if let data = stanza.dataBlock {
            owner?.receivedData(data)
        } else if let element = stanza.element(bytes: parameters.stanzaBytes, depth: parameters.stanzaDepth) {
            owner?.received(element)
        } else {
            let tag = stanza.tag
            // An answer that we asked for may be larger than what others send us unasked.
            let bytes = owner?.bytesAllowed(for: tag) ?? 0
            if bytes > parameters.stanzaBytes, let element = stanza.element(bytes: bytes, depth: parameters.stanzaDepth) {
                owner?.received(element)
            } else {
                owner?.receivedOversized(tag)
            }
        }
    }

    private func ended() {
        socket = -1
        isOpen = false
        isTCPConnecting = false
        pending = []
        settled()
        socketGuard.release()
        descriptors.reserve()
        StropheCallbacks.owners.withLock { $0[UInt(bitPattern: pointer)] = nil }
        StropheCallbacks.handshakes.withLock { handshakes in
            let thread = UInt(pthread_self())
            if handshakes[thread] == address { handshakes[thread] = nil }
        }
    }
}
