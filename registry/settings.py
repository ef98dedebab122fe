"""The one settings file, for a laptop, the tests and production alike.

What may differ between installations comes from the environment, is checked here, and is
listed in docs/settings.md. Everything else is decided here once. There are three ways to run:
production (neither DEBUG nor DEMO), which insists on https; DEMO, with log-ins that everybody
knows, and DEBUG, both of which refuse any address but this machine's own.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from registry import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent

# How and where it runs

DEBUG = env.flag("DEBUG", False)
DEMO = env.flag("DEMO", False)
SITE_URL = env.site_url("SITE_URL")
_host = urlsplit(SITE_URL).hostname or ""
_loopback = _host in {"localhost", "127.0.0.1", "::1"}
HTTPS = SITE_URL.startswith("https://")
PRODUCTION = not (DEBUG or DEMO)
for _name, _on in (("DEBUG", DEBUG), ("DEMO", DEMO)):
    if _on and (HTTPS or not _loopback):
        raise env.wrong(
            _name, f"is only for http://localhost and must be off where SITE_URL is {SITE_URL}"
        )
if PRODUCTION and not HTTPS:
    raise env.wrong("SITE_URL", f"must start with https:// in production, not {SITE_URL!r}")
DEMO_PASSWORD = env.secret("DEMO_PASSWORD", 12) if DEMO else ""

SECRET_KEY = env.secret("SECRET_KEY", 50)
ALLOWED_HOSTS = [_host, *env.words("ALLOWED_HOSTS")]
if "*" in ALLOWED_HOSTS:
    raise env.wrong("ALLOWED_HOSTS", "must name its hosts; '*' would accept any")
if _loopback:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
DATA_DIR = env.directory("DATA_DIR")

# Names and birth dates are encrypted with the first key and can be read with each;
# the HMAC key finds a chart number without storing it.
IDENTITY_KEYS = env.fernet_keys("IDENTITY_KEYS")
IDENTITY_HMAC_KEY = env.secret("IDENTITY_HMAC_KEY", 32)
if IDENTITY_HMAC_KEY in {SECRET_KEY, *IDENTITY_KEYS}:
    raise env.wrong("IDENTITY_HMAC_KEY", "must differ from the other keys")

# Database: the web processes and the worker know `default` alone, which owns nothing.

DATABASES: dict[str, Any] = {"default": env.database("DATABASE_URL")}
if env.text("OWNER_DATABASE_URL", ""):
    DATABASES["owner"] = env.database("OWNER_DATABASE_URL")
if env.text("BACKUP_DATABASE_URL", ""):
    DATABASES["backup"] = env.database("BACKUP_DATABASE_URL")
if len({_database["USER"] for _database in DATABASES.values()}) != len(DATABASES):
    raise env.wrong("DATABASE_URL", "must log in as another role than the owner and the backup do")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Applications: our `sites` has the label of django.contrib.sites, which is therefore never here.

INSTALLED_APPS = [
    "sites",
    "registry",
    "crf",
    "safety",
    "exports",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
    "simple_history",
    "csp",
]
MIDDLEWARE = [
    "registry.proxy.trusted_proxy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sites.accounts.session_limits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "registry.urls"
WSGI_APPLICATION = "registry.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": ["template_partials.templatetags.partials"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "registry.navigation.chrome",
            ],
        },
    }
]
# PostgreSQL triggers write the history tables; the signals would write every row twice.
SIMPLE_HISTORY_ENABLED = False

# Language and time: stored in UTC, shown in the site's zone

LANGUAGE_CODE = "ko"
LANGUAGES = [("ko", _("Korean")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "registry" / "locale"]
USE_TZ = True
TIME_ZONE = "Asia/Seoul"

# Accounts and sessions

AUTH_USER_MODEL = "sites.User"
ACCOUNT_ADAPTER = "sites.accounts.Adapter"
AUTHENTICATION_BACKENDS = ["sites.sessions.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
# An invitation proves the address, so that allauth need not ask again.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "20/m/ip,5/300s/key",
    "reauthenticate": "5/m/user",
    "reset_password": "10/m/ip,3/m/key",
}

SESSION_ENGINE = "sites.sessions"
SESSION_IDLE_MINUTES = env.number("SESSION_IDLE_MINUTES", 30, low=1, high=240)
SESSION_HOURS = env.number("SESSION_HOURS", 12, low=1, high=24)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True

# What the browser is told

_prefix = "__Host-" if HTTPS else ""
SESSION_COOKIE_NAME = f"{_prefix}session"
CSRF_COOKIE_NAME = f"{_prefix}csrf"
LANGUAGE_COOKIE_NAME = f"{_prefix}language"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [SITE_URL]
# registry.proxy removes this header unless it comes from a trusted proxy.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Outside production no `collectstatic` has run: files are served from where they are written.
STATIC_ROOT = BASE_DIR / ".static" if PRODUCTION else None
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": DATA_DIR},
    },
    "staticfiles": {"BACKEND": f"registry.statics.{'Hashed' if PRODUCTION else 'Plain'}"},
}

# API

# `sites.access.api()` settles token, permission and site before a view runs.
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["registry.api.settled.Json"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["registry.api.settled.Settled"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["registry.api.settled.PerToken"],
    "DEFAULT_THROTTLE_RATES": {"token": "600/min"},
    "EXCEPTION_HANDLER": "registry.api.settled.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Registry EDC",
    "DESCRIPTION": "Participants, visits, forms, adverse events and datasets of one site.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SCHEMA_PATH_PREFIX": "/api/{study}",
    "COMPONENT_SPLIT_PATCH": False,
}

# Mail

MAIL_FROM = env.text("MAIL_FROM", None if PRODUCTION else "registry@localhost")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = MAIL_FROM
globals().update(env.mail("MAIL_URL", None if PRODUCTION else "console:"))

# Redis and Celery. Nothing in Redis is worth keeping: jobs are rows, and the sweeper queues
# again what was lost; the cache holds the counters of the rate limits.

REDIS_URL = env.redis("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
    },
    # Parts of pages that say the same to everybody: the files of the head, the menu of a role.
    "template_fragments": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
SWEEP_SECONDS = env.number("SWEEP_SECONDS", 15, low=1, high=300)
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A message that nobody acknowledged in this time is delivered again; the lease in the job's
# row, not this, keeps two workers from the same job.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_connect_timeout": 2}
# A request must not hang on a Redis that is away: the job's row is written all the same.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SERIALIZER = CELERY_EVENT_SERIALIZER = CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "jobs"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE = {
    "sweep-jobs": {
        "task": "registry.tasks.sweep",
        "schedule": SWEEP_SECONDS,
        # A sweep that no worker took before the next one is due has nothing left to do.
        "options": {"expires": SWEEP_SECONDS},
    },
    "reminders": {
        "task": "registry.tasks.remind",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "access-log-months": {
        "task": "registry.tasks.access_partitions",
        "schedule": 24 * 3600,
    },
}

# Logs: one line per event, in UTC, without clinical values (registry.logs decides how)

LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "registry.logs.Line"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # SQL with its parameters would put answers into the log.
        "django.db.backends": {"level": "INFO"},
        "django.server": {"handlers": [], "propagate": True},
        # The sweeper alone would fill four lines a minute with its success.
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        # Subsetting a font for a PDF says hundreds of things that nobody reads.
        "fontTools": {"level": "WARNING"},
    },
}
