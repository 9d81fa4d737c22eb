import Glibc
import Synchronization

/// Descriptors below 1024 that a process keeps from its start for accounts that come later, or come back: by then its other connections
/// may have taken all low numbers, and libstrophe's `select()` takes no others. For processes that raise their limit of descriptors.
public enum LowDescriptors {
    private static let kept = Mutex<[Int32]>([])

    /// Keeps so many, as far as there are any. To be called before the process opens its connections.
    public static func keep(_ count: Int) {
        kept.withLock { kept in
            while kept.count < count {
                let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
                guard descriptor >= 0 else { return }
                guard descriptor < Int32(FD_SETSIZE) else {
                    close(descriptor)
                    return
                }
                kept.append(descriptor)
            }
        }
    }

    /// One of those kept; nil when there is none.
    static func take() -> Int32? { kept.withLock { $0.popLast() } }
}
