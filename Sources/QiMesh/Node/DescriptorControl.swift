import QiMessaging
import QiWire

/// What `qimesh status` tells about the file descriptors of the node.
final class DescriptorControl: ControlMembers {
    func add(to builder: inout ObjectBuilder) {}

    var status: [(String, QiValue)] {
        [
            (
                "descriptors",
                .dictionary([("limit", .int64(Int64(Descriptors.limit))), ("exhausted", .bool(Descriptors.isExhausted))])
            )
        ]
    }
}
