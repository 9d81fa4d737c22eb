import NIOCore

/// Whom to ask next what it can do (XEP-0030 §3, XEP-0115 §6): one question for all that announce the same hash, a bounded number at a
/// time, a bounded number of one account, and again with growing pauses after a failure. A value; holds at most one question of a
/// connection, so the bounds on connections bound it.
struct CapabilityQuestions {
    /// A question to one connection.
    struct Question: Hashable {
        let jid: JID
        let capabilities: PresenceResource.Capabilities
        /// How often it was asked in vain.
        var failures = 0
    }

    /// What follows a failure.
    enum OnFailure: Equatable { case again(Duration), givenUp }

    /// Most questions at one time, and of one account.
    static let atOnce = 32
    static let ofOneAccount = 4
    /// Pauses after failures: 5 s, 10 s, … 80 s; then it is over until the connection announces something else or comes anew.
    static let firstPause: Duration = .seconds(5)
    static let attempts = 6

    private var waiting: [Question] = []
    private var paused: [JID: (question: Question, until: NIODeadline)] = [:]
    private var running: [JID: Question] = [:]
    /// Hashes whose answer did not verify: it is the asked one's alone, and every other connection is asked too. Bounded; who falls out of it is
    /// asked one after the other instead of at the same time.
    private var unshared: Set<PresenceResource.Capabilities> = []

    /// Number of questions in any state.
    var count: Int { waiting.count + paused.count + running.count }

    /// A connection announced capabilities that are not known.
    mutating func wanted(_ jid: JID, _ capabilities: PresenceResource.Capabilities) {
        guard running[jid]?.capabilities != capabilities, paused[jid]?.question.capabilities != capabilities else { return }
        paused[jid] = nil
        if let index = waiting.firstIndex(where: { $0.jid == jid }) {
            if waiting[index].capabilities != capabilities { waiting[index] = Question(jid: jid, capabilities: capabilities) }
            return
        }
        waiting.append(Question(jid: jid, capabilities: capabilities))
    }

    /// The connection showed itself anew: a pause is over. It may have refused to answer while we were no contact of its.
    mutating func shown(_ jid: JID) {
        guard let entry = paused.removeValue(forKey: jid), !waiting.contains(where: { $0.jid == jid }) else { return }
        waiting.append(entry.question)
    }

    /// The questions to be asked now.
    mutating func next(now: NIODeadline) -> [Question] {
        for (jid, entry) in paused where entry.until <= now {
            paused[jid] = nil
            waiting.append(entry.question)
        }
        guard !waiting.isEmpty, running.count < CapabilityQuestions.atOnce else { return [] }
        var accounts: [JID: Int] = [:]
        for jid in running.keys { accounts[jid.bare, default: 0] += 1 }
        var hashes = Set(running.values.map(\.capabilities))
        var started: [Question] = []
        waiting.removeAll { question in
            guard running.count < CapabilityQuestions.atOnce, running[question.jid] == nil,
                accounts[question.jid.bare, default: 0] < CapabilityQuestions.ofOneAccount,
                unshared.contains(question.capabilities) || !hashes.contains(question.capabilities)
            else { return false }
            running[question.jid] = question
            accounts[question.jid.bare, default: 0] += 1
            hashes.insert(question.capabilities)
            started.append(question)
            return true
        }
        return started
    }

    /// An answer came. `isShared`: it verified, and holds for all that announce the hash.
    mutating func answered(_ question: Question, isShared: Bool) {
        running[question.jid] = nil
        if isShared {
            waiting.removeAll { $0.capabilities == question.capabilities }
            paused = paused.filter { $0.value.question.capabilities != question.capabilities }
        } else {
            if unshared.count >= 512 { unshared = [] }
            unshared.insert(question.capabilities)
        }
    }

    /// No answer, or an error.
    mutating func failed(_ question: Question, now: NIODeadline) -> OnFailure {
        running[question.jid] = nil
        var question = question
        question.failures += 1
        // It announced something else meanwhile.
        if waiting.contains(where: { $0.jid == question.jid }) { return .again(.zero) }
        guard question.failures < CapabilityQuestions.attempts else { return .givenUp }
        let pause = CapabilityQuestions.firstPause * (1 << (question.failures - 1))
        paused[question.jid] = (question, now + TimeAmount(pause))
        return .again(pause)
    }

    /// The answer is not wanted any more.
    mutating func dropped(_ question: Question) {
        running[question.jid] = nil
    }

    /// The connection is gone.
    mutating func gone(_ jid: JID) {
        paused[jid] = nil
        waiting.removeAll { $0.jid == jid }
    }

    /// Our own stream is gone.
    mutating func removeAll() {
        waiting = []
        paused = [:]
        running = [:]
    }
}
