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
    /// login failed (user handlers see no stanza before it succeeded). `onStanza` runs after each stanza of the login was looked at, before
    /// the library acts on it.
    func listen(onStanza: @escaping (LoginRecord) -> Void) {
        log.pointee.handler = StropheCallbacks.logged
        record.begin(context: pointer, onStanza: onStanza)
    }

    func stopListening() {
        log.pointee.handler = nil
        record.end()
    }

    /// What the login has shown since ``listen(onStanza:)``.
    var login: LoginRecord { record.login }
}

/// Reads the library's log of one login. Credentials pass through it, so nothing is kept but what ``LoginRecord`` has room for.
final class StropheLogRecord {
    private(set) var login = LoginRecord()
    private var context: OpaquePointer?
    private var onStanza: ((LoginRecord) -> Void)?

    /// Largest stanza before the login that is read; servers take 10 000 bytes there themselves.
    private static let stanzaBytes = 64 * 1024

    func begin(context: OpaquePointer, onStanza: @escaping (LoginRecord) -> Void) {
        login = LoginRecord()
        self.context = context
        self.onStanza = onStanza
    }

    func end() {
        context = nil
        onStanza = nil
    }

    func logged(_ level: xmpp_log_level_t, _ message: UnsafePointer<CChar>) {
        let systemError = errno
        guard strncmp(message, "RECV: <", 7) == 0 else {
            // What is sent holds credentials.
            guard strncmp(message, "SENT: ", 6) != 0, strnlen(message, 512) < 512 else { return }
            return login.logged(String(cString: message), isError: level == XMPP_LEVEL_ERROR, systemError: systemError)
        }
        let text = message + 6
        guard strncmp(text, "<features", 9) == 0 || strncmp(text, "<failure", 8) == 0 || strncmp(text, "<iq", 3) == 0 else { return }
        // By the library's own parser: what it would see, this sees.
        if let stanza = element(text) { login.received(stanza) }
        onStanza?(login)
    }

    private func element(_ text: UnsafePointer<CChar>) -> Element? {
        guard let context, strnlen(text, StropheLogRecord.stanzaBytes) < StropheLogRecord.stanzaBytes,
            let stanza = xmpp_stanza_new_from_string(context, text)
        else { return nil }
        defer { xmpp_stanza_release(stanza) }
        return StropheStanza(stanza).element(bytes: StropheLogRecord.stanzaBytes, depth: 16)
    }
}
