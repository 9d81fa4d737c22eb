"""Keys and certificates as devices and clients of `tcpsm` have them, made by openssl."""
import base64
import hashlib

from .prosody import run

P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-sha256"]


class Key:
    """A private key, and a certificate that it has signed for itself, which is all that a device shows."""

    def __init__(self, folder, name):
        self.file, self.certificate = folder / (name + ".key"), folder / (name + ".crt")
        run("openssl", "req", "-x509", *P256, "-keyout", self.file, "-out", self.certificate, "-subj", "/CN=" + name)
        public = folder / (name + ".der")
        run("openssl", "pkey", "-in", self.file, "-pubout", "-outform", "DER", "-out", public)
        # What a key is called: SHA-256 of its SubjectPublicKeyInfo.
        digest = hashlib.sha256(public.read_bytes())
        self.fingerprint = digest.hexdigest()
        # The same as commands print it.
        self.text = "SHA256:" + base64.b64encode(digest.digest()).decode().rstrip("=")


class Authority:
    """Issues certificates for keys."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.file, self.certificate = folder / (name + ".key"), folder / (name + ".pem")
        run("openssl", "req", "-x509", *P256, "-keyout", self.file, "-out", self.certificate, "-subj", "/CN=" + name,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, key, subject):
        """The file of a certificate in which `subject` is said to have the key."""
        request = self.folder / ("%s-%s.csr" % (self.name, key.file.stem))
        certificate = request.with_suffix(".crt")
        run("openssl", "req", "-new", "-key", key.file, "-out", request, "-subj", "/CN=" + subject)
        run("openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.file, "-CAcreateserial", "-days", "2",
            "-sha256", "-out", certificate)
        return certificate
