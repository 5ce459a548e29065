"""A Django project in one file: a front page and the admin. `site.py migrate`, `site.py serve PORT`."""

import sys

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}},
    STATIC_URL="/static/",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)
django.setup()

from django.contrib import admin
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path


def front(request):
    """Link to the admin."""
    return HttpResponse("<h1>Shop</h1><a href='/admin/'>Admin</a>")


urlpatterns = [path("", front), path("admin/", admin.site.urls)]


def seed():
    """Create the tables, one administrator, users and groups."""
    call_command("migrate", verbosity=0)
    root = User(username="root", email="root@example.com", is_staff=True, is_superuser=True)
    root.password = make_password(
        "secret", salt="a" * 22
    )  # one salt: a session of one instance is good in all
    root.save()
    for number in range(1, 31):
        user = User.objects.create_user(f"user{number}", f"user{number}@example.com", "secret")
        user.first_name = f"First {number}"
        user.save()
    for number in range(1, 9):
        Group.objects.create(name=f"group {number}")


if sys.argv[1] == "migrate":
    seed()
else:
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer

    from django.core.servers.basehttp import WSGIRequestHandler

    class Server(ThreadingMixIn, WSGIServer):
        """Serves each connection by a thread."""

        daemon_threads = True

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.base_environ = {}

    class Quiet(WSGIRequestHandler):
        """Logs nothing."""

        def log_message(self, *_):
            """Log nothing."""

    server = Server(("127.0.0.1", int(sys.argv[2])), Quiet)
    server.base_environ.update(
        SERVER_NAME="shop",
        SERVER_PORT=sys.argv[2],
        SCRIPT_NAME="",
        GATEWAY_INTERFACE="CGI/1.1",
        REMOTE_HOST="",
        CONTENT_LENGTH="",
    )
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    server.serve_forever()
