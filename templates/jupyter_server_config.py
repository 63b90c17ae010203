# DS01: Jupyter never listens without a password or token.
#
# Where both are switched off, it makes a token, as it does by default: other people of
# this server reach its port, even on localhost where containers share the host's
# network. jupyter_server calls `validate_security` of the identity provider before it
# listens; a socket of Unix is guarded by its file's rights.
import secrets as _secrets

try:
    from jupyter_server.auth.identity import PasswordIdentityProvider as _Provider
except ImportError:
    pass  # older than jupyter_server 2: its defaults, localhost and a token, remain
else:

    class _Guard(_Provider):
        def validate_security(self, app, ssl_options=None):
            if not self.auth_enabled and not app.sock:
                app.log.warning("no password and no token: making a token")
                self.token = _secrets.token_hex(24)
                self.token_generated = True
            super().validate_security(app, ssl_options)

    c.ServerApp.identity_provider_class = _Guard  # noqa: F821 - Jupyter's
