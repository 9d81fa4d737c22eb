/// Where a method of an object of this process runs, libqi's `MetaCallType`.
public enum CallType: Sendable {
    /// Off the event loop: the method may take its time. What user code gets unless it says otherwise.
    case queued
    /// On the event loop of the connection that brought the call, within the burst it came in: no thread is woken. For methods that
    /// never block; while one runs, the connections of its loop wait. Called within the process it runs where its caller is.
    case direct
}
