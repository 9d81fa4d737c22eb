import Synchronization

/// The place where one TLS connection leaves what it learned about its peer, and where the connection's owner may have it judged.
///
/// One per connection. A connection without a ``fingerprint`` has proved nothing and must carry no call.
public final class PeerKey: Sendable {
    /// Decides about a key before the handshake goes on; throwing ends the connection. Called at most once, on the connection's
    /// event loop.
    public typealias Judge = @Sendable (KeyFingerprint) throws(MeshError) -> Void

    private enum Verdict {
        case unknown
        case accepted(KeyFingerprint)
        case refused(KeyFingerprint?, MeshError)
    }

    private let verdict = Mutex(Verdict.unknown)
    private let judge: Judge

    /// Makes an empty place.
    /// - Parameter judge: asked about the key of a well-formed certificate; by default every key is let through and the owner of
    ///   the connection compares ``fingerprint`` itself.
    public init(judge: @escaping Judge = { _ throws(MeshError) in }) {
        self.judge = judge
    }

    /// The key the peer presented and proved to hold once the handshake is complete; `nil` before, and when it was refused.
    public var fingerprint: KeyFingerprint? {
        verdict.withLock { verdict in
            if case .accepted(let key) = verdict { return key }
            return nil
        }
    }

    /// Why the peer's certificate or key was refused; `nil` when it was not. TLS itself reports only that the handshake failed.
    public var refusal: MeshError? {
        verdict.withLock { verdict in
            if case .refused(_, let error) = verdict { return error }
            return nil
        }
    }

    /// The key of a peer that was refused, for messages; `nil` when its certificate was not even well-formed.
    public var refusedFingerprint: KeyFingerprint? {
        verdict.withLock { verdict in
            if case .refused(let key, _) = verdict { return key }
            return nil
        }
    }

    /// The certificate was examined. Returns whether the handshake may go on.
    func examined(_ result: Result<KeyFingerprint, MeshError>) -> Bool {
        let outcome: Verdict
        switch result {
        case .failure(let error):
            outcome = .refused(nil, error)
        case .success(let key):
            do throws(MeshError) {
                try judge(key)
                outcome = .accepted(key)
            } catch {
                outcome = .refused(key, error)
            }
        }
        verdict.withLock { $0 = outcome }
        if case .accepted = outcome { return true }
        return false
    }
}
