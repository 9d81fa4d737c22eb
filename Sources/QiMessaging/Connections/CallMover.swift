/// Takes calls over that an object has not answered, to make them at another one. Confined to the bus loop.
protocol CallMover: AnyObject {
    /// The call was sent to the object's owner.
    func sent(_ call: IncomingCall, on connection: Connection, as id: UInt32)
    /// There is an answer, or none will come. Answers whether the mover sees to the call now; else its caller is told.
    ///
    /// - Parameters:
    ///   - object: which the call was given to.
    ///   - isLost: whether that has no connection now.
    func takes(_ call: IncomingCall, after answer: CallAnswer, of object: AnyObject, isLost: Bool) -> Bool
}
