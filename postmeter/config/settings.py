"""Django's settings, all from the environment; the runner (`postmeter run`) sets what a person did not.

| variable | meaning |
|---|---|
| POSTMETER_DATABASE_URL | this process's own login: the application's or the worker's |
| POSTMETER_OWNER_DATABASE_URL | the owner's login: only `postmeter prepare` and tests use it |
| POSTMETER_SECRET_KEY, POSTMETER_ID_KEY | signing key; 32 hex digits that encrypt public ids |
| POSTMETER_BODY_KEYS | name:key by commas, the newest first: 64 hex digits each, which keep customers' text keys |
| POSTMETER_PUBLIC_URL | where people and providers reach us |
| POSTMETER_CONSOLE, POSTMETER_CONSOLE_URL | 1 in the process of the operator's pages; where these are reached |
| POSTMETER_TRUSTED_PROXIES | how many proxies of yours stand in front and add to X-Forwarded-For; 0: none |
| POSTMETER_HOME | data of this install |
| POSTMETER_TWILIO_*, POSTMETER_STRIPE_*, POSTMETER_PAYPAL_* | credentials and base addresses; the simulator's by default |
| POSTMETER_SINCH_* | the same for faxes: docs/operating/fax.md lists them |
| POSTMETER_SMPP_* | a carrier's message centre, which then carries texts: docs/operating/smpp.md lists them; off without _HOST |
| POSTMETER_SIP_* | a SIP trunk, which then carries calls and faxes: docs/operating/sip.md lists them; off without _HOST |
| POSTMETER_PAYMENT_KINDS | what customers may pay with, by commas: card (the default), bank_debit (in the US), paypal |
| POSTMETER_WEBHOOKS_LOCAL | 1: webhooks may go to http addresses of this machine; for trying out |
| POSTMETER_AUTOMATIC_PER_HOUR | automatic charges of all customers in an hour, above which all are stopped; 1000 |
| POSTMETER_OPERATOR_EMAIL | who is told when that happens; by default who invoices come from |
| POSTMETER_ADJUSTMENT_ALONE | whole units of currency that one account manager may give or take alone; 100 |
| POSTMETER_EMAIL_URL | for our own notices: smtp://user:password@host:port or file:///folder |
| POSTMETER_ROUTES | which providers carry what, in order: sms=twilio,other;sms:44=other |
| POSTMETER_MAIL_URL | for customers' emails: smtp://user:password@host:port, smtp+starttls:// or smtps://; the simulator's by default |
| POSTMETER_ANYMAIL_ESP | a mail service whose API sends them instead: postmark, sendgrid, mailgun, … (docs/operating/email.md) |
| POSTMETER_MAIL_DOMAIN | the domain that customers' emails come from; its mail is to be handed to us |
| POSTMETER_EMAILS_PER_HOUR | how many one customer may send; 2000 |
| POSTMETER_MAIL_LISTEN | where we take that mail: lmtp://127.0.0.1:8004, or smtp:// |
"""

import os
import re
import secrets
from pathlib import Path
from urllib.parse import unquote, urlsplit

from csp.constants import NONE, SELF

from postmeter.db.address import database
from postmeter.simulator.settings import DEMO

REPOSITORY = Path(__file__).resolve().parents[2]
ADJUSTMENT_ALONE_MICROS = int(os.environ.get("POSTMETER_ADJUSTMENT_ALONE", "100")) * 1_000_000  # above it two people decide
HOME = Path(os.environ.get("POSTMETER_HOME", REPOSITORY / ".postmeter"))
PUBLIC_URL = os.environ.get("POSTMETER_PUBLIC_URL", f"http://127.0.0.1:{os.environ.get('POSTMETER_PORT', '8000')}").rstrip("/")
# The operator's pages are a process of their own (config/console.py), at an address of their own.
CONSOLE = os.environ.get("POSTMETER_CONSOLE") == "1"
CONSOLE_URL = os.environ.get(
    "POSTMETER_CONSOLE_URL", f"http://127.0.0.1:{os.environ.get('POSTMETER_CONSOLE_PORT', '8002')}"
).rstrip("/")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
OWN_URL = CONSOLE_URL if CONSOLE else PUBLIC_URL
DEBUG = os.environ.get("POSTMETER_DEBUG") == "1"
# Chance where nothing was told: no value is published, and a process that serves refuses to start (config/secrets.py).
SECRET_KEY = os.environ.get("POSTMETER_SECRET_KEY") or secrets.token_urlsafe()
_id_key = os.environ.get("POSTMETER_ID_KEY") or secrets.token_hex(16)
if not re.fullmatch("[0-9a-fA-F]{32}", _id_key):
    raise SystemExit(
        "postmeter: POSTMETER_ID_KEY is not 32 hexadecimal digits; python -c 'import secrets; print(secrets.token_hex(16))'"
    )
