import CStrophe
import Glibc
import Synchronization

/// All functions libstrophe calls. Each runs on the thread of the loop that pumps the connection, inside `xmpp_run_once`,
/// `xmpp_connect_client` or `xmpp_disconnect`.
///
/// Where a callback has `userdata`, it is an unretained ``StropheConnection``: the loop retains it until the C object is
/// released, which happens outside of callbacks. Two callbacks have none; they find their owner through `owners`.
enum StropheCallbacks {
    /// From the address of an `xmpp_conn_t` to that of its ``StropheConnection``, for callbacks without userdata.
    static let owners = Mutex<[UInt: UInt]>([:])
    /// From a thread to the connection whose TLS handshake it may be in: the certificate callback knows neither.
    static let handshakes = Mutex<[UInt: UInt]>([:])

    private static func connection(_ userdata: UnsafeMutableRawPointer?) -> StropheConnection? {
        userdata.map { Unmanaged<StropheConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func connection(at address: UInt?) -> StropheConnection? {
        connection(address.flatMap { UnsafeMutableRawPointer(bitPattern: $0) })
    }

    /// Events of the stream. userdata: the connection.
    static let event: xmpp_conn_handler = { _, event, error, streamError, userdata in
        guard let connection = connection(userdata) else { return }
        switch event {
        case XMPP_CONN_CONNECT:
            connection.opened()
        case XMPP_CONN_DISCONNECT, XMPP_CONN_FAIL:
            let element = streamError?.pointee.stanza.flatMap { StropheStanza($0).element(bytes: 16 * 1024, depth: 8) }
            connection.closed(error: error, hasStreamError: streamError != nil, element)
        default:
            break
        }
    }

    /// Every stanza after login. userdata: the connection. Returns 1 to stay.
    static let stanza: xmpp_handler = { _, stanza, userdata in
        if let stanza, let connection = connection(userdata) { connection.received(stanza) }
        return 1
    }

    /// Every new socket, before connect(). No userdata. `pointer` is the library's own variable: what is stored there is
    /// used afterwards. Anything but 0 gives the socket up.
    static let socket: xmpp_sockopt_callback = { pointer, socket in
        let address = owners.withLock { owners in pointer.flatMap { owners[UInt(bitPattern: $0)] } }
        guard let pointer, let socket, let connection = connection(at: address) else { return -1 }
        let variable = socket.assumingMemoryBound(to: Int32.self)
        guard let low = connection.adopt(variable.pointee) else { return -1 }
        variable.pointee = low
        return xmpp_sockopt_cb_keepalive(pointer, socket)
    }

    /// Every fault of a certificate. No userdata. Returns 0: refuse.
    static let certificate: xmpp_certfail_handler = { certificate, message in
        let address = handshakes.withLock { $0[UInt(pthread_self())] }
        let reason = message.map { String(cString: $0) } ?? "unknown fault"
        connection(at: address)?.refusedCertificate(certificate.map { CertificateFault(reason, $0) } ?? CertificateFault(reason: reason))
        return 0
    }

    /// The library's log, while logging in. userdata: an unretained ``StropheLogRecord`` that outlives the context.
    static let logged: xmpp_log_handler = { userdata, level, _, message in
        guard let userdata, let message else { return }
        Unmanaged<StropheLogRecord>.fromOpaque(userdata).takeUnretainedValue().logged(level, message)
    }
}
