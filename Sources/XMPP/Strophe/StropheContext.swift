import CStrophe
import Glibc
import Synchronization

/// What the library needs once per process.
enum StropheLibrary {
    private static let prepared: Bool = {
        // The library writes to closed sockets through OpenSSL without MSG_NOSIGNAL (reference `xmpp.md` §1.8).
        signal(SIGPIPE, SIG_IGN)
        xmpp_initialize()
        return true
    }()

    /// Initialises libstrophe and ignores SIGPIPE, once.
    static func prepare() {
        precondition(prepared)
    }
}

/// Owner of one `xmpp_ctx_t` and of its log sink. Confined to the thread of one ``StropheLoop``.
final class StropheContext {
    let pointer: OpaquePointer
    private let log: UnsafeMutablePointer<xmpp_log_t>
    private let record: StropheLogRecord

    init() {
        record = StropheLogRecord()
        log = .allocate(capacity: 1)
        // The context keeps a pointer to `log`, so switching the handler in place takes effect at once. `record` is retained
        // by self, which outlives the context.
        log.initialize(to: xmpp_log_t(handler: nil, userdata: Unmanaged.passUnretained(record).toOpaque()))
        guard let pointer = xmpp_ctx_new(nil, log) else { preconditionFailure("out of memory") }
        self.pointer = pointer
    }

    /// Frees the C object; nothing may be used afterwards.
    func free() {
        xmpp_ctx_free(pointer)
        log.deinitialize(count: 1)
        log.deallocate()
    }

    /// One turn of the library's loop, without waiting.
    ///
    /// `exclusively`: no other context does the same meanwhile. libstrophe's SHA-1 works in one static buffer
    /// (`src/sha1.c`, in 0.12.2 and still at the end of 2025), so two logins with SCRAM at the same time spoil each other's proof and the
    /// server answers `not-authorized`. Nothing but the login hashes.
    func runOnce(exclusively: Bool) {
        guard exclusively else { return xmpp_run_once(pointer, 0) }
        StropheContext.hashing.withLock { _ in xmpp_run_once(pointer, 0) }
    }

    private static let hashing = Mutex(())

    /// Listens to the library's log, which formats every stanza: only while logging in, because nothing else tells why a
    /// login failed (user handlers see no stanza before it succeeded).
    func listen(_ isOn: Bool) {
        log.pointee.handler = isOn ? StropheCallbacks.logged : nil
        if isOn { record.reset() }
    }

    /// Condition of the last SASL failure since ``listen(_:)``, for example `not-authorized`.
    var saslFailure: String? { record.saslFailure }

    /// Last error the library logged since ``listen(_:)``.
    var lastError: String? { record.lastError }
}

/// What is kept of the library's log. Credentials pass through it, so nothing is kept but a failure's condition and errors.
final class StropheLogRecord {
    private(set) var saslFailure: String?
    private(set) var lastError: String?

    func reset() {
        saslFailure = nil
        lastError = nil
    }

    func logged(_ level: xmpp_log_level_t, _ message: UnsafePointer<CChar>) {
        if level == XMPP_LEVEL_ERROR {
            lastError = String(String(cString: message).prefix(200))
        } else if level == XMPP_LEVEL_DEBUG, strncmp(message, "RECV: <failure", 14) == 0,
            strstr(message, Namespaces.sasl) != nil
        {
            saslFailure = StropheLogRecord.condition(in: String(cString: message)) ?? "not-authorized"
        }
    }

    /// Name of the first child in `RECV: <failure xmlns='…'><not-authorized/>…`, leaving out `<text>`.
    static func condition(in message: String) -> String? {
        for part in message.prefix(1000).split(separator: "<").dropFirst(2) {
            let name = part.prefix { $0.isLetter || $0 == "-" }
            if !name.isEmpty && name != "text" { return String(name) }
        }
        return nil
    }
}
