/// Action ids that are fixed by the protocol (reference §5, §9, §12).
public enum WellKnownActions {
    /// `registerEvent::(IIL)` of every object.
    @inlinable public static var registerEvent: UInt32 { 0 }
    /// `unregisterEvent::(IIL)` of every object.
    @inlinable public static var unregisterEvent: UInt32 { 1 }
    /// `metaObject::(I)` of every object.
    @inlinable public static var metaObject: UInt32 { 2 }
    /// `terminate::(I)` of every object.
    @inlinable public static var terminate: UInt32 { 3 }
    /// `property::(m)` of every object.
    @inlinable public static var property: UInt32 { 5 }
    /// `setProperty::(mm)` of every object.
    @inlinable public static var setProperty: UInt32 { 6 }
    /// `properties::()` of every object.
    @inlinable public static var properties: UInt32 { 7 }
    /// `registerEventWithSignature::(IILs)` of every object.
    @inlinable public static var registerEventWithSignature: UInt32 { 8 }
    /// `authenticate` of service 0, object 0.
    @inlinable public static var authenticate: UInt32 { 8 }
    /// `isStatsEnabled::()` of every object.
    @inlinable public static var isStatsEnabled: UInt32 { 80 }
    /// `enableStats::(b)` of every object.
    @inlinable public static var enableStats: UInt32 { 81 }
    /// `stats::()` of every object.
    @inlinable public static var stats: UInt32 { 82 }
    /// `clearStats::()` of every object.
    @inlinable public static var clearStats: UInt32 { 83 }
    /// `isTraceEnabled::()` of every object.
    @inlinable public static var isTraceEnabled: UInt32 { 84 }
    /// `enableTrace::(b)` of every object.
    @inlinable public static var enableTrace: UInt32 { 85 }
    /// The signal `traceObject` of every object.
    @inlinable public static var traceObject: UInt32 { 86 }
    /// The first id of an object's own members.
    @inlinable public static var firstUserAction: UInt32 { 100 }

    /// `service::(s)` of the directory.
    @inlinable public static var service: UInt32 { 100 }
    /// `services::()` of the directory.
    @inlinable public static var services: UInt32 { 101 }
    /// `registerService` of the directory.
    @inlinable public static var registerService: UInt32 { 102 }
    /// `unregisterService::(I)` of the directory.
    @inlinable public static var unregisterService: UInt32 { 103 }
    /// `serviceReady::(I)` of the directory.
    @inlinable public static var serviceReady: UInt32 { 104 }
    /// `updateServiceInfo` of the directory.
    @inlinable public static var updateServiceInfo: UInt32 { 105 }
    /// The directory's signal `serviceAdded`.
    @inlinable public static var serviceAdded: UInt32 { 106 }
    /// The directory's signal `serviceRemoved`.
    @inlinable public static var serviceRemoved: UInt32 { 107 }
    /// `machineId::()` of the directory.
    @inlinable public static var machineID: UInt32 { 108 }
    /// `_socketOfService::(I)` of the directory.
    @inlinable public static var socketOfService: UInt32 { 109 }
}
