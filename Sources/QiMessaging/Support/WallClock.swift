import Glibc

/// The time of day, for what people write as dates.
public enum WallClock {
    /// Seconds since 1970, UTC.
    public static var seconds: Int64 { Int64(time(nil)) }
}
