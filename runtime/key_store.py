"""The key store that the settings name, opened.

Promise: one place decides between the file and the HSM; a PIN that others may read is refused.
Called by runtime.resources, runtime.seal_keys, runtime.vault_commands.
"""

from pathlib import Path

from runtime.settings import Settings
from wallet.identifiers import Secret
from wallet.vault.keystore import KeyStore, KeyStoreError, SoftwareKeyStore
from wallet.vault.pkcs11 import Pkcs11KeyStore

_open: dict[tuple[str, str], Pkcs11KeyStore] = {}
"""A process logs in to a token once."""


def open_key_store(settings: Settings) -> KeyStore:
    """Refuses: KeyStoreError."""
    if settings.key_store == "file":
        return SoftwareKeyStore.open_or_create(settings.key_file)
    module, token, pin_file = (
        settings.pkcs11_module,
        settings.pkcs11_token,
        settings.pkcs11_pin_file,
    )
    if module is None or token is None or pin_file is None:
        raise KeyStoreError("the PKCS#11 module, token and PIN file are not all given")
    if (module, token) not in _open:
        _open[module, token] = Pkcs11KeyStore(module, token, _pin_in(pin_file))
    return _open[module, token]


def _pin_in(path: Path) -> Secret[str]:
    try:
        mode = path.stat().st_mode
        pin = path.read_text("utf-8").strip()
    except OSError as error:
        raise KeyStoreError(f"PIN file {path}: {error.strerror}") from None
    if mode & 0o077:
        raise KeyStoreError(f"PIN file {path}: others may read it; chmod 600 it")
    return Secret(pin)
