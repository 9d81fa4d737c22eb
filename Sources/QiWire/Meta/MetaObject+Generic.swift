extension MetaObject {
    /// The members that every object has and whose metaobject must list, or libqi cannot use it (reference §9).
    public static let generic: MetaObject = {
        func method(_ uid: UInt32, _ name: String, _ parameters: String, _ returns: String) -> MetaMethod {
            MetaMethod(uid: uid, returnSignature: returns, name: name, parametersSignature: parameters)
        }
        return MetaObject(
            methods: [
                method(WellKnownActions.registerEvent, "registerEvent", "(IIL)", "L"),
                method(WellKnownActions.unregisterEvent, "unregisterEvent", "(IIL)", "v"),
                method(WellKnownActions.metaObject, "metaObject", "(I)", MetaObject.signature.text),
                method(WellKnownActions.terminate, "terminate", "(I)", "v"),
                method(WellKnownActions.property, "property", "(m)", "m"),
                method(WellKnownActions.setProperty, "setProperty", "(mm)", "v"),
                method(WellKnownActions.properties, "properties", "()", "[s]"),
                method(WellKnownActions.registerEventWithSignature, "registerEventWithSignature", "(IILs)", "L"),
                method(WellKnownActions.isStatsEnabled, "isStatsEnabled", "()", "b"),
                method(WellKnownActions.enableStats, "enableStats", "(b)", "v"),
                method(WellKnownActions.stats, "stats", "()", MetaObject.statisticsSignature.text),
                method(WellKnownActions.clearStats, "clearStats", "()", "v"),
                method(WellKnownActions.isTraceEnabled, "isTraceEnabled", "()", "b"),
                method(WellKnownActions.enableTrace, "enableTrace", "(b)", "v"),
            ],
            signals: [
                MetaSignal(uid: WellKnownActions.traceObject, name: "traceObject", signature: MetaObject.traceSignature.text)
            ])
    }()

    /// What `stats` returns: method uid → count, and wall, user and system time in seconds as minimum, maximum and sum (reference
    /// §20).
    public static let statisticsSignature: Signature =
        "{I(I(fff)<MinMaxSum,minValue,maxValue,cumulatedValue>(fff)<MinMaxSum,minValue,maxValue,cumulatedValue>(fff)<MinMaxSum,minValue,maxValue,cumulatedValue>)<MethodStatistics,count,wall,user,system>}"

    /// The parameters of the signal `traceObject` (reference §9, §20).
    public static let traceSignature: Signature =
        "((IiIm(ll)<timeval,tv_sec,tv_usec>llII)<EventTrace,id,kind,slotId,arguments,timestamp,userUsTime,systemUsTime,callerContext,calleeContext>)"
}
