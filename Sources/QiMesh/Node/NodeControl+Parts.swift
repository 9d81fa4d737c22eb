import QiMessaging

// What the parts of the control interface answer.
extension NodeControl {
    func gateway() async -> Answer<GatewayLoad> {
        await Answer {
            guard let load = try await parts.door?.load() else { throw QiError(.notFound, "no public door is open", hint: "qimesh status") }
            return load
        }
    }

    func identity() async -> Answer<OwnIdentity> { await Answer { parts.keys.identity } }
    func rotateKey() async -> Answer<RotatedKey> { await Answer { try await parts.keys.rotate() } }
    func trusted() async -> Answer<[ContactKey]> { await Answer { try parts.keys.all() } }
    func trust(_ contact: String) async -> Answer<ContactKey> { await Answer { try parts.keys.key(of: contact) } }
    func acceptKey(of contact: String, _ fingerprint: String) async -> Answer<AcceptedKey> {
        await Answer { try parts.keys.accept(fingerprint, of: contact) }
    }
    func forgetKey(of contact: String) async -> Answer<ForgottenKey> { await Answer { try parts.keys.forget(contact) } }

    func invite(_ jid: String, name: String?) async -> Answer<ContactChange> { await Answer { try await parts.contacts.invite(jid, name) } }
    func approve(_ contact: String, name: String?) async -> Answer<ContactChange> {
        await Answer { try await parts.contacts.approve(contact, name) }
    }
    func deny(_ contact: String) async -> Answer<ContactChange> { await Answer { try await parts.contacts.deny(contact) } }

    func enroll(name: String?, account: String?, seconds: Int?) async -> Answer<MadeToken> {
        await Answer { try parts.pairing.enroll(name: name, account: account, seconds: seconds) }
    }
    func enrollments() async -> Answer<EnrollmentListing> { await Answer { parts.pairing.listing } }
    func cancelEnrollment(_ id: String?) async -> Answer<CancelledTokens> { await Answer { try parts.pairing.cancel(id) } }
    func pair(_ token: String, name: String?, account: String?, seconds: Int, ticket: String) async -> Answer<PairedDevice> {
        await Answer {
            try await parts.pairing.pair(try PairingInvitation(parsing: token), name: name, account: account, seconds: seconds) {
                [pairing] step in pairing.emit(ticket, step)
            }
        }
    }
    func revoke(_ device: String) async -> Answer<RevokedDevice> { await Answer { try await parts.pairing.revoke(device) } }

    func installApp(_ name: String, description: String, permissions: [[String]], approved: Bool) async -> Answer<AppInstallation> {
        await Answer {
            try parts.apps.install(
                try AppManifest(name: name, description: description, permissions: permissions), approved: approved)
        }
    }
    func apps() async -> Answer<[AppRow]> { await Answer { try parts.apps.all() } }
    func approveApp(_ name: String) async -> Answer<NamedApp> { await Answer { try parts.apps.approve(name) } }
    func revokeApp(_ name: String) async -> Answer<NamedApp> { await Answer { try parts.apps.revoke(name) } }

    func policy() async -> Answer<PolicyListing> { await Answer { parts.policy.listing } }
    func checkPolicy(who: String, target: String, action: String, zone: String?) async -> Answer<PolicyAnswer> {
        await Answer { try parts.policy.answer(who: who, target: target, action: action, zone: zone) }
    }
    func reloadPolicy() async -> Answer<ReloadedPolicy> { await Answer { try parts.policy.reload() } }
}
