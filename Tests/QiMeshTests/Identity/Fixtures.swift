/// Certificates and a key made once with OpenSSL, for what our own code would never make.
enum Fixtures {
    /// A well-formed one: P-256, signed by its own key.
    static let p256 = """
        -----BEGIN CERTIFICATE-----
        MIIBbTCCAROgAwIBAgIUWkb/3ZMurPvsAhLFur2Ded9vycQwCgYIKoZIzj0EAwIw
        DDEKMAgGA1UEAwwBYTAeFw0yNjExMjMwMTI0MDhaFw0zNjExMjAwMTI0MDhaMAwx
        CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASyFvB7NteYA6WL
        kiEFCIoHWXDPTro/SeVBGST4MGTZcsPPPXKW2cRfauC0pXe5v/TR8PWNaWNsMp0n
        IJfm60bQo1MwUTAdBgNVHQ4EFgQUxRTVyiSJBU8guMx0Jp6PvSJLB9EwHwYDVR0j
        BBgwFoAUxRTVyiSJBU8guMx0Jp6PvSJLB9EwDwYDVR0TAQH/BAUwAwEB/zAKBggq
        hkjOPQQDAgNIADBFAiEA+X8L9pc1rH6RpyiuPDeu8AX0trvlRtK97wu/ZhCpOG0C
        IAvPOvI6c+jHPSLrP7NCFXmrfNLj7jt5kcZn6ijNyw5U
        -----END CERTIFICATE-----
        """

    /// The private key of ``p256``; used by these tests only.
    static let p256Key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQ2L/VS/KpZlI1qBT
        eKP4FIB74C8iIuGBVjV/fOeGd7ChRANCAASyFvB7NteYA6WLkiEFCIoHWXDPTro/
        SeVBGST4MGTZcsPPPXKW2cRfauC0pXe5v/TR8PWNaWNsMp0nIJfm60bQ
        -----END PRIVATE KEY-----
        """

    /// P-256, with issuer and subject as ``p256``, but signed by the key of ``p256`` and not by its own.
    static let foreign = """
        -----BEGIN CERTIFICATE-----
        MIIBEjCBuQIUHFkSCEmfL5w0+Z2ENusm7T3hYtMwCgYIKoZIzj0EAwIwDDEKMAgG
        A1UEAwwBYTAeFw0yNjExMjMwMTI0MDhaFw0zNjExMjAwMTI0MDhaMAwxCjAIBgNV
        BAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQvMmYWNDjlLnabq2bObr2W
        Fb24EqStq5A2uWbaPfsil/yJ6unhkVKXbAlwWXgRw6Sv3Y+sxdoHrgtM/O+l/HmI
        MAoGCCqGSM49BAMCA0gAMEUCIQDZMt7/EcziH/PWbDAGA6bKy/JBTlipBYV/eGRa
        YQj9/gIgCwAZxLsrCyE71UOR8tU6Dh4wNcRTSaaP4D3t50l4ccI=
        -----END CERTIFICATE-----
        """

    /// P-384.
    static let p384 = """
        -----BEGIN CERTIFICATE-----
        MIIBsDCCATWgAwIBAgITZoI9qxYd+3No2py+LK7DkQvnVjAKBggqhkjOPQQDAjAP
        MQ0wCwYDVQQDDARwMzg0MB4XDTI2MTEyMzAxMjQwOFoXDTM2MTEyMDAxMjQwOFow
        DzENMAsGA1UEAwwEcDM4NDB2MBAGByqGSM49AgEGBSuBBAAiA2IABCNbP09/qBSD
        FDF7AoQuWkr5MAmpuVOIjGVJj/DK/JqtHAojISSiszts6CtwQKFAib2WBvd9tE0L
        rZ2r3Zr5NTDZ5aBomA6439dBcXfSEkJ6ifmNryvb8Ne3A8HrsfX6s6NTMFEwHQYD
        VR0OBBYEFLwf//W718m2nM4moCNoSycXx1APMB8GA1UdIwQYMBaAFLwf//W718m2
        nM4moCNoSycXx1APMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDaQAwZgIx
        ALi50ePT6FNxNYtaKwDGPk6YuGodTIl7ZZXr5Z09L7uucnwiV3U3eD+adLOifd8O
        wwIxALpL8F6xFyOBngxyes6ZIi5jdUMYdomWbV4LbtxJGiR2csysNQhox5W319JF
        TS1Iiw==
        -----END CERTIFICATE-----
        """

    /// RSA of 2 048 bits.
    static let rsa = """
        -----BEGIN CERTIFICATE-----
        MIIC/TCCAeWgAwIBAgIUTOlwEv2l7udTxboF04J2HjuQ3+0wDQYJKoZIhvcNAQEL
        BQAwDjEMMAoGA1UEAwwDcnNhMB4XDTI2MTEyMzAxMjQwOFoXDTM2MTEyMDAxMjQw
        OFowDjEMMAoGA1UEAwwDcnNhMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC
        AQEAiQ6mNs2szkIREP0BUo8DebpZAI8PP42AE1kb24gVKFmm67fxZ9NzdjToae+J
        zjGTYAiCXRMRrGmyLH1xGTJmRuXq/pawcYOHFlugC+dgfYXxKXi9Q+qQHgHqO/5N
        +RWLz0OmOOfPrdsga3AvuxDJw2mHE9Fn+O22eIFV1LaUdrqWCtL3XsqHJWG7k8tH
        LYl7E+ITKK9wtCcPaZu65c4Q2hIxRHfFjexiOAj2kjHrIB3sA+8rk3hbS3Yes7Ss
        hjO+TjoCfXVgP8Q+iY8LjLAAjedB54FKUy1vmA8OrxmuERBQc004aTwHsj0VB0Jw
        861mjR4e2t9+Kx8kYIiRd+Eh3wIDAQABo1MwUTAdBgNVHQ4EFgQU4jKVMzrmziOh
        Z49gtJMFpzVmNmQwHwYDVR0jBBgwFoAU4jKVMzrmziOhZ49gtJMFpzVmNmQwDwYD
        VR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAB14s221MlswrKHlEqXcZ
        FLt9xp968kmITrJ/ZvMl2TUebrVkIpQFq5GGnhx5TD6zPLlh7zUg3eYEePj2x8K7
        BYQSnbr5hp0ese6XXY17wH9tRVhKPVT8RpZ3kaNgPCJGwxnjw/CApuKnzfGHahnd
        6qxsxyh11gUTDd+8qGzrTMH4b2reUsHojajaeeqPBHlzjToYGA/DXM+U/m12wxFw
        W882FsxcKdii5rlpSfwBxTkUkfCV1RYgWlbHXkGPyqLEp6RvZhXYrcdg5jqxT+Ed
        jRA2+6y3X9JgcRpTOi+QfWkznbtMmEtH4R6v7Q1Iuz4ge/AZkEN6oKvw1ScuiGHl
        Hg==
        -----END CERTIFICATE-----
        """
}
