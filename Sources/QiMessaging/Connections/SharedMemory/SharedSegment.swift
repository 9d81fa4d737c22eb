import CQiSystem
import Glibc
import NIOCore
import Synchronization

/// A mapped memory file that two processes share: written by the one that made it, only read by the other.
final class SharedSegment {
    let base: UnsafeMutableRawPointer
    let size: Int
    private let isOurs: Bool

    /// Bytes of segments that this process has made and not given up, and how many it may have over all connections.
    private static let made = Atomic<Int>(0)
    static let maximumMade = 512 << 20

    /// What a peer may no longer do to a segment: change its size, and map it for writing once the maker has.
    private static let required = QIMESH_F_SEAL_SHRINK | QIMESH_F_SEAL_GROW | QIMESH_F_SEAL_SEAL

    private init(_ base: UnsafeMutableRawPointer, _ size: Int, isOurs: Bool) {
        self.base = base
        self.size = size
        self.isOurs = isOurs
    }

    /// Makes a sealed segment. The caller closes the descriptor when the peer has it.
    static func make(size: Int) throws(QiError) -> (segment: SharedSegment, descriptor: Int32) {
        guard made.add(size, ordering: .relaxed).newValue <= maximumMade else {
            made.subtract(size, ordering: .relaxed)
            throw QiError(.limit, "\(maximumMade) bytes of shared memory are in use")
        }
        do throws(QiError) {
            return try makeUncounted(size)
        } catch {
            made.subtract(size, ordering: .relaxed)
            throw error
        }
    }

    private static func makeUncounted(_ size: Int) throws(QiError) -> (segment: SharedSegment, descriptor: Int32) {
        let descriptor = qimesh_memfd("qimesh")
        guard descriptor >= 0 else { throw failure("made") }
        guard ftruncate(descriptor, size) == 0, let base = map(descriptor, size, PROT_READ | PROT_WRITE) else {
            let error = failure("sized or mapped")
            close(descriptor)
            throw error
        }
        // Linux before 5.1 lacks this one; it protects our bytes from the peer, who is our own user.
        _ = qimesh_add_seals(descriptor, QIMESH_F_SEAL_FUTURE_WRITE)
        guard qimesh_add_seals(descriptor, required) == 0 else {
            let error = failure("sealed")
            munmap(base, size)
            close(descriptor)
            throw error
        }
        return (SharedSegment(base, size, isOurs: true), descriptor)
    }

    /// Whether a peer's descriptor is safe to map: a memory file of this size whose size cannot change any more. Reading a file
    /// that is cut while it is mapped would end the process (SIGBUS).
    static func isSafe(_ descriptor: Int32, size: Int) -> Bool {
        let seals = qimesh_get_seals(descriptor)
        guard seals >= 0, seals & required == required else { return false }
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_size == size
    }

    /// Maps a peer's segment, for reading. Takes over the descriptor. Check with ``isSafe(_:size:)`` before.
    init?(reading descriptor: Int32, size: Int) {
        defer { close(descriptor) }
        guard let base = Self.map(descriptor, size, PROT_READ) else { return nil }
        self.base = base
        self.size = size
        isOurs = false
    }

    /// Copies bytes to their place; the caller has seen to it that they fit.
    func write(_ bytes: ByteBuffer, at offset: Int) {
        bytes.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            (self.base + offset).copyMemory(from: base, byteCount: bytes.count)
        }
    }

    private static func map(_ descriptor: Int32, _ size: Int, _ protection: Int32) -> UnsafeMutableRawPointer? {
        let base = mmap(nil, size, protection, MAP_SHARED, descriptor, 0)
        return base == MAP_FAILED ? nil : base
    }

    private static func failure(_ what: String) -> QiError {
        QiError(.limit, "shared memory cannot be \(what): \(String(cString: strerror(errno)))")
    }

    deinit {
        munmap(base, size)
        if isOurs { Self.made.subtract(size, ordering: .relaxed) }
    }
}

@available(*, unavailable)
extension SharedSegment: Sendable {}