ID_KEY = bytes.fromhex(_id_key)
# By name, the newest first: it seals, all of them open. No chance here: what it sealed could not be read by the next process.
_body_keys = os.environ.get("POSTMETER_BODY_KEYS", "")
if _body_keys and not re.fullmatch("[a-z0-9-]+:[0-9a-fA-F]{64}(,[a-z0-9-]+:[0-9a-fA-F]{64})*", _body_keys):
    raise SystemExit(
        "postmeter: POSTMETER_BODY_KEYS is not a list of name:key, each key of 64 hexadecimal digits; "
        "python -c 'import secrets; print(\"first:\" + secrets.token_hex(32))'"
    )
BODY_KEYS = {name: bytes.fromhex(key) for name, key in (pair.split(":") for pair in _body_keys.split(",") if pair)}

_url = os.environ.get("POSTMETER_DATABASE_URL") or os.environ.get("POSTMETER_OWNER_DATABASE_URL") or "postgresql:///postmeter"
DATABASES = {"default": database(_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "postmeter.db",
    "postmeter.events",
    "postmeter.customers",
    "postmeter.ledger",
    "postmeter.consent",
    "postmeter.contacts",
    "postmeter.guard",
    "postmeter.rating",
    "postmeter.wallets",
    "postmeter.payments",
    "postmeter.invoicing",
    "postmeter.messaging",
    "postmeter.topups",
    "postmeter.notifications",
    "postmeter.statements",
    "postmeter.terms",
    "postmeter.costs",
    "postmeter.webhooks",
    "postmeter.web",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "anymail",
    "django_cotton.apps.SimpleAppConfig",
    "django_htmx",
    "procrastinate.contrib.django",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "postmeter.web.middleware.SessionLimits",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "postmeter.web.middleware.RefusalPages",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "postmeter.web.context.frame",
            ],
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django_cotton.cotton_loader.Loader",
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": ["django_cotton.templatetags.cotton"],
        },
    }
]

ROOT_URLCONF = "postmeter.config.console_urls" if CONSOLE else "postmeter.config.urls"
ASGI_APPLICATION = "postmeter.config.asgi.application"
ALLOWED_HOSTS = [urlsplit(OWN_URL).hostname or "127.0.0.1", "127.0.0.1", "localhost"]
CSRF_TRUSTED_ORIGINS = [OWN_URL]

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
SERVESTATIC_USE_FINDERS = True

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# Sign-in. Argon2id, sessions that end with idleness and with age (ASVS 7.3.1, 7.3.2), no user enumeration.
AUTH_USER_MODEL = "customers.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_ADAPTER = "postmeter.customers.signin.AccountAdapter"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
# By address and by account, the most guesses; allauth's other limits stay as they are. An address is the client's only where
# the proxies in front are counted.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = int(os.environ.get("POSTMETER_TRUSTED_PROXIES", "0"))
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Postmeter"
MFA_FORMS = {"add_webauthn": "postmeter.customers.signin.AddKeyForm"}
# Browsers allow passkeys on plain http for localhost only; this is what lets one try them there.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = OWN_URL.startswith("http://")
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
# Cookies do not know ports: without names of their own the two would sign each other out on one machine.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = ("console_session", "console_csrf") if CONSOLE else ("sessionid", "csrftoken")
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_SECONDS = 30 * 60
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = OWN_URL.startswith("https://")
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024  # a whole request, counted as it arrives (web.bodies); a list may have 5 MB
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}
# allauth's rate limits must hold across processes, so the cache is shared.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}}

