"""Files that SOPS encrypted: decrypted in the private copy of a unit and nowhere else, and never applied encrypted."""

from renderers.sops.decrypt import decrypt_inputs, refuse_encrypted

__all__ = ["decrypt_inputs", "refuse_encrypted"]
