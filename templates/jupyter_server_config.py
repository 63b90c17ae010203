# DS01: Jupyter never listens to the network without a password or token.
#
# Jupyter reads every file of this name; this one has the last word on who may come in.
# jupyter_server calls `validate_security` before it listens.
from jupyter_server.auth.identity import PasswordIdentityProvider as _Provider


class _Guard(_Provider):
    def validate_security(self, app, ssl_options=None):
        if not self.auth_enabled and app.ip not in ("localhost", "127.0.0.1", "::1"):
            app.log.critical(
                "Jupyter without password and token would be open to the network: "
                "listening on localhost only"
            )
            app.ip = "localhost"
        super().validate_security(app, ssl_options)


c.ServerApp.identity_provider_class = _Guard  # noqa: F821 - Jupyter's