_email = urlsplit(os.environ.get("POSTMETER_EMAIL_URL") or f"file://{HOME / 'mail'}")
DEFAULT_FROM_EMAIL = os.environ.get("POSTMETER_EMAIL_FROM", "Postmeter <billing@postmeter.example>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
OPERATOR_EMAIL = os.environ.get("POSTMETER_OPERATOR_EMAIL") or DEFAULT_FROM_EMAIL
if _email.scheme == "file":
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = _email.path
else:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = _email.hostname or "127.0.0.1"
    EMAIL_PORT = _email.port or 25
    EMAIL_HOST_USER = unquote(_email.username or "")
    EMAIL_HOST_PASSWORD = unquote(_email.password or "")
    EMAIL_USE_TLS = _email.scheme == "smtps"
    EMAIL_TIMEOUT = 20

# Providers and gateways. Without settings of its own an install talks to the simulator beside it.
_simulator = f"http://127.0.0.1:{os.environ.get('POSTMETER_SIMULATOR_PORT', '8001')}"
TWILIO = {
    "base_url": os.environ.get("POSTMETER_TWILIO_BASE_URL", _simulator),
    "account_sid": os.environ.get("POSTMETER_TWILIO_ACCOUNT_SID", ""),
    "auth_token": os.environ.get("POSTMETER_TWILIO_AUTH_TOKEN", ""),
    # Where its Consent Management API is told who opted out; empty: it is not (docs/operating/install.md says when it may be).
    "consents_url": os.environ.get("POSTMETER_TWILIO_CONSENTS_URL", ""),
}
CONSENTS_TOLD = frozenset({"sms"}) if TWILIO["consents_url"] else frozenset()
# Faxes. Sinch says the callback password to us; retries are calls that it makes where nobody answers, at no cost to the customer.
SINCH = {
    "base_url": os.environ.get("POSTMETER_SINCH_BASE_URL", _simulator),
    "project_id": os.environ.get("POSTMETER_SINCH_PROJECT_ID", DEMO["SIMULATOR_SINCH_PROJECT_ID"]),
    "key_id": os.environ.get("POSTMETER_SINCH_KEY_ID", DEMO["SIMULATOR_SINCH_KEY_ID"]),
    "key_secret": os.environ.get("POSTMETER_SINCH_KEY_SECRET", DEMO["SIMULATOR_SINCH_KEY_SECRET"]),
    "callback_password": os.environ.get("POSTMETER_SINCH_CALLBACK_PASSWORD", DEMO["SIMULATOR_SINCH_CALLBACK_PASSWORD"]),
    "retries": os.environ.get("POSTMETER_SINCH_RETRIES", "2"),
}
# Emails that customers send, and where what comes back to them arrives.
MAIL_DOMAIN = os.environ.get("POSTMETER_MAIL_DOMAIN", "mail.postmeter.example").lower()
_mail = urlsplit(
    os.environ.get("POSTMETER_MAIL_URL") or f"smtp://127.0.0.1:{os.environ.get('POSTMETER_SIMULATOR_MAIL_PORT', '8003')}"
)
MAIL = {
    "host": _mail.hostname or "127.0.0.1",
    "port": str(_mail.port or 25),
    "user": unquote(_mail.username or ""),
    "password": unquote(_mail.password or ""),
    "security": {"smtps": "tls", "smtp+starttls": "starttls"}.get(_mail.scheme, "none"),
}
# A mail service's own API instead, by django-anymail, which looks for its keys here.
ANYMAIL_ESP = os.environ.get("POSTMETER_ANYMAIL_ESP", "").lower()
ANYMAIL = {
    name.removeprefix("POSTMETER_ANYMAIL_"): value
    for name, value in os.environ.items()
    if name.startswith("POSTMETER_ANYMAIL_") and name != "POSTMETER_ANYMAIL_ESP"
}
_listen = urlsplit(os.environ.get("POSTMETER_MAIL_LISTEN") or f"lmtp://127.0.0.1:{os.environ.get('POSTMETER_MAIL_PORT', '8004')}")
MAIL_LISTEN = {"host": _listen.hostname or "127.0.0.1", "port": str(_listen.port or 24), "protocol": _listen.scheme}
EMAILS_PER_HOUR = int(os.environ.get("POSTMETER_EMAILS_PER_HOUR", "2000"))  # of one customer
_SMPP = (
    "POSTMETER_SMPP_HOST",
    "POSTMETER_SMPP_PORT",
    "POSTMETER_SMPP_SYSTEM_ID",
    "POSTMETER_SMPP_PASSWORD",
    "POSTMETER_SMPP_SYSTEM_TYPE",
    "POSTMETER_SMPP_TLS",
    "POSTMETER_SMPP_CA",
    "POSTMETER_SMPP_WINDOW",
    "POSTMETER_SMPP_PER_SECOND",
    "POSTMETER_SMPP_SOURCE",
    "POSTMETER_SMPP_DESTINATION",
    "POSTMETER_SMPP_ALPHABET",
    "POSTMETER_SMPP_DATA_CODING",
    "POSTMETER_SMPP_LONG",
    "POSTMETER_SMPP_RECEIPT_IDS",
    "POSTMETER_SMPP_STATUSES",
    "POSTMETER_SMPP_ERRORS",
)
SMPP = {name.removeprefix("POSTMETER_SMPP_").lower(): os.environ.get(name, "") for name in _SMPP}
# A SIP trunk has a process of its own (postmeter/trunk), which is told the rest; this is how it is asked.
SIP = {
    "host": os.environ.get("POSTMETER_SIP_HOST", ""),
    "url": os.environ.get("POSTMETER_SIP_URL", "http://127.0.0.1:8005"),
    "secret": os.environ.get("POSTMETER_SIP_SECRET", ""),
}
PROVIDERS = {
    "twilio": TWILIO,
    "sinch": SINCH,
    "smtp": MAIL,
    **({"smpp": SMPP} if SMPP["host"] else {}),
    **({"sip": SIP} if SIP["host"] else {}),
    **({"anymail": {"esp": ANYMAIL_ESP}} if ANYMAIL_ESP else {}),
}
# The providers of each channel, the first one first; "sms:44" for the numbers that begin so.
ROUTES: dict[str, tuple[str, ...]] = {
    "sms": ("smpp", "twilio") if SMPP["host"] else ("twilio",),
    "mms": ("twilio",),
    "fax": ("sip", "sinch") if SIP["host"] else ("sinch",),
    "voice": ("sip", "twilio") if SIP["host"] else ("twilio",),
    "email": ("anymail",) if ANYMAIL_ESP else ("smtp",),
}
for _route in filter(None, os.environ.get("POSTMETER_ROUTES", "").split(";")):
    _channel, _, _names = _route.partition("=")
    ROUTES[_channel.strip()] = tuple(name.strip() for name in _names.split(",") if name.strip())
for _channel, _found in ROUTES.items():
    if not _found or not set(_found) <= set(PROVIDERS) or not re.fullmatch("[a-z]+(:[0-9]+)?", _channel):
        raise SystemExit(
            f"postmeter: POSTMETER_ROUTES has {_channel}={','.join(_found)}; the providers are {', '.join(PROVIDERS)}"
        )
STRIPE = {
    "base_url": os.environ.get("POSTMETER_STRIPE_BASE_URL", _simulator),
    "secret_key": os.environ.get("POSTMETER_STRIPE_SECRET_KEY", ""),
    "webhook_secret": os.environ.get("POSTMETER_STRIPE_WEBHOOK_SECRET", ""),
}
PAYPAL = {
    "base_url": os.environ.get("POSTMETER_PAYPAL_BASE_URL", f"{_simulator}/paypal"),
    "client_id": os.environ.get("POSTMETER_PAYPAL_CLIENT_ID", ""),
    "secret": os.environ.get("POSTMETER_PAYPAL_SECRET", ""),
    "webhook_id": os.environ.get("POSTMETER_PAYPAL_WEBHOOK_ID", ""),
}
GATEWAYS = {"stripe": STRIPE, "paypal": PAYPAL}
PAYMENT_KINDS = tuple(os.environ.get("POSTMETER_PAYMENT_KINDS", "card").split(","))
WEBHOOKS_LOCAL = os.environ.get("POSTMETER_WEBHOOKS_LOCAL") == "1"  # for trying out: http, and addresses of this machine
AUTOMATIC_PER_HOUR = int(
    os.environ.get("POSTMETER_AUTOMATIC_PER_HOUR", "1000")
)  # automatic charges of all; more open the breaker
SIMULATOR_URL = os.environ.get("POSTMETER_SIMULATOR_URL", _simulator)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"postmeter": {"level": "INFO"}, "django.request": {"level": "ERROR"}},
}
